"""Settings of the next video. Names and ranges are those of the sidecar's ``render`` job."""

from bpy.props import BoolProperty, EnumProperty, FloatProperty, IntProperty, StringProperty

from ..video.codecs import CODECS
from .common import RELATIVE


def _targets(self, context):
    from ..video.players import enum_items

    return enum_items()


def _target_chosen(self, context) -> None:
    self.load_video_target()


def _projection_chosen(self, context) -> None:
    from ..video.players import CUSTOM, targets

    target = targets().get(self.vr_target)
    if target and target.projection != self.vr_projection:
        self.vr_target = CUSTOM


def _codec_chosen(self, context) -> None:
    if int(self.vr_bits) not in CODECS[self.vr_codec].bits:
        self.vr_bits = str(CODECS[self.vr_codec].bits[0])


class RenderSettings:
    """What the sidecar or Cycles renders for headsets and screens."""

    vr_target: EnumProperty(
        name="Made For",
        description="Who is to play the video: sets projection, size and codec, and says when that would not play",
        items=_targets,
        update=_target_chosen,
    )
    vr_projection: EnumProperty(
        name="Projection",
        description="What the video shows",
        items=(
            ("ods", "360° Stereo", "Full sphere, left eye above right eye: for headsets", "CAMERA_STEREO", 0),
            ("equirect", "360° Mono", "Full sphere, one eye: for the web and flat players", "WORLD", 1),
            ("perspective", "Flat", "What the scene's camera sees, along its path", "VIEW_CAMERA", 2),
            ("vr180", "VR180", "The half in front in stereo, left eye on the left", "CAMERA_STEREO", 3),
            ("fisheye", "Dome", "Fisheye dome master for planetariums", "MESH_CIRCLE", 4),
            ("cubemap", "Cube Map", "Six faces, three by two, for game engines", "MESH_CUBE", 5),
        ),
        update=_projection_chosen,
    )
    vr_camera: EnumProperty(
        name="From",
        description="Where the viewer is",
        items=(
            ("EYE", "Eye", "The place the world was seen from, standing still"),
            ("SCENE", "Camera", "The scene's camera: on a path, keyed by hand, with cuts at markers"),
        ),
    )
    vr_width: IntProperty(
        name="Width",
        description="Width of one eye's picture in pixels",
        default=2048,
        min=32,
        max=16384,
        step=64,
        subtype="PIXEL",
    )
    vr_eye_distance: FloatProperty(
        name="Eye Distance",
        description="Between the pupils, in metres",
        default=0.064,
        min=0.0,
        max=0.5,
        precision=3,
        subtype="DISTANCE",
        unit="LENGTH",
    )
    vr_level: BoolProperty(
        name="Level Horizon",
        description="Keep only the turn to the side of a moving camera: a world that tilts makes viewers sick",
        default=True,
    )
    vr_dome: EnumProperty(
        name="Middle",
        description="What stands in the middle of the dome",
        items=(
            ("up", "Zenith", "Straight up; the front is at the bottom edge"),
            ("front", "Front", "Straight ahead, for tilted domes"),
        ),
    )
    vr_behind: EnumProperty(
        name="Behind",
        description="What is seen where no splat is",
        items=(
            ("fill", "Fill", "The surroundings, continued"),
            ("black", "Black", "Nothing: black"),
            ("transparent", "Transparent", "Nothing: transparent; only ProRes 4444 keeps it"),
        ),
    )
    vr_codec: EnumProperty(
        name="Codec",
        description="How the video is compressed",
        items=tuple((codec.name, codec.title, codec.description) for codec in CODECS.values()),
        update=_codec_chosen,
    )
    vr_bits: EnumProperty(
        name="Depth",
        description="Bits per colour channel",
        items=(
            ("8", "8 Bit", "What every player shows"),
            ("10", "10 Bit", "Smoother skies; not every player shows it"),
        ),
    )
    vr_quality: EnumProperty(
        name="Quality",
        description="How much the encoder may leave out, and how long it may think",
        items=(
            ("DRAFT", "Draft", "Quick and small, to have a look"),
            ("STANDARD", "Standard", "A loss that is hard to see"),
            ("BEST", "Best", "For the last version: larger files, and it takes longer"),
        ),
        default="STANDARD",
    )
    vr_repeat: EnumProperty(
        name="Playback",
        description="How the scene's time runs in the video",
        items=(
            ("SCENE", "As in the Scene", "As the scene's own Playback plays it on the timeline"),
            ("loop", "Loop", "Begin again after the end"),
            ("ping-pong", "Ping-Pong", "Back and forth"),
            ("once", "Once", "Rest on the last moment"),
        ),
    )
    vr_phase: FloatProperty(
        name="Phase",
        description="Where in the scene the video begins, as a share of one round: 0.5 is the middle",
        min=-1.0,
        max=1.0,
        subtype="FACTOR",
    )
    vr_speed: FloatProperty(
        name="Speed",
        description="Seconds of the scene in one second of video: 2 is double, -1 backwards, 0 stands still",
        default=1.0,
        min=-16.0,
        max=16.0,
    )
    vr_seconds: FloatProperty(
        name="Length",
        description="Length of the video in seconds; 0: one round of the scene",
        min=0.0,
        max=3600.0,
        subtype="TIME_ABSOLUTE",
        unit="TIME_ABSOLUTE",
    )
    vr_fps: FloatProperty(
        name="Frame Rate",
        description="Frames per second; 0: those of the scene",
        min=0.0,
        max=240.0,
        precision=2,
    )
    vr_audio: StringProperty(
        name="Sound",
        description="Audio or video file whose sound goes along; empty: silent",
        subtype="FILE_PATH",
        options=RELATIVE,
    )
    vr_output: StringProperty(
        name="Output",
        description="Video file to write; empty: beside the other results",
        subtype="FILE_PATH",
        options=RELATIVE,
    )

    def load_video_target(self) -> None:
        """Put in what the chosen player likes best."""
        from ..video.players import targets

        target = targets().get(self.vr_target)
        if target is None:
            return
        self.vr_projection, self.vr_width = target.projection, target.eye_width
        self.vr_codec, self.vr_bits = target.codec, str(target.bits)
