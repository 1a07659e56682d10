"""Where the preset files are: in a source checkout, or inside the installed package."""

from pathlib import Path

from holotime.errors import InputError


def presets_root() -> Path:
    """The folder with ``cameras``, ``quality`` and ``samples``. Raises InputError if the installation lost it."""
    package = Path(__file__).resolve().parent
    for folder in (package / "presets_data", package.parent / "presets"):
        if (folder / "cameras").is_dir():
            return folder
    raise InputError(
        f"The preset files of HoloTime are neither in {package / 'presets_data'} nor in {package.parent / 'presets'}. "
        "Install holotime again."
    )
