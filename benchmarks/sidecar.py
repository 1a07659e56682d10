"""How fast the sidecar is: start, round trip, encrypted blobs, submits, cancel. Prints JSON.

    python benchmarks/sidecar.py [--megabytes 256] [--jobs 10000]

Everything goes over loopback with CurveZMQ, client and server each a process, on whatever cores there are.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
os.environ["PYTHONPATH"] = str(ROOT / "tests" / "sidecar")

from sidecar import protocol  # noqa: E402 the path comes first
from sidecar.client import Client, new_job_id, start_server  # noqa: E402
from sidecar.protocol import FileSource  # noqa: E402

CANCELLED = ("slow", "deaf", "kernel", "encode", "train")  # a wait, a deaf wait, a compiled loop, an encoder, training
RUNNER = ("--runner", "runners:run_job", "--quota-gb", "20")


def milliseconds(call, times: int) -> dict[str, float]:
    """Median and 99th percentile of a call."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    taken.sort()
    return {"median": round(statistics.median(taken), 3), "p99": round(taken[int(0.99 * times)], 3)}


def settle() -> None:
    """Let the disk finish what was written before, so that it is not counted."""
    if hasattr(os, "sync"):
        os.sync()


def blobs(client: Client, folder: Path, megabytes: int) -> dict[str, float]:
    """MB/s (10^6 bytes) of an upload and a download of one blob in encrypted chunks, digests and disk included."""
    path = folder / "blob"
    path.write_bytes(os.urandom(1 << 20) * megabytes)
    source = FileSource.of(path)
    settle()
    start = time.perf_counter()
    job = new_job_id()
    rid = client.session.submit(job, "generate", {}, {"panorama": source})
    client.wait_for(rid)
    up = time.perf_counter() - start
    settle()
    start = time.perf_counter()
    client.fetch(source.sha256, folder / "back", source.size)
    down = time.perf_counter() - start
    assert (folder / "back").stat().st_size == source.size
    # its memory is used again in the next round: a virtual machine may take long over memory that it never touched
    path.unlink()
    (folder / "back").unlink()
    client.cancel(job)
    client.prune()
    return {"upload_mb_s": round(source.size / up / 1e6, 1), "download_mb_s": round(source.size / down / 1e6, 1)}


def status_while_busy(client: Client, folder: Path, megabytes: int) -> dict[str, float]:
    """A status call while another process sends a blob."""
    path = folder / "other"
    path.write_bytes(os.urandom(1 << 20) * megabytes)
    script = (
        "import sys\nfrom sidecar.client import Client\nwith Client(sys.argv[1], local=False) as client:\n"
        "    client.submit('generate', {}, {'panorama': sys.argv[2]})\n"
    )
    command = [sys.executable, "-c", script, str(folder / "root" / "connection.json"), str(path)]
    before = client.metrics()["bytes_in"]
    with subprocess.Popen(command, cwd=ROOT) as other:
        while client.metrics()["bytes_in"] == before:
            continue
        taken = []
        while other.poll() is None:
            start = time.perf_counter()
            client.status()
            taken.append(1000 * (time.perf_counter() - start))
    taken.sort()
    return {"median": round(statistics.median(taken), 3), "p99": round(taken[int(0.99 * len(taken))], 3)}


def cancel_seconds(client: Client, marks: Path, do: str) -> float:
    """From the cancel request to the event that says cancelled."""
    job = client.submit("generate", {"do": do, "marks": str(marks)})
    start = 0.0
    for event in client.events(job):
        if isinstance(event, protocol.Progress) and event.stage in ("waiting", "deaf") and not start:
            start = time.perf_counter()
            client.session.request(protocol.Cancel(job=job))
    return round(time.perf_counter() - start, 3)


def main() -> None:
    """Run everything once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--jobs", type=int, default=10_000)
    arguments = parser.parse_args()
    figures: dict = {"cores": os.cpu_count(), "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        start = time.perf_counter()
        process, file = start_server(folder / "root", *RUNNER)
        figures["start_seconds"] = round(time.perf_counter() - start, 3)
        with Client(file, local=False) as client:
            figures["status_ms"] = milliseconds(client.status, 1000)
            figures["metrics_ms"] = milliseconds(client.metrics, 300)
            client.pause()
            figures["encrypted"] = [blobs(client, folder, arguments.megabytes) for _ in range(3)]
            figures["status_during_upload_ms"] = status_while_busy(client, folder, arguments.megabytes)
            start = time.perf_counter()
            for n in range(arguments.jobs):
                client.submit("generate", {"n": n})
            figures["submits_per_second"] = round(arguments.jobs / (time.perf_counter() - start))
            figures["status_with_queue_ms"] = milliseconds(client.status, 200)
            client.shutdown()
        process.wait()
        start = time.perf_counter()
        process, file = start_server(folder / "root", *RUNNER)
        figures["start_with_queue_seconds"] = round(time.perf_counter() - start, 3)
        with Client(file) as client:
            for info in list(client.jobs("queued")):
                client.cancel(info.job)
            client.pause(False)
            start = time.perf_counter()
            client.wait(client.submit("generate", {"n": -1}))
            figures["first_job_seconds"] = round(time.perf_counter() - start, 3)
            start = time.perf_counter()
            jobs = [client.submit("generate", {"m": n}) for n in range(100)]
            for job in jobs:
                client.wait(job)
            figures["small_jobs_per_second"] = round(100 / (time.perf_counter() - start), 1)
            figures["cancel_seconds"] = {do: cancel_seconds(client, folder, do) for do in CANCELLED}
            client.shutdown()
        process.wait()
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
