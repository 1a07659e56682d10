"""Scenes in other formats: written, and read by readers that share no code with the writers."""

import gzip
import importlib.util
import os
import struct
from dataclasses import replace

import numpy as np
import pytest

from holotime.errors import InputError
from holotime.export import FORMATS, export_scene, import_scene, read_ply, write_ply
from holotime.export.axes import RIGHT_DOWN_FORWARD, RIGHT_UP_BACK, inverse, product, turned
from holotime.export.four_dgs import linear_motion, read_4dgs, write_4dgs
from holotime.export.splat import read_splat, write_splat
from holotime.export.spz import read_spz, write_spz
from holotime.export.usd import write_usd
from holotime.scene4d import ALWAYS, Gaussians, Scene4D
from tests.holotime.test_scene4d import random_scene


def needs(package: str) -> pytest.MarkDecorator:
    """Skip where an optional package is missing; under CI=true it must be there."""
    absent = importlib.util.find_spec(package) is None and os.environ.get("CI") != "true"
    return pytest.mark.skipif(absent, reason=f"needs {package}")


def solid_scene(n: int = 60, **more) -> Scene4D:
    """Splats with linear motion only, all clearly visible, of ordinary size."""
    scene = random_scene(n, **more)
    scene.motion[:, 1:] = 0
    scene.omegas[:] = 0
    scene.opacity_logits[:] = np.abs(scene.opacity_logits) + 1
    scene.t_log_scales[:] = np.where(np.arange(n) % 2, ALWAYS, np.clip(scene.t_log_scales, -1.5, 0))
    scene.quats /= np.linalg.norm(scene.quats, axis=1, keepdims=True)
    return scene


def same_rotation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[N] angle in radians between rotations wxyz."""
    a, b = (q / np.linalg.norm(q, axis=1, keepdims=True) for q in (a.astype(float), b.astype(float)))
    return 2 * np.arccos(np.clip(np.abs((a * b).sum(1)), 0, 1))


def plain_spz(data: bytes) -> dict[str, np.ndarray]:
    """SPZ version 2 read one value at a time, from the format's public description."""
    raw = gzip.decompress(data)
    magic, version, count, degree, bits, flags, reserved = struct.unpack("<IIIBBBB", raw[:16])
    assert (magic.to_bytes(4, "little"), version, degree, flags, reserved) == (b"NGSP", 2, 0, 0, 0)
    assert len(raw) == 16 + 19 * count
    out = {"positions": [], "alphas": [], "colors": [], "scales": [], "rotations": []}
    at = 16
    for _ in range(count):
        out["positions"].append(
            [int.from_bytes(raw[at + 3 * k : at + 3 * k + 3], "little", signed=True) / (1 << bits) for k in range(3)]
        )
        at += 9
    for _ in range(count):
        out["alphas"].append(raw[at] / 255)
        at += 1
    for name, decode in (
        ("colors", lambda b: (b / 255 - 0.5) / 0.15),
        ("scales", lambda b: b / 16 - 10),
        ("rotations", lambda b: b / 127.5 - 1),
    ):
        for _ in range(count):
            out[name].append([decode(b) for b in raw[at : at + 3]])
            at += 3
    return {k: np.array(v) for k, v in out.items()}


def test_spz_is_what_the_format_says(tmp_path):
    g = solid_scene().at(0.3, min_opacity=0)
    read = plain_spz(write_spz(tmp_path / "a.spz", g).read_bytes())
    x, y, z = g.means.T
    np.testing.assert_allclose(read["positions"], np.stack([x, z, -y], 1), atol=2**-12)  # right, up, back
    np.testing.assert_allclose(read["alphas"], g.opacities, atol=0.51 / 255)
    np.testing.assert_allclose(read["colors"] * 0.28209479177387814 + 0.5, g.colors, atol=0.3 / 0.15 / 255)
    np.testing.assert_allclose(read["scales"], np.log(g.scales), atol=0.51 / 16)
    w = np.sqrt(np.maximum(1 - (read["rotations"] ** 2).sum(1), 0))
    xyzw = np.concatenate([read["rotations"], w[:, None]], 1)
    # The covariances of the turned splats, from the file's own rotation and in the file's axes.
    quats = xyzw[:, [3, 0, 1, 2]]
    axes = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], float)
    expected = axes @ g.covariances() @ axes.T
    got = replace(g, quats=(quats / np.linalg.norm(quats, axis=1, keepdims=True)).astype(np.float32)).covariances()
    assert np.abs(got - expected).max() < 0.06 * np.abs(expected).max()


@pytest.mark.parametrize("far", [1.0, 5000.0])
def test_spz_comes_back(tmp_path, far):
    g = solid_scene().at(0.3, min_opacity=0)
    g = replace(g, means=g.means * np.float32(far))
    back = read_spz(write_spz(tmp_path / "a.spz", g)).at(0.0, min_opacity=0)
    np.testing.assert_allclose(back.means, g.means, atol=2**-12 * max(1, far))
    np.testing.assert_allclose(back.opacities, g.opacities, atol=1 / 255)
    np.testing.assert_allclose(back.colors, g.colors, atol=0.01)
    np.testing.assert_allclose(np.log(back.scales), np.log(g.scales), atol=0.04)
    angles = same_rotation(back.quats, g.quats)
    assert np.median(angles) < 0.015  # three bytes; worst near half a turn, where the fourth component is small
    assert angles.max() < 0.25


def test_splat_is_what_the_format_says_and_comes_back(tmp_path):
    g = solid_scene().at(0.5, min_opacity=0)
    data = write_splat(tmp_path / "a.splat", g).read_bytes()
    assert len(data) == 32 * len(g)
    order = np.argsort(-g.opacities * g.scales.prod(1, dtype=np.float64), kind="stable")
    for k in (0, len(g) - 1):
        i = order[k]
        values = struct.unpack("<6f8B", data[32 * k : 32 * k + 32])
        x, y, z = g.means[i]
        np.testing.assert_allclose(values[:3], [x, -z, y], rtol=1e-5, atol=1e-6)  # right, down, forward
        np.testing.assert_allclose(values[3:6], g.scales[i], rtol=1e-6)
        np.testing.assert_allclose(np.array(values[6:9]) / 255, g.colors[i], atol=0.51 / 255)
        assert values[9] == round(255 * float(g.opacities[i]))
    back = read_splat(tmp_path / "a.splat").at(0.0, min_opacity=0)
    np.testing.assert_allclose(back.means, g.means[order], rtol=1e-5, atol=1e-5)
    assert same_rotation(back.quats, g.quats[order]).max() < 0.03


def test_turning_axes_turns_covariances_with_them():
    g = solid_scene().at(0.2, min_opacity=0)
    for turn, axes in (
        (RIGHT_UP_BACK, [[1, 0, 0], [0, 0, 1], [0, -1, 0]]),
        (RIGHT_DOWN_FORWARD, [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
    ):
        m = np.array(axes, np.float32)
        t = turned(g, turn)
        np.testing.assert_allclose(t.means, g.means @ m.T, atol=1e-5)
        np.testing.assert_allclose(t.covariances(), m @ g.covariances() @ m.T, atol=1e-5)
        back = turned(t, inverse(turn))
        np.testing.assert_allclose(back.means, g.means, atol=1e-5)
    np.testing.assert_allclose(product(RIGHT_UP_BACK, inverse(RIGHT_UP_BACK)), [1, 0, 0, 0], atol=1e-12)


@needs("fourdgs")
@pytest.mark.parametrize("loop", [False, True])
def test_4dgs_round_trip_of_linear_motion_is_within_its_own_tolerance(tmp_path, loop):
    import fourdgs

    scene = solid_scene(200, duration=2.5, fps=8.0, loop=loop)
    path, notes = write_4dgs(tmp_path / "a.4dgs", scene)
    assert notes == []
    file = fourdgs.read(str(path))
    bounds = {k: float(v) for k, v in file.quantization.bounds.items()}
    back = read_4dgs(path)
    assert (back.duration, back.fps, back.loop) == (2.5, 8.0, loop)
    # The file may keep splats in another order: match them by where they are.
    order = np.array([np.argmin(((back.means - m) ** 2).sum(1)) for m in scene.means])
    assert len(set(order)) == len(scene)
    back = back.select(order)
    assert np.abs(back.means - scene.means).max() <= bounds["pos"] * 1.01
    assert np.abs(np.expm1(back.log_scales - scene.log_scales)).max() <= bounds["scale_rel"] * 1.02
    assert np.abs(back.colors - scene.colors).max() <= bounds["rgb"] * 1.01
    sigmoid = 1 / (1 + np.exp(-scene.opacity_logits))
    assert np.abs(1 / (1 + np.exp(-back.opacity_logits)) - sigmoid).max() <= bounds["alpha"] * 1.01
    q = back.quats * np.sign((back.quats * scene.quats).sum(1, keepdims=True))
    apart = np.sort(np.abs(q - scene.quats), axis=1)
    assert apart[:, 2].max() <= bounds["rot"] * 1.01  # three components are stored, the largest follows from them
    assert apart[:, 3].max() <= bounds["rot"] * 3
    for t in (0.0, 0.35, 0.9):
        there, here = back.at(t, min_opacity=0), scene.at(t, min_opacity=0)
        assert np.abs(there.opacities - here.opacities).max() < 0.06
        seen = here.opacities > 0.05
        assert np.abs(there.means - here.means)[seen].max() < 0.02


@needs("fourdgs")
def test_4dgs_says_what_it_cannot_hold(tmp_path):
    scene = random_scene(20, duration=1.0)
    _, notes = write_4dgs(tmp_path / "a.4dgs", scene)
    assert any("bent paths" in n for n in notes)
    assert any("rotation" in n for n in notes)


def test_the_best_straight_path_is_the_least_squares_one():
    scene = random_scene(5)
    scene.t_log_scales[:] = ALWAYS
    means, slope, error = linear_motion(scene)
    dt = np.linspace(0, 1, 9)[:, None] - scene.t_centers
    for i in range(5):
        m = scene.motion[i].astype(float)
        path = dt[:, i, None] * m[0] + dt[:, i, None] ** 2 * m[1] + dt[:, i, None] ** 3 * m[2]
        fit = np.linalg.lstsq(np.stack([dt[:, i], np.ones(9)], 1), path, rcond=None)[0]
        np.testing.assert_allclose(slope[i], fit[0], atol=1e-4)
        np.testing.assert_allclose(means[i] - scene.means[i], fit[1], atol=1e-4)
        off = np.linalg.norm(path - dt[:, i, None] * fit[0] - fit[1], axis=1).max()
        assert off <= error + 1e-6


def usd_rows(points, code: int) -> np.ndarray:
    """[N, 15] position, opacity, width, colour, scale, rotation wxyz of USD points at a time code."""
    from pxr import UsdGeom

    primvars = UsdGeom.PrimvarsAPI(points)
    turn = [[q.GetReal(), *q.GetImaginary()] for q in primvars.GetPrimvar("rotation").Get(code)]
    single = [points.GetDisplayOpacityAttr().Get(code), points.GetWidthsAttr().Get(code)]
    columns = [points.GetPointsAttr().Get(code), *(np.array(v)[:, None] for v in single)]
    columns += [points.GetDisplayColorAttr().Get(code), primvars.GetPrimvar("scale").Get(code), turn]
    return np.concatenate([np.array(c) for c in columns], 1)


@needs("pxr")
def test_usd_writes_once_what_does_not_change(tmp_path):
    from pxr import Usd, UsdGeom

    scene = solid_scene(60, duration=2.0, fps=12.0)
    third = np.arange(60) % 3
    scene.motion[third != 2] = scene.omegas[third != 2] = 0
    scene.t_log_scales[third == 0] = 20.0
    scene.t_log_scales[third == 1] = 0.0
    path = write_usd(tmp_path / "a.usdc", scene)
    stage = Usd.Stage.Open(str(path))
    names = {prim.GetName(): UsdGeom.Points(prim) for prim in stage.GetPrimAtPath("/holotime").GetChildren()}
    assert set(names) == {"still", "fading", "moving"}
    samples = {name: points.GetPointsAttr().GetNumTimeSamples() for name, points in names.items()}
    frames = len(scene.frame_times())
    assert samples == {"still": 0, "fading": 0, "moving": frames}
    assert names["fading"].GetDisplayOpacityAttr().GetNumTimeSamples() == frames
    assert names["still"].GetDisplayOpacityAttr().GetNumTimeSamples() == 0
    assert all(len(names["moving"].GetPointsAttr().Get(code)) == 20 for code in (1, frames)), "an index is a splat"


@needs("pxr")
def test_usd_holds_every_frame_with_its_attributes(tmp_path):
    from pxr import Usd, UsdGeom

    scene = solid_scene(40, duration=0.75, fps=4.0)
    path = write_usd(tmp_path / "a.usdc", scene)
    stage = Usd.Stage.Open(str(path))
    assert UsdGeom.GetStageUpAxis(stage) == "Z"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert stage.GetTimeCodesPerSecond() == 4.0
    assert (stage.GetStartTimeCode(), stage.GetEndTimeCode()) == (1, 4)
    prims = [UsdGeom.Points(prim) for prim in stage.GetPrimAtPath("/holotime").GetChildren()]
    for code, t in enumerate(scene.frame_times(), start=1):
        got = np.concatenate([usd_rows(points, code) for points in prims])
        g = scene.at(float(t))
        widths = 2 * np.exp(np.log(g.scales).mean(1))
        want = np.concatenate([g.means, g.opacities[:, None], widths[:, None], g.colors, g.scales, g.quats], 1)
        got = got[got[:, 3] > 0]
        assert len(got) == len(want)
        order = (np.lexsort(got[:, :3].T), np.lexsort(want[:, :3].T))
        np.testing.assert_allclose(got[order[0]], want[order[1]], atol=2e-6)
    assert len(write_usd(tmp_path / "b.usda", scene, range(1, 3)).read_text()) > 100
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_ply_comes_back_and_takes_float32_as_a_name(tmp_path):
    g = solid_scene().at(0.3)
    path = write_ply(tmp_path / "a.ply", g)
    np.testing.assert_allclose(read_ply(path).at(0).means, g.means, atol=1e-6)
    path.write_bytes(path.read_bytes().replace(b"property float ", b"property float32 "))
    np.testing.assert_allclose(read_ply(path).at(0).means, g.means, atol=1e-6)


def test_every_format_through_one_door(tmp_path):
    scene = solid_scene(10, duration=0.5, fps=4.0)
    for format in FORMATS:
        if format in ("4dgs", "usd"):
            pytest.importorskip({"4dgs": "fourdgs", "usd": "pxr"}[format])
        one = export_scene(scene, format, tmp_path / f"one.{format}")
        assert [p.name for p in one.files] == [f"one.{format}"]
        if format in ("ply", "spz", "splat"):
            many = export_scene(scene, format, tmp_path / format, frames=range(1, 3))
            assert [p.name for p in many.files] == [f"frame_0001.{format}", f"frame_0002.{format}"]
        if format != "usd":
            assert len(import_scene(tmp_path / f"one.{format}")) == len(scene.at(0.0)) or format == "4dgs"


@pytest.mark.parametrize(
    ("format", "output", "frames", "text"),
    [
        ("gif", "a.gif", None, "Known are ply, spz"),
        ("usd", "folder", None, "must end in .usd or .usdc"),
        ("4dgs", "a.ply", None, "must end in .4dgs"),
        ("4dgs", "a.4dgs", range(1), "holds the whole scene"),
        ("ply", "folder", range(5, 9), "frames 0 to 2"),
        ("spz", "a.spz", range(2), "give a folder"),
    ],
)
def test_a_wrong_export_is_refused_and_writes_nothing(tmp_path, format, output, frames, text):
    scene = solid_scene(10, duration=0.5, fps=4.0)
    with pytest.raises(InputError, match=text):
        export_scene(scene, format, tmp_path / output, frames=frames)
    with pytest.raises(InputError, match="no splats"):
        export_scene(scene.select(np.zeros(10, bool)), "ply", tmp_path / "b.ply")
    assert not list(tmp_path.iterdir())


def test_a_broken_file_is_refused(tmp_path):
    g = solid_scene().at(0.0)
    spz, splat, ply = (
        write_spz(tmp_path / "a.spz", g),
        write_splat(tmp_path / "a.splat", g),
        write_ply(tmp_path / "a.ply", g),
    )
    for path in (spz, splat, ply):
        path.write_bytes(path.read_bytes()[:-7])
        with pytest.raises(InputError, match=path.name):
            import_scene(path)
    ply = write_ply(tmp_path / "n.ply", replace(g, means=g.means * np.nan))
    with pytest.raises(InputError, match="not numbers"):
        import_scene(ply)
    with pytest.raises(InputError, match="Known endings"):
        import_scene(tmp_path / "a.obj")
    with pytest.raises(InputError, match="does not exist"):
        import_scene(tmp_path / "none.ply")
    (tmp_path / "b.4dgs").write_bytes(b"nothing of the kind")
    if importlib.util.find_spec("fourdgs"):
        with pytest.raises(InputError, match=r"b\.4dgs"):
            import_scene(tmp_path / "b.4dgs")


@pytest.mark.parametrize("n", [1, 2])
def test_tiny_scenes(tmp_path, n):
    g = Gaussians(
        np.zeros((n, 3), np.float32),
        np.tile(np.float32([1, 0, 0, 0]), (n, 1)),
        np.full((n, 3), 0.1, np.float32),
        np.full(n, 0.5, np.float32),
        np.full((n, 3), 0.5, np.float32),
    )
    assert len(read_spz(write_spz(tmp_path / "a.spz", g))) == n
    assert len(read_splat(write_splat(tmp_path / "a.splat", g))) == n


@pytest.mark.parametrize("format", ["spz", "splat", "4dgs", "usd"])
def test_every_format_as_a_job(tmp_path, format):
    from holotime.jobs import run_job

    if format in ("4dgs", "usd"):
        pytest.importorskip({"4dgs": "fourdgs", "usd": "pxr"}[format])
    scene = solid_scene(10, duration=0.5, fps=4.0).save(tmp_path / "scene.safetensors")
    (tmp_path / "out").mkdir()
    files = run_job("export", {"format": format}, {"scene": scene}, tmp_path / "out", tmp_path, lambda *told: None)
    assert [path.suffix for path in files.values()] == [f".{format}"]
    assert next(iter(files.values())).stat().st_size > 100
