"""Pipelines in the layout of diffusers: found by name, hub id or folder, checked, planned for the memory, loaded.

    files = find_pipeline("wan2.1-i2v", {"WanImageToVideoPipeline", "WanPipeline"}, "image to video")
    plan = make_plan(files.part_bytes(torch.bfloat16), working, device, mode="auto", main=("transformer",), passes=100)
    with explained(files.name, plan):
        pipeline = load_pipeline(files, "WanImageToVideoPipeline", torch.bfloat16)
        place(pipeline, plan)

Nothing here touches the network: models are fetched with ``holotime weights get``.
"""

from holotime.models.device import free_memory, half_precision, pick_device
from holotime.models.pipelines import PipelineFiles, find_pipeline, load_pipeline, require
from holotime.models.plan import MODES, Plan, check_packages, explained, make_plan, place

__all__ = [
    "MODES",
    "PipelineFiles",
    "Plan",
    "check_packages",
    "explained",
    "find_pipeline",
    "free_memory",
    "half_precision",
    "load_pipeline",
    "make_plan",
    "pick_device",
    "place",
    "require",
]
