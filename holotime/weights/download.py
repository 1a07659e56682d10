"""Downloading one large file: resumable, with progress, checked, and visible under its name only when complete."""

import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from holotime.errors import BackendUnavailable, InputError
from holotime.progress import Progress, no_progress

BLOCK = 1 << 20


def resolve(url: str) -> str:
    """The address behind ``hub:owner/repository/file``; any other address is returned as it is."""
    if not url.startswith("hub:"):
        return url
    owner, repository, file = url.removeprefix("hub:").split("/", 2)
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{endpoint}/{owner}/{repository}/resolve/main/{file}"


def download(url: str, target: Path, sha256: str | None = None, progress: Progress = no_progress) -> str:
    """Fetch ``url`` into ``target`` and return its sha256. An earlier ``.part`` file is continued.

    Raises InputError when the checksum is wrong (the file is deleted), BackendUnavailable when the source cannot be
    reached or the connection broke (what has come is kept for the next try).
    """
    partial = target.with_name(f"{target.name}.part")
    done = partial.stat().st_size if partial.exists() else 0
    address = resolve(url)
    request = urllib.request.Request(address, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            if done and response.status != 206:  # the server cannot continue: begin anew
                done = 0
            total = done + int(response.headers.get("Content-Length") or 0)
            with partial.open("ab" if done else "wb") as out:
                while block := response.read(BLOCK):
                    out.write(block)
                    done += len(block)
                    progress(done / total if total > done else 0.99, f"{target.name}: {done / 1e9:.2f} GB")
    except urllib.error.HTTPError as error:
        if error.code != 416:  # everything had come already, only the renaming was missing
            raise _unreachable(address, target, str(error)) from error
        total = done
    except (OSError, urllib.error.URLError) as error:
        raise _unreachable(address, target, str(error)) from error
    if total and done < total:
        raise _unreachable(address, target, f"the connection ended after {done} of {total} bytes")
    digest = hashlib.sha256()
    with partial.open("rb") as f:
        while block := f.read(1 << 24):
            digest.update(block)
    if sha256 and digest.hexdigest() != sha256:
        partial.unlink()
        raise InputError(
            f"What came from {address} is not the expected file: sha256 {digest.hexdigest()}, not {sha256}. "
            "It was deleted; try again, or get the file from its publisher by hand."
        )
    partial.replace(target)
    progress(1.0, f"{target.name}: complete")
    return digest.hexdigest()


def _unreachable(address: str, target: Path, reason: str) -> BackendUnavailable:
    return BackendUnavailable(
        f"{address} could not be fetched ({reason}). Try again (it goes on where it stopped), or on another machine "
        f"download it and put it here: {target}"
    )
