"""What a video may be, without bpy and without the library: codecs, players, and why a combination is refused.

The sidecar decides in the end. This half knows the same limits, so that the panel can explain before a job is sent;
tests compare both.
"""
