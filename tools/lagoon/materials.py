"""Shaders: a thin builder over Cycles nodes, the sky with its clouds, and one material per substance.

Everything far away fades into the colour of the haze in its direction, which is also what the sky has at the horizon:
that is what holds the picture together and gives it depth.
"""

import math

import bpy

SUN_AZIMUTH, SUN_ELEVATION = -21.0, 9.0  # degrees
SUN = (
    math.sin(math.radians(SUN_AZIMUTH)) * math.cos(math.radians(SUN_ELEVATION)),
    math.cos(math.radians(SUN_AZIMUTH)) * math.cos(math.radians(SUN_ELEVATION)),
    math.sin(math.radians(SUN_ELEVATION)),
)
HAZE_LENGTH = 520.0  # metres after which 63 % of a thing's own colour is gone


class Nodes:
    """Builds node trees by calling: sockets, numbers, tuples and colours are all accepted as inputs."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self.tree = tree
        tree.nodes.clear()

    def node(self, kind: str, inputs: dict | None = None, **properties):
        node = self.tree.nodes.new(f"ShaderNode{kind}")
        for key, value in properties.items():
            setattr(node, key, value)
        for key, value in (inputs or {}).items():
            self.feed(node.inputs[key], value)
        return node

    def feed(self, socket, value) -> None:
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif socket.type == "RGBA" and len(value) == 3:
            socket.default_value = (*value, 1.0)
        else:
            socket.default_value = value

    def math(self, operation: str, a, b=0.0, c=0.0, clamp: bool = False):
        return self.node("Math", {0: a, 1: b, 2: c}, operation=operation, use_clamp=clamp).outputs[0]

    def vector(self, operation: str, a, b=(0.0, 0.0, 0.0), scale: float = 1.0):
        node = self.node("VectorMath", {0: a, 1: b}, operation=operation)
        if operation == "SCALE":
            self.feed(node.inputs["Scale"], scale)
        return node.outputs["Value" if operation in ("DOT_PRODUCT", "LENGTH") else "Vector"]

    def mix(self, factor, a, b, blend: str = "MIX"):
        node = self.node("Mix", {0: factor, 6: a, 7: b}, data_type="RGBA", blend_type=blend)
        return node.outputs[2]

    def step(self, x, low: float, high: float):
        """Smoothstep of a value between two edges, 0 to 1."""
        node = self.node("MapRange", {0: x, 1: low, 2: high}, interpolation_type="SMOOTHSTEP")
        return node.outputs[0]

    def noise(self, vector, scale: float, detail: float = 5.0, roughness: float = 0.55, distortion: float = 0.0):
        inputs = {"Vector": vector, "Scale": scale, "Detail": detail, "Roughness": roughness, "Distortion": distortion}
        return self.node("TexNoise", inputs).outputs[0]

    def position(self):
        return self.node("NewGeometry").outputs["Position"]

    def normal_z(self):
        return self.node("SeparateXYZ", {0: self.node("NewGeometry").outputs["Normal"]}).outputs["Z"]

    def bump(self, height, strength: float, distance: float = 1.0):
        return self.node("Bump", {"Height": height, "Strength": strength, "Distance": distance}).outputs[0]

    def random(self):
        return self.node("ObjectInfo").outputs["Random"]

    def haze(self, direction):
        """Colour of the haze towards a unit direction: cool away from the sun, gold towards it."""
        toward = self.math("MAXIMUM", self.vector("DOT_PRODUCT", direction, SUN), 0.0)
        near = self.math("POWER", toward, 7.0)
        wide = self.math("POWER", self.math("MULTIPLY_ADD", self.vector("DOT_PRODUCT", direction, SUN), 0.5, 0.5), 2.0)
        cool = self.mix(wide, (0.30, 0.33, 0.50), (0.78, 0.46, 0.36))
        return self.mix(near, cool, (1.95, 0.84, 0.34))


def material(name: str, build) -> bpy.types.Material:
    """A material seen through the haze. ``build(nodes)`` gives its surface, or (surface, cover) where it has gaps."""
    mat = bpy.data.materials.new(name)
    mat.use_nodes = True
    mat.cycles.emission_sampling = "NONE"  # the haze glows, but it is no lamp
    n = Nodes(mat.node_tree)
    built = build(n)
    surface, cover = built if isinstance(built, tuple) else (built, None)
    ray = n.node("LightPath")
    gone = n.math("SUBTRACT", 1.0, n.math("EXPONENT", n.math("MULTIPLY", ray.outputs["Ray Length"], -1 / HAZE_LENGTH)))
    seen = n.math("MAXIMUM", ray.outputs["Is Camera Ray"], ray.outputs["Is Glossy Ray"])
    direction = n.vector("SCALE", n.node("NewGeometry").outputs["Incoming"], scale=-1.0)
    glow = n.node("Emission", {"Color": n.haze(direction)}).outputs[0]
    mixed = n.node("MixShader", {0: n.math("MULTIPLY", gone, seen), 1: surface, 2: glow}).outputs[0]
    if cover is not None:  # a gap holds no haze of its own: what is behind brings it
        mixed = n.node("MixShader", {0: cover, 1: n.node("BsdfTransparent").outputs[0], 2: mixed}).outputs[0]
    n.node("OutputMaterial", {"Surface": mixed})
    return mat


def principled(n: Nodes, color, roughness: float = 0.8, normal=None, specular: float = 0.3):
    """The usual surface."""
    inputs = {"Base Color": color, "Roughness": roughness, "Specular IOR Level": specular}
    if normal is not None:
        inputs["Normal"] = normal
    return n.node("BsdfPrincipled", inputs).outputs[0]


def foliage(name: str, dark, light, through=0.45, specular: float = 0.35) -> bpy.types.Material:
    """Leaves: shine a little, let light through, every plant in its own shade."""

    def build(n: Nodes):
        spot = n.noise(n.position(), 1.3, 2)
        shade = n.math("ADD", n.math("MULTIPLY", n.random(), 0.6), n.math("MULTIPLY_ADD", spot, 0.9, -0.25), clamp=True)
        color = n.mix(shade, dark, light)
        lit = n.node("BsdfTranslucent", {"Color": n.mix(0.5, color, light, "MIX")}).outputs[0]
        return n.node("MixShader", {0: through, 1: principled(n, color, 0.5, specular=specular), 2: lit}).outputs[0]

    return material(name, build)


def bark(name: str, dark, light, scale: float = 9.0) -> bpy.types.Material:
    """Wood of trunks, piers and boats: grain along Z of the object."""

    def build(n: Nodes):
        at = n.node("Mapping", {"Vector": n.node("TexCoord").outputs["Object"], "Scale": (scale, scale, scale * 0.15)})
        grain = n.noise(at.outputs[0], 1.0, 6, 0.65)
        return principled(n, n.mix(n.step(grain, 0.3, 0.7), dark, light), 0.85, n.bump(grain, 0.6, 0.02))

    return material(name, build)


def planks() -> bpy.types.Material:
    """Weathered boards, each with its own tone (vertex attribute ``tone``)."""

    def build(n: Nodes):
        at = n.node("Mapping", {"Vector": n.node("TexCoord").outputs["Object"], "Scale": (2.5, 40.0, 40.0)})
        grain = n.noise(at.outputs[0], 1.0, 6, 0.6)
        tone = n.node("Attribute", attribute_name="tone").outputs["Fac"]
        base = n.mix(tone, (0.13, 0.075, 0.04), (0.33, 0.22, 0.14))
        return principled(
            n,
            n.mix(n.step(grain, 0.35, 0.75), n.mix(0.6, base, (0.03, 0.02, 0.012)), base),
            0.6,
            n.bump(grain, 0.4, 0.01),
        )

    return material("planks", build)


def stone(name: str, dark, light, scale: float = 2.0, moss: float = 0.0) -> bpy.types.Material:
    """Rock, grown over on top where ``moss`` says (0 bare, 1 all green)."""

    def build(n: Nodes):
        p = n.position()
        coarse, fine = n.noise(p, scale, 8, 0.62), n.noise(p, scale * 9, 6, 0.6)
        color = n.mix(n.step(coarse, 0.3, 0.68), dark, light)
        color = n.mix(n.math("MULTIPLY", n.step(fine, 0.5, 0.75), 0.4), color, (0.05, 0.045, 0.04))
        top = n.math("ADD", n.normal_z(), n.math("MULTIPLY_ADD", coarse, 1.2, -0.6 + moss - 1.0))
        green = n.mix(fine, (0.025, 0.05, 0.008), (0.11, 0.14, 0.025))
        color = n.mix(n.step(top, 0.0, 0.35), color, green)
        height = n.math("MULTIPLY_ADD", fine, 0.25, coarse)
        return principled(n, color, 0.9, n.bump(height, 0.9, 0.35 / scale), 0.2)

    return material(name, build)


def karst() -> bpy.types.Material:
    """Limestone towers: pale, streaked by rain, woods wherever soil can lie."""

    def build(n: Nodes):
        p = n.position()
        streaks = n.node("Mapping", {"Vector": p, "Scale": (0.55, 0.55, 0.05)}).outputs[0]
        streak, patch, fine = n.noise(streaks, 1.0, 8, 0.62), n.noise(p, 0.09, 6, 0.6), n.noise(p, 0.9, 8, 0.65)
        color = n.mix(n.step(streak, 0.35, 0.68), (0.10, 0.085, 0.075), (0.46, 0.38, 0.30))
        color = n.mix(n.math("MULTIPLY", n.step(patch, 0.45, 0.7), 0.45), color, (0.42, 0.27, 0.15))
        growth = n.math("ADD", n.normal_z(), n.math("MULTIPLY_ADD", patch, 1.6, -0.85))
        growth = n.math("ADD", growth, n.math("MULTIPLY_ADD", fine, 0.8, -0.4))
        green = n.mix(fine, (0.012, 0.03, 0.006), (0.09, 0.12, 0.022))
        color = n.mix(n.step(growth, 0.2, 0.45), color, green)
        height = n.math("MULTIPLY_ADD", fine, 0.7, streak)
        return principled(n, color, 0.95, n.bump(height, 1.0, 1.2), 0.1)

    return material("karst", build)


def ground(water_level: float) -> bpy.types.Material:
    """Wet sand, dry sand, then soil under the grass, by height above the water."""

    def build(n: Nodes):
        p = n.position()
        z = n.math("SUBTRACT", n.node("SeparateXYZ", {0: p}).outputs["Z"], water_level)
        patch, fine = n.noise(p, 0.5, 6), n.noise(p, 14.0, 6, 0.65)
        z = n.math("ADD", z, n.math("MULTIPLY_ADD", patch, 0.2, -0.1))
        sand = n.mix(fine, (0.33, 0.22, 0.12), (0.55, 0.40, 0.24))
        wet = n.mix(n.step(z, 0.02, 0.10), (0.13, 0.085, 0.045), sand)
        soil = n.mix(
            n.step(patch, 0.3, 0.7), n.mix(fine, (0.035, 0.045, 0.012), (0.08, 0.09, 0.025)), (0.13, 0.12, 0.04)
        )
        color = n.mix(n.step(z, 0.20, 0.36), wet, soil)
        shine = n.math("MULTIPLY_ADD", n.step(z, 0.0, 0.08), 0.6, 0.3)
        return principled(n, color, shine, n.bump(n.math("MULTIPLY_ADD", fine, 0.3, patch), 0.5, 0.1), 0.3)

    return material("ground", build)


def water() -> bpy.types.Material:
    """Ripples that reflect by Fresnel over a turquoise that deepens with ``depth`` (vertex attribute, metres)."""

    def build(n: Nodes):
        p = n.position()
        depth = n.node("Attribute", attribute_name="depth").outputs["Fac"]
        far = n.math(
            "SUBTRACT", 1.0, n.math("EXPONENT", n.math("MULTIPLY", n.node("LightPath").outputs["Ray Length"], -1 / 60))
        )
        long = n.noise(
            n.node("Mapping", {"Vector": p, "Scale": (0.5, 0.85, 1.0), "Rotation": (0, 0, 0.35)}).outputs[0],
            1.0,
            3,
            0.5,
            0.4,
        )
        short = n.noise(
            n.node("Mapping", {"Vector": p, "Scale": (3.2, 5.5, 1.0), "Rotation": (0, 0, -0.2)}).outputs[0],
            1.0,
            4,
            0.55,
            0.6,
        )
        waves = n.bump(n.math("MULTIPLY_ADD", short, 0.16, long), 0.5, 0.16)
        rough = n.math("MULTIPLY_ADD", far, 0.16, 0.02)
        deep = n.mix(n.step(depth, 0.2, 2.5), (0.10, 0.24, 0.20), (0.008, 0.055, 0.07))
        body = n.node("BsdfDiffuse", {"Color": deep, "Normal": waves}).outputs[0]
        clear = n.node("BsdfTransparent", {"Color": (0.72, 0.88, 0.84)}).outputs[0]
        body = n.node("MixShader", {0: n.step(depth, 0.0, 0.9), 1: clear, 2: body}).outputs[0]
        mirror = n.node("BsdfGlossy", {"Color": (0.95, 0.95, 0.95), "Roughness": rough, "Normal": waves}).outputs[0]
        fresnel = n.node("Fresnel", {"IOR": 1.33, "Normal": waves}).outputs[0]
        surface = n.node("MixShader", {0: fresnel, 1: body, 2: mirror}).outputs[0]
        lace = n.noise(p, 5.0, 5, 0.6, 1.2)
        foam = n.math(
            "MULTIPLY",
            n.step(depth, 0.16, 0.0),
            n.step(n.math("ADD", lace, n.math("MULTIPLY", depth, -1.2)), 0.46, 0.56),
        )
        white = n.node("BsdfDiffuse", {"Color": (0.8, 0.78, 0.74)}).outputs[0]
        return n.node("MixShader", {0: n.math("MULTIPLY", foam, 0.75), 1: surface, 2: white}).outputs[0]

    return material("water", build)


def waterfall() -> bpy.types.Material:
    """Falling water: white streaks, thin between them. Vertex attributes ``across`` and ``down``, both 0 to 1."""

    def build(n: Nodes):
        across = n.node("Attribute", attribute_name="across").outputs["Fac"]
        down = n.node("Attribute", attribute_name="down").outputs["Fac"]
        at = n.node("CombineXYZ", {0: n.math("MULTIPLY", across, 16.0), 1: n.math("MULTIPLY", down, 2.2)}).outputs[0]
        streak = n.noise(at, 1.0, 6, 0.6, 0.25)
        wander = n.math("MULTIPLY_ADD", n.noise(n.vector("MULTIPLY", at, (0.12, 2.5, 0.0)), 1.0, 4, 0.6), 0.5, -0.25)
        aside = n.math("ADD", across, n.math("MULTIPLY", wander, n.math("SUBTRACT", 1.0, down)))
        edge = n.math("MULTIPLY", n.step(aside, 0.10, 0.36), n.step(aside, 0.90, 0.64))
        mist = n.step(down, 0.86, 1.0)
        thick = n.step(n.math("MULTIPLY_ADD", edge, 0.20, streak), 0.43, 0.70)
        cover = n.math("MULTIPLY", edge, n.math("MAXIMUM", thick, n.math("MULTIPLY", mist, 0.8)))
        lit = n.node("BsdfDiffuse", {"Color": (0.92, 0.93, 0.94)}).outputs[0]
        back = n.node("BsdfTranslucent", {"Color": (0.92, 0.93, 0.94)}).outputs[0]
        body = n.node("MixShader", {0: 0.4, 1: lit, 2: back}).outputs[0]
        # light that went astray many times inside the spray, which the few bounces of the render do not follow
        glimmer = n.node("Emission", {"Color": (0.75, 0.72, 0.78), "Strength": 0.28}).outputs[0]
        return n.node("AddShader", {0: body, 1: glimmer}).outputs[0], cover

    return material("waterfall", build)


def glow(name: str, color, strength: float) -> bpy.types.Material:
    """Something that shines: brightest where it faces the eye, as paper around a flame does."""
    mat = bpy.data.materials.new(name)
    mat.use_nodes = True
    n = Nodes(mat.node_tree)
    facing = n.math("SUBTRACT", 1.0, n.node("LayerWeight", {"Blend": 0.35}).outputs["Facing"])
    power = n.math("MULTIPLY_ADD", facing, strength, strength * 0.25)
    n.node("OutputMaterial", {"Surface": n.node("Emission", {"Color": color, "Strength": power}).outputs[0]})
    return mat


def flame() -> bpy.types.Material:
    """Tongues of fire: thin shells that glow and dissolve at their rims. Vertex attribute ``rise``, 0 foot to 1 tip."""
    mat = bpy.data.materials.new("flame")
    mat.use_nodes = True
    mat.cycles.emission_sampling = "NONE"  # the lamp in the bowl lights the surroundings
    n = Nodes(mat.node_tree)
    rise = n.node("Attribute", attribute_name="rise").outputs["Fac"]
    facing = n.math("SUBTRACT", 1.0, n.node("LayerWeight", {"Blend": 0.5}).outputs["Facing"])
    solid = n.math("MULTIPLY", n.math("POWER", facing, 1.6), n.step(rise, 1.0, 0.35))
    color = n.mix(n.math("MULTIPLY", solid, n.step(rise, 0.9, 0.0)), (1.0, 0.13, 0.008), (1.0, 0.46, 0.09))
    power = n.math("MULTIPLY_ADD", n.step(rise, 1.0, 0.0), 9.0, 2.5)
    light = n.node("Emission", {"Color": color, "Strength": power}).outputs[0]
    clear = n.node("BsdfTransparent").outputs[0]
    shell = n.node("MixShader", {0: n.math("MULTIPLY", solid, 0.8), 1: clear, 2: light}).outputs[0]
    n.node("OutputMaterial", {"Surface": shell})
    return mat


def sky() -> None:
    """The world: a painted evening sky with two layers of cloud and the sun's disc."""
    world = bpy.data.worlds.new("evening")
    world.use_nodes = True
    bpy.context.scene.world = world
    n = Nodes(world.node_tree)
    d = n.node("TexCoord").outputs["Generated"]
    up = n.math("MAXIMUM", n.node("SeparateXYZ", {0: d}).outputs["Z"], 0.0)
    toward = n.math("MAXIMUM", n.vector("DOT_PRODUCT", d, SUN), 0.0)
    blue = n.mix(n.math("EXPONENT", n.math("MULTIPLY", up, -2.6)), (0.045, 0.125, 0.37), (0.34, 0.43, 0.64))
    haze = n.haze(d)
    air = n.mix(n.math("EXPONENT", n.math("MULTIPLY", up, -7.5)), blue, haze)
    halo = n.math(
        "ADD",
        n.math("MULTIPLY", n.math("POWER", toward, 14.0), 0.55),
        n.math("MULTIPLY", n.math("POWER", toward, 160.0), 2.2),
    )
    air = n.mix(halo, air, n.mix(1.0, air, (1.7, 0.86, 0.34), "ADD"))

    # clouds lie on flat sheets overhead: perspective comes from dividing by the height
    sheet = n.vector("SCALE", d, scale=n.math("DIVIDE", 1.0, n.math("ADD", up, 0.06)))
    flat = n.vector("MULTIPLY", sheet, (1.0, 1.0, 0.0))

    def layer(under, scale, stretch, offset, low, high, opacity):
        at = n.node("Mapping", {"Vector": flat, "Scale": stretch, "Location": offset, "Rotation": (0, 0, 0.6)}).outputs[
            0
        ]
        toward_sun = n.node(
            "Mapping", {"Vector": at, "Location": tuple(0.10 / scale * s for s in (SUN[0], SUN[1], 0))}
        ).outputs[0]
        here, sunward = n.noise(at, scale, 10, 0.58, 0.25), n.noise(toward_sun, scale, 4, 0.5, 0.25)
        dense = n.step(here, low, high)
        shadow = n.step(sunward, low, high + 0.12)
        lit = n.mix(n.math("POWER", toward, 3.0), (1.25, 0.70, 0.50), (3.0, 1.45, 0.62))
        shade = n.mix(n.math("POWER", toward, 2.0), (0.30, 0.27, 0.38), (0.95, 0.48, 0.32))
        color = n.mix(shadow, lit, shade)
        rim = n.math("MULTIPLY", dense, n.math("SUBTRACT", 1.0, n.math("EXPONENT", n.math("MULTIPLY", up, -9.0))))
        return n.mix(n.math("MULTIPLY", rim, opacity), under, color)

    air = layer(air, 0.75, (0.35, 1.5, 1.0), (4.7, 1.3, 0.0), 0.50, 0.82, 0.5)
    air = layer(air, 0.62, (0.8, 1.0, 1.0), (1.9, 7.2, 3.0), 0.535, 0.68, 0.95)
    disc = n.step(n.vector("DOT_PRODUCT", d, SUN), math.cos(math.radians(1.0)), math.cos(math.radians(0.62)))
    seen = n.node("LightPath").outputs["Is Camera Ray"]  # the lamp lights; its disc must not count twice
    air = n.mix(n.math("MULTIPLY", disc, seen), air, (40.0, 26.0, 12.0))
    n.node("OutputWorld", {"Surface": n.node("Background", {"Color": air, "Strength": 1.0}).outputs[0]})
    world.cycles.sampling_method = "MANUAL"
    world.cycles.sample_map_resolution = 1024

    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.color, lamp.energy, lamp.angle = (1.0, 0.56, 0.25), 7.0, math.radians(0.9)
    obj = bpy.data.objects.new("sun", lamp)
    obj.rotation_euler = (math.radians(90 - SUN_ELEVATION), 0, math.radians(180 - SUN_AZIMUTH))
    bpy.context.scene.collection.objects.link(obj)
