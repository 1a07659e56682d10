"""The fresh test set: eight modelled scenes of kinds that the generator does not make.

``render.py`` models and renders them (needs bpy), ``pack.py`` turns the renders into the small files in ``data``, and
``load.py`` reads those. World and panorama as everywhere: metres, Z up, the eye at the origin, the middle column
looking along +Y.
"""
