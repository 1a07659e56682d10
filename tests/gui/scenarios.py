"""What the robot does in the window (see drive.py)."""

import importlib
import math
import statistics
from pathlib import Path

import bpy
from mathutils import Euler

MODULE = "bl_ext.user_default.holotime"


def addon():
    """The extension's package."""
    return importlib.import_module(MODULE)


PANELS = {  # name of the picture -> the panel
    "world": "HOLOTIME_PT_world",
    "motion": "HOLOTIME_PT_motion",
    "generate": "HOLOTIME_PT_generate",
    "scene": "HOLOTIME_PT_scene",
    "cameras": "HOLOTIME_PT_cameras",
    "render": "HOLOTIME_PT_vr",
}


def panel_classes():
    """All panels of the tab, parents first."""
    return [
        cls
        for cls in addon().panels.CLASSES
        if cls.__name__.startswith("HOLOTIME_PT") and "presets" not in cls.__name__
    ]


def prepare(robot, theme="dark", unfold=False):
    """Install the extension, open the sidebar on its tab, with nothing else in the way.

    ``unfold``: no sub-panel is closed, for photographs.
    """
    bpy.context.preferences.system.use_online_access = False
    if theme == "light":
        path = bpy.utils.preset_find("Blender_Light", "interface_theme", ext=".xml")
        bpy.ops.script.execute_preset(filepath=path, menu_idname="USERPREF_MT_interface_theme_presets")
    bpy.ops.extensions.package_install_files(
        filepath=str(next(robot.folder.glob("holotime-*.zip"))), repo="user_default", enable_on_install=True
    )
    space = robot.view.spaces[0]
    space.show_region_ui, space.show_region_toolbar = True, False
    space.overlay.show_floor = False
    if unfold:
        for cls in reversed(panel_classes()):
            bpy.utils.unregister_class(cls)
        for cls in panel_classes():
            cls.bl_options = set()
            bpy.utils.register_class(cls)
    yield 0.5
    robot.region("UI").active_panel_category = "HoloTime"
    yield 0.5


def job(robot):
    """The whole job, from the panorama to the video, by clicks."""
    yield from prepare(robot)
    client, results = addon().client, addon().results
    settings = bpy.context.scene.holotime
    bpy.context.preferences.addons[MODULE].preferences.connection_file = str(robot.folder / "connection.json")
    for obj in list(bpy.context.scene.objects):
        bpy.data.objects.remove(obj)
    settings.width, settings.frames, settings.budget, settings.vr_width = 256, 6, 20_000, 256
    yield from robot.find()
    yield from robot.fill("holotime.panorama", str(robot.folder / "panorama.png"))
    assert settings.panorama.endswith("panorama.png"), settings.panorama
    yield from robot.press("bpy.ops.holotime.connect(")
    yield client.connected
    yield from robot.screenshot("connected", "UI")
    before = robot.found
    yield from robot.press("bpy.ops.holotime.generate(")
    yield lambda: client.jobs
    client.pump_milliseconds.clear()
    sent = client.jobs[client.latest_job]
    yield (lambda: (sent.status == "running" and sent.fraction > 0.2) or sent.done), 300.0
    yield from robot.screenshot("running")
    yield (lambda: sent.done), 400.0
    assert sent.status == "succeeded", sent.error
    robot.notes["pump_ms_running"] = summary(client.pump_milliseconds)
    client.pump_milliseconds.clear()
    yield (lambda: results.last_import or results.last_error), 120.0
    assert not results.last_error, results.last_error
    robot.notes["pump_ms_import"] = summary(client.pump_milliseconds)
    yield 0.5
    yield from robot.screenshot("imported")
    yield from robot.find()
    gone = set(before) - set(robot.found) - {"bpy.ops.holotime.connect()", "bpy.ops.holotime.start_sidecar()"}
    assert not gone, gone
    yield from robot.press("bpy.ops.holotime.add_camera_path(")
    assert bpy.context.scene.camera is not None
    yield from robot.press("bpy.ops.holotime.render_vr(")
    yield lambda: len(client.jobs) > 1
    yield (lambda: results.last_video or results.last_error), 400.0
    assert not results.last_error, results.last_error
    robot.notes["video_bytes"] = Path(results.last_video).stat().st_size
    yield from robot.screenshot("video")


def album(robot):
    """Every panel, unfolded and by itself: before a job, while one runs, and with its result; then the preferences."""
    theme = robot.settings.get("theme", "dark")
    yield from prepare(robot, theme, unfold=True)
    client, results = addon().client, addon().results
    context, settings = bpy.context, bpy.context.scene.holotime
    for obj in list(context.scene.objects):
        bpy.data.objects.remove(obj)
    preferences = context.preferences.addons[MODULE].preferences
    preferences.connection_file = str(robot.folder / "connection.json")
    settings.panorama = str(robot.folder / "panorama.png")
    settings.prompt = "a lagoon at sunset"
    settings.width, settings.frames, settings.budget = robot.settings["width"], robot.settings["frames"], 60_000
    bpy.ops.holotime.connect()
    yield client.connected
    yield from photographs(robot, ("world", "motion", "generate"), "idle")
    settings.world_source, settings.animator = "PROMPT", "ltx"
    yield from photographs(robot, ("world", "motion"), "models")
    settings.world_source, settings.animator = "IMAGE", "flow"
    bpy.ops.holotime.generate()
    bpy.ops.holotime.generate()  # a second one, which waits
    first = next(iter(client.jobs.values()))
    yield (lambda: (first.preview and first.fraction > 0.15) or first.done), 300.0
    context.window_manager.holotime.index = 1  # the one that runs
    yield from photographs(robot, ("generate",), "running")
    assert not first.done, "the job was over before the photograph"
    yield from robot.screenshot("window_running")
    bpy.ops.holotime.cancel_job(job=client.latest_job)
    yield (lambda: first.done), 400.0
    assert first.status == "succeeded", first.error
    context.window_manager.holotime.index = 1
    yield (lambda: results.last_import or results.last_error), 120.0
    assert not results.last_error, results.last_error
    settings.camera_preset, settings.show_path = "orbit", False
    bpy.ops.holotime.add_camera_path()
    bpy.ops.holotime.mark_camera()
    yield 1.5  # the sidecar's forecasts come
    yield from photographs(robot, ("generate", "scene", "cameras", "render"), "done")
    settings.vr_target = "quest3"
    settings.vr_codec, settings.vr_width = "h264", 8192
    yield from photographs(robot, ("render",), "refused")
    yield from robot.screenshot("window_done")
    yield from preferences_page(robot, "own")
    preferences.mode = "OTHER"
    yield from preferences_page(robot, "other")


def photographs(robot, names, state):
    """Some panels, each as NAME_STATE_THEME.png."""
    theme = robot.settings.get("theme", "dark")
    for name in names:
        yield from robot.photograph(f"{name}_{state}_{theme}", panel_classes(), PANELS[name])


def preferences_page(robot, name):
    """The extension's preferences, in the place of the 3D View."""
    area = robot.view
    area.ui_type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "HoloTime"
    yield 0.5
    if not robot.notes.get("expanded"):
        bpy.ops.preferences.addon_expand(module=MODULE)
        robot.notes["expanded"] = True
    area.tag_redraw()
    yield 3.0  # the sidecar says how it is
    yield from robot.screenshot(f"preferences_{name}_{robot.settings.get('theme', 'dark')}", area=area)
    area.ui_type = "VIEW_3D"
    yield 0.5


def summary(milliseconds):
    """Median, worst and number of some times."""
    values = sorted(milliseconds)
    return {"median": statistics.median(values), "worst": values[-1], "count": len(values)} if values else {}


def stand_at_eye(robot, yaw=0.0, pitch=0.0, distance=0.1):
    """Put the view at the eye, ``yaw`` radians to the right of the panorama's centre."""
    view = robot.view.spaces[0].region_3d
    view.view_perspective = "PERSP"
    view.view_rotation = Euler((math.pi / 2 + pitch, 0.0, -yaw)).to_quaternion()
    view.view_location, view.view_distance = (0.0, 0.0, 0.0), distance
    robot.view.spaces[0].lens = 35


def views(robot):
    """What the extension draws into the view: splats, a cube before and behind them, a path, the panorama, strokes."""
    yield from prepare(robot, robot.settings.get("theme", "dark"))
    handlers = importlib.import_module(f"{MODULE}.viewport.handlers")
    context, settings = bpy.context, bpy.context.scene.holotime
    for obj in list(context.scene.objects):
        bpy.data.objects.remove(obj)
    with robot.override():
        bpy.ops.holotime.import_scene(filepath=str(robot.folder / "scene.safetensors"))
    splats = context.scene.objects[0]
    assert splats.holotime.display == "SPLATS"
    stand_at_eye(robot, distance=0.01)
    region = robot.region("WINDOW")
    space = robot.view.spaces[0]
    robot.notes |= {
        "window": (region.width, region.height),
        "lowest": region.y,
        "focal": space.region_3d.window_matrix[0][0] * region.width / 2,
        "top": region.height // 4,
        "bottom": 3 * region.height // 4,
        "left": region.width // 10,
        "middle": region.width // 2 - 20,
    }
    yield 0.5
    robot.notes["focal"] = space.region_3d.window_matrix[0][0] * region.width / 2
    space.overlay.show_overlays = False
    yield from robot.screenshot("view_splats")
    space.overlay.show_overlays = True
    assert not handlers.problem, handlers.problem
    empty = robot.pixels()
    bpy.ops.mesh.primitive_cube_add(size=0.8, location=(0.0, 3.0, 0.0))
    cube = context.object
    cube.select_set(False)
    yield 0.5
    robot.notes["cube_seen"] = changed(empty, robot.pixels(), region)
    cube.location.y = 9.0  # behind the splats, which are 6 m away
    yield 0.5
    robot.notes["cube_hidden"] = changed(empty, robot.pixels(), region)
    bpy.data.objects.remove(cube)
    stand_at_eye(robot, yaw=0.4, distance=3.0)
    settings.camera_preset = "orbit"
    settings.show_path = settings.show_safe = True
    yield 0.5
    yield from robot.screenshot("view_path")
    assert not handlers.problem, handlers.problem
    settings.show_path = settings.show_safe = False
    splats.holotime.display = "NONE"
    settings.panorama = str(robot.folder / "panorama.png")
    settings.show_panorama = True
    stand_at_eye(robot, distance=0.01)
    yield 0.5
    space.overlay.show_overlays = False
    yield from robot.screenshot("view_panorama")
    space.overlay.show_overlays = True
    with robot.override():
        bpy.ops.holotime.motion_brush("INVOKE_DEFAULT")
    x, y = region.x + region.width // 4, region.y + region.height // 2
    yield from robot.drag([(x + 12 * i, y + 60 * math.sin(i / 5)) for i in range(20)])
    yield from robot.drag([(x + 10 * i, y - 200) for i in range(12)], ctrl=True)
    yield from robot.key("RET")
    assert [s.kind for s in settings.strokes] == ["MOVE", "FREEZE"], [s.kind for s in settings.strokes]
    yield from robot.screenshot("view_brush")
    assert not handlers.problem, handlers.problem


def changed(before, after, region):
    """Mean change of the middle of the 3D View."""
    x, y = region.x + region.width // 2, region.y + region.height // 2
    part = slice(y - 40, y + 40), slice(x - 40, x + 40)
    return float(abs(after[part] - before[part]).mean())
