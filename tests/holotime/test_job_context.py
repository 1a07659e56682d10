"""What a job is given to go on with after a crash."""

from pathlib import Path

import numpy as np
import pytest
import torch

from holotime.clip import Clip
from holotime.job_context import NO_CONTEXT, JobContext, ScenePart
from holotime.pipeline import GenerateConfig, _drop_if_damaged, _live
from holotime.reconstruct.training.checkpoint import write


def test_checkpoints_of_other_work_are_elsewhere(tmp_path: Path) -> None:
    context = JobContext(tmp_path / "work")
    one, other = context.checkpoints("animate", "a" * 64), context.checkpoints("animate", "b" * 64)
    assert one.is_dir()
    assert one != other
    assert context.checkpoints("animate", "a" * 64) == one
    assert NO_CONTEXT.checkpoints("animate", "a" * 64) is None


@pytest.mark.parametrize("left", [0, 9, 200])
def test_a_training_checkpoint_that_was_cut_off_is_removed_and_a_whole_one_stays(tmp_path: Path, left: int) -> None:
    path = tmp_path / "run.checkpoint"
    _drop_if_damaged(path)
    write(path, {"x": torch.zeros(1000)}, {"step": "5"})
    whole = path.read_bytes()
    _drop_if_damaged(path)
    assert path.read_bytes() == whole
    path.write_bytes(whole[:left])
    _drop_if_damaged(path)
    assert not path.exists()


def test_a_scene_is_shown_while_it_is_trained_to_those_who_want_that() -> None:
    clip = Clip(np.zeros((2, 4, 8, 3), np.uint8), fps=12.0)
    parts: list[ScenePart] = []
    asked = [
        (GenerateConfig(), JobContext(publish=parts.append), True),
        (GenerateConfig(live=False), JobContext(publish=parts.append), False),
        (GenerateConfig(), NO_CONTEXT, False),
    ]
    for config, context, shown in asked:
        with _live(clip, config, context) as snapshot:
            assert (snapshot is not None) is shown
