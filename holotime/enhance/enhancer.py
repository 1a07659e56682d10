"""A clip with more frames and more pixels, picture by picture.

Frames are enlarged first, each once; pictures between them are painted from the enlarged frames along the motion that
is found in the small ones. So a picture in between has the detail of its neighbours, and the costly part is done once
a frame. Every picture depends on at most four frames of the clip: they can be made in any order, and again.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from holotime.enhance.frames import Frames
from holotime.enhance.motion import Engine, Pair
from holotime.enhance.paint import paint
from holotime.enhance.rate import Moments
from holotime.enhance.steady import steady
from holotime.enhance.superres import Enlarger, Told

T = TypeVar("T")


class Enhancer:
    """Makes the pictures of an enhanced clip; keeps what the next one needs too."""

    def __init__(self, frames: Frames, moments: Moments, engine: Engine, enlarger: Enlarger) -> None:
        self.frames, self.moments, self.engine, self.enlarger = frames, moments, engine, enlarger
        self.height, self.width = enlarger.scale * frames.height, enlarger.scale * frames.width
        self._raw: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._large: OrderedDict[int, NDArray[np.uint8]] = OrderedDict()
        self._pairs: OrderedDict[int, Pair] = OrderedDict()

    def picture(self, index: int, told: Told = lambda share: None) -> NDArray[np.uint8]:
        """Picture ``index`` of the enhanced clip [s H, s W, 3]. ``told`` is called now and then and may raise."""
        before, after, time = self.moments.around(index)
        if time == 0:
            return self.large(before, told)
        first = self.large(before, lambda f: told(0.45 * f))
        second = self.large(after, lambda f: told(0.45 + 0.45 * f))
        told(0.9)
        if np.array_equal(first, second):
            return first
        pair = _kept(self._pairs, before, 1, lambda: Pair(self.engine, self.frames.get(before), self.frames.get(after)))
        return paint(first, second, pair.at(time, (self.height, self.width)), time)

    def large(self, index: int, told: Told) -> NDArray[np.uint8]:
        """Frame ``index`` of the clip, enlarged and steady."""
        if self.enlarger.scale == 1:
            return self.frames.get(index)
        return _kept(self._large, index, 3, lambda: self._steadied(index, told))

    def _steadied(self, index: int, told: Told) -> NDArray[np.uint8]:
        if self.enlarger.steady:
            return self._enlarged(index, told)
        count = self.frames.count
        around = [index - 1, index + 1]
        if self.frames.loop and count > 2:
            around = [i % count for i in around]
        around = [i for i in around if 0 <= i < count]
        # in rising order, because a video is read forwards
        wanted = sorted([index, *around])
        large = {}
        for n, i in enumerate(wanted):
            large[i] = self._enlarged(i, lambda f, n=n: told((n + f) / len(wanted)))  # type: ignore[misc]
        small = {i: self.frames.get(i) for i in wanted}
        return steady(large[index], small[index], [(large[i], small[i]) for i in around])

    def _enlarged(self, index: int, told: Told) -> NDArray[np.uint8]:
        return _kept(self._raw, index, 4, lambda: self.enlarger.enlarge(self.frames.get(index), told))


def _kept(store: OrderedDict[int, T], key: int, room: int, make: Callable[[], T]) -> T:
    """``store[key]``, made if need be; the ``room`` last used stay."""
    if key not in store:
        store[key] = make()
        while len(store) > room:
            store.popitem(last=False)
    store.move_to_end(key)
    return store[key]
