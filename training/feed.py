"""Rendered panoramas on the device: a ring that the generator fills and the training draws from."""

from dataclasses import fields

import torch

from training.config import Phase
from training.generator import HELD_OUT, Generator
from training.targets import Targets, enlarged, targets_of

BYTES_PER_PIXEL = 14  # of Targets


class Feed:
    """A pool of panoramas of one size. New ones replace the oldest; drawn ones are turned and mirrored at random.

    Rendering is queued on the same stream as the training, so neither waits for the other.
    """

    def __init__(self, generator: Generator, phase: Phase, samples: int, pool_bytes: float, first_seed: int) -> None:
        self.generator, self.phase, self.samples = generator, phase, samples
        self.next_seed = first_seed
        height = phase.height
        self.capacity = max(phase.batch, int(pool_bytes / (BYTES_PER_PIXEL * 2 * height * height)))
        self.filled = self._cursor = 0
        self._pool: Targets | None = None

    def add(self, count: int) -> None:
        """Render ``count`` new panoramas into the pool."""
        seeds = [(self.next_seed + i) % HELD_OUT for i in range(count)]
        self.next_seed = (self.next_seed + count) % HELD_OUT
        small = torch.rand(()).item() < self.phase.small
        height = self.phase.height // 2 if small else self.phase.height
        new = targets_of(self.generator.render(seeds, height, samples=self.samples))
        if small:
            new = enlarged(new)
        if self._pool is None:
            self._pool = new.map(lambda t: t.new_zeros(self.capacity, *t.shape[1:]))
        where = (torch.arange(count, device=new.label.device) + self._cursor) % self.capacity
        for f in fields(Targets):
            getattr(self._pool, f.name)[where] = getattr(new, f.name)
        self._cursor = (self._cursor + count) % self.capacity
        self.filled = min(self.capacity, self.filled + count)

    def draw(self) -> Targets:
        """A batch from the pool."""
        assert self._pool is not None, "add panoramas first"
        index = torch.randint(0, self.filled, (self.phase.batch,), device=self._pool.label.device)
        batch = self._pool.map(lambda t: t[index])
        batch = batch.turned(int(torch.randint(0, 2 * self.phase.height, ())))
        return batch.mirrored() if torch.rand(()).item() < 0.5 else batch
