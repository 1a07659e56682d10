"""Copies made by build_addon.py: ``protocol`` of the sidecar, ``camera_path`` of the library, ``cameras/*.toml``."""
