"""A scene that grows in the window while a real sidecar trains it (driven like scenarios.py, which is beside it)."""

import importlib.util
import uuid
from pathlib import Path

import bpy

_spec = importlib.util.spec_from_file_location("common", Path(__file__).with_name("common.py"))
common = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(common)


def grow(robot):
    """Send a job that trains; photograph its scene as it grows, and the imported one in its place."""
    yield from common.prepare(robot)
    addon = common.addon()
    client, results = addon.client, addon.results
    handlers, view = addon.viewport.handlers, importlib.import_module(f"{common.MODULE}.viewport.splat_growing")
    for obj in list(bpy.context.scene.objects):
        bpy.data.objects.remove(obj)
    bpy.context.preferences.addons[common.MODULE].preferences.connection_file = str(robot.folder / "connection.json")
    bpy.ops.holotime.connect()
    yield client.connected
    common.stand_at_eye(robot, distance=0.01)
    robot.view.spaces[0].overlay.show_overlays = False
    yield 0.5
    empty = robot.pixels()
    job = uuid.uuid4().hex
    entry = client.Entry("growing", scene=bpy.context.scene.name, blend=bpy.data.filepath, auto_import=True)
    params = {"width": 256, "frames": 2, "budget": 8000, "sweeps": 0, "recipe": "lite", "train_steps": 300}
    inputs = {"panorama": str(robot.folder / "panorama.png")}
    client.pump_milliseconds.clear()
    client.submit(job, "generate", params, inputs, results.Import(bpy.context.scene.name), entry=entry)
    yield (lambda: job in view._views or client.jobs[job].done), 300.0
    assert job in view._views, (client.jobs[job].status, client.jobs[job].error, client.growing.problem)
    yield (lambda: view._views[job].drawer is not None and not view._views[job].drawer.empty), 60.0
    yield 1.0
    region = robot.region("WINDOW")
    robot.notes["first"] = common.changed(empty, robot.pixels(), region)
    yield from robot.screenshot("growing")
    numbers = set()
    yield (lambda: numbers.add(client.growing._scenes[job].number) or len(numbers) > 2), 120.0
    robot.notes["parts"] = max(numbers) + 1
    assert not bpy.context.scene.objects, "it is no part of the file"
    yield (lambda: results.last_import or results.last_error), 300.0
    assert not results.last_error, results.last_error
    robot.notes["pump_ms"] = common.summary(client.pump_milliseconds)
    yield 1.0
    assert view._views == {}
    assert not handlers.is_on(view.NAME)
    assert not handlers.problem, handlers.problem
    robot.notes["last"] = common.changed(empty, robot.pixels(), region)
    yield from robot.screenshot("grown")
