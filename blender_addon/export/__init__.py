"""From an imported object back to files: the scene file itself, and PLY sequences."""
