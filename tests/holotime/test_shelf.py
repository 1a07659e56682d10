"""Models stay loaded as long as there is room for them."""

import threading
from collections.abc import Callable

import torch
from hypothesis import given
from hypothesis import strategies as st

from holotime.shelf import Shelf, module_bytes


def loader(log: list[str], name: str) -> Callable[[], str]:
    def load() -> str:
        log.append(name)
        return name

    return load


@given(st.integers(0, 30), st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 12)), max_size=30))
def test_the_shelf_never_holds_more_than_its_room(room: int, asks: list[tuple[str, int]]) -> None:
    shelf, log = Shelf(room), []
    for name, size in asks:
        assert shelf.get((name, size), loader(log, name), lambda _, size=size: size) == name
        assert shelf.used <= room
    assert shelf.hits + shelf.misses == len(asks)
    assert shelf.misses == len(log)
    shelf.resize(0)
    assert shelf.used == 0


def test_the_least_recently_used_leaves_first() -> None:
    shelf, log = Shelf(2), []
    for name in ("a", "b", "a", "c", "a", "b"):
        shelf.get(name, loader(log, name), lambda _: 1)
    assert log == ["a", "b", "c", "b"]


def test_two_threads_load_once() -> None:
    shelf, log, both = Shelf(9), [], threading.Barrier(2)

    def ask() -> None:
        both.wait(10)
        shelf.get("a", loader(log, "a"), lambda _: 1)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert log == ["a"]


def test_a_modules_size_is_that_of_its_tensors() -> None:
    assert module_bytes(torch.nn.Linear(3, 5)) == 4 * (3 * 5 + 5)
    assert module_bytes(torch.nn.BatchNorm1d(2).half()) == 2 * 8 + 8
