"""The blob store: files named by the sha256 of what is in them. Used by the broker's and the work channel's threads.

A file counts as whole when its digest was right in this run of the server and its size and time have not changed since;
otherwise it is hashed again before it is used. So a file that a power cut has truncated, or that somebody has changed
through a hard link, is found out and dropped.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from holotime.files import folder_to_disk

from .protocol import CHUNK, ProtocolError, hash_file

SYNC_BYTES = 32 << 20  # of an upload between the beginnings of writing through


@dataclass
class _Blob:
    size: int  # bytes
    used: float  # Unix seconds of last use
    seal: tuple[int, int] | None = None  # (size, mtime_ns) when its digest was last right


class BlobStore:
    """Blobs in ``root``/xx/<sha256>. Thread-safe."""

    def __init__(self, root: Path, used: dict[str, float], *, lasting: bool = True) -> None:
        """``used``: what the journal knows of last uses. ``lasting`` False: nothing has to outlive a power cut."""
        self._root, self._lasting = root, lasting
        self._lock = threading.Lock()
        self._blobs: dict[str, _Blob] = {}
        self._changed: set[str] = set()
        root.mkdir(parents=True, exist_ok=True)
        now = time.time()
        for folder in root.iterdir():
            for entry in os.scandir(folder):
                if len(entry.name) == 64 and entry.is_file(follow_symlinks=False):
                    self._blobs[entry.name] = _Blob(entry.stat().st_size, used.get(entry.name, now))
                else:
                    os.unlink(entry.path)
        self._gone = set(used) - set(self._blobs)

    def path(self, sha256: str) -> Path:
        """Where a blob is or would be."""
        return self._root / sha256[:2] / sha256

    def has(self, sha256: str) -> bool:
        """Whether a blob is here, by its name only."""
        with self._lock:
            return sha256 in self._blobs

    def size(self, sha256: str) -> int:
        """Bytes of a blob that is here."""
        with self._lock:
            return self._blobs[sha256].size

    def check(self, sha256: str) -> bool:
        """Whether a blob is here and whole; hashes it when that is not certain, and drops it when it is not."""
        with self._lock:
            blob = self._blobs.get(sha256)
        if blob is None:
            return False
        path = self.path(sha256)
        try:
            status = os.lstat(path)
            seal = (status.st_size, status.st_mtime_ns)
            whole = stat.S_ISREG(status.st_mode) and (seal == blob.seal or hash_file(path)[0] == sha256)
        except OSError:
            whole = False
        if not whole:
            self.drop(sha256)
            return False
        with self._lock:
            blob.seal, blob.used = seal, time.time()
            self._changed.add(sha256)
        return True

    def take(self, source: Path, sha256: str, *, read_only: bool) -> None:
        """Move a file, whose digest is known to be right, into the store."""
        path = self.path(sha256)
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            if self._lasting:
                folder_to_disk(self._root)
        if read_only:
            os.chmod(source, 0o444)
        try:
            os.replace(source, path)
        except PermissionError:  # Windows does not replace a read-only file; the one that is there is the same
            if not path.exists():
                raise
        # two links of one file: rename does nothing and leaves the source
        with contextlib.suppress(FileNotFoundError):
            _unlink(source)
        if self._lasting:
            folder_to_disk(path.parent)
        status = os.lstat(path)
        with self._lock:
            blob = _Blob(status.st_size, time.time(), (status.st_size, status.st_mtime_ns))
            self._blobs[sha256] = blob
            self._gone.discard(sha256)
            self._changed.add(sha256)

    def adopt(self, inbox: Path, sha256: str, size: int) -> None:
        """Take a file that a client on this machine has put into its inbox under its digest."""
        path = inbox / sha256
        try:
            descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        except OSError as error:
            raise ProtocolError("unknown_blob", f"the inbox has no file {sha256}: {error.strerror}") from None
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(file.fileno())
            right = stat.S_ISREG(status.st_mode) and not path.is_symlink() and status.st_size == size
            right = right and hashlib.file_digest(file, "sha256").hexdigest() == sha256
        if not right:
            _unlink(path)
            raise ProtocolError("digest", f"the inbox's file {sha256} has another content, or is no plain file")
        # a file that is only ours is made read-only; of a shared one that would change the artist's own
        self.take(path, sha256, read_only=status.st_nlink == 1)

    def read(self, sha256: str, offset: int) -> tuple[bytes, int]:
        """(up to CHUNK bytes from ``offset``, size of the whole)."""
        with open(self.path(sha256), "rb") as file:
            file.seek(offset)
            return file.read(CHUNK), os.fstat(file.fileno()).st_size

    def drop(self, sha256: str) -> int:
        """Remove a blob; gives the bytes that its name held."""
        with self._lock:
            blob = self._blobs.pop(sha256, None)
            self._changed.discard(sha256)
            self._gone.add(sha256)
        with contextlib.suppress(FileNotFoundError):
            _unlink(self.path(sha256))
        return blob.size if blob else 0

    def total(self) -> int:
        """Bytes of all blobs."""
        with self._lock:
            return sum(blob.size for blob in self._blobs.values())

    def prune(self, keep_bytes: int, needed: set[str]) -> tuple[int, int]:
        """Remove blobs that are not ``needed``, least recently used first, down to ``keep_bytes``: (blobs, bytes)."""
        with self._lock:
            oldest = sorted((blob.used, sha) for sha, blob in self._blobs.items() if sha not in needed)
        total, count, freed = self.total(), 0, 0
        for _, sha in oldest:
            if total - freed <= keep_bytes:
                break
            freed += self.drop(sha)
            count += 1
        return count, freed

    def changes(self) -> tuple[dict[str, tuple[int, float]], set[str]]:
        """What the journal should record since the last call: (sha256 -> size, last use; those that are gone)."""
        with self._lock:
            used = {sha: (self._blobs[sha].size, self._blobs[sha].used) for sha in self._changed if sha in self._blobs}
            gone, self._gone, self._changed = self._gone, set(), set()
        return used, gone


@dataclass
class Upload:
    """A blob that is coming in, in order; what is on the disk survives, so that it can go on later."""

    sha256: str
    size: int
    path: Path
    offset: int = 0

    def __post_init__(self) -> None:
        self._digest = hashlib.sha256()
        self._synced = 0  # bytes that are on their way to the disk
        self._syncing: threading.Thread | None = None
        self._sync_error: OSError | None = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(self.path, "ab+")  # noqa: SIM115 closed in finish, discard or suspend
        self._file.seek(0)
        while block := self._file.read(CHUNK):
            self._digest.update(block)
            self.offset += len(block)
        if self.offset > self.size:
            self._file.truncate(0)
            self._digest, self.offset = hashlib.sha256(), 0
        free = shutil.disk_usage(self.path.parent).free
        if free < self.size - self.offset:
            self.suspend()
            raise OSError(errno.ENOSPC, f"{self.size} bytes are to come but {free} are free")

    def append(self, data: bytes) -> bool:
        """Take the next bytes; True when all are here. OSError (disk full) leaves what was there before."""
        try:
            self._file.write(data)
            self._file.flush()
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(self.offset)
            raise
        self._digest.update(data)
        self.offset += len(data)
        if self.offset - self._synced >= SYNC_BYTES:
            self._synced = self.offset
            self._sync_soon()
        return self.offset == self.size

    def _sync_soon(self) -> None:
        """Begin to write through to the disk, so that the wait at the end is short."""
        if self._syncing is not None and self._syncing.is_alive():
            return
        descriptor = os.dup(self._file.fileno())

        def sync() -> None:
            try:
                os.fsync(descriptor)
            except OSError as error:  # the system tells it once only, so it must not be forgotten
                self._sync_error = error
            finally:
                os.close(descriptor)

        self._syncing = threading.Thread(target=sync, name="sync", daemon=True)
        self._syncing.start()

    def finish(self, store: BlobStore) -> None:
        """Check the digest and move the file into the store."""
        if self._digest.hexdigest() != self.sha256:
            self.discard()
            raise ProtocolError("digest", f"what came is not {self.sha256}; it was thrown away")
        if self._syncing:
            self._syncing.join()
        if self._sync_error:
            self.discard()
            raise self._sync_error
        os.fsync(self._file.fileno())
        self._file.close()
        store.take(self.path, self.sha256, read_only=True)

    def suspend(self) -> None:
        """Close the file; the upload can be taken up again."""
        with contextlib.suppress(OSError):
            self._file.close()

    def discard(self) -> None:
        """Close and remove the file."""
        self.suspend()
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def prune_cache(folder: Path, keep_bytes: int, unused_since: float) -> int:
    """Remove stage results that were not used since then (Unix seconds), least recently used first.

    Down to ``keep_bytes``; gives the bytes freed.
    """
    entries = []
    for entry in folder.iterdir():
        files = [entry, *entry.rglob("*")]
        entries.append((entry.stat().st_mtime, sum(f.lstat().st_size for f in files if f.is_file()), entry))
    total, freed = sum(size for _, size, _ in entries), 0
    for used, size, entry in sorted(entries):
        if total - freed <= keep_bytes or used >= unused_since:
            break
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            _unlink(entry)
        freed += size
    return freed


def _unlink(path: Path) -> None:
    try:
        os.unlink(path)
    except PermissionError:  # Windows: read-only
        os.chmod(path, 0o600)
        os.unlink(path)
