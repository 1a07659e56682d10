"""What several of the property groups need."""

# Since 4.5 Blender warns when a path that begins with // is put into a property that does not say it may.
RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"}
