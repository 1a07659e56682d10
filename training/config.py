"""Everything that decides what a training run gives."""

from dataclasses import asdict, dataclass, field


@dataclass(frozen=True)
class Phase:
    """A part of the run with one working size."""

    share: float  # of the run's time
    height: int  # rows of what the network reads; columns are twice as many
    batch: int  # panoramas in a step
    small: float = 0.0  # share of the panoramas that are rendered at half size and enlarged, as small inputs are


@dataclass(frozen=True)
class TrainConfig:
    """One run. The defaults are those of the published weights."""

    seed: int = 1  # of weights, augmentation and the stream of scenes
    hours: float = 0.14  # of training, without compiling and evaluation
    hardware: str = "one NVIDIA H100 or H200"  # what `hours` are meant for
    phases: tuple[Phase, ...] = (Phase(0.45, 256, 64), Phase(0.55, 512, 24, small=0.25))  # coarse first, then sharp
    learning_rate: float = 1.5e-3  # at its peak; falls as a cosine over the whole run
    weight_decay: float = 0.03  # of AdamW
    warm_up: int = 150  # steps of rising learning rate, at the beginning of the run and of each phase
    clip: float = 1.0  # norm of the gradient at most
    samples: int = 3  # rendered places in a pixel
    fresh: int = 12  # new panoramas rendered before each step
    pool_bytes: float = 24e9  # of rendered panoramas kept on the device; each is seen several times, graded anew
    averaging: float = 0.999  # decay of the averaged weights (EMA) that are written
    validation: int = 96  # held-out panoramas
    validate_minutes: float = 2.5  # between validations and checkpoints
    class_weights: tuple[float, ...] = (1.0, 1.3, 1.0, 1.3, 1.0, 4.0, 3.0)  # of the cross entropy, rare classes more
    loss_weights: dict[str, float] = field(
        default_factory=lambda: {
            "shape": 1.0,  # log distance with a free scale
            "scale": 0.5,  # log distance in eye heights
            "edges": 0.5,  # differences of log distance to neighbours, at five spacings
            "confidence": 0.1,  # expected error
            "classes": 0.5,
            "light": 0.2,
            "motion": 0.15,
        }
    )

    def record(self) -> dict:
        """As plain data, for the weights file and the log."""
        return asdict(self)


# A run of seconds on a CPU, for tests.
TINY = TrainConfig(
    hours=1e6, hardware="any CPU", phases=(Phase(1.0, 64, 2),), learning_rate=2e-3, warm_up=2, samples=1, fresh=2,
    pool_bytes=3e6, averaging=0.9, validation=2, validate_minutes=1e6,
)  # fmt: skip
