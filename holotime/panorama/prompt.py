"""The prompt: the words that a panorama model was trained with, and what of it does not fit into its text encoder."""

from typing import Any

POLES = {"up": "looking straight up", "down": "looking straight down"}


def with_trigger(prompt: str, trigger: str) -> str:
    """The trigger words, unless they are there, and the prompt."""
    prompt = prompt.strip()
    if not trigger or trigger.casefold() in prompt.casefold():
        return prompt
    return f"{trigger}, {prompt}" if prompt else trigger


def polar(prompt: str, pole: str) -> str:
    """What a perspective view of a pole ("up" or "down") shows."""
    return f"{prompt.strip()}, {POLES[pole]}" if prompt.strip() else POLES[pole]


def cut_off(prompt: str, tokenizers: list[tuple[Any, int]]) -> str:
    """The end of the prompt that the text encoders do not read; empty when all of it is read.

    ``tokenizers``: (tokenizer, most tokens with the special ones). What one of several encoders reads is read.
    """
    left = [_beyond(prompt, tokenizer, most) for tokenizer, most in tokenizers]
    return min(left, key=len, default="")


def _beyond(prompt: str, tokenizer: Any, most: int) -> str:
    ids = tokenizer(prompt, truncation=False, verbose=False).input_ids
    if len(ids) <= most:
        return ""
    kept = tokenizer(prompt, truncation=True, max_length=most, verbose=False).input_ids
    special = set(tokenizer.all_special_ids)
    if getattr(tokenizer, "is_fast", False):
        offsets = tokenizer(prompt, truncation=True, max_length=most, return_offsets_mapping=True, verbose=False)
        ends = [end for token, (_, end) in zip(kept, offsets["offset_mapping"], strict=True) if token not in special]
        return prompt[max(ends, default=0) :].strip()
    words = sum(token not in special for token in kept)
    return tokenizer.decode([t for t in ids if t not in special][words:]).strip()
