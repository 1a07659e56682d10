"""Operators of the job list: cancel, retry, change the turn, open the report, clear."""

from pathlib import Path

import bpy
from bpy.props import BoolProperty, StringProperty

from .. import client, job_list, results, storage
from ..client import turns
from .jobs import NOT_CONNECTED

JOB = {"name": "Job", "description": "Id of the job; empty: the one chosen in the list", "options": {"SKIP_SAVE"}}


class _JobOperator:
    """An operator that works on one job."""

    bl_options = {"REGISTER"}

    def find(self) -> client.Job | None:
        """The job that is meant; reports when there is none."""
        job = client.jobs.get(self.job) if self.job else job_list.chosen() or client.jobs.get(client.latest_job)
        if job is None:
            self.report({"ERROR"}, f"There is no job '{self.job}'." if self.job else "There is no job in the list.")
        return job


class HOLOTIME_OT_cancel_job(_JobOperator, bpy.types.Operator):
    """Stop a job"""

    bl_idname = "holotime.cancel_job"
    bl_label = "Cancel Job"

    job: StringProperty(**JOB)

    @classmethod
    def poll(cls, context):
        """Only while something runs."""
        if not client.connected():
            cls.poll_message_set(NOT_CONNECTED)
            return False
        cls.poll_message_set("No job is running")
        return any(not job.done for job in client.jobs.values())

    def execute(self, context):
        """Ask the sidecar to stop it."""
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        client.cancel(job.id)
        return {"FINISHED"}


class HOLOTIME_OT_retry_job(_JobOperator, bpy.types.Operator):
    """Send a job again with the same settings; finished stages are not done twice"""

    bl_idname = "holotime.retry_job"
    bl_label = "Retry Job"

    job: StringProperty(**JOB)

    @classmethod
    def poll(cls, context):
        """Only with a sidecar."""
        cls.poll_message_set(NOT_CONNECTED)
        return client.connected()

    def execute(self, context):
        """Send it under a new id."""
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        try:
            turns.send_again(job, results.on_success_of)
        except client.ClientError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        job_list.sync()
        return {"FINISHED"}


class HOLOTIME_OT_move_job(_JobOperator, bpy.types.Operator):
    """Let a waiting job run before all others that wait, or after them"""

    bl_idname = "holotime.move_job"
    bl_label = "Move Job"

    job: StringProperty(**JOB)
    first: BoolProperty(name="First", description="Before all others; otherwise after them", default=True)

    @classmethod
    def poll(cls, context):
        """Only while jobs wait."""
        cls.poll_message_set("No job is waiting for its turn")
        return client.connected() and bool(turns.waiting())

    def execute(self, context):
        """Send it anew with another priority."""
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        try:
            moved = turns.move(job, self.first, results.on_success_of)
        except client.ClientError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        job_list.sync()
        rows = bpy.context.window_manager.holotime
        rows.index = next((i for i, item in enumerate(rows.items) if item.name == moved.id), 0)
        return {"FINISHED"}


class HOLOTIME_OT_open_report(_JobOperator, bpy.types.Operator):
    """Open the job's quality report in the web browser"""

    bl_idname = "holotime.open_report"
    bl_label = "Open Report"

    job: StringProperty(**JOB)
    directory: StringProperty(
        name="Folder", description="Where the report goes; empty: where the job's other results are",
        subtype="DIR_PATH", options={"SKIP_SAVE"},
    )  # fmt: skip

    @classmethod
    def poll(cls, context):
        """Only with a sidecar to fetch from."""
        cls.poll_message_set(NOT_CONNECTED)
        return client.connected()

    def execute(self, context):
        """Fetch the report and its pictures, then open it."""
        job = self.find()
        if job is None:
            return {"CANCELLED"}
        names = [name for name in job.results if name.startswith("report")]
        if results.REPORT not in names:
            self.report({"ERROR"}, "This job has no report. Only finished worlds have one.")
            return {"CANCELLED"}
        try:
            folder = Path(self.directory) if self.directory else storage.results_folder(job.id)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.report({"ERROR"}, f"The report cannot be written ({error.strerror}: {error.filename}).")
            return {"CANCELLED"}
        results.fetch_all(job, names, folder, _show)
        return {"FINISHED"}


def _show(paths: dict[str, Path], problem: str) -> None:
    results.last_error = problem
    if not problem and not bpy.app.background:
        import webbrowser

        webbrowser.open(paths[results.REPORT].as_uri())


class HOLOTIME_OT_forget_finished(bpy.types.Operator):
    """Take finished jobs off the list; their results stay where they are"""

    bl_idname = "holotime.forget_finished"
    bl_label = "Clear Finished"
    bl_options = {"REGISTER"}

    def execute(self, context):
        """Forget them here; the sidecar keeps its journal."""
        for job in [job.id for job in client.jobs.values() if job.done]:
            client.forget(job)
        job_list.sync()
        return {"FINISHED"}


CLASSES = (
    HOLOTIME_OT_cancel_job,
    HOLOTIME_OT_retry_job,
    HOLOTIME_OT_move_job,
    HOLOTIME_OT_open_report,
    HOLOTIME_OT_forget_finished,
)
