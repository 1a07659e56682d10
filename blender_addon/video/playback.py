"""A video's playing of a scene's time, from how the scene plays in Blender. No bpy here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Played:
    """How an object plays its scene on the timeline: the inputs of its node group."""

    duration: float  # seconds of the scene
    fps: float  # of the clip it was made from
    loops: bool  # the scene's end runs into its beginning
    offset: float  # seconds on the timeline at which it begins
    speed: float
    phase: float  # share of the duration
    loop: bool
    ping_pong: bool


def as_played(played: Played, start: float) -> dict:
    """``repeat``, ``speed`` and ``phase`` of a render job that shows what Blender shows from ``start`` on.

    ``start``: seconds on the timeline. Blender's scene time is (start - offset) speed + phase duration; the job's phase
    is a share of one round, which is there and back for ping-pong.
    """
    at = (start - played.offset) * played.speed + played.phase * played.duration
    if played.ping_pong:
        repeat, whole = "ping-pong", 2 * played.duration
    elif played.loop and played.loops:
        repeat, whole = "loop", played.duration
    elif played.loop:
        repeat, whole = "loop", played.duration + 1 / played.fps
    else:
        repeat, whole = "once", played.duration
    if repeat == "once":  # the job begins at the end when it runs backwards
        phase = max(-1.0, min(1.0, at / whole - (played.speed < 0)))
    else:
        phase = at / whole % 1.0
    return {"repeat": repeat, "speed": max(-16.0, min(16.0, played.speed)), "phase": phase}


def seconds_of_round(duration: float, fps: float, loops: bool, repeat: str, speed: float) -> float:
    """How long a video from a still eye lasts when nobody says: one round of the scene, as holotime.video has it."""
    frames = max(1, round(duration * fps) + (0 if loops else 1))
    whole = 2 * duration if repeat == "ping-pong" else frames / fps
    return whole / (abs(speed) or 1.0)
