"""What the robot does in the window (see drive.py)."""

import importlib
import statistics
import time

import bpy

MODULE = "bl_ext.user_default.holotime"


def addon():
    """The extension's package."""
    return importlib.import_module(MODULE)


def prepare(robot, theme="dark"):
    """Install the extension, open the sidebar on its tab, with nothing else in the way."""
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
    yield 0.5
    robot.region("UI").active_panel_category = "HoloTime"
    yield 0.5


def look(robot):
    """For people: every panel as it is."""
    yield from prepare(robot, robot.settings.get("theme", "dark"))
    yield from robot.screenshot("all")
    start = time.monotonic()
    if robot.settings.get("find"):
        yield from robot.find()
        robot.notes["found"] = robot.found
    robot.notes["seconds"] = time.monotonic() - start


def job(robot):
    """The whole job, from the panorama to the video, by clicks."""
    yield from prepare(robot)
    client, results = addon().client, addon().results
    settings = bpy.context.scene.holotime
    bpy.context.preferences.addons[MODULE].preferences.connection_file = str(robot.folder / "connection.json")
    for obj in list(bpy.context.scene.objects):
        bpy.data.objects.remove(obj)
    settings.width, settings.frames, settings.budget = 512, 8, 60_000
    yield from robot.find()
    robot.notes["found"] = sorted(robot.found)
    yield from robot.fill("holotime.panorama", str(robot.folder / "pano.png"))
    assert settings.panorama.endswith("pano.png"), settings.panorama
    yield from robot.press("bpy.ops.holotime.connect(")
    yield client.connected
    yield from robot.screenshot("connected", "UI")
    yield from robot.press("bpy.ops.holotime.generate(")
    yield lambda: client.jobs
    client.pump_milliseconds.clear()
    sent = client.jobs[client.latest_job]
    yield (lambda: (sent.status == "running" and sent.fraction > 0.4 and sent.preview) or sent.done), 120.0
    yield from robot.screenshot("running")
    yield (lambda: sent.done), 120.0
    assert sent.status == "succeeded", sent.error
    robot.notes["pump_ms_running"] = summary(client.pump_milliseconds)
    client.pump_milliseconds.clear()
    yield (lambda: results.last_import or results.last_error), 60.0
    assert not results.last_error, results.last_error
    robot.notes["pump_ms_import"] = summary(client.pump_milliseconds)
    yield 0.5
    yield from robot.screenshot("imported")


def summary(milliseconds):
    """Median, worst and number of some times."""
    values = sorted(milliseconds)
    return {"median": statistics.median(values), "worst": values[-1], "count": len(values)} if values else {}
