"""Depth networks behind one door: real loading code on tiny random models, and predictions that survive a cut."""

import importlib.util
import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from holotime.cache import StageCache
from holotime.clip import Clip
from holotime.errors import BackendUnavailable, Cancelled, InputError
from holotime.perceive import aligned, perceive_clip, perceive_image
from holotime.perceive.aligned import StoredPredictions, ViewConfig, pack, unpack
from holotime.perceive.backends import open_predictor, parse_spec
from holotime.perceive.views import VIEWS, Views

from .conftest import field
from .test_align import mean_error, stub, world

H = 64
SIZE = 128  # of a view here


@pytest.fixture(autouse=True)
def small_views(monkeypatch):
    """Views of a quarter of the usual width: quick, and fine enough for panoramas this small."""
    monkeypatch.setattr(aligned, "ViewConfig", lambda: ViewConfig(SIZE))


def needs(package: str) -> pytest.MarkDecorator:
    """Skip where an optional package is missing; under CI=true it must be there."""
    absent = importlib.util.find_spec(package) is None and os.environ.get("CI") != "true"
    return pytest.mark.skipif(absent, reason=f"needs {package}")


@pytest.fixture(scope="module")
def depth_anything(tmp_path_factory) -> Path:
    """A folder with a Depth Anything model of a few thousand random weights, as its authors' library writes it."""
    pytest.importorskip("transformers")
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=56,
        patch_size=14,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        apply_layernorm=True,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        patch_size=14,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8,
        head_hidden_size=8,
        head_in_index=-1,
        reassemble_factors=[4, 2, 1, 0.5],
    )
    folder = tmp_path_factory.mktemp("depth_anything")
    DepthAnythingForDepthEstimation(config).save_pretrained(folder)
    processor = {
        "image_processor_type": "DPTImageProcessor",
        "do_resize": True,
        "size": {"height": 56, "width": 56},
        "keep_aspect_ratio": True,
        "ensure_multiple_of": 14,
        "do_rescale": True,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))
    return folder


@pytest.fixture(scope="module")
def marigold(tmp_path_factory) -> Path:
    """A folder with a Marigold pipeline of tiny random parts."""
    pytest.importorskip("diffusers")
    from diffusers import AutoencoderKL, DDIMScheduler, MarigoldDepthPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    words = tmp_path_factory.mktemp("words")
    tokens = ["<|startoftext|>", "<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz"]
    (words / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=8,
        out_channels=4,
        block_out_channels=(16, 32),
        norm_num_groups=8,
        layers_per_block=1,
        cross_attention_dim=16,
        attention_head_dim=8,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        norm_num_groups=4,
    )
    text = CLIPTextConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=len(tokens),
        max_position_embeddings=77,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    pipeline = MarigoldDepthPipeline(
        unet=unet,
        vae=vae,
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
        text_encoder=CLIPTextModel(text),
        tokenizer=CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77),
        prediction_type="depth",
        default_denoising_steps=1,
        default_processing_resolution=64,
    )
    folder = tmp_path_factory.mktemp("marigold")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory) -> Path:
    """A network that answers with the picture's red, at half size, for one picture of 32 x 32 at a time."""
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    weight = np.zeros((1, 3, 2, 2), np.float32)
    weight[0, 0] = 0.25
    graph = helper.make_graph(
        [helper.make_node("Conv", ["picture", "weight"], ["depth"], strides=[2, 2])],
        "red",
        [helper.make_tensor_value_info("picture", kind, [1, 3, 32, 32])],
        [helper.make_tensor_value_info("depth", kind, [1, 1, 16, 16])],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    path = tmp_path_factory.mktemp("onnx") / "red.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def opened(text: str):
    """A loaded predictor; what the libraries warn of while loading is theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return open_predictor(parse_spec(text))


def pictures(n: int = 5, size: int = 40) -> torch.Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(1))


@needs("transformers")
def test_a_transformers_model_from_a_folder(depth_anything):
    predictor = opened(f"transformers:{depth_anything}")
    assert predictor.kind == "disparity"
    views = pictures()
    out = predictor(views, 0)
    assert out.shape == (5, 40, 40)
    assert torch.isfinite(out).all()
    torch.testing.assert_close(predictor(views[3:4], 1), out[3:4], atol=1e-4, rtol=1e-3)  # views do not mix
    assert not torch.allclose(out[0], out[1])
    again = opened(f"transformers:{depth_anything}")
    assert again.digest == predictor.digest
    assert opened(f"transformers:{depth_anything}#depth").digest != predictor.digest
    assert opened(f"transformers:{depth_anything}#depth").kind == "depth"


@needs("transformers")
def test_a_metric_model_gives_depth(depth_anything, tmp_path):
    for file in depth_anything.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"depth_estimation_type": "metric", "max_depth": 20}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert opened(f"transformers:{tmp_path}").kind == "depth"


@needs("diffusers")
def test_a_marigold_pipeline_from_a_folder_is_repeatable(marigold):
    predictor = opened(f"marigold:{marigold}")
    assert predictor.kind == "depth"
    assert predictor.steps == 1
    views = pictures(size=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out, again, one = predictor(views, 0), predictor(views, 7), predictor(views[4:], 0)
    assert out.shape == (5, 64, 64)
    assert torch.equal(out, again)
    torch.testing.assert_close(one, out[4:], atol=1e-4, rtol=1e-3)


@needs("onnx")
@needs("onnxruntime")
def test_an_onnx_file(onnx_file):
    predictor = opened(f"onnx:{onnx_file}#depth")
    assert predictor.kind == "depth"
    assert opened(f"onnx:{onnx_file}").kind == "disparity"
    flat = torch.arange(3.0)[:, None, None, None].expand(3, 3, 48, 48) / 4
    out = predictor(flat, 0)
    assert out.shape == (3, 48, 48)
    for i, value in enumerate((0.0, 0.25, 0.5)):
        torch.testing.assert_close(out[i], torch.full((48, 48), (value - 0.485) / 0.229), atol=1e-5, rtol=0)


@needs("onnx")
@needs("onnxruntime")
def test_a_whole_clip_through_an_onnx_network(onnx_file, tmp_path):
    frames = np.stack([np.roll(field(H), 2 * t, 1) for t in range(2)])
    found = perceive_clip(Clip(frames), backend=f"onnx:{onnx_file}", cache=tmp_path)
    assert found.backend.startswith("onnx:red.onnx, aligned")
    assert "classes: network" in found.backend
    assert found.distance.shape == (2, H, 2 * H)
    assert np.isfinite(found.distance[:, H // 2 + 4 :]).all()
    assert not np.isnan(found.distance).any()
    assert (found.distance > 0).all()
    assert len(list(tmp_path.glob("views-*"))) == 2


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("transformers:/nowhere/at/all", "cannot be loaded|needs a package"),
        ("marigold:/nowhere/at/all", "cannot be loaded|needs a package"),
        ("onnx:/nowhere/model.onnx", "does not exist"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(text, match, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(BackendUnavailable, match=match) as caught:
        opened(text)
    assert "\n" not in str(caught.value)


@needs("onnxruntime")
def test_a_file_that_is_no_model_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(BackendUnavailable, match="cannot be loaded as an ONNX model"):
        opened(f"onnx:{tmp_path / 'a.onnx'}")


def test_names_of_backends():
    assert parse_spec("network") is None
    assert str(parse_spec("transformers:org/name#depth")) == "transformers:org/name#depth"
    assert parse_spec("marigold:prs-eth/x").kind is None
    for text, match in (("onnx:", "names no model"), ("onnx:a#z", "known are distance, depth")):
        with pytest.raises(InputError, match=match):
            parse_spec(text)
    with pytest.raises(InputError, match="transformers:MODEL"):
        perceive_image(field(H), backend="magic")


class Stub:
    """A perfect predictor up to scale and shift; counts how often it is asked."""

    name, digest, kind = "stub", "0" * 64, "distance"

    def __init__(self, truth: np.ndarray, size: int) -> None:
        self.said = stub(truth, Views.icosahedron(size, 1.3), "distance")
        self.asked: list[int] = []

    def __call__(self, images: torch.Tensor, frame: int) -> torch.Tensor:
        self.asked.append(frame)
        return self.said[frame]


def test_a_clip_with_a_perfect_predictor_from_end_to_end(tmp_path):
    """Pictures tell nothing here: flow, motion, ground and sky come from a drawn field, distance from the stub."""
    truth = world(3, 96)
    frames = np.repeat(field(96)[None], 3, 0).copy()
    frames[1, 40:60, 20:40] = 90
    frames[2, 40:60, 20:40] = 120
    predictor = Stub(truth, SIZE)
    found = perceive_clip(Clip(frames), predictor=predictor, cache=tmp_path)
    assert predictor.asked == [0, 1, 2]
    still = (np.ptp(np.where(np.isfinite(truth), truth, 0), axis=0) == 0)[None].repeat(3, 0)
    truth = np.where(still, truth, np.inf)  # what moves in the truth does not in these pictures
    assert mean_error(found.distance, truth) < 0.02
    perceive_clip(Clip(frames), predictor=predictor, cache=tmp_path)
    assert predictor.asked == [0, 1, 2]  # nothing was asked twice


def test_frames_that_never_change_are_looked_at_once():
    predictor = Stub(world(1, H), SIZE)
    found = perceive_clip(Clip(np.repeat(field(H)[None], 4, 0)), predictor=predictor)
    assert predictor.asked == [0]
    assert found.distance.shape == (4, H, 2 * H)
    one = perceive_image(field(H), predictor=Stub(world(1, H), SIZE))
    np.testing.assert_allclose(one.distance, found.distance[0], rtol=1e-5)
    assert one.backend.startswith("stub, aligned")


def test_a_run_that_was_cut_off_goes_on_with_the_same_result(tmp_path):
    frames = np.random.default_rng(0).integers(0, 255, (3, H, 2 * H, 3), np.uint8)
    whole = perceive_clip(Clip(frames), predictor=Stub(world(3, H), SIZE), cache=tmp_path / "a")

    def cut(fraction: float, note: str = "") -> None:
        if fraction > 0.7:
            raise Cancelled("stop")

    predictor = Stub(world(3, H), SIZE)
    with pytest.raises(Cancelled):
        perceive_clip(Clip(frames), predictor=predictor, cache=tmp_path / "b", progress=cut)
    before = len(predictor.asked)
    assert 0 < before < 3
    again = perceive_clip(Clip(frames), predictor=predictor, cache=tmp_path / "b")
    assert len(predictor.asked) == 3
    np.testing.assert_array_equal(whole.distance, again.distance)


def test_packing_keeps_every_view_to_its_own_range():
    values = np.random.default_rng(0).normal(size=(VIEWS, 8, 8)).astype(np.float32)
    values[3] = values[3] * 1e-3 + 100
    values[4] = 7.0
    values[5, 0], values[5, 1] = np.inf, np.nan
    values[6] = np.inf
    back = unpack(**pack(values))
    assert np.array_equal(np.isinf(back), np.isinf(values))
    assert np.array_equal(np.isnan(back), np.isnan(values))
    ok = np.isfinite(values)
    span = np.array([np.ptp(v[k]) if k.any() else 0 for v, k in zip(values, ok, strict=True)])[:, None, None]
    assert (np.abs(back[ok] - values[ok]) <= (np.broadcast_to(span, ok.shape) / 65533 + 1e-5)[ok]).all()


@pytest.mark.parametrize(
    ("said", "match"), [(torch.full((VIEWS, 16, 16), torch.nan), "no finite"), (torch.zeros(3, 4, 4), "not")]
)
def test_a_predictor_that_says_nonsense_is_named(said, match, tmp_path):
    class Broken(Stub):
        def __call__(self, images, frame):
            return said

    clip = Clip(field(H)[None])
    stored = StoredPredictions(clip, Broken(world(1, H), 16), Views.icosahedron(16), StageCache(tmp_path), "cpu")
    with pytest.raises(BackendUnavailable, match=match):
        stored[0]
    assert not list(tmp_path.glob("views-*"))
