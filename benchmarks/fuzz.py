"""Mutated, random and well-formed frames against the decoder and against a real server. Prints JSON.

    python benchmarks/fuzz.py [--frames 1000000] [--seed 0]

Half of the frames go to the decoder in this process: every one must be a message or be refused with a reason. The other
half go over all three channels to a server with the right key: it must answer a ping after every batch, its memory must
not grow, and the job that was there before must be there after.
"""

import argparse
import dataclasses
import json
import os
import random
import sys
import tempfile
import time
import typing
from collections import Counter
from pathlib import Path

import zmq

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]
os.environ["PYTHONPATH"] = str(ROOT / "tests" / "sidecar")

from sidecar import protocol  # noqa: E402 the path comes first
from sidecar.client import Client, start_server  # noqa: E402
from sidecar.protocol import CHANNELS, Connection, ProtocolError  # noqa: E402
from sidecar.security import KeyPair, secure_client  # noqa: E402

BATCH = 500  # frames between two pings
SPARED = ("shutdown", "prune", "cancel")  # a well-formed one of these does what it says
RIGHT = {  # values that pass the check of a field's name
    "job": "abcdefgh1", "job_kind": "generate", "sha256": "a" * 64, "size": 5, "offset": 0, "data": b"12345",
    "proof": b"x" * 32, "jobs": ["abcdefgh1"], "credit": 3, "count": 1, "inputs": {"panorama": "b" * 64}, "params": {},
    "priority": 1, "versions": [1], "agent": "fuzz", "paused": False, "statuses": ["queued"], "log": True,
}  # fmt: skip
HEADS = bytes([0x80, 0x8F, 0x90, 0x9F, 0xC1, 0xC4, 0xC6, 0xC7, 0xD6, 0xD9, 0xDB, 0xDC, 0xDD, 0xDE, 0xDF, 0xFF])


def value(chance: random.Random, depth: int = 0) -> typing.Any:
    """Any value that msgpack knows, some of them at a limit."""
    kind = chance.randrange(10 if depth < 3 else 7)
    if kind == 0:
        return chance.choice([None, True, False])
    if kind == 1:
        return chance.choice([0, 1, -1, 2**31, 2**63 - 1, -(2**63), 2**64 - 1])
    if kind == 2:
        return chance.choice([0.0, -1.0, 1e300, float("nan"), float("inf")])
    if kind in (3, 4):
        return chance.choice(["", "a" * 64, "../../etc/passwd", "abcdefgh1", "x" * 300, "generate", "\0", "queued"])
    if kind in (5, 6):
        return chance.randbytes(chance.choice([0, 1, 32, 300]))
    count = chance.randrange(4)
    if kind == 7:
        return [value(chance, depth + 1) for _ in range(count)]
    return {chance.choice(["a", "job", "n", ""]): value(chance, depth + 1) for _ in range(count)}


def frames(chance: random.Random) -> typing.Iterator[bytes]:
    """Frames without end: random bytes, messages with wrong or right fields, and mutations of both."""
    kinds = [cls for kind, cls in protocol.KINDS.items() if kind not in SPARED]
    kinds += 2 * [cls for cls in kinds if cls.channel]
    while True:
        if chance.random() < 0.1:
            yield chance.randbytes(chance.randrange(200))
            continue
        cls = chance.choice(kinds)
        names = [f.name for f in dataclasses.fields(cls)]
        wild = chance.choice([0.0, 0.2, 1.0])  # share of the fields that get any value
        body = {name: RIGHT[name] if chance.random() >= wild and name in RIGHT else value(chance) for name in names}
        whole = {**body, "v": 1, "rid": chance.randrange(2**40), "kind": cls.kind}
        frame = bytearray(protocol.msgpack.packb(whole))
        if chance.random() < 0.5:
            for _ in range(chance.randrange(1, 4)):
                place = chance.randrange(len(frame))
                how = chance.randrange(4)
                if how == 0:
                    frame[place] ^= 1 << chance.randrange(8)
                elif how == 1:
                    del frame[place : place + chance.randrange(1, 9)]
                elif how == 2:
                    frame[place:place] = frame[place : place + 9]
                else:
                    frame[place] = chance.choice(HEADS)
                if not frame:
                    frame = bytearray(b"\xc0")
        mutated = bytes(frame)
        try:  # a frame that has become one of the spared requests would do what it says
            if protocol.decode(mutated).kind in SPARED:
                continue
        except ProtocolError:
            pass
        yield mutated


def resident(pid: int | str) -> int:
    """Bytes of a process in memory (Linux)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def decoder(count: int, chance: random.Random) -> dict:
    """Frames against the decoder; what they were taken for."""
    outcomes: Counter[str] = Counter()
    source = frames(chance)
    for _ in range(count // 10):  # first, so that what the interpreter keeps for itself is not taken for growth
        decode(next(source), outcomes)
    before, start = resident("self"), time.perf_counter()
    for _ in range(count - count // 10):
        decode(next(source), outcomes)
    seconds = time.perf_counter() - start
    grown = (resident("self") - before) / 2**20
    return {"frames": count, "seconds": round(seconds, 1), "outcomes": dict(outcomes), "grown_mb": round(grown, 1)}


def decode(frame: bytes, outcomes: Counter[str]) -> None:
    """Anything but a message or a ProtocolError ends the run."""
    try:
        outcomes["message" if protocol.decode(frame, sender="client") else ""] += 1
    except ProtocolError as error:
        outcomes[error.code] += 1


def server(count: int, chance: random.Random, folder: Path) -> dict:
    """Frames against a real server."""
    process, file = start_server(folder / "root", "--runner", "runners:run_job")
    connection = Connection.read(file)
    keys = KeyPair(connection.client_public, connection.client_secret)
    context = zmq.Context()
    sockets = {}
    for channel in CHANNELS:
        sockets[channel] = context.socket(zmq.DEALER)
        sockets[channel].linger = 0
        secure_client(sockets[channel], keys, connection.server_public)
        sockets[channel].connect(connection.addresses[channel])
    with Client(file) as client:
        job = client.submit("generate", {"n": 1})
        client.wait(job)
        result = client.result(job)
    source, sent, answers = frames(chance), 0, Counter[str]()
    before, repeated, start = 0, 0, time.perf_counter()
    while sent < count:
        channel = CHANNELS[sent // BATCH % len(CHANNELS)]
        for _ in range(BATCH):
            sockets[channel].send(next(source))
        sent += BATCH
        ping, asked = 2**50 + sent, 1
        sockets[channel].send(protocol.encode(protocol.Ping(rid=ping)))
        while True:
            if not sockets[channel].poll(5000):  # an answer to somebody who does not read is dropped: ask again
                asked += 1
                if asked > 6:
                    raise SystemExit(f"the server no longer answers on {channel} after {sent} frames")
                sockets[channel].send(protocol.encode(protocol.Ping(rid=ping)))
                repeated += 1
                continue
            reply = protocol.decode(sockets[channel].recv())
            answers[reply.kind if reply.kind != "error" else reply.code] += 1
            if reply.rid == ping:
                break
        if sent * 10 >= count and not before:
            before = resident(process.pid)
    seconds = time.perf_counter() - start
    grown = (resident(process.pid) - before) / 2**20
    for item in sockets.values():
        item.close()
    context.term()
    with Client(file) as client:
        client.pause(False)
        same = client.result(job) == result and client.wait(client.submit("generate", {"n": 2})).status == "succeeded"
        client.shutdown()
    process.wait()
    traces = (folder / "root" / "logs" / "server.log").read_text(encoding="utf-8").count('"trace"')
    return {
        "frames": sent, "pings_repeated": repeated, "seconds": round(seconds, 1), "answers": dict(answers),
        "grown_mb": round(grown, 1),
        "still_right": same, "exceptions_logged": traces, "exit_code": process.returncode,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    figures = {"decoder": decoder(arguments.frames // 2, chance)}
    with tempfile.TemporaryDirectory() as folder:
        figures["server"] = server(arguments.frames // 2, chance, Path(folder))
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
