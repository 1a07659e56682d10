"""The lagoon: the sample panorama that is our own, modelled in Python and rendered with Cycles.

Frames: metres, Z up, the eye at the origin, looking along +Y. Azimuths are degrees from +Y towards +X.
"""
