"""Generate: the sidecar, the forecast, the button, the job list."""

import bpy

from .. import client, job_list, results
from ..client import forecast
from ..operators.jobs import generate_params, why_not
from .common import Panel, column, duration, lines, memory, under_way, written

STAGES = {  # as the sidecar names them -> as an artist reads them
    "starting": "Starting",
    "panorama": "Panorama",
    "perceive": "Finding distance",
    "animate": "Animating",
    "enhance": "Enhancing",
    "export": "Writing",
    "track": "Following what moves",
    "reconstruct": "Building the world",
    "report": "Writing the report",
    "render": "Rendering",
}
ICONS = {"succeeded": "CHECKMARK", "failed": "ERROR", "cancelled": "CANCEL", "queued": "SORTTIME"}
KINDS = {"generate": "WORLD", "panorama": "IMAGE_DATA", "render": "FILE_MOVIE", "export": "EXPORT"}
WORDS = {"sending": "sending", "queued": "waiting", "succeeded": "done", "failed": "failed", "cancelled": "stopped"}


class HOLOTIME_UL_jobs(bpy.types.UIList):
    """The jobs, newest first"""

    bl_idname = "HOLOTIME_UL_jobs"

    def draw_item(self, context, layout, data, item, icon, active_data, active_property, index=0, flt_flag=0):
        """One row: picture, name, how far it is and how long it will take."""
        job = client.jobs.get(item.name)
        if job is None:
            return
        split = layout.split(factor=0.5)
        picture = job_list.thumbnail(job)
        if picture:
            split.label(text=item.title, icon_value=picture)
        else:
            split.label(text=item.title, icon=KINDS.get(job.kind, "FILE"))
        if job.status == "running":
            left = f", {duration(job.eta)}" if job.eta is not None else ""
            split.progress(factor=job.fraction, text=f"{100 * job.fraction:.0f} %{left}")
        else:
            split.label(text=WORDS.get(job.status, job.status), icon=ICONS.get(job.status, "SORTTIME"))


class HOLOTIME_PT_generate(Panel, bpy.types.Panel):
    """Send the job and see how far it is"""

    bl_idname = "HOLOTIME_PT_generate"
    bl_label = "Generate"

    def draw_header_preset(self, context):
        """Blender's preset menu."""
        from .presets import HOLOTIME_PT_quality_presets

        HOLOTIME_PT_quality_presets.draw_panel_header(self.layout)

    def draw(self, context):
        """Connection, size, forecast, button and the jobs."""
        settings = context.scene.holotime
        layout = self.layout
        self._connection(layout, context)
        col = column(layout)
        sub = col.column(align=True)
        sub.prop(settings, "width")
        sub.prop(settings, "budget")
        col.prop(settings, "auto_import")
        self._forecast(layout, context, settings)
        row = layout.row()
        row.scale_y = 1.5
        row.operator("holotime.generate", icon="OUTLINER_OB_POINTCLOUD")
        if reason := why_not(settings):
            lines(layout, context, reason, "INFO")
        elif not client.active():
            layout.label(text="Start or connect a sidecar first", icon="INFO")
        under_way(layout, setting_up=True)
        if results.last_error:
            lines(layout, context, results.last_error, "ERROR")
        if client.ledger.problem:
            lines(layout, context, client.ledger.problem, "INFO")

    def _forecast(self, layout, context, settings) -> None:
        """What the job will take: as the sidecar expects, else estimated here, which is said."""
        reply, exact = client.forecasts.of("generate", generate_params(settings))
        col = layout.column(align=True)
        col.active = bool(reply) and exact
        if reply and reply.jobs:
            on_gpu = f" + {memory(reply.gpu_memory)} GPU" if reply.gpu_memory else ""
            col.label(text=f"About {duration(reply.seconds)}, {memory(reply.memory)}{on_gpu}", icon="TIME")
            return
        params = {name: getattr(settings, name) for name in ("width", "frames", "budget")}
        seconds, known = forecast.seconds_forecast(list(client.ledger.entries.values()), params)
        source = f"from {known} earlier job{'s' * (known > 1)}" if known else "nothing has run here yet"
        text = f"About {duration(seconds)}, {memory(forecast.memory_forecast(params))}"
        lines(col, context, f"{text}\n(the add-on's own guess: {source})", "TIME")

    def _connection(self, layout, context) -> None:
        if client.active():
            row = layout.row()
            row.label(text=client.link_text, icon="CHECKMARK" if client.connected() else "SORTTIME")
            row.operator("holotime.disconnect", text="", icon="UNLINKED")
            return
        if client.link_text != "Not connected":
            lines(layout, context, client.link_text, "ERROR")
        row = layout.row(align=True)
        text = "Start It Again" if client.own_died else "Start Sidecar"
        row.operator("holotime.start_sidecar", text=text, icon="PLAY")
        row.operator("holotime.connect", icon="LINKED")
        row.operator("holotime.show_preferences", text="", icon="PREFERENCES")


class HOLOTIME_PT_queue(Panel, bpy.types.Panel):
    """The jobs that were sent, and what to do with them"""

    bl_idname = "HOLOTIME_PT_queue"
    bl_parent_id = "HOLOTIME_PT_generate"
    bl_label = "Jobs"

    def draw(self, context):
        """The list, its buttons, and the chosen job."""
        layout, queue = self.layout, context.window_manager.holotime
        if not len(queue.items):
            layout.label(text="No jobs yet")
            return
        row = layout.row()
        row.template_list("HOLOTIME_UL_jobs", "", queue, "items", queue, "index", rows=4, maxrows=8)
        job = job_list.chosen()
        buttons = row.column(align=True)
        self._button(buttons, "holotime.cancel_job", "X", job, job is not None and not job.done)
        self._button(buttons, "holotime.retry_job", "FILE_REFRESH", job, job is not None and job.done)
        waits = job is not None and job.status == "queued"
        self._button(buttons, "holotime.move_job", "TRIA_UP_BAR", job, waits).first = True
        self._button(buttons, "holotime.move_job", "TRIA_DOWN_BAR", job, waits).first = False
        buttons.separator()
        buttons.operator("holotime.forget_finished", text="", icon="TRASH")
        if job:
            self._chosen(layout, context, job)

    def _button(self, layout, operator: str, icon: str, job, enabled: bool):
        sub = layout.column(align=True)
        sub.enabled = enabled
        button = sub.operator(operator, text="", icon=icon)
        button.job = job.id if job else ""
        return button

    def _chosen(self, layout, context, job) -> None:
        """What the chosen job does, or what became of it."""
        box = layout.column()
        if job.status == "running":
            left = f", {duration(job.eta)} left" if job.eta is not None else ""
            box.progress(factor=job.fraction, text=f"{STAGES.get(job.stage, job.stage or 'Starting')}{left}")
            if job.attempts > 1:
                box.label(text=f"Begun again ({job.attempts})", icon="INFO")
            picture = job_list.thumbnail(job)
            if picture:
                box.template_icon(icon_value=picture, scale=8.0)
        elif job.status == "succeeded" and job.kind == "generate":
            row = box.row(align=True)
            row.operator("holotime.import_result", text="Import", icon="IMPORT").job = job.id
            row.operator("holotime.open_report", text="Report", icon="URL").job = job.id
        elif job.status == "queued":
            ahead = sum(other.status == "running" for other in client.jobs.values())
            box.label(text="Waits for its turn" if ahead else "Begins at once", icon="SORTTIME")
        if job.error:
            lines(box, context, job.error, "ERROR")
        if results.last_video and job.kind == "render" and job.status == "succeeded":
            written(box, results.last_video)


CLASSES = (HOLOTIME_UL_jobs, HOLOTIME_PT_generate, HOLOTIME_PT_queue)
