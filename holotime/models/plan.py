"""Choosing how a pipeline's parts share the memory of a device, and arranging it; what each choice costs.

In the order of speed: everything on the device; parts taking turns; the same with the denoiser's weights kept in eight
bits; layers brought one by one.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch

from holotime.errors import BackendUnavailable, OutOfMemory
from holotime.models.device import GIB, free_memory, host_memory
from holotime.models.pipelines import require

Mode = Literal["auto", "low", "high"]
Residency = Literal["resident", "offload", "quantised", "sequential"]
MODES = get_args(Mode)
LOW_BUDGET = 8 * GIB  # what ``mode="low"`` may use
RESERVE = GIB // 2  # for the libraries' own workspaces, where there is a device
BUS = 12e9  # bytes a second that come to a device from main memory (PCIe 4, pinned: 12 to 25)
LARGEST_LAYER = 0.05  # of a part's weights: what is there at once when layers come one by one (embeddings are largest)


@dataclass(frozen=True)
class Plan:
    """How a pipeline is run."""

    residency: Residency
    device: torch.device
    small: bool  # whether steps that can be done in pieces are (autoencoders by rows or frames)
    estimate: int  # bytes expected at the peak
    reason: str  # one sentence for the report: what is done, what it costs, how much it takes


def make_plan(
    parts: Mapping[str, int],
    working: tuple[int, int],
    device: torch.device,
    *,
    mode: Mode = "auto",
    main: Collection[str] = ("transformer",),
    passes: int = 50,
    exact: bool = False,
    free: int | None = None,
) -> Plan:
    """The fastest plan that fits.

    ``parts``: bytes of each part's weights. ``working``: bytes that a step needs besides, done whole and in pieces.
    ``main``: the denoiser's parts, which take part in every step; ``passes``: how often they run (for the words on
    cost). ``exact`` leaves out the plan with rounded weights. ``free`` replaces the measured free memory (bytes).
    Raises OutOfMemory that says what the smallest plan would need.
    """
    free = free_memory(device) if free is None else free
    budget = min(free, LOW_BUDGET) if mode == "low" else free
    total, largest = sum(parts.values()), max(parts.values(), default=0)
    denoiser = max((parts.get(name, 0) for name in main), default=0)
    others = max((size for name, size in parts.items() if name not in main), default=0)
    moved, brought = total / BUS, passes * denoiser / BUS
    options: list[tuple[Residency, int, str]] = [("resident", total, "every part stays in memory")]
    if device.type != "cpu":
        layer = int(largest * LARGEST_LAYER)
        options.append(("offload", largest, f"parts take turns on the device, which costs about {moved:.0f} s"))
        if not exact:
            eight = max(others, denoiser // 2)
            words = f"parts take turns, the denoiser's weights are kept in 8 bits: about {2 * moved:.0f} s, less exact"
            options.append(("quantised", eight, words))
        options.append(("sequential", layer, f"layers come one by one, which costs at least {brought:.0f} s"))
    reserve = 0 if device.type == "cpu" else RESERVE
    host = host_memory() if device.type != "cpu" else 0
    need, smallest = 0, 0
    for residency, weights, words in options:
        for small in (False, True) if mode != "low" else (True,):
            need = weights + working[small] + reserve
            smallest = min(smallest or need, need)
            if need <= budget or (mode == "high" and residency == "resident"):
                pieces = ", in pieces where that is possible" * small
                text = f"{words}{pieces}; about {need / GIB:.2f} GiB of {budget / GIB:.2f} GiB ({mode})"
                if residency != "resident" and total > host:
                    text += f"; {total / GIB:.0f} GiB of main memory are needed too, and {host / GIB:.0f} GiB are free"
                return Plan(residency, device, small, need, text)
    other = ""
    if mode == "low":  # the memory may be there, and only not be asked for
        with suppress(OutOfMemory):
            fits = make_plan(parts, working, device, main=main, passes=passes, exact=exact, free=free)
            other = f" The plan auto would fit: {fits.reason}."
    raise OutOfMemory(
        f"Even the smallest plan needs about {smallest / GIB:.1f} GiB ({words}), and {budget / GIB:.1f} GiB are free "
        f"on {device}{' under the plan low' * (mode == 'low')}: no plan fits.{other} Close other programs, or "
        f"take a smaller model{', a smaller size, or a GPU' if device.type == 'cpu' else ' or a smaller size'}."
    )


def place(pipeline: Any, plan: Plan, main: Collection[str] = ("transformer",)) -> None:
    """Arrange a loaded pipeline as planned. BackendUnavailable when a plan needs a package that is not here."""
    if plan.residency == "resident":
        pipeline.to(plan.device)
        return
    if plan.residency == "sequential":
        pipeline.enable_group_offload(
            onload_device=plan.device, offload_type="leaf_level", use_stream=plan.device.type == "cuda"
        )
        return
    require("accelerate")
    if plan.residency == "quantised":
        for name in main:
            network = getattr(pipeline, name, None)
            if network is not None:
                network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=network.dtype)
    pipeline.enable_model_cpu_offload(device=plan.device)


@contextmanager
def explained(name: str, plan: Plan) -> Iterator[None]:
    """Turn a device that ran out of memory in the block into an error that says what to do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        first = str(error).splitlines()[0][:200]
        raise OutOfMemory(
            f"{name} ran out of memory although about {plan.estimate / GIB:.1f} GiB were expected ({first}). Close "
            "other programs, or take the memory plan 'low', fewer frames or a smaller size."
        ) from error
    except MemoryError as error:
        raise OutOfMemory(f"{name} ran out of main memory. Close other programs, or take a smaller model.") from error


def check_packages(plan: Plan) -> None:
    """Refuse a plan before anything is loaded when it needs a package that is not here."""
    if plan.residency in ("offload", "quantised"):
        try:
            require("accelerate")
        except BackendUnavailable as error:
            raise BackendUnavailable(f"The memory plan '{plan.residency}' cannot be carried out. {error}") from error
