"""The server's command line: ``python -m sidecar serve``."""

import argparse
import json
import logging
import logging.handlers
import os
import signal
import sqlite3
import sys
from pathlib import Path

from . import devices
from .broker import Broker, Options
from .protocol import ProtocolError
from .rootlock import RootLock, RootLocked
from .security import fingerprint, private_folder
from .supervisor import Patience

CANNOT_WRITE = "The folder {} cannot be written ({}). Make room or change its rights, or choose another --root."
LOOPBACK = ("127.0.0.1", "::1", "localhost")
log = logging.getLogger(__name__)


def default_root() -> Path:
    """Where a server keeps its things when nobody says otherwise."""
    import platformdirs

    return Path(platformdirs.user_data_dir("holotime", appauthor=False)) / "sidecar"


def parser() -> argparse.ArgumentParser:
    """The options of ``serve``."""
    parser = argparse.ArgumentParser(prog="sidecar serve", description="Run jobs for Blender and the command line.")
    parser.add_argument(
        "--root", type=Path, default=None, help="folder for the queue, the blobs, the keys and the logs"
    )
    parser.add_argument("--parent-pid", type=int, default=0, help="end when this process ends")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument(
        "--devices",
        default="auto",
        help="a worker each: auto (every GPU, else one on the CPU), cpu,cpu or cuda:0,cuda:1",
    )
    parser.add_argument(
        "--keep-models-gb",
        type=float,
        default=8.0,
        help="models that a worker keeps loaded between jobs (default 8)",
    )
    parser.add_argument("--quota-gb", type=float, default=50.0, help="how much the blobs may take (default 50)")
    parser.add_argument("--hang-seconds", type=float, default=900.0, help="silence after which a job counts as hanging")
    parser.add_argument("--runner", default="holotime.jobs:run_job", help="module:function that runs a job")
    return parser


class Ending:
    """Signals that end a server in order, also while it is still starting."""

    def __init__(self) -> None:
        self._asked = False
        self._broker: Broker | None = None
        for name in ("SIGINT", "SIGTERM", "SIGBREAK"):
            if hasattr(signal, name):
                signal.signal(getattr(signal, name), self._ask)

    def of(self, broker: Broker) -> None:
        """From now on this is what they end."""
        self._broker = broker
        if self._asked:
            broker.stop()

    def _ask(self, number: int, frame: object) -> None:
        self._asked = True
        if self._broker:
            self._broker.stop()


def main(argv: list[str] | None = None) -> int:
    """Serve until stopped. Prints one JSON line, {"connection_file": path, "pid": n}, when clients can come."""
    arguments = parser().parse_args(argv)
    root = (arguments.root or default_root()).expanduser().resolve()
    ending = Ending()
    try:
        private_folder(root)
        slots = tuple(devices.find(arguments.devices))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(CANNOT_WRITE.format(root, error.strerror), file=sys.stderr)
        return 2
    options = Options(
        root=root,
        runner=arguments.runner,
        host=arguments.host,
        devices=slots,
        keep_models=int(arguments.keep_models_gb * 2**30),
        parent_pid=arguments.parent_pid,
        quota_bytes=int(arguments.quota_gb * 2**30),
        patience=Patience(
            beat_seconds=min(Patience.beat_seconds, max(arguments.hang_seconds, 2.5)),
            quiet_seconds=arguments.hang_seconds,
        ),
    )
    try:
        lock = RootLock(root)
    except RootLocked as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(CANNOT_WRITE.format(root, error.strerror), file=sys.stderr)
        return 2
    with lock:
        try:
            _log_to(root)
            broker = Broker(options)
        except (ValueError, ProtocolError) as error:
            print(error, file=sys.stderr)
            return 2
        except (OSError, sqlite3.Error) as error:
            print(CANNOT_WRITE.format(root, error), file=sys.stderr)
            return 2
        try:
            ending.of(broker)
            if arguments.host not in LOOPBACK:
                shown = fingerprint(broker.keys.public)
                print(f"Warning: listening on {arguments.host}. Server key fingerprint: {shown}", file=sys.stderr)
            broker.run(_announce)
        finally:
            broker.close()
    return 0


def _announce(path: Path) -> None:
    print(json.dumps({"connection_file": str(path), "pid": os.getpid()}), flush=True)


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": round(record.created, 3), "level": record.levelname, "where": record.name}
        line["text"] = record.getMessage()
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _log_to(root: Path) -> None:
    """Structured log, 4 files of at most 2 MB."""
    (root / "logs").mkdir(exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(root / "logs" / "server.log", maxBytes=2 << 20, backupCount=3)
    handler.setFormatter(_JsonLines())
    logger = logging.getLogger("sidecar")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
