"""Keeps the rows of the job list (see properties.queue) and the jobs' thumbnails as the client knows them."""

from pathlib import Path

import bpy

from . import client

_thumbnails = None  # a preview collection
_shown: dict[str, tuple[int, int]] = {}  # job id -> (number of the preview, its icon)


def sync() -> None:
    """Make the rows those of the client's jobs, newest first; the chosen row stays the same job."""
    queue = bpy.context.window_manager.holotime
    wanted = list(reversed(client.jobs))
    if [item.name for item in queue.items] == wanted:
        return
    chosen = queue.items[queue.index].name if 0 <= queue.index < len(queue.items) else ""
    newer = bool(wanted) and bool(queue.items) and wanted[0] != queue.items[0].name
    queue.items.clear()
    for job in wanted:
        item = queue.items.add()
        item.name, item.title = job, title(client.jobs[job])
    queue.index = 0 if newer or chosen not in wanted else wanted.index(chosen)


def chosen() -> client.Job | None:
    """The job of the chosen row."""
    queue = bpy.context.window_manager.holotime
    if 0 <= queue.index < len(queue.items):
        return client.jobs.get(queue.items[queue.index].name)
    return None


def title(job: client.Job) -> str:
    """What a job is called in the list."""
    kind = {"generate": "World", "render": "Video"}.get(job.kind, job.kind.capitalize() or "Job")
    return client.ledger.get(job.id).title or f"{kind} {job.id[:6]}"


def unused_title(wanted: str) -> str:
    """``wanted``, with a number behind it when a job of the list has that name."""
    taken = {title(job) for job in client.jobs.values()}
    count = 1
    while (name := wanted if count == 1 else f"{wanted} {count}") in taken:
        count += 1
    return name


def thumbnail(job: client.Job) -> int:
    """The icon of the latest picture that a job has shown; 0 while it has shown none."""
    global _thumbnails
    if not job.preview:
        return 0
    known = _shown.get(job.id)
    if known and known[0] == job.previews:
        return known[1]
    if _thumbnails is None:
        from bpy.utils import previews

        _thumbnails = previews.new()
    path = Path(bpy.app.tempdir) / f"holotime_{job.id[:12]}_{job.previews % 2}.jpg"
    try:
        path.write_bytes(job.preview)
    except OSError:
        return known[1] if known else 0
    key = f"{job.id}:{job.previews}"
    loaded = _thumbnails.load(key, str(path), "IMAGE")
    icon = loaded.icon_id
    if not loaded.image_size[0]:  # asking has it read now: read later, it would be a turning wheel in the meantime
        return known[1] if known else 0
    _shown[job.id] = (job.previews, icon)
    return icon


def forget() -> None:
    """Free the thumbnails."""
    global _thumbnails
    if _thumbnails is not None:
        from bpy.utils import previews

        previews.remove(_thumbnails)
    _thumbnails = None
    _shown.clear()
