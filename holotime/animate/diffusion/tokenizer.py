"""The CLIP tokenizer: lower-cased byte-pair encoding (Sennrich et al. 2016), as OpenCLIP's text towers were trained."""

import html
import lzma
from functools import lru_cache
from importlib import resources
from itertools import pairwise

import torch
from torch import Tensor

from holotime.animate.diffusion.optional import require

CONTEXT_LENGTH = 77
_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"


def tokenize(texts: list[str]) -> Tensor:
    """Texts to tokens [N, 77] int64: start, words, end, zeros. Text that is too long is cut before the end token."""
    ranks, vocabulary = _tables()
    start, end = len(vocabulary), len(vocabulary) + 1
    pattern = require("regex").compile(_PATTERN)
    tokens = torch.zeros(len(texts), CONTEXT_LENGTH, dtype=torch.long)
    for row, text in zip(tokens, texts, strict=True):
        clean = " ".join(html.unescape(html.unescape(text)).split()).lower()
        ids = [vocabulary[part] for word in pattern.findall(clean) for part in _merge(word, ranks)]
        ids = [start, *ids[: CONTEXT_LENGTH - 2], end]
        row[: len(ids)] = torch.tensor(ids)
    return tokens


def _merge(word: str, ranks: dict[tuple[str, str], int]) -> list[str]:
    """Join the pair of lowest rank until none is left. The last symbol of a word carries the mark </w>."""
    alphabet = _byte_alphabet()
    symbols = [alphabet[b] for b in word.encode("utf-8")]
    symbols[-1] += "</w>"
    while len(symbols) > 1:
        pair = min(pairwise(symbols), key=lambda p: ranks.get(p, len(ranks)))
        if pair not in ranks:
            break
        joined, i = [], 0
        while i < len(symbols):
            if tuple(symbols[i : i + 2]) == pair:
                joined.append(symbols[i] + symbols[i + 1])
                i += 2
            else:
                joined.append(symbols[i])
                i += 1
        symbols = joined
    return symbols


@lru_cache(maxsize=1)
def _byte_alphabet() -> list[str]:
    """[256] one printable character for each byte: itself where it is printable, else the next above 255."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)}
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


@lru_cache(maxsize=1)
def _tables() -> tuple[dict[tuple[str, str], int], dict[str, int]]:
    """Rank of each merge, and number of each symbol: bytes (printable ones first), their word ends, then the merges."""
    packed = resources.files("holotime.animate.diffusion").joinpath("data", "clip_merges.txt.xz").read_bytes()
    merges = [(a, b) for a, b in (line.split() for line in lzma.decompress(packed).decode("utf-8").split("\n"))]
    alphabet = sorted(_byte_alphabet(), key=lambda c: (ord(c) > 255, ord(c)))
    symbols = [*alphabet, *(c + "</w>" for c in alphabet), *(a + b for a, b in merges)]
    return {pair: rank for rank, pair in enumerate(merges)}, {s: i for i, s in enumerate(symbols)}
