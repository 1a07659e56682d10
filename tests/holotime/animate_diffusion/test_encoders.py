"""The tokenizer and the CLIP towers against plain twins."""

import pytest
import torch
import torch.nn.functional as F

from holotime.animate.diffusion.config import TowerConfig
from holotime.animate.diffusion.random_checkpoint import TINY, make
from holotime.animate.diffusion.tokenizer import tokenize
from holotime.animate.diffusion.towers import (
    ImageEncoder,
    TextEncoder,
    build_image_tower,
    build_text_tower,
    fit_names,
    map_image_state,
    map_text_state,
    preprocess,
)


def test_tokens() -> None:
    tokens = tokenize(["a photo of a cat", "", "A  Photo\nof a CAT", "x" * 999])
    assert tokens.shape == (4, 77)
    assert tokens[0, :8].tolist() == [49406, 320, 1125, 539, 320, 2368, 49407, 0]
    assert tokens[1, :3].tolist() == [49406, 49407, 0]
    assert torch.equal(tokens[0], tokens[2])
    assert tokens[3, -1] == 49407
    assert (tokens[3] != 0).all()
    assert (tokenize(["東京 über-café 🎆"]) < 49408).all()


def blocks(x: torch.Tensor, state: dict, prefix: str, layers: int, heads: int, causal: bool) -> torch.Tensor:
    """OpenCLIP's residual blocks, written out. x [B, N, C]."""
    width = x.shape[-1]
    for i in range(layers):
        p = {k.removeprefix(f"{prefix}{i}."): v.float() for k, v in state.items() if k.startswith(f"{prefix}{i}.")}
        h = F.layer_norm(x, (width,), p["ln_1.weight"], p["ln_1.bias"])
        q, k, v = F.linear(h, p["attn.in_proj_weight"], p["attn.in_proj_bias"]).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        if causal:
            scores = scores + torch.full(scores.shape[-2:], float("-inf")).triu(1)
        h = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + F.linear(h, p["attn.out_proj.weight"], p["attn.out_proj.bias"])
        h = F.layer_norm(x, (width,), p["ln_2.weight"], p["ln_2.bias"])
        h = F.gelu(F.linear(h, p["mlp.c_fc.weight"], p["mlp.c_fc.bias"]))
        x = x + F.linear(h, p["mlp.c_proj.weight"], p["mlp.c_proj.bias"])
    return x


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return make(TINY, 0.7)


def part(state: dict, prefix: str) -> dict:
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}


def load(tower: torch.nn.Module, mapped: dict) -> torch.nn.Module:
    tower.load_state_dict({k: v.float() for k, v in fit_names(tower, mapped).items()})
    return tower


def test_text_tower_is_the_penultimate_block_and_the_final_norm(state: dict) -> None:
    config: TowerConfig = TINY.text
    s = part(state, "cond_stage_model.model.")
    tokens = tokenize(["mist rises over the lake", ""])
    x = F.embedding(tokens, s["token_embedding.weight"].float()) + s["positional_embedding"].float()
    x = blocks(x, s, "transformer.resblocks.", config.layers - 1, config.heads, causal=True)
    expected = F.layer_norm(x, (config.width,), s["ln_final.weight"].float(), s["ln_final.bias"].float())
    got = TextEncoder(load(build_text_tower(config), map_text_state(s, config)))(tokens)
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)


def test_image_tower_gives_all_tokens_before_the_last_norm(state: dict) -> None:
    config: TowerConfig = TINY.image
    s = part(state, "embedder.model.")
    assert "ln_final.weight" in s  # left-over text tensors, to be ignored
    image = torch.rand(2, 3, 96, 160) * 2 - 1
    x = F.conv2d(preprocess(image), s["visual.conv1.weight"].float(), stride=config.patch).flatten(2).transpose(1, 2)
    x = (
        torch.cat([s["visual.class_embedding"].float().expand(2, 1, -1), x], 1)
        + s["visual.positional_embedding"].float()
    )
    x = F.layer_norm(x, (config.width,), s["visual.ln_pre.weight"].float(), s["visual.ln_pre.bias"].float())
    expected = blocks(x, s, "visual.transformer.resblocks.", config.layers, config.heads, causal=False)
    got = ImageEncoder(load(build_image_tower(config), map_image_state(s, config)))(image)
    torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)
