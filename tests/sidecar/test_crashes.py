"""Whoever dies, the jobs live: real processes, really killed."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.client import Client, JobFailed, Refused
from sidecar.parent import Parent


def test_a_job_whose_worker_is_killed_is_begun_again(server, marks: Path, tools) -> None:
    with server.client() as client:
        job, worker = tools.begin(client, marks)
        (marks / "begun").unlink()
        (marks / "go").touch()
        tools.kill(worker)
        info = client.wait(job, timeout=30)
        assert info.attempts in (1, 2)  # 1: it had ended before the kill came
        undisturbed = client.submit("generate")
        client.wait(undisturbed, timeout=30)
        assert client.result(job) == client.result(undisturbed)


@pytest.mark.parametrize(("times", "status"), [(2, "succeeded"), (3, "failed")])
def test_two_deaths_are_forgiven_and_the_third_is_not(server, marks: Path, times: int, status: str) -> None:
    with server.client() as client:
        job = client.submit("generate", {"do": "crash", "times": times, "marks": str(marks)})
        if status == "succeeded":
            assert client.wait(job, timeout=60).attempts == 3
        else:
            with pytest.raises(JobFailed) as caught:
                client.wait(job, timeout=60)
            assert caught.value.info.error_class == "WorkerDied"
            assert "begun 3 times" in caught.value.info.error
            assert caught.value.info.log_tail.endswith("about to crash, said the job")
        assert client.wait(client.submit("generate"), timeout=60).status == "succeeded", "the server goes on"


def test_a_worker_that_never_starts_fails_the_job_with_its_log(own_server, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "sitecustomize.py").write_text(
        "import sys\nif 'sidecar.worker' in sys.orig_argv:\n    sys.exit('this installation is broken')\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "broken"))
    server = own_server()
    with server.client() as client, pytest.raises(JobFailed, match="ends as soon as it is started") as caught:
        client.wait(client.submit("generate"), timeout=60)
    assert "this installation is broken" in caught.value.info.log_tail


def test_a_runner_that_cannot_be_imported_fails_the_job_with_the_reason(own_server) -> None:
    server = own_server("--runner", "no_such_module:run_job")
    with server.client() as client, pytest.raises(JobFailed, match="No module named 'no_such_module'"):
        client.wait(client.submit("generate"), timeout=30)


def test_after_a_kill_of_the_server_running_and_queued_jobs_are_done(
    own_server, marks: Path, tools, tmp_path: Path
) -> None:
    server = own_server()
    panorama = tmp_path / "panorama"
    panorama.write_bytes(b"picture")
    with server.client() as client:
        done = client.submit("generate", {"n": 0})
        client.wait(done, timeout=30)
        first, worker = tools.begin(client, marks)
        rest = [client.submit("generate", {"n": n}, {"panorama": panorama}) for n in (1, 2)]
        server.kill()
        assert tools.ended(worker), "an orphan stayed behind"
        (marks / "go").touch()
        server.start()
        # the same client goes on by itself: the ports are the same
        infos = [client.wait(job, timeout=60) for job in (first, *rest)]
        assert [info.attempts for info in infos] == [2, 1, 1]
        assert client.job(done).attempts == 1
        assert not list((server.root / "jobs").glob("*/out-*"))


def test_a_job_outlives_its_client(server, marks: Path, tools) -> None:
    with server.client() as client:
        job, _ = tools.begin(client, marks)
    (marks / "go").touch()
    with server.client() as other:
        assert other.wait(job, timeout=30).status == "succeeded"


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are a POSIX matter")
def test_a_disk_that_takes_no_more_ends_a_job_but_not_the_server(tmp_path: Path) -> None:
    # a limit on the size of files stands for the full disk: writing fails in the same places
    script = (
        "import resource, sys\nfrom sidecar.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20))\n"
        "sys.exit(main(['serve', '--root', sys.argv[1], '--runner', 'runners:run_job']))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), str(Path(__file__).parent)])}
    (tmp_path / "in").write_bytes(os.urandom(4 << 20))
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "root")], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        file = json.loads(process.stdout.readline())["connection_file"]
        with Client(file, local=False) as client:
            with pytest.raises(Refused) as refused:
                client.submit("generate", {}, {"panorama": tmp_path / "in"})
            assert refused.value.code == "disk"
            with pytest.raises(JobFailed, match="disk is full") as failed:
                client.wait(client.submit("generate", {"do": "big", "megabytes": 4}), timeout=30)
            assert failed.value.info.error_class == "DiskFull"
            assert failed.value.info.attempts == 1
            assert client.wait(client.submit("generate"), timeout=30).status == "succeeded"
            client.shutdown()
        assert process.wait(30) == 0


def test_many_clients_are_served_at_once(server) -> None:
    clients = [server.client() for _ in range(60)]
    job = clients[0].submit("generate", {"many": 1})
    assert all(client.wait(job, timeout=30).status == "succeeded" for client in clients)
    for client in clients:
        client.close()


def test_a_hanging_job_is_ended(own_server, marks: Path) -> None:
    server = own_server("--hang-seconds", "0.5")
    with server.client() as client, pytest.raises(JobFailed) as caught:
        client.wait(client.submit("generate", {"do": "deaf", "marks": str(marks)}), timeout=60)
    assert caught.value.info.error_class == "WorkerHung"


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="stopping a process is a POSIX matter")
def test_a_worker_that_no_longer_beats_is_replaced(own_server, marks: Path, tools) -> None:
    server = own_server("--hang-seconds", "2.5")
    with server.client() as client:
        job, worker = tools.begin(client, marks)
        os.kill(worker, signal.SIGSTOP)
        assert tools.ended(worker)
        (marks / "go").touch()
        assert client.wait(job, timeout=60).attempts == 2
        assert "no sign of life" in server.log()


def test_a_stop_frees_the_ports_and_ends_the_worker(own_server, marks: Path, tools) -> None:
    server = own_server()
    with server.client() as client:
        job, worker = tools.begin(client, marks)
        ports = [int(address.rpartition(":")[2]) for address in client.connection.addresses.values()]
        client.shutdown()
    assert server.process.wait(30) == 0
    assert tools.ended(worker)
    assert not server.file.exists()
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    server.start()
    with server.client() as client:
        assert client.job(job).status in ("queued", "running"), "an orderly stop loses nothing either"
        client.cancel(job)


def test_one_folder_has_one_server(own_server) -> None:
    server = own_server()
    second = subprocess.run(
        [sys.executable, "-m", "sidecar", "serve", "--root", str(server.root)],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 2
    assert "Another server works in" in second.stderr
    assert second.stdout == ""
    with server.client() as client:
        assert client.status().pid == server.process.pid


def test_the_server_ends_with_its_parent_and_only_then(tmp_path: Path, tools) -> None:
    # the parent starts the server as Blender does, says so, and lives until its standard input ends
    script = (
        "import os, sys\nfrom sidecar.client import start_server\n"
        "process, file = start_server(sys.argv[1], '--runner', 'runners:run_job', '--parent-pid', str(os.getpid()))\n"
        "print(process.pid, flush=True)\nsys.stdin.read()\nos._exit(0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), str(Path(__file__).parent)])}
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "root")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    ) as parent:  # fmt: skip
        pid = int(parent.stdout.readline())
        watch = Parent(pid)
        assert watch.alive()
        parent.stdin.close()
        parent.wait(30)
    assert tools.ended(pid)
    assert not watch.alive()
    watch.close()
    assert not (tmp_path / "root" / "connection.json").exists()


def test_the_command_line_looks_after_a_server(own_server, marks: Path, tools) -> None:
    server = own_server()

    def run(*arguments: str) -> tuple[int, list, str]:
        command = [sys.executable, "-m", "sidecar", *arguments, "--root", str(server.root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    with server.client() as client:
        job, _ = tools.begin(client, marks)
        assert run("status")[1][0]["running"] == [job]
        assert [info["job"] for info in run("jobs", "running")[1]] == [job]
        assert run("cancel", job)[0] == 0
        assert list(client.events(job, 30))[-1].info.status == "cancelled"
    assert run("cancel", "nobody-knows-it") == (1, [], "there is no job nobody-knows-it here\n")
    assert run("prune")[1][0]["blobs"] == 0
    assert run("metrics")[1][0]["jobs"] == {"cancelled": 1}
    assert run("shutdown")[0] == 0
    assert server.process.wait(30) == 0
    code, _, error = run("status")
    assert code == 2
    assert "is not a connection file" in error
