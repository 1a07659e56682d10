"""Who is let in can be changed while the server runs."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.client import Client
from sidecar.protocol import Connection
from sidecar.security import ClientKeys, KeyPair


def keys(server, *arguments: str) -> tuple[int, list[dict], str]:
    command = [sys.executable, "-m", "sidecar", "keys", *arguments, "--root", str(server.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def is_cut_off(client: Client) -> bool:
    client._timeout = 3
    try:
        for _ in range(100):
            client.status()
    except TimeoutError:
        return True
    return False


def test_a_client_is_let_in_listed_and_shut_out_while_the_server_runs(server, tmp_path: Path) -> None:
    file = tmp_path / "laptop.json"
    code, (said,), _ = keys(server, "add", "laptop", "--output", str(file))
    assert code == 0
    assert os.name != "posix" or stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = Connection.read(file).client_secret
    kept = [path.read_text() for path in server.root.rglob("*.json")]
    assert not any(secret in text for text in kept), "the server keeps the public half"
    code, listed, _ = keys(server, "list")
    assert [(entry["name"]) for entry in listed] == ["default", "laptop"]
    assert listed[1]["fingerprint"] == said["fingerprint"]
    with Client(file, timeout=10) as laptop:
        job = laptop.submit("generate", {"from": "laptop"})
        laptop.wait(job, timeout=30)
        assert keys(server, "remove", "laptop")[0] == 0
        assert is_cut_off(laptop), "its connection is open, but nobody listens"
    with Client(file, timeout=2) as again, pytest.raises(TimeoutError):
        again.status()
    with server.client() as other:
        assert other.job(job).status == "succeeded", "its jobs stay"


def test_a_client_may_bring_its_own_key(server) -> None:
    own = KeyPair.new()
    assert keys(server, "add", "studio", "--public", own.public)[0] == 0
    connection = Connection.read(server.file)
    theirs = Connection(**{**connection.__dict__, "client_public": own.public, "client_secret": own.secret})
    with Client(theirs, timeout=10) as client:
        assert client.status().pid == server.process.pid
    assert keys(server, "remove", "studio")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["add", "../evil", "--public", "x" * 40], "is no name"),
        (["add", "default", "--public", "x" * 40], "already"),
        (["add", "other", "--public", "short"], "no public key"),
        (["add", "other"], "either --output"),
        (["remove", "default"], "belongs to this machine"),
        (["remove", "nobody"], "no client 'nobody'"),
        (["remove", "../server"], "no client"),
    ],
)
def test_a_wrong_request_changes_nothing(server, arguments: list[str], text: str) -> None:
    code, _, error = keys(server, *arguments)
    assert code == 2
    assert text in error
    assert [entry["name"] for entry in keys(server, "list")[1]] == ["default"]


def test_a_key_file_that_cannot_be_read_shuts_nobody_out(tmp_path: Path) -> None:
    clients = ClientKeys(tmp_path / "clients")
    (tmp_path / "clients" / "broken.json").write_text("{")
    clients.refresh()
    assert list(clients.names.values()) == ["default"]


def test_the_librarys_command_looks_after_the_server_too(server) -> None:
    script = "from holotime.cli import main; main()"
    with server.client() as client:
        client.wait(client.submit("generate"), timeout=30)
    for verb, holds in (("status", "workers"), ("jobs", "job_kind"), ("metrics", "stages")):
        command = [sys.executable, "-c", script, "serve", verb, "--root", str(server.root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        assert holds in json.loads(done.stdout.splitlines()[0])
