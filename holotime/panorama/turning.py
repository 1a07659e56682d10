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
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BLOCKS = 8  # at 1024 pixels a block is 128 wide; a query is at most half a block off the middle


def block_count(columns: int) -> int:
    """The most blocks, up to BLOCKS, that divide ``columns`` of tokens."""
    return next(n for n in range(min(BLOCKS, columns), 0, -1) if columns % n == 0)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding (Su et al. 2021) of x [B, S, heads, D] by cos, sin [S, D] with interleaved pairs."""
    pairs = x.float().unflatten(-1, (-1, 2))
    turned = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1).flatten(-2)
    return (x.float() * cos[:, None] + turned * sin[:, None]).to(x.dtype)


def turned_attention(
    query: Tensor, key: Tensor, value: Tensor, cos: Tensor, sin: Tensor, texts: int, rows: int, columns: int
) -> Tensor:
    """Attention on the circle: [B, S, heads, D] for query, key, value [B, S, heads, D] not yet rotated.

    S = texts + rows * columns, image tokens row by row; cos, sin [S, D] are those of the untouched picture.
    """
    blocks = block_count(columns)
    wide = columns // blocks
    out = torch.empty_like(value)
    text_sum: Tensor | None = None
    image_cos, image_sin = (t[texts:].unflatten(0, (rows, columns)) for t in (cos, sin))
    heads = value.transpose(1, 2)
    for block in range(blocks):
        start = block * wide
        # After this turn the block's middle is the picture's middle.
        turn = start + wide // 2 - columns // 2
        here_cos, here_sin = (
            torch.cat([whole[:texts], part.roll(turn, dims=1).flatten(0, 1)])
            for whole, part in ((cos, image_cos), (sin, image_sin))
        )
        keys = rotate(key, here_cos, here_sin).transpose(1, 2)
        inside = torch.arange(columns, device=query.device)
        inside = (inside >= start) & (inside < start + wide)
        mine = torch.cat([inside.new_ones(texts), inside.repeat(rows)]).nonzero()[:, 0]
        asked = rotate(query[:, mine], here_cos[mine], here_sin[mine]).transpose(1, 2)
        answer = F.scaled_dot_product_attention(asked, keys, heads).transpose(1, 2)
        out[:, mine[texts:]] = answer[:, texts:]
        text = answer[:, :texts].float()
        text_sum = text if text_sum is None else text_sum + text
    assert text_sum is not None
    out[:, :texts] = (text_sum / blocks).to(out.dtype)
    return out


class TurningAttention:
    """An attention processor for FLUX that puts the image tokens on a circle. ``rows``, ``columns``: of tokens."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns

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
        cos, sin = (t.to(hidden_states.device) for t in image_rotary_emb)
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
        out = turned_attention(query, key, value, cos, sin, texts, self.rows, self.columns).flatten(2)
        if encoder_hidden_states is None:
            return out
        image = attn.to_out[1](attn.to_out[0](out[:, texts:]))
        return image, attn.to_add_out(out[:, :texts])


@contextmanager
def turning(transformer: nn.Module, rows: int, columns: int) -> Iterator[None]:
    """Put the image tokens of a FLUX transformer on a circle while the block runs."""
    before = transformer.attn_processors
    transformer.set_attn_processor(TurningAttention(rows, columns))  # type: ignore[operator]
    try:
        yield
    finally:
        transformer.set_attn_processor(dict(before))  # type: ignore[operator]
