"""Scenes set up for Cycles: stereo panoramas, and layers in which CG objects and splats hide each other."""
