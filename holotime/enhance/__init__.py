"""Enhance: more frames a second and more pixels, around the whole circle."""
