"""Files appear whole or not at all."""

import os

import pytest

from holotime.files import digest_file, whole_file, write_whole


def test_a_file_takes_its_name_at_the_end_only(tmp_path):
    path = tmp_path / "new" / "a.bin"
    with whole_file(path) as partial:
        assert (partial.parent, partial.suffix) == (path.parent, ".bin")
        partial.write_bytes(b"abc")
        assert not path.exists()
    assert path.read_bytes() == b"abc"
    assert os.listdir(path.parent) == ["a.bin"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = write_whole(tmp_path / "a.bin", b"old")

    def fail() -> None:
        with whole_file(path) as partial:
            partial.write_bytes(b"half")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        fail()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_what_a_killed_run_left_is_not_added_to(tmp_path):
    path = tmp_path / "a.bin"
    with whole_file(path) as partial:
        partial.write_bytes(b"")
    partial.write_bytes(b"left over")
    with whole_file(path) as partial, partial.open("ab") as file:
        file.write(b"abc")
    assert path.read_bytes() == b"abc"


def test_digest(tmp_path):
    path = write_whole(tmp_path / "abc", b"abc")
    assert digest_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
