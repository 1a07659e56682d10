"""Video presets: what ships, and what is refused for which player."""

import pytest

from holotime.errors import InputError
from holotime.video.presets import find_preset, load_presets

PRESETS = load_presets()


def test_the_presets_are_there_and_fit_their_projections():
    assert {"quest3", "vr180", "youtube8k", "desktop4k", "desktop360"} <= set(PRESETS)
    sizes = {name: (p.projection, p.width, p.height) for name, p in PRESETS.items()}
    assert sizes["quest3"] == ("ods", 5760, 5760)
    assert sizes["vr180"] == ("vr180", 7680, 3840)
    assert sizes["youtube8k"] == ("equirect", 7680, 3840)
    assert sizes["desktop4k"] == ("perspective", 3840, 2160)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_player_shows_its_own_preset(name):
    preset = PRESETS[name]
    preset.check(preset.width, preset.height, 30, preset.codec, preset.bits)


def test_unknown_preset_lists_the_names():
    with pytest.raises(InputError, match=r"'quest9'.*desktop360, desktop4k, .*quest3, vr180, youtube8k"):
        find_preset("quest9")


@pytest.mark.parametrize(
    ("name", "video", "words"),
    [
        (
            "quest3",
            (6144, 6144, 30, "h265", 8),
            r"up to 35\.4 MP a frame; 6144 x 6144 pixels are 37\.7 MP.*5944 x 5944",
        ),
        ("quest3", (8704, 4000, 30, "h265", 8), "8192 pixels on a side"),
        ("quest3", (5760, 5760, 72, "h265", 8), "up to 60 frames per second, not 72"),
        ("quest3", (3840, 3840, 30, "h264", 10), r"decodes H\.264 with 8 bits"),
        ("quest3", (3840, 3840, 30, "prores", 10), r"does not play ProRes 422 HQ. Use one of: H\.265, H\.264, AV1"),
        ("desktop360", (7680, 3840, 30, "h264", 8), r"9\.4 MP"),
        ("youtube8k", (7680, 3840, 120, "h264", 8), "at most 60 frames per second"),
    ],
)
def test_what_a_player_is_known_not_to_show_is_refused_with_the_reason(name, video, words):
    with pytest.raises(InputError, match=words):
        PRESETS[name].check(*video)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('codec = "h265"', 'codec = "mpeg2"'),
        ('name = "quest3"', 'name = "other"'),
        ("width = 5760", "with = 5760"),
        ("crf = 20", 'crf = 20\nfov = "wide"'),
        ("[player.codecs.h265]", "[player.codecs.divx]"),
        ("bits = 8", "bits = 12"),
        ('[player]\nname = "Meta Quest 3"', "[player"),
    ],
)
def test_bad_presets_name_the_file(tmp_path, old, new):
    from holotime.presets import presets_root

    text = (presets_root() / "video" / "quest3.toml").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "quest3.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=r"quest3\.toml|no codec|decodes"):
        load_presets(tmp_path)
