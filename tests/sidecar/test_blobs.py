"""Blobs: in chunks and as files, resumed, checked, pruned."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

from sidecar import protocol
from sidecar.client import Client, JobFailed, Refused
from sidecar.protocol import CHUNK, FileSource


def some_file(path: Path, megabytes: float) -> FileSource:
    path.write_bytes(os.urandom(round(megabytes * (1 << 20))))
    return FileSource.of(path)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 9 * CHUNK + 5])
def test_chunks_carry_a_blob_both_ways(server, tmp_path: Path, size: int) -> None:
    path = tmp_path / "in"
    path.write_bytes(os.urandom(size))
    with server.client(local=False) as client:
        job = client.submit("generate", {}, {"panorama": path})
        client.wait(job, timeout=30)
        sha = FileSource.of(path).sha256
        assert client.fetch(sha, tmp_path / "deep" / "out", size).read_bytes() == path.read_bytes()
        assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


def test_only_what_the_server_lacks_is_sent(server, tmp_path: Path) -> None:
    source = some_file(tmp_path / "in", 3)
    with server.client(local=False) as client:
        before = client.metrics()["bytes_in"]
        client.submit("generate", {"n": 1}, {"panorama": source.path})
        assert client.metrics()["bytes_in"] - before == source.size
        client.submit("generate", {"n": 2}, {"panorama": source.path, "hint": source.path})
        assert client.metrics()["bytes_in"] - before == source.size


def large_file(path: Path) -> FileSource:
    """Too large to be copied into the inbox; sparse, so that the test is quick."""
    path.write_bytes(os.urandom(100))
    os.truncate(path, protocol.COPY_BELOW + 1)
    return FileSource.of(path)


def test_on_one_machine_a_large_file_is_handed_over_without_copying(server, tmp_path: Path) -> None:
    source = large_file(tmp_path / "in")
    with server.client() as client:
        assert client.session.local
        before = client.metrics()["bytes_in"]
        job = client.submit("generate", {"do": "big", "megabytes": 2}, {"panorama": source.path})
        info = client.wait(job, timeout=30)
        assert client.metrics()["bytes_in"] == before
        stored = server.root / "blobs" / source.sha256[:2] / source.sha256
        assert stored.samefile(source.path) or protocol.clone(source.path, tmp_path / "can clone")
        ref = info.results["big"]
        out = client.fetch(ref.sha256, tmp_path / "out")
        kept = server.root / "blobs" / ref.sha256[:2] / ref.sha256
        if out.samefile(kept):  # else it is a clone, which is the client's own
            assert not out.stat().st_mode & 0o222, "what the store shares is read-only"
        assert [p.name for p in (server.root / "inbox").iterdir()] == ["proof"]


def submit_then_change(client: Client, source: FileSource) -> str:
    """A job whose input's file is written to in place before the job begins."""
    client.pause()
    try:
        job = client.submit("generate", {}, {"panorama": source.path})
        with open(source.path, "r+b") as file:
            file.write(b"changed")
    finally:
        client.pause(False)
    return job


def test_an_artist_may_go_on_painting_into_the_file_that_was_handed_over(server, tmp_path: Path) -> None:
    source = some_file(tmp_path / "in", 0.1)
    with server.client() as client:
        job = submit_then_change(client, source)
        client.wait(job, timeout=30)
        text = client.fetch_all(job, tmp_path / "out")["digest"].read_text(encoding="utf-8")
        assert f"panorama {source.sha256}" in text


def test_a_large_input_that_is_changed_after_it_was_handed_over_is_found_out(server, tmp_path: Path) -> None:
    source = large_file(tmp_path / "in")
    if protocol.clone(source.path, tmp_path / "can clone"):
        pytest.skip("on this disk the store has a file of its own")
    with server.client() as client:
        job = submit_then_change(client, source)
        with pytest.raises(JobFailed, match="damaged") as caught:
            client.wait(job, timeout=30)
        assert caught.value.info.error_class == "InputError"
        with pytest.raises(Refused) as refused:
            client.fetch(source.sha256, tmp_path / "out")
        assert refused.value.code == "unknown_blob"


def test_a_truncated_result_is_found_out_and_made_again(own_server, tmp_path: Path) -> None:
    server = own_server()
    with server.client() as client:
        job = client.submit("generate", {"n": 1})
        client.wait(job, timeout=30)
        sha = client.result(job)["digest"]
    server.kill()
    stored = server.root / "blobs" / sha[:2] / sha
    os.chmod(stored, 0o600)
    os.truncate(stored, 3)
    server.start()
    with server.client() as client:
        with pytest.raises(Refused) as refused:
            client.fetch(sha, tmp_path / "out")
        assert refused.value.code == "damaged"
        client.submit("generate", {"n": 1}, job_id=job)
        assert client.wait(job, timeout=30).attempts == 2
        assert client.fetch(sha, tmp_path / "out").exists()


class SlowUpload:
    """Sends a blob by hand, chunk by chunk."""

    def __init__(self, client, source: FileSource) -> None:
        self.client, self.source = client, source
        self.state = client.ask(protocol.Put(sha256=source.sha256, size=source.size))

    def send(self, offset: int, data: bytes | None = None) -> protocol.Message:
        data = self.source.path.read_bytes()[offset : offset + CHUNK] if data is None else data
        sha, size = self.source.sha256, self.source.size
        self.state = self.client.ask(protocol.Chunk(sha256=sha, offset=offset, size=size, data=data))
        return self.state


def test_an_upload_goes_on_where_it_stopped_also_after_a_kill_of_the_server(own_server, tmp_path: Path) -> None:
    server, source = own_server(), some_file(tmp_path / "in", 3.5)
    with server.client(local=False) as client:
        upload = SlowUpload(client, source)
        assert (upload.state.offset, upload.state.restart) == (0, True)
        upload.send(0)
        assert upload.send(CHUNK).offset == 2 * CHUNK
        assert upload.send(0).offset == 2 * CHUNK, "a chunk that came before is ignored"
        assert upload.send(3 * CHUNK).offset == 2 * CHUNK, "and so is one that comes too early"
        server.kill()
        server.start()
    with server.client(local=False) as client:
        upload.client = client
        with pytest.raises(Refused) as refused:
            upload.send(2 * CHUNK)
        assert refused.value.code == "no_upload"
        upload = SlowUpload(client, source)
        assert upload.state.offset == 2 * CHUNK
        client.submit("generate", {}, {"panorama": source.path})
        assert client.metrics()["bytes_in"] == source.size - 2 * CHUNK


def test_a_blob_that_is_not_what_it_says_is_thrown_away(server, tmp_path: Path) -> None:
    source = some_file(tmp_path / "in", 0.01)
    lie = FileSource(source.path, hashlib.sha256(b"else").hexdigest(), source.size)
    with server.client(local=False) as client:
        with pytest.raises(Refused) as refused:
            SlowUpload(client, lie).send(0)
        assert refused.value.code == "digest"
        assert not list((server.root / "partial").iterdir())
        with pytest.raises(Refused) as refused:
            client.ask(protocol.Get(sha256=lie.sha256))
        assert refused.value.code == "unknown_blob"
        with pytest.raises(Refused) as refused:
            SlowUpload(client, FileSource(source.path, "b" * 64, 5 * CHUNK)).send(0, b"short")
        assert refused.value.code == "malformed"


def test_an_interrupted_download_goes_on(server, tmp_path: Path) -> None:
    source = some_file(tmp_path / "in", 4)
    with server.client() as client:
        client.submit("generate", {}, {"panorama": source.path})
    dest = tmp_path / "out"
    part = tmp_path / f"out.{source.sha256[:8]}.part"
    part.write_bytes(source.path.read_bytes()[: 3 * CHUNK])
    with server.client(local=False) as client:
        before = client.metrics()["bytes_out"]
        client.fetch(source.sha256, dest, source.size)
        assert client.metrics()["bytes_out"] - before == CHUNK
    assert dest.read_bytes() == source.path.read_bytes()
    assert not part.exists()


def test_without_the_proof_no_path_is_given_and_nothing_is_adopted(server, tmp_path: Path) -> None:
    source = some_file(tmp_path / "in", 0.01)
    with server.client() as client:
        client.submit("generate", {}, {"panorama": source.path})
        for proof in (b"", b"x" * 32):
            for request in (
                protocol.Locate(sha256=source.sha256, proof=proof),
                protocol.Adopt(sha256=source.sha256, size=source.size, proof=proof),
            ):
                with pytest.raises(Refused) as refused:
                    client.ask(request)
                assert refused.value.code == "not_local"


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes are made differently there")
def test_the_inbox_takes_plain_files_of_the_right_content_only(server, tmp_path: Path) -> None:
    source = some_file(tmp_path / "in", 0.01)
    inbox, sha = server.root / "inbox", source.sha256
    with server.client() as client:
        proof = client.connection.proof()

        def adopt(size: int = source.size) -> str:
            with pytest.raises(Refused) as refused:
                client.ask(protocol.Adopt(sha256=sha, size=size, proof=proof))
            return refused.value.code

        assert adopt() == "unknown_blob"
        (inbox / sha).symlink_to(source.path)
        assert adopt() == "unknown_blob", "a link is not followed"
        (inbox / sha).unlink()
        os.mkfifo(inbox / sha)
        assert adopt() == "digest", "and a pipe does not hang the server"
        (inbox / sha).write_bytes(b"other")
        assert adopt(5) == "digest"
        assert not (inbox / sha).exists()


def test_the_quota_makes_room_but_not_from_what_jobs_need(own_server, tmp_path: Path) -> None:
    server = own_server("--quota-gb", str(8 / 1024))
    with server.client(local=False) as client:
        old = some_file(tmp_path / "old", 3)
        client.wait(client.submit("generate", {}, {"panorama": old.path}), timeout=30)
        client.pause()
        needed = some_file(tmp_path / "needed", 4)
        client.submit("generate", {}, {"panorama": needed.path})
        client.submit("generate", {"n": 2}, {"panorama": some_file(tmp_path / "next", 3).path})
        with pytest.raises(Refused) as refused:
            client.ask(protocol.Get(sha256=old.sha256))
        assert refused.value.code == "unknown_blob"
        with pytest.raises(Refused) as refused:
            client.submit("generate", {"n": 3}, {"panorama": some_file(tmp_path / "more", 3).path})
        assert refused.value.code == "quota"
        assert client.ask(protocol.Get(sha256=needed.sha256)).size == needed.size
        assert client.prune().blobs == 0


def test_two_clients_may_send_the_same_blob(server, tmp_path: Path) -> None:
    source = some_file(tmp_path / "in", 1.5)
    with server.client(local=False) as one, server.client(local=False) as two:
        first = SlowUpload(one, source)
        first.send(0)
        second = SlowUpload(two, source)
        assert second.state.offset == CHUNK, "the newer connection of a client goes on"
        with pytest.raises(Refused) as refused:
            first.send(CHUNK)
        assert refused.value.code == "no_upload"
        assert isinstance(second.send(CHUNK), protocol.Stored)


@pytest.mark.parametrize("local", [True, False])
def test_a_folder_that_goes_during_a_fetch_is_an_error_and_the_client_goes_on(server, tmp_path: Path, local) -> None:
    import shutil

    with server.client(local=local) as client:
        job = client.submit("generate")
        client.wait(job, timeout=30)
        (ref,) = client.job(job).results.values()
        folder = tmp_path / "gone"
        rid = client.session.fetch(ref.sha256, ref.size, folder / "x")
        shutil.rmtree(folder)
        with pytest.raises(Refused) as caught:
            client.wait_for(rid)
        assert caught.value.code == "disk"
        assert client.fetch(ref.sha256, folder / "x", ref.size).is_file()
