"""The journal: jobs, attempts, stages, events, results and blobs, in SQLite. One writer: the broker's thread.

Write-ahead logging with synchronous=FULL: what a client was told survives a kill and a power cut.
"""

import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .orders import StageUse
from .protocol import BlobRef, JobInfo

SCHEMA_VERSION = 2
HISTORY = 400  # stages that forecasts learn from: the last 50 jobs or so
_SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY,
    job TEXT NOT NULL UNIQUE,
    client TEXT NOT NULL,
    job_kind TEXT NOT NULL,
    params TEXT NOT NULL,
    inputs TEXT NOT NULL,
    priority INTEGER NOT NULL,
    status TEXT NOT NULL,
    created REAL NOT NULL,
    started REAL NOT NULL DEFAULT 0,
    finished REAL NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    deaths INTEGER NOT NULL DEFAULT 0,
    stage TEXT NOT NULL DEFAULT '',
    fraction REAL NOT NULL DEFAULT 0,
    note TEXT NOT NULL DEFAULT '',
    error_class TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    log_tail TEXT NOT NULL DEFAULT '',
    memory TEXT NOT NULL DEFAULT 'auto',
    device TEXT NOT NULL DEFAULT ''
);
CREATE INDEX jobs_by_turn ON jobs (status, priority DESC, number);
CREATE INDEX jobs_by_client ON jobs (client, status);
CREATE TABLE results (
    job TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (job, name)
);
CREATE TABLE attempts (
    job TEXT NOT NULL, number INTEGER NOT NULL, pid INTEGER NOT NULL, began REAL NOT NULL,
    ended REAL NOT NULL DEFAULT 0, outcome TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (job, number)
);
CREATE TABLE stages (
    job TEXT NOT NULL, job_kind TEXT NOT NULL, stage TEXT NOT NULL, seconds REAL NOT NULL,
    work REAL NOT NULL DEFAULT 0, memory INTEGER NOT NULL DEFAULT 0, gpu_memory INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX stages_by_kind ON stages (job_kind);
CREATE TABLE events (number INTEGER PRIMARY KEY, time REAL NOT NULL, job TEXT NOT NULL, text TEXT NOT NULL);
CREATE INDEX events_by_job ON events (job);
CREATE TABLE blobs (sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, used REAL NOT NULL);
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_FROM_1 = """
ALTER TABLE jobs ADD COLUMN memory TEXT NOT NULL DEFAULT 'auto';
ALTER TABLE jobs ADD COLUMN device TEXT NOT NULL DEFAULT '';
ALTER TABLE stages ADD COLUMN work REAL NOT NULL DEFAULT 0;
ALTER TABLE stages ADD COLUMN memory INTEGER NOT NULL DEFAULT 0;
ALTER TABLE stages ADD COLUMN gpu_memory INTEGER NOT NULL DEFAULT 0;
CREATE INDEX stages_by_kind ON stages (job_kind);
CREATE INDEX events_by_job ON events (job);
CREATE INDEX jobs_by_client ON jobs (client, status);
"""
_COLUMNS = (
    "job, job_kind, status, priority, created, started, finished, attempts, stage, fraction, note, error_class, error,"
    " memory, device, log_tail"
)


class Journal:
    """All durable state except the blobs' bytes. Every method is one transaction."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=5.0)
        self._counts: dict[str, int] = {}
        self._counted = -1  # changes to the database when the jobs were counted
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._db.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif version == 1:
            self._db.executescript(f"BEGIN; {_FROM_1} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            self._db.close()
            raise ValueError(f"{path} was written by another version ({version}): use another --root")

    def close(self) -> None:
        self._db.close()

    # jobs

    def add(self, job: str, client: str, job_kind: str, params: dict, inputs: dict[str, str], priority: int) -> None:
        """Put a new job into the queue."""
        with self._db:
            self._db.execute(
                "INSERT INTO jobs (job, client, job_kind, params, inputs, priority, status, created)"
                " VALUES (?, ?, ?, ?, ?, ?, 'queued', ?)",
                (job, client, job_kind, _dump(params), _dump(inputs), priority, time.time()),
            )
            self._note(job, "queued")

    def same(self, job: str, job_kind: str, params: dict, inputs: dict[str, str]) -> bool:
        """Whether the job of this id has this content."""
        row = self._db.execute("SELECT job_kind, params, inputs FROM jobs WHERE job = ?", (job,)).fetchone()
        return row == (job_kind, _dump(params), _dump(inputs))

    def info(self, job: str) -> JobInfo | None:
        """A job with its results and its log's tail."""
        row = self._db.execute(f"SELECT {_COLUMNS} FROM jobs WHERE job = ?", (job,)).fetchone()
        return self._info(row) if row else None

    def page(self, statuses: Iterable[str], offset: int, count: int) -> tuple[list[JobInfo], int]:
        """(jobs of these statuses, newest first, without log tails; how many there are)."""
        wanted = list(statuses)
        where = f"WHERE status IN ({','.join('?' * len(wanted))})" if wanted else ""
        total = self._db.execute(f"SELECT count(*) FROM jobs {where}", wanted).fetchone()[0]
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM jobs {where} ORDER BY number DESC LIMIT ? OFFSET ?", [*wanted, count, offset]
        ).fetchall()
        return [self._info((*row[:-1], "")) for row in rows], total

    def counts(self) -> dict[str, int]:
        """Number of jobs by status. Counted again only after a change: with a long queue that takes a millisecond."""
        changes = self._db.total_changes
        if changes != self._counted:
            self._counted = changes
            self._counts = dict(self._db.execute("SELECT status, count(*) FROM jobs GROUP BY status"))
        return dict(self._counts)

    def unfinished_of(self, client: str) -> int:
        """How many jobs of this client are queued or running."""
        query = "SELECT count(*) FROM jobs WHERE status IN ('queued', 'running') AND client = ?"
        return self._db.execute(query, (client,)).fetchone()[0]

    def next_queued(self) -> str | None:
        """The job whose turn it is: highest priority, then oldest."""
        query = "SELECT job FROM jobs WHERE status = 'queued' ORDER BY priority DESC, number LIMIT 1"
        row = self._db.execute(query).fetchone()
        return row[0] if row else None

    def task(self, job: str) -> tuple[str, dict, dict[str, str]]:
        """(kind, params, inputs) of a job that is in the journal."""
        kind, params, inputs = self._db.execute(
            "SELECT job_kind, params, inputs FROM jobs WHERE job = ?", (job,)
        ).fetchone()
        return kind, json.loads(params), json.loads(inputs)

    def begin(self, job: str, pid: int, device: str = "") -> int:
        """A worker begins the job; gives the number of the attempt."""
        now = time.time()
        with self._db:
            self._db.execute(
                "UPDATE jobs SET status = 'running', started = ?, finished = 0, attempts = attempts + 1,"
                " stage = '', fraction = 0, note = '', device = ? WHERE job = ?",
                (now, device, job),
            )
            number = self._db.execute("SELECT attempts FROM jobs WHERE job = ?", (job,)).fetchone()[0]
            self._db.execute(
                "INSERT INTO attempts (job, number, pid, began) VALUES (?, ?, ?, ?)", (job, number, pid, now)
            )
            self._note(job, f"running, attempt {number}")
        return number

    def requeue(self, job: str, outcome: str, *, died: bool = False, memory: str = "") -> int:
        """The job goes back to its place in the queue, if need be under another memory plan.

        Gives how often a worker has died under it.
        """
        with self._db:
            self._end_attempt(job, outcome)
            if memory:
                self._db.execute("UPDATE jobs SET memory = ? WHERE job = ?", (memory, job))
            self._db.execute(
                "UPDATE jobs SET status = 'queued', finished = 0, deaths = deaths + ?, stage = '', fraction = 0,"
                " note = ?, error_class = '', error = '', log_tail = '' WHERE job = ?",
                (int(died), outcome[:200], job),
            )
            self._note(job, f"queued again: {outcome}")
        return self.deaths(job)

    def deaths(self, job: str) -> int:
        """How often a worker has died under this job."""
        return self._db.execute("SELECT deaths FROM jobs WHERE job = ?", (job,)).fetchone()[0]

    def renew(self, job: str, why: str) -> None:
        """Make a finished job again, under the same id, from the start."""
        with self._db:
            self._db.execute("DELETE FROM results WHERE job = ?", (job,))
            self._db.execute("UPDATE jobs SET deaths = 0, memory = 'auto' WHERE job = ?", (job,))
        self.requeue(job, why)

    def stage(self, job: str, stage: str, fraction: float, note: str) -> None:
        """Remember which stage a running job is in."""
        with self._db:
            self._db.execute(
                "UPDATE jobs SET stage = ?, fraction = ?, note = ? WHERE job = ?", (stage, fraction, note, job)
            )
            self._note(job, f"stage {stage}")

    def succeed(self, job: str, results: dict[str, BlobRef], stages: dict[str, StageUse], work: float = 0.0) -> None:
        """The job has ended well; all of its results appear at once. ``work``: how much it was, for forecasts."""
        with self._db:
            self._db.executemany(
                "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?)",
                [(job, name, ref.sha256, ref.size, ref.file) for name, ref in results.items()],
            )
            kind = self._db.execute("SELECT job_kind FROM jobs WHERE job = ?", (job,)).fetchone()[0]
            self._db.executemany(
                "INSERT INTO stages VALUES (?, ?, ?, ?, ?, ?, ?)",
                [(job, kind, name, s.seconds, work, s.memory, s.gpu_memory) for name, s in stages.items()],
            )
            self._finish(job, "succeeded", "", "", "")

    def fail(self, job: str, error_class: str, error: str, log_tail: str) -> None:
        """The job has failed for good."""
        with self._db:
            self._finish(job, "failed", error_class[:100], error[:2000], log_tail[-8000:])

    def cancel(self, job: str) -> None:
        """The job was stopped on request."""
        with self._db:
            self._finish(job, "cancelled", "", "", "")

    def recover(self) -> list[str]:
        """At start: jobs that were running when the last server died go back to the queue. Gives their ids."""
        jobs = [row[0] for row in self._db.execute("SELECT job FROM jobs WHERE status = 'running'").fetchall()]
        for job in jobs:
            self.requeue(job, "the server ended")
        return jobs

    # history

    def history(self, job_kind: str, last: int = HISTORY) -> list[tuple[str, dict, str, float, StageUse]]:
        """(job, parameters, stage, work, use) of the stages that the last jobs of a kind went through, newest first.

        Stages that were read from the cache are not among them.
        """
        rows = self._db.execute(
            "SELECT s.job, j.params, s.stage, work, seconds, s.memory, gpu_memory FROM stages AS s"
            " LEFT JOIN jobs AS j ON j.job = s.job WHERE s.job_kind = ? ORDER BY s.rowid DESC LIMIT ?",
            (job_kind, last),
        )
        return [
            (job, json.loads(params or "{}"), stage, work, StageUse(seconds=seconds, memory=memory, gpu_memory=gpu))
            for job, params, stage, work, seconds, memory, gpu in rows
        ]

    def stage_totals(self) -> dict[str, dict[str, dict[str, float]]]:
        """For metrics: kind -> stage -> how often, mean seconds, largest memory in bytes."""
        totals: dict[str, dict[str, dict[str, float]]] = {}
        rows = self._db.execute(
            "SELECT job_kind, stage, count(*), avg(seconds), max(memory), max(gpu_memory) FROM stages GROUP BY 1, 2"
        )
        for kind, stage, count, seconds, memory, gpu in rows:
            totals.setdefault(kind, {})[stage] = {
                "count": count, "mean_seconds": seconds, "memory": memory, "gpu_memory": gpu,
            }  # fmt: skip
        return totals

    def forget(self, keep: int) -> list[str]:
        """Remove all finished jobs but the newest ``keep``, and old history; gives their ids.

        By number and not by time: a clock that has jumped must not cost anybody a job.
        """
        query = "SELECT job FROM jobs WHERE status IN ('succeeded', 'failed', 'cancelled') ORDER BY number DESC"
        jobs = [row[0] for row in self._db.execute(f"{query} LIMIT -1 OFFSET ?", (keep,))]
        with self._db:
            for table in ("jobs", "results", "attempts", "events"):
                self._db.executemany(f"DELETE FROM {table} WHERE job = ?", [(job,) for job in jobs])
            self._db.execute("DELETE FROM stages WHERE rowid <= (SELECT max(rowid) FROM stages) - ?", (50 * HISTORY,))
        return jobs

    # blobs and settings

    def blobs(self) -> dict[str, float]:
        """sha256 -> when it was last used, Unix seconds."""
        return dict(self._db.execute("SELECT sha256, used FROM blobs"))

    def note_blobs(self, used: dict[str, tuple[int, float]], gone: Iterable[str] = ()) -> None:
        """Record blobs (sha256 -> size, last use) and forget those that are gone."""
        with self._db:
            self._db.executemany("DELETE FROM blobs WHERE sha256 = ?", [(sha,) for sha in gone])
            self._db.executemany(
                "INSERT OR REPLACE INTO blobs VALUES (?, ?, ?)",
                [(sha, size, when) for sha, (size, when) in used.items()],
            )

    def result_blobs(self) -> set[str]:
        """Blobs that are results of some job."""
        return {row[0] for row in self._db.execute("SELECT DISTINCT sha256 FROM results")}

    def needed_blobs(self) -> set[str]:
        """Blobs that an unfinished job takes as inputs: never to be pruned."""
        return _needed(self._db)

    def get_meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def set_meta(self, name: str, value: str) -> None:
        with self._db:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    # inside a transaction

    def _note(self, job: str, text: str) -> None:
        self._db.execute("INSERT INTO events (time, job, text) VALUES (?, ?, ?)", (time.time(), job, text))

    def _end_attempt(self, job: str, outcome: str) -> None:
        self._db.execute(
            "UPDATE attempts SET ended = ?, outcome = ? WHERE job = ? AND ended = 0", (time.time(), outcome, job)
        )

    def _finish(self, job: str, status: str, error_class: str, error: str, log_tail: str) -> None:
        self._end_attempt(job, status)
        done = ", stage = 'done', fraction = 1, note = ''" if status == "succeeded" else ""
        self._db.execute(
            f"UPDATE jobs SET status = ?, finished = ?, error_class = ?, error = ?, log_tail = ?{done} WHERE job = ?",
            (status, time.time(), error_class, error, log_tail, job),
        )
        self._note(job, f"{status} {error_class}".strip())

    def _info(self, row: tuple[Any, ...]) -> JobInfo:
        results = self._db.execute("SELECT name, sha256, size, file FROM results WHERE job = ?", (row[0],))
        refs = {name: BlobRef(sha256=sha, size=size, file=file) for name, sha, size, file in results}
        return JobInfo(**dict(zip(_COLUMNS.split(", "), row, strict=True)), results=refs)


def read_needed_blobs(path: Path) -> set[str]:
    """The same as Journal.needed_blobs for another thread: WAL lets it read beside the writer."""
    reader = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        return _needed(reader)
    finally:
        reader.close()


def _needed(db: sqlite3.Connection) -> set[str]:
    rows = db.execute("SELECT DISTINCT inputs FROM jobs WHERE status IN ('queued', 'running')")
    return {sha for (inputs,) in rows for sha in json.loads(inputs).values()}


def _dump(value: dict) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
