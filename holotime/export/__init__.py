"""Export: scenes for other programs."""

from holotime.export.ply import read_ply, write_ply, write_ply_sequence

__all__ = ["read_ply", "write_ply", "write_ply_sequence"]
