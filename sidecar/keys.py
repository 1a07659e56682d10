"""``python -m sidecar keys add|list|remove``: who may come in. Works on the server's folder; the server notices."""

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from .protocol import Connection
from .security import ClientKeys, KeyPair, fingerprint, write_connection_file

ANYWHERE = ("0.0.0.0", "::", "*")  # addresses that a server listens on but nobody can connect to


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add ``keys`` to the commands of ``python -m sidecar``."""
    parser = commands.add_parser("keys", help="let clients in, list them, or shut them out")
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", parents=[common], help="let a client in")
    add.add_argument("name", help="what to call it")
    add.add_argument("--output", type=Path, help="the connection file to write for it, with a new secret key")
    add.add_argument("--public", help="the client's own public key, instead of a new one")
    add.add_argument("--host", help="how the client reaches this machine, when it is not the address listened on")
    actions.add_parser("list", parents=[common], help="names and fingerprints")
    remove = actions.add_parser("remove", parents=[common], help="shut a client out, also where it is connected now")
    remove.add_argument("name")


def run(options: argparse.Namespace, root: Path) -> list[dict[str, str]]:
    """Do it; gives what to print. ValueError says what is wrong with the request."""
    if not (root / "keys").is_dir():
        raise ValueError(f"{root} is no sidecar's folder. Start the server once, or give its --root.")
    clients = ClientKeys(root / "keys" / "clients")
    if options.action == "list":
        named = sorted((name, public) for public, name in clients.names.items())
        return [{"name": name, "fingerprint": fingerprint(public)} for name, public in named]
    if options.action == "remove":
        clients.remove(options.name)
        return [{"removed": options.name}]
    if bool(options.output) == bool(options.public):
        raise ValueError("Give either --output (a connection file with a new key) or --public (the client's own key).")
    if options.public:
        clients.add(options.name, options.public)
        return [{"added": options.name, "fingerprint": fingerprint(options.public)}]
    keys = KeyPair.new()
    connection = _for_client(Connection.read(root / "connection.json"), keys, options.host)
    clients.add(options.name, keys.public)
    try:
        write_connection_file(options.output, connection)
    except OSError:
        clients.remove(options.name)
        raise
    return [{"added": options.name, "fingerprint": fingerprint(keys.public), "connection_file": str(options.output)}]


def _for_client(own: Connection, keys: KeyPair, host: str | None) -> Connection:
    addresses = {}
    for channel, address in own.addresses.items():
        listened, _, port = address.removeprefix("tcp://").rpartition(":")
        if host is None and listened.strip("[]") in ANYWHERE:
            raise ValueError(f"The server listens on {listened}; say with --host how the client reaches this machine.")
        if listened in ("127.0.0.1", "[::1]") and host not in (None, "127.0.0.1", "localhost"):
            print(
                f"Warning: the server listens on {listened} only, so {host} works through a tunnel or a restart with "
                "serve --host.",
                file=sys.stderr,
            )
        addresses[channel] = f"tcp://{host or listened}:{port}"
    return dataclasses.replace(own, addresses=addresses, client_public=keys.public, client_secret=keys.secret)
