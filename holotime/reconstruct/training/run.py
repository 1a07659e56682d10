"""From a clip to a scene by a recipe: the lift, and what is trained on top of it where the machine can."""

import dataclasses
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from holotime.clip import Clip
from holotime.config import setting
from holotime.errors import BackendUnavailable, InputError, OutOfMemory
from holotime.perceive import ClipPerception
from holotime.progress import Progress, no_progress, part
from holotime.reconstruct.lift import LiftConfig, fitted, lift
from holotime.reconstruct.training.config import TrainConfig
from holotime.reconstruct.training.model import Kind
from holotime.reconstruct.training.rasterizers import available
from holotime.reconstruct.training.trainer import Snapshot, Trainer
from holotime.scene4d import Scene4D

RECIPES = ("auto", "lift", "lite", "full", "holotime")
GPU_STEPS = 1500  # of a lite training on a CUDA device
LEAST_BUDGET = 1000
WATCH_STEPS = 200  # of the published recipe between two looks at its growing scene
Out = (torch.cuda.OutOfMemoryError, MemoryError)


@dataclass(frozen=True)
class ReconstructConfig:
    """How a clip becomes a scene."""

    recipe: str = setting("auto", "lift: no training; lite, full: trained; holotime: as published", choices=RECIPES)
    refine: int = setting(0, "training steps after the lift; 0: 1500 on a GPU, none on a CPU", range=(0, 1_000_000))
    budget: int = setting(400_000, "splats in the lift at most", range=(1_000, 20_000_000))
    sweeps: int = setting(3, "colour corrections of the lift against the clip", range=(0, 10))
    seed: int = setting(0, "of the training", range=(0, 2**31 - 1))


def backend_of(config: ReconstructConfig) -> str:
    """What will reconstruct on this machine, for the report: ``lift``, ``lite (gsplat)``, ``lite (cpu)``, ...

    Raises BackendUnavailable for a recipe that needs a GPU where there is none.
    """
    where = "gsplat" if available() else "cpu"
    recipe = config.recipe
    if recipe == "auto":
        recipe = "lite" if config.refine or where == "gsplat" else "lift"
    if recipe == "lift" and config.refine:
        raise InputError("The recipe 'lift' does not train; leave out refine, or take the recipe 'lite'.")
    if recipe == "lift":
        return "lift"
    if recipe == "holotime":
        if where == "cpu":
            raise BackendUnavailable("The recipe 'holotime' needs a CUDA device and gsplat. Take 'lift' or 'lite'.")
        return "holotime (gsplat)"
    if where == "cpu" and not config.refine:
        raise BackendUnavailable(
            f"The recipe '{recipe}' trains for seconds on a CUDA device with gsplat; here is none. Say how many steps "
            "to refine on the CPU (200 is a start), or take the recipe 'lift'."
        )
    return f"{recipe} ({where})"


def reconstruct(
    clip: Clip,
    perception: ClipPerception,
    config: ReconstructConfig | None = None,
    *,
    progress: Progress = no_progress,
    train: TrainConfig | None = None,
    checkpoint: Path | None = None,
    snapshot: Snapshot | None = None,
) -> Scene4D:
    """A scene by the recipe of ``config``; its provenance says under ``backend`` what ran and under ``notes`` why.

    ``train`` overrides the training's settings, ``checkpoint`` is a file that a run which was cut off goes on from,
    ``snapshot`` sees the growing scene. When memory runs out the budget of splats is halved, with a note.
    """
    config = config or ReconstructConfig()
    backend = backend_of(config)
    if backend.startswith("holotime"):
        from holotime.reconstruct.training.recipe import Recipe, RecipeConfig

        recipe = RecipeConfig(seed=config.seed, **({"iterations": config.refine} if config.refine else {}))
        watch = (lambda run: snapshot(run.model, run.steps)) if snapshot else None
        scene = Recipe(clip, fitted(clip, perception, []), recipe).run(
            progress=progress, watch=watch, every=WATCH_STEPS
        )
        scene.provenance["backend"] = backend
        return scene
    budget, notes = config.budget, list[str]()
    while True:
        try:
            scene = _attempt(
                clip, perception, replace(config, budget=budget), backend, progress, train, checkpoint, snapshot
            )
            break
        except Out as error:
            if budget // 2 < LEAST_BUDGET:
                raise OutOfMemory(
                    f"{len(clip)} frames of {clip.width} x {clip.height} do not fit into memory."
                ) from error
            budget //= 2
            notes.append(f"out of memory: the budget was halved to {budget} splats")
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
    scene.provenance["notes"] = [*scene.provenance.get("notes", []), *notes]
    scene.provenance["backend"] = backend
    return scene


def _attempt(
    clip: Clip,
    perception: ClipPerception,
    config: ReconstructConfig,
    backend: str,
    progress: Progress,
    train: TrainConfig | None,
    checkpoint: Path | None,
    snapshot: Snapshot | None,
) -> Scene4D:
    trains = backend != "lift"
    lifting = LiftConfig(budget=config.budget, sweeps=config.sweeps, seed=config.seed)
    scene = lift(clip, perception, lifting, progress=part(progress, 0.0, 0.4) if trains else progress)
    if not trains:
        return scene
    recipe: Kind = "full" if backend.startswith("full") else "lite"
    settings = train or TrainConfig(steps=config.refine or GPU_STEPS)
    settings = dataclasses.replace(
        settings,
        model=recipe,
        seed=config.seed,
        checkpoint=checkpoint or settings.checkpoint,
    )
    trainer = Trainer(scene, clip, fitted(clip, perception, []), settings)
    trainer.resume()
    result = trainer.run(progress=part(progress, 0.4, 1.0), snapshot=snapshot)
    result.scene.provenance["recipe"] = recipe
    return result.scene
