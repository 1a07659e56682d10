"""What the scenes of the test set are built with: substances, a sky, figures, and labels for every object."""

import math
from dataclasses import dataclass, field

import bpy
import numpy as np
from numpy.typing import NDArray

from tools.lagoon import geometry as g
from tools.lagoon import plants
from tools.lagoon.materials import Nodes

SKY, WATER, GROUND, VEGETATION, SOLID, FIRE, MOVER = range(7)
Colour = tuple[float, float, float]


@dataclass
class Kit:
    """Builds one scene; remembers what each object is."""

    rng: np.random.Generator
    frame: int = 0  # 0 or 1: the second frame is a quarter of a second later
    seconds_per_frame: float = 0.25
    labels: list[dict] = field(default_factory=list)  # by object index - 1: class, light, drift in metres a second
    wind: tuple[float, float] = (0.0, 0.0)  # of the clouds, radians per second overhead along x and y
    exposure: float = 0.2  # log-mean brightness of the picture, linear

    def index(self, kind: int, light: bool, drift: tuple[float, float, float]) -> int:
        """The object index (from 1) of a label."""
        label = {"class": kind, "light": light, "drift": list(drift)}
        if label not in self.labels:
            self.labels.append(label)
        return self.labels.index(label) + 1

    def put(
        self, shape, kind, material, at=(0.0, 0.0, 0.0), *, turn=0.0, scale=1.0, light=False, drift=(0.0, 0.0, 0.0)
    ):
        """Place a mesh, or (vertices, faces), as an object of a class; ``drift`` is its velocity in metres a second."""
        if not isinstance(shape, bpy.types.Mesh):
            vertices, faces = shape
            shape = g.mesh("part", vertices, faces, material, smooth=False)
        moved = np.asarray(at, float) + np.asarray(drift) * self.seconds_per_frame * self.frame
        placed = g.add(shape, None, moved, scale, turn)
        placed.pass_index = self.index(kind, light, drift)
        return placed

    def smooth(self, shape, kind, material, **options):
        """As :meth:`put`, shaded smooth."""
        return self.put(g.mesh("part", *shape, material, smooth=True), kind, material, **options)

    def substance(
        self, dark: Colour, light: Colour, scale=3.0, rough=0.8, bump=0.2, metal=0.0, stretch=(1.0, 1.0, 1.0), seams=0.0
    ):
        """A surface between two colours by noise; ``seams`` > 0 lays bricks of that length over it."""
        material = bpy.data.materials.new("substance")
        material.use_nodes = True
        n = Nodes(material.node_tree)
        at = n.node("Mapping", {"Vector": n.node("NewGeometry").outputs["Position"], "Scale": stretch}).outputs[0]
        grain, fine = n.noise(at, scale, 6, 0.6), n.noise(at, scale * 11, 4, 0.6)
        mixed = n.math("MULTIPLY_ADD", fine, 0.35, n.math("MULTIPLY_ADD", grain, 1.2, -0.3), clamp=True)
        colour = n.mix(n.step(mixed, 0.25, 0.75), dark, light)
        if seams:
            brick = n.node("TexBrick", {"Vector": at, "Scale": 1.0, "Brick Width": seams, "Row Height": seams * 0.5,
                                        "Mortar Size": 0.02 * seams, "Color1": (1, 1, 1, 1),
                                        "Color2": (0.7, 0.7, 0.7, 1),
                                        "Mortar": (0.3, 0.3, 0.3, 1)})  # fmt: skip
            colour = n.mix(1.0, colour, brick.outputs["Color"], "MULTIPLY")
        inputs = {"Base Color": colour, "Roughness": rough, "Metallic": metal}
        inputs["Normal"] = n.bump(n.math("ADD", grain, fine), bump, 0.3 / scale)
        n.node("OutputMaterial", {"Surface": n.node("BsdfPrincipled", inputs).outputs[0]})
        return material

    def leaf(self, dark: Colour, light: Colour):
        """Leaves, every plant in its own shade."""
        material = bpy.data.materials.new("leaf")
        material.use_nodes = True
        n = Nodes(material.node_tree)
        shade = n.math("ADD", n.random(), n.math("MULTIPLY_ADD", n.noise(n.position(), 2.0, 3), 1.0, -0.5), clamp=True)
        colour = n.mix(shade, dark, light)
        lit = n.node("BsdfTranslucent", {"Color": colour}).outputs[0]
        surface = n.node("BsdfPrincipled", {"Base Color": colour, "Roughness": 0.55}).outputs[0]
        n.node("OutputMaterial", {"Surface": n.node("MixShader", {0: 0.35, 1: surface, 2: lit}).outputs[0]})
        return material

    def glow(self, colour: Colour, strength: float):
        """A substance that shines."""
        material = bpy.data.materials.new("glow")
        material.use_nodes = True
        n = Nodes(material.node_tree)
        n.node("OutputMaterial", {"Surface": n.node("Emission", {"Color": colour, "Strength": strength}).outputs[0]})
        return material

    def water(self, colour: Colour, waves: float = 0.3, scale: float = 1.5):
        """A wet mirror over a colour."""
        material = bpy.data.materials.new("water")
        material.use_nodes = True
        n = Nodes(material.node_tree)
        at = n.node("Mapping", {"Vector": n.position(), "Location": (0.2 * self.frame, 0, 0.15 * self.frame)}).outputs[
            0
        ]
        normal = n.bump(n.noise(at, scale, 4, 0.55), waves, 0.3)
        inputs = {"Base Color": colour, "Roughness": 0.06, "IOR": 1.33, "Normal": normal}
        n.node("OutputMaterial", {"Surface": n.node("BsdfPrincipled", inputs).outputs[0]})
        return material

    def sky(self, zenith: Colour, horizon: Colour, *, clouds=0.5, cloud=(1.0, 1.0, 1.0), sun=(40.0, 35.0, 3.0),
            sun_colour=(1.0, 0.93, 0.82), strength=1.0, wind=(0.01, 0.02)):  # fmt: skip
        """A graded sky with drifting clouds (cover ``clouds``) and a sun: azimuth, elevation in degrees, strength."""
        world = bpy.data.worlds.new("sky")
        world.use_nodes = True
        bpy.context.scene.world = world
        n = Nodes(world.node_tree)
        d = n.node("TexCoord").outputs["Generated"]
        up = n.math("MAXIMUM", n.node("SeparateXYZ", {0: d}).outputs["Z"], 0.0)
        air = n.mix(n.math("EXPONENT", n.math("MULTIPLY", up, -3.5)), zenith, horizon)
        if clouds:
            sheet = n.vector("SCALE", d, scale=n.math("DIVIDE", 1.0, n.math("ADD", up, 0.12)))
            shift = tuple(-w * self.frame * self.seconds_per_frame for w in wind)
            sheet = n.node("Mapping", {"Vector": sheet, "Location": (*shift, 0.0), "Scale": (1, 1, 0)}).outputs[0]
            cover = n.step(n.noise(sheet, 1.1, 8, 0.58, 0.3), 0.68 - 0.35 * clouds, 0.85 - 0.3 * clouds)
            shade = n.mix(n.noise(sheet, 2.5, 6, 0.6), tuple(0.45 * c for c in cloud), cloud)
            air = n.mix(n.math("MULTIPLY", cover, n.step(up, 0.0, 0.12)), air, shade)
        self.wind = wind
        n.node("OutputWorld", {"Surface": n.node("Background", {"Color": air, "Strength": strength}).outputs[0]})
        azimuth, elevation, power = sun
        if power:
            lamp = bpy.data.lights.new("sun", "SUN")
            lamp.energy, lamp.angle, lamp.color = power, 0.02, sun_colour
            placed = bpy.data.objects.new("sun", lamp)
            placed.rotation_euler = (math.radians(90 - elevation), 0, -math.radians(azimuth) + math.pi)
            bpy.context.scene.collection.objects.link(placed)

    def lamp(self, at, power: float, colour: Colour = (1.0, 0.8, 0.55), size: float = 0.2) -> None:
        """A light that is not itself seen."""
        data = bpy.data.lights.new("lamp", "POINT")
        data.energy, data.color, data.shadow_soft_size = power, colour, size
        placed = bpy.data.objects.new("lamp", data)
        placed.location = tuple(at)
        placed.visible_camera = False
        bpy.context.scene.collection.objects.link(placed)

    def ground(self, material, z=-1.6, far=600.0, relief=None, kind: int = GROUND):
        """A disc below the eye; ``relief(x, y)`` adds height."""
        xy, quads = g.polar_grid(np.concatenate([[0.01], 0.5 * (far / 0.5) ** np.linspace(0, 1, 110)]), 180)
        height = z + (relief(xy[:, 0], xy[:, 1]) if relief else 0.0)
        vertices = np.concatenate([xy, np.broadcast_to(height, len(xy))[:, None]], 1)
        return self.smooth((vertices, quads), kind, material)

    def figure(self, at, *, seated=False, walk=(0.0, 0.0), size=1.0) -> None:
        """A person whose feet are at a point; clothes at random."""
        rng = self.rng
        tall = 1.72 * size * rng.uniform(0.93, 1.07)
        cloth = [self.plain(tuple(rng.uniform(0.02, 0.6, 3) * rng.uniform(0.3, 1))) for _ in range(2)]
        skin = self.plain(tuple(np.array([0.5, 0.32, 0.22]) * rng.uniform(0.3, 1.2)))
        hip = 0.5 * tall * (0.55 if seated else 1.0)
        a, stride = rng.uniform(0, 360), 0.0 if seated else rng.uniform(0.03, 0.2)
        legs = []
        for side in (-1, 1):
            knee = [0.09 * side, (0.4 if seated else 0.5 * stride * side), 0.5 * hip + (0.2 if seated else 0)]
            foot = [0.1 * side, (0.42 if seated else stride * side), 0.03]
            legs.append(g.tube(np.array([[0.08 * side, 0, hip], knee, foot]), np.array([0.09, 0.07, 0.05]), 8))
        top = hip + 0.33 * tall
        arms = [
            g.tube(np.array([[0.19 * s, 0, top - 0.05], [0.27 * s, 0.03, top - 0.3],
                             [0.25 * s, 0.12, top - 0.55 + 0.3 * rng.random() * (rng.random() < 0.3)]]),
                   np.array([0.055, 0.05, 0.04]), 7)
            for s in (-1, 1)
        ]  # fmt: skip
        torso = g.lathe([(0.02, hip - 0.08), (0.16, hip - 0.02), (0.15, hip + 0.2), (0.2, top - 0.12), (0.08, top)], 14)
        torso = (torso[0] * [1, 0.65, 1], torso[1])
        v, f = g.sphere(9, 12)
        head = (v * [0.09, 0.11, 0.125] + [0, 0, top + 0.16], f)
        drift = (*walk, 0.0)
        for shape, material in ((g.join(legs), cloth[0]), (g.join([torso, *arms]), cloth[1]), (head, skin)):
            self.smooth(shape, MOVER, material, at=at, turn=a, drift=drift)

    def plain(self, colour: Colour, rough: float = 0.7):
        """One colour."""
        material = bpy.data.materials.new("plain")
        material.use_nodes = True
        n = Nodes(material.node_tree)
        surface = n.node("BsdfPrincipled", {"Base Color": colour, "Roughness": rough}).outputs[0]
        n.node("OutputMaterial", {"Surface": surface})
        return material

    def trees(self, kinds: int, height: float, bark, leaf) -> list:
        """Meshes of broad-leaved trees: [(wood, leaves)]."""
        return [tuple(plants.tree(self.rng, height * self.rng.uniform(0.8, 1.2), bark, leaf)) for _ in range(kinds)]

    def plant(self, tree, at, size=1.0) -> None:
        """A tree of :meth:`trees` at a point."""
        turn = self.rng.uniform(0, 360)
        for part in tree:
            self.put(part, VEGETATION, None, at=at, scale=size, turn=turn)


def line(a, b, radius: float, sides: int = 6) -> tuple[NDArray, NDArray]:
    """A straight bar between two points."""
    return g.tube(np.array([a, b], float), np.full(2, radius), sides)


def curve(points, radius: float, sides: int = 6) -> tuple[NDArray, NDArray]:
    """A bent bar along points [N, 3]."""
    return g.tube(np.asarray(points, float), np.full(len(points), radius), sides)
