"""Panorama: where the picture comes from. The embedded default is the artist's own image."""

from holotime.panorama.load import FITS, Fit, Panorama, load_panorama

__all__ = ["FITS", "Fit", "Panorama", "load_panorama"]
