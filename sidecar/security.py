"""Keys, the doorkeeper that lets in known keys only, and files that only their owner may read."""

import hashlib
import json
import logging
import os
import re
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

import zmq
from zmq.utils import z85

from .protocol import PROOF_FILE, Connection

log = logging.getLogger(__name__)
CLIENTS, WORKERS = "clients", "workers"  # ZAP domains: who may knock where
DEFAULT_CLIENT = "default"
CLIENT_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
PUBLIC_KEY = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
ZAP_ENDPOINT = "inproc://zeromq.zap.01"  # fixed by ZeroMQ RFC 27


@dataclass(frozen=True)
class KeyPair:
    """A CurveZMQ key pair in Z85."""

    public: str
    secret: str = field(repr=False)

    @classmethod
    def new(cls) -> "KeyPair":
        public, secret = zmq.curve_keypair()
        return cls(public.decode(), secret.decode())


def fingerprint(public: str) -> str:
    """A short form of a public key for people to compare."""
    digest = hashlib.sha256(public.encode()).hexdigest()[:16]
    return ":".join(digest[i : i + 4] for i in range(0, 16, 4))


def private_folder(path: Path) -> Path:
    """Make a folder that only its owner may enter. On Windows the user profile's own access list does that."""
    path.mkdir(parents=True, exist_ok=True)
    if os.name == "posix":
        path.chmod(0o700)
    return path


def write_private(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 in one step: it is never there in part, nor readable by others for a moment."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def load_or_make_keys(path: Path) -> KeyPair:
    """The key pair in a file, made at first use."""
    if not path.exists():
        write_private(path, json.dumps(asdict(KeyPair.new())).encode())
    return KeyPair(**json.loads(path.read_text(encoding="utf-8")))


class ClientKeys:
    """The keys of the clients that may come in: a file each in a folder, which may change while the server runs.

    ``default`` is this machine's own and is made at first start; of the others only the public half is here.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = private_folder(folder)
        self.default = load_or_make_keys(folder / f"{DEFAULT_CLIENT}.json")
        self.names: dict[str, str] = {}  # public key -> name
        self._seen: object = None
        self.refresh()

    def refresh(self) -> None:
        """Read the folder again if it has changed."""
        files = sorted(self.folder.glob("*.json"))
        try:
            stamp = [(path.name, path.stat().st_mtime_ns) for path in files]
            if stamp != self._seen:
                self._seen = stamp
                self.names = {json.loads(path.read_text(encoding="utf-8"))["public"]: path.stem for path in files}
        except (OSError, ValueError, TypeError, KeyError) as error:  # a file is just being removed, or is none of ours
            log.warning("a client's key cannot be read: %s", error)

    def add(self, name: str, public: str) -> None:
        """Let a key in. ValueError for a name that is taken or no name, or a key that is none."""
        if not CLIENT_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a client: take 1 to 40 letters, digits, _ or -.")
        path = self.folder / f"{name}.json"
        if path.exists():
            raise ValueError(f"There is a client {name!r} already. Remove it first, or choose another name.")
        if not PUBLIC_KEY.fullmatch(public):
            raise ValueError("That is no public key: it has 40 characters of the Z85 alphabet.")
        write_private(path, json.dumps({"public": public}).encode())
        self.refresh()

    def remove(self, name: str) -> None:
        """Let a key in no more; what it has open is cut off. ValueError when there is no such client."""
        path = self.folder / f"{name}.json"
        if name == DEFAULT_CLIENT:
            raise ValueError("The default key belongs to this machine's connection file. Stop the server to renew it.")
        if not CLIENT_NAME.fullmatch(name) or not path.exists():
            raise ValueError(f"There is no client {name!r}. There are {', '.join(sorted(self.names.values()))}.")
        path.unlink()
        self.refresh()


def make_inbox(folder: Path) -> bytes:
    """An empty inbox with a new proof in it; gives the proof."""
    private_folder(folder)
    for leftover in folder.iterdir():
        if not leftover.is_dir() or leftover.is_symlink():
            leftover.unlink()
    proof = secrets.token_bytes(32)
    write_private(folder / PROOF_FILE, proof)
    return proof


def write_connection_file(path: Path, connection: Connection) -> None:
    """Write what a client needs to come in, for its owner's eyes only."""
    write_private(path, json.dumps(asdict(connection), indent=1).encode())


def secure_server(socket: zmq.Socket, keys: KeyPair, domain: str) -> None:
    """Make a socket a CurveZMQ server whose callers the doorkeeper checks. Before bind."""
    socket.curve_server = True
    socket.curve_publickey = keys.public.encode()
    socket.curve_secretkey = keys.secret.encode()
    socket.zap_domain = domain.encode()


def secure_client(socket: zmq.Socket, keys: KeyPair, server_public: str) -> None:
    """Make a socket a CurveZMQ client. Before connect."""
    socket.curve_publickey = keys.public.encode()
    socket.curve_secretkey = keys.secret.encode()
    socket.curve_serverkey = server_public.encode()


class Doorkeeper:
    """The ZAP handler (RFC 27): for each new connection says whether its key is known at that door."""

    def __init__(self, context: zmq.Context, clients: ClientKeys, worker: str) -> None:
        """``worker``: public key of this server's workers."""
        self._clients, self._worker = clients, worker
        self.refused = 0
        self.socket = context.socket(zmq.REP)
        self.socket.linger = 0
        self.socket.bind(ZAP_ENDPOINT)

    def answer(self) -> None:
        """Answer one waiting request."""
        request = self.socket.recv_multipart()
        version, number, domain = request[:3]
        name = None
        if version == b"1.0" and len(request) == 7 and request[5] == b"CURVE":
            public = z85.encode(request[6]).decode()
            if domain == WORKERS.encode():
                name = "worker" if public == self._worker else None
            elif domain == CLIENTS.encode():
                self._clients.refresh()
                name = self._clients.names.get(public)
        if name is None:
            self.refused += 1
            self.socket.send_multipart([b"1.0", number, b"400", b"unknown key", b"", b""])
        else:
            self.socket.send_multipart([b"1.0", number, b"200", b"", name.encode(), b""])

    def close(self) -> None:
        self.socket.close()
