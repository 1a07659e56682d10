"""A diffusion transformer with rotary positions (FLUX) on a circle: every token sees the panorama turned to itself.

Rotary attention knows of two tokens only how many rows and columns lie between them, and of a token and the prompt the
token's own row and column. Across the seam neighbours would be a whole width apart. So the width is cut into blocks;
for the queries of a block the position ids of all image tokens are turned until that block lies in the middle of the
picture. Each query then sees exactly what the network saw in training - a picture of this width, nobody further away
than half of it and a bit, itself in the middle - while the work stays that of one attention: every query is used once.
The prompt's own queries have no place on the circle; they see all the turned pictures, and take the mean.

A turn of the panorama by whole blocks is therefore a turn of the result, to rounding. The sampler turns the latent by
another random number of columns in every step, so that the blocks' borders rest nowhere either.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCKS = 8  # at 1024 pixels a block is 128 wide; a query is at most half a block off the middle


def block_count(columns: int) -> int:
    """The most blocks, up to BLOCKS, that divide ``columns`` of tokens."""
    return next(n for n in range(min(BLOCKS, columns), 0, -1) if columns % n == 0)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding (Su et al. 2021) of x [B, S, heads, D] by cos, sin [S, D] with interleaved pairs."""
    pairs = x.float().unflatten(-1, (-1, 2))
    turned = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1).flatten(-2)
    return (x.float() * cos[:, None] + turned * sin[:, None]).to(x.dtype)


@dataclass(frozen=True)
class Layout:
    """The panorama turned so that one block of columns lies in the middle."""

    cos: Tensor  # [S, D] rotary embedding of all tokens: texts, then rows * columns image tokens
    sin: Tensor  # [S, D]
    asked: Tensor  # [Q] tokens whose queries are answered with it: the texts, and the block's


def layouts(cos: Tensor, sin: Tensor, texts: int, rows: int, columns: int) -> list[Layout]:
    """One layout a block, from the rotary embedding cos, sin [S, D] of the untouched picture."""
    blocks = block_count(columns)
    wide = columns // blocks
    image_cos, image_sin = (t[texts:].unflatten(0, (rows, columns)) for t in (cos, sin))
    made = []
    for start in range(0, columns, wide):
        turn = start + wide // 2 - columns // 2  # after it, the block's middle is the picture's
        turned_cos, turned_sin = (
            torch.cat([whole[:texts], part.roll(turn, dims=1).flatten(0, 1)])
            for whole, part in ((cos, image_cos), (sin, image_sin))
        )
        inside = torch.arange(rows * columns, device=cos.device).unflatten(0, (rows, columns))[:, start : start + wide]
        asked = torch.cat([torch.arange(texts, device=cos.device), texts + inside.flatten()])
        made.append(Layout(turned_cos, turned_sin, asked))
    return made


def turned_attention(query: Tensor, key: Tensor, value: Tensor, seen: list[Layout], texts: int) -> Tensor:
    """Attention on the circle: [B, S, heads, D] for query, key, value [B, S, heads, D] not yet rotated."""
    out = torch.empty_like(value)
    text = torch.zeros_like(value[:, :texts], dtype=torch.float32)
    values = value.transpose(1, 2)
    for layout in seen:
        keys = rotate(key, layout.cos, layout.sin).transpose(1, 2)
        asked = rotate(query[:, layout.asked], layout.cos[layout.asked], layout.sin[layout.asked]).transpose(1, 2)
        answer = F.scaled_dot_product_attention(asked, keys, values).transpose(1, 2)
        out[:, layout.asked[texts:]] = answer[:, texts:]
        text += answer[:, :texts].float()
    out[:, :texts] = (text / len(seen)).to(out.dtype)
    return out


class TurningAttention:
    """An attention processor for FLUX that puts the image tokens on a circle. ``rows``, ``columns``: of tokens."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self._of: Tensor | None = None  # whose layouts are kept: all layers of a pass share them
        self._layouts: list[Layout] = []

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """hidden_states [B, S, C] -> the same; with encoder_hidden_states [B, texts, C] a pair of both."""
        assert image_rotary_emb is not None
        assert attention_mask is None
        query, key, value = (
            project(hidden_states).unflatten(-1, (-1, attn.head_dim)) for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        query, key = attn.norm_q(query), attn.norm_k(key)
        if encoder_hidden_states is not None:
            projections = (attn.add_q_proj, attn.add_k_proj, attn.add_v_proj)
            text = [project(encoder_hidden_states).unflatten(-1, (-1, attn.head_dim)) for project in projections]
            text[0], text[1] = attn.norm_added_q(text[0]), attn.norm_added_k(text[1])
            query, key, value = (torch.cat(pair, dim=1) for pair in zip(text, (query, key, value), strict=True))
        texts = query.shape[1] - self.rows * self.columns
        if self._of is not image_rotary_emb[0]:
            cos, sin = (t.to(hidden_states.device) for t in image_rotary_emb)
            self._of, self._layouts = image_rotary_emb[0], layouts(cos, sin, texts, self.rows, self.columns)
        out = turned_attention(query, key, value, self._layouts, texts).flatten(2)
        if encoder_hidden_states is None:
            return out
        image = attn.to_out[1](attn.to_out[0](out[:, texts:]))
        return image, attn.to_add_out(out[:, :texts])


@contextmanager
def turning(transformer: Any, rows: int, columns: int) -> Iterator[None]:
    """Put the image tokens of a FLUX transformer on a circle while the block runs."""
    before = transformer.attn_processors
    transformer.set_attn_processor(TurningAttention(rows, columns))
    try:
        yield
    finally:
        transformer.set_attn_processor(dict(before))
