"""Many small jobs while worker, server and client are killed at random: is any lost, done twice, or different? JSON.

    python benchmarks/soak.py [--jobs 2000] [--seconds 480] [--seed 0] [--devices cpu]

Linux only (finds the worker through /proc). A worker is spared while its job is at its last try: killed once more it
would fail, as it should. Ends when all jobs are done; nobody is killed any more after --seconds.
"""

import argparse
import contextlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
os.environ["PYTHONPATH"] = str(ROOT / "tests" / "sidecar")

from sidecar.client import Client, start_server  # noqa: E402 the path comes first
from sidecar.jobs import RETRIES  # noqa: E402
from sidecar.protocol import ProtocolError  # noqa: E402

PAUSE_SECONDS = (0.3, 2.0)  # between kills
BATCH = 250  # jobs that the client has in the queue at most
GRACE = 0.5  # share of the time in which what is left is done undisturbed


def job_name(number: int) -> str:
    return f"soak-job-{number:06d}"


def params(number: int) -> dict:
    """Every third job takes some steps with checkpoints, the others are over at once."""
    return {"do": "digest" if number % 3 else "walk", "n": number}


def expected(number: int) -> str:
    """The text that the job's result must hold."""
    return repr(sorted(params(number).items()))


def client_main(root: Path, jobs: int) -> None:
    """A client that may be killed at any time: submits jobs (again), waits for each and fetches its result."""
    out = root.parent / "out"
    with Client(root / "connection.json", timeout=20) as client:
        for begin in range(0, jobs, BATCH):
            missing = [n for n in range(begin, min(begin + BATCH, jobs)) if not (out / str(n)).exists()]
            for number in missing:
                client.submit("generate", params(number), job_id=job_name(number))
            for number in missing:
                info = client.wait(job_name(number))
                client.fetch(info.results["digest"].sha256, out / str(number))
        client.shutdown()


def workers_of(server: int) -> list[int]:
    """The pids of a server's workers."""
    try:
        return [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
    except OSError:
        return []


def at_its_last_try(root: Path) -> bool:
    """Whether a job runs that would fail, as it should, if its worker died once more."""
    with contextlib.closing(sqlite3.connect(root / "journal.sqlite3", timeout=20)) as db:
        rows = db.execute("SELECT count(*) FROM jobs WHERE status = 'running' AND deaths >= ?", (RETRIES,))
        return bool(rows.fetchone()[0])


def soak(folder: Path, jobs: int, seconds: float, chance: random.Random, devices: str = "cpu") -> dict:
    """Run it; gives the counts."""
    options = ("--runner", "runners:run_job", "--devices", devices)
    began = time.monotonic()
    root = folder / "root"
    (folder / "out").mkdir()
    command = [sys.executable, __file__, "--client", str(root), "--jobs", str(jobs)]
    server, _ = start_server(root, *options)
    client = subprocess.Popen(command)
    kills = {"worker": 0, "server": 0, "client": 0}
    end = time.monotonic() + seconds
    finished = False
    while time.monotonic() < end + GRACE * seconds and not finished:
        try:
            finished = client.wait(chance.uniform(*PAUSE_SECONDS)) == 0
            if not finished:  # it found no server at its start, or lost patience
                client = subprocess.Popen(command)
            continue
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                continue
            victim = chance.choice(["worker", "worker", "server", "client"])
        workers = workers_of(server.pid)
        if victim == "worker" and workers and not at_its_last_try(root):
            os.kill(chance.choice(workers), 9)
        elif victim == "server":
            server.kill()
            server.wait()
            server, _ = start_server(root, *options)
        elif victim == "client":
            client.kill()
            client.wait()
            client = subprocess.Popen(command)
        else:
            continue
        kills[victim] += 1
    client.kill()
    client.wait()
    if server.poll() is None and not finished:
        server.kill()
    server.wait(30)
    db = sqlite3.connect(root / "journal.sqlite3")
    done = dict(db.execute("SELECT job, status FROM jobs"))
    twice = db.execute(
        "SELECT count(*) FROM (SELECT job FROM attempts WHERE outcome = 'succeeded' GROUP BY job HAVING count(*) > 1)"
    ).fetchone()[0]
    attempts = db.execute("SELECT count(*) FROM attempts").fetchone()[0]
    db.close()
    texts = {n: (folder / "out" / str(n)) for n in range(jobs)}
    return {
        "jobs": jobs,
        "finished": finished,
        "lost": sum(done.get(job_name(n)) != "succeeded" for n in range(jobs)),
        "run_twice": twice,
        "mismatched": sum(path.exists() and path.read_text() != expected(n) for n, path in texts.items()),
        "not_fetched": sum(not path.exists() for path in texts.values()),
        "attempts": attempts,
        "seconds": round(time.monotonic() - began, 1),
        "restarts": kills,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=480)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--devices", default="cpu", help="of the server's workers")
    parser.add_argument("--client", type=Path, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.client:
        try:
            client_main(arguments.client, arguments.jobs)
        except (ProtocolError, TimeoutError):
            sys.exit(1)
        return
    with tempfile.TemporaryDirectory() as folder:
        chance = random.Random(arguments.seed)
        print(json.dumps(soak(Path(folder), arguments.jobs, arguments.seconds, chance, arguments.devices), indent=1))


if __name__ == "__main__":
    main()
