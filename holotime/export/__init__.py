"""Export: scenes for other programs, and splats of other programs as scenes."""

from holotime.export.formats import FORMATS, Exported, export_scene, import_scene
from holotime.export.ply import read_ply, write_ply, write_ply_sequence

__all__ = [
    "FORMATS",
    "Exported",
    "export_scene",
    "import_scene",
    "read_ply",
    "write_ply",
    "write_ply_sequence",
]
