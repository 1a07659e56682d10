"""Runs inside Blender with a window: clicks through a scenario by simulated events and saves screenshots.

    blender --enable-event-simulate --python drive.py -- FOLDER SCENARIO

FOLDER has settings.json, scenarios.py and the extension's zip; out/ gets PNG files and result.json. A scenario is a
generator function of scenarios.py: it gets a Robot and yields what to wait for: a number of seconds, a function that
must become true, or both a function and how many seconds it may take.
"""

import importlib.util
import json
import sys
import time
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from types import GeneratorType
from typing import Any

import bpy

TICK = 0.005  # seconds between steps; Blender handles events in between
PATIENCE = 120.0  # seconds that a condition may take unless the scenario says otherwise
Scenario = Generator[Any, None, None]


class Robot:
    """Hands and eyes in a Blender window. Places are pixels from the window's lower left corner."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "out"
        self.settings = json.loads((folder / "settings.json").read_text())
        self.notes: dict[str, Any] = {}

    @property
    def window(self) -> bpy.types.Window:
        """The first window."""
        return bpy.context.window_manager.windows[0]

    @property
    def view(self) -> bpy.types.Area:
        """The 3D View."""
        return next(area for area in self.window.screen.areas if area.type == "VIEW_3D")

    def region(self, kind: str, area: bpy.types.Area | None = None) -> bpy.types.Region:
        """A region of an area (the 3D View)."""
        return next(region for region in (area or self.view).regions if region.type == kind)

    def override(self, kind: str = "WINDOW", area: bpy.types.Area | None = None):
        """A context inside a region."""
        area = area or self.view
        return bpy.context.temp_override(window=self.window, area=area, region=self.region(kind, area))

    # hands

    def move(self, x: float, y: float) -> Scenario:
        """Move the mouse."""
        self.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=int(x), y=int(y))
        yield TICK

    def click(self, x: float, y: float, **keys: bool) -> Scenario:
        """Click with the left button."""
        yield from self.move(x, y)
        yield 0.05
        self.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=int(x), y=int(y), **keys)
        yield TICK
        self.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=int(x), y=int(y), **keys)
        yield 0.1

    def drag(self, places: list[tuple[float, float]], **keys: bool) -> Scenario:
        """Drag with the left button."""
        yield from self.move(*places[0])
        x, y = map(int, places[0])
        self.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=x, y=y, **keys)
        yield TICK
        for x, y in places[1:]:
            yield from self.move(x, y)
        x, y = map(int, places[-1])
        self.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=x, y=y, **keys)
        yield 0.1

    def key(self, name: str, **keys: bool) -> Scenario:
        """Press and release a key where the mouse is."""
        self.window.event_simulate(type=name, value="PRESS", x=self._x, y=self._y, **keys)
        yield TICK
        self.window.event_simulate(type=name, value="RELEASE", x=self._x, y=self._y, **keys)
        yield 0.05

    @property
    def _x(self) -> int:
        region = self.region("WINDOW")
        return region.x + region.width // 3

    @property
    def _y(self) -> int:
        region = self.region("WINDOW")
        return region.y + region.height // 2

    # eyes

    def find(
        self, area: bpy.types.Area | None = None, kind: str = "UI", columns: tuple[float, ...] = (0.28, 0.7, 0.88)
    ) -> Scenario:
        """Feel for every button of a region: ``self.found`` maps its Python command or data path to its place.

        Blender can copy the Python command or the data path of the button under the mouse; so widgets are found
        wherever a version of Blender puts them.
        """
        area = area or self.view
        region = self.region(kind, area)
        manager = bpy.context.window_manager
        self.found: dict[str, tuple[int, int]] = {}
        start = time.monotonic()
        for y in range(region.y + region.height - 4, region.y, -11):
            for share in columns:
                x = region.x + int(region.width * share)
                yield from self.move(x, y)
                for operator in (bpy.ops.ui.copy_python_command_button, bpy.ops.ui.copy_data_path_button):
                    with self.override(kind, area):
                        if not operator.poll():
                            continue
                        manager.clipboard = ""
                        operator()
                    if manager.clipboard:
                        self.found.setdefault(manager.clipboard, (x, y - 3))
                        break
        self.notes.setdefault("find_seconds", []).append(round(time.monotonic() - start, 1))

    def press(self, command: str) -> Scenario:
        """Click the button whose command begins so (see :meth:`find`)."""
        place = next((p for text, p in self.found.items() if text.startswith(command)), None)
        assert place, f"no button '{command}'; there are {sorted(self.found)}"
        yield from self.click(*place)

    def fill(self, path: str, text: str) -> Scenario:
        """Put a text into the field of this data path (see :meth:`find`), by click and paste."""
        place = self.found[path]
        yield from self.click(*place)
        yield 0.3
        bpy.context.window_manager.clipboard = text
        for name, keys in (("A", {"ctrl": True}), ("V", {"ctrl": True}), ("RET", {})):
            self.window.event_simulate(type=name, value="PRESS", x=place[0], y=place[1], **keys)
            yield TICK
            self.window.event_simulate(type=name, value="RELEASE", x=place[0], y=place[1], **keys)
            yield 0.1

    def screenshot(self, name: str, region: str = "", area: bpy.types.Area | None = None) -> Scenario:
        """Save what the screen shows, or where one area or one region of the 3D View is, as out/NAME.png."""
        for each in self.window.screen.areas:
            each.tag_redraw()
        yield 0.4
        place = self.region(region) if region else area
        box = (place.x, place.y, place.width, place.height) if place else (0, 0, self.window.width, self.window.height)
        _save(self.pixels(), box, self.out / f"{name}.png")
        yield TICK

    def photograph(self, name: str, classes: list[type], family: str) -> Scenario:
        """Save one panel of the sidebar with its sub-panels, and nothing else, as out/NAME.png.

        ``classes`` are all panels of the tab; those that do not belong to ``family`` are away for the moment.
        """
        others = [cls for cls in classes if family not in (cls.bl_idname, getattr(cls, "bl_parent_id", ""))]
        others = [cls for cls in others if "bl_category" in dir(cls) and hasattr(cls, "bl_label")]
        overlap = bpy.context.preferences.system.use_region_overlap
        bpy.context.preferences.system.use_region_overlap = False  # a plain background, to see where the panel ends
        for cls in reversed(others):
            bpy.utils.unregister_class(cls)
        region = self.region("UI")
        region.tag_redraw()
        yield 0.6
        picture = self.pixels()[region.y : region.y + region.height, region.x : region.x + region.width]
        inner = picture[:, 4 : region.width - 40]  # without the tabs
        rows = (abs(inner - inner[2:3, 4:5]) > 0.02).any(axis=(1, 2)).nonzero()[0]
        bottom = max(0, int(rows[rows > 6].min()) - 6)
        box = (region.x, region.y + bottom, region.width - 28, region.height - bottom)
        _save(self.pixels(), box, self.out / f"{name}.png")
        for cls in others:
            bpy.utils.register_class(cls)
        bpy.context.preferences.system.use_region_overlap = overlap
        yield 0.3

    def pixels(self):
        """[H, W, 4] float of what the screen shows, first row at the bottom."""
        return _screen(self.folder / "screen" / "Xvfb_screen0")


def _screen(path: Path):
    """[H, W, 4] float of the virtual screen, first row at the bottom. Xvfb keeps it in a file (format XWD)."""
    import numpy as np

    data = path.read_bytes()
    header = np.frombuffer(data[:100], ">u4")
    size, width, height, row, colors = (int(header[i]) for i in (0, 4, 5, 12, 19))
    pixels = np.frombuffer(data, np.uint8, row * height, size + 12 * colors).reshape(height, row)[:, : 4 * width]
    picture = np.ones((height, width, 4), np.float32)
    picture[..., :3] = pixels.reshape(height, width, 4)[::-1, :, 2::-1] / 255
    return picture


def _save(picture, box: tuple[int, int, int, int], path: Path) -> None:
    """Write a part of a picture as PNG."""
    import numpy as np

    x, y, width, height = box
    part = np.ascontiguousarray(picture[y : y + height, x : x + width])
    image = bpy.data.images.new("screenshot", part.shape[1], part.shape[0])
    image.pixels.foreach_set(part.ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)


class Runner:
    """Drives one scenario from a timer and quits Blender at its end."""

    def __init__(self, robot: Robot, scenario: Callable[[Robot], Scenario]) -> None:
        self.robot, self.stack = robot, [scenario(robot)]
        self.until: Any = time.monotonic() + 2.0  # simulated events get lost right after the start
        self.patience = 0.0
        self.result: dict[str, Any] = {"blender": bpy.app.version_string}

    def __call__(self) -> float | None:
        """One step."""
        try:
            if self._waiting():
                return TICK
            step = next(self.stack[-1])
            if isinstance(step, GeneratorType):
                self.stack.append(step)
            elif callable(step):
                self.until, self.patience = step, time.monotonic() + PATIENCE
            elif isinstance(step, tuple):
                self.until, self.patience = step[0], time.monotonic() + step[1]
            else:
                self.until = time.monotonic() + float(step)
            return TICK
        except StopIteration:
            self.stack.pop()
            if self.stack:
                return TICK
            self.result["passed"] = True
        except Exception:
            self.result["error"] = traceback.format_exc()
        self._end()
        return None

    def _waiting(self) -> bool:
        if callable(self.until):
            if self.until():
                self.until = 0.0
                return False
            if time.monotonic() > self.patience:
                scenario = self.stack[-1]
                raise TimeoutError(f"waited too long in {scenario.__name__}, line {scenario.gi_frame.f_lineno}")
            return True
        return time.monotonic() < self.until

    def _end(self) -> None:
        self.result["notes"] = self.robot.notes
        (self.robot.out / "result.json").write_text(json.dumps(self.result, indent=1, default=str))
        bpy.ops.wm.quit_blender()


def main() -> None:
    """Load the scenario and begin."""
    folder, name = Path(sys.argv[-2]), sys.argv[-1]
    spec = importlib.util.spec_from_file_location("scenarios", folder / "scenarios.py")
    scenarios = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scenarios)
    bpy.context.preferences.view.show_splash = False
    bpy.app.timers.register(Runner(Robot(folder), getattr(scenarios, name)), persistent=True)


main()
