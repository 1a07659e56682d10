"""The motion brush: strokes and masks in Blender become the hint image that goes with a job (docs/formats.md)."""
