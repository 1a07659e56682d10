"""``python -m sidecar serve|status|jobs|cancel|pause|resume|prune|metrics|forecast|keys|shutdown``."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from . import keys, server
from .protocol import JOB_KINDS, GetForecast, ProtocolError


def main(argv: list[str] | None = None) -> int:
    """Entry point; gives the exit code: 0 done, 1 refused by the server, 2 wrong use or no server."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["serve"]:
        return server.main(arguments[1:])
    parser = argparse.ArgumentParser(prog="sidecar", description="Look after a sidecar.")
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--root", type=Path, default=None, help="the server's folder")
    commands.add_parser("serve", help="start a server (serve --help says more)")
    commands.add_parser("status", parents=[common], help="how the server is")
    jobs = commands.add_parser("jobs", parents=[common], help="list jobs, newest first")
    jobs.add_argument("statuses", nargs="*", help="only these statuses")
    cancel = commands.add_parser("cancel", parents=[common], help="stop a job")
    cancel.add_argument("job")
    commands.add_parser("pause", parents=[common], help="begin no more jobs")
    commands.add_parser("resume", parents=[common], help="begin jobs again")
    prune = commands.add_parser("prune", parents=[common], help="remove blobs that no waiting job needs")
    prune.add_argument("--keep-gb", type=float, default=0.0, help="how much may stay (least recently used goes first)")
    commands.add_parser("metrics", parents=[common], help="counters and stage times")
    forecast = commands.add_parser("forecast", parents=[common], help="time and memory that a job would take")
    forecast.add_argument("kind", choices=JOB_KINDS)
    forecast.add_argument("--params", type=json.loads, default={}, help="the job's settings as JSON")
    keys.add_parser(commands, common)
    commands.add_parser("shutdown", parents=[common], help="end the server")
    options = parser.parse_args(arguments)

    from .client import Client, Refused

    root = (options.root or server.default_root()).expanduser().resolve()
    try:
        if options.command == "keys":
            print(*(json.dumps(line) for line in keys.run(options, root)), sep="\n")
            return 0
        with Client(root / "connection.json", timeout=5.0) as client:
            for line in _run(client, options):
                print(json.dumps(line))
    except Refused as error:
        print(error, file=sys.stderr)
        return 1
    except (ProtocolError, TimeoutError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(client: Any, options: argparse.Namespace) -> list[Any]:
    """Do the command; gives what to print, a JSON value a line."""
    if options.command == "status":
        return [dataclasses.asdict(client.status())]
    if options.command == "jobs":
        return [dataclasses.asdict(info) for info in client.jobs(*options.statuses)]
    if options.command == "cancel":
        return [dataclasses.asdict(client.cancel(options.job))]
    if options.command == "metrics":
        return [client.metrics()]
    if options.command == "forecast":
        return [dataclasses.asdict(client.ask(GetForecast(job_kind=options.kind, params=options.params)))]
    if options.command == "prune":
        pruned = client.prune(int(options.keep_gb * 2**30))
        return [{"blobs": pruned.blobs, "freed_bytes": pruned.freed_bytes}]
    if options.command == "shutdown":
        client.shutdown()
    else:
        client.pause(options.command == "pause")
    return []


if __name__ == "__main__":
    sys.exit(main())
