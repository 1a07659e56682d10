"""The report of a job: report.json for programs and report.html, one file with its pictures inside, for people."""

import base64
import html
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from holotime.errors import InputError
from holotime.weights import commercial_words, licence_entry

# Picture file in a result folder -> its caption in the report.
PICTURES = {
    "report_contact.jpg": "The clip",
    "report_seam.jpg": "Behind the viewer, where the picture's left and right edges meet",
    "report_poles.jpg": "Straight up and straight down",
    "report_distance.jpg": "Distance",
    "report_classes.jpg": "What the picture shows",
    "report_eye.jpg": "The clip (left) and the 4D scene rendered back at the eye (right)",
    "report_coverage.jpg": "Coverage from the eye: red would be a hole",
    "report_vr.jpg": "The VR video, left eye above right eye",
    "still.png": "A still from the moving camera, rendered by Cycles",
}
# Number in report.json -> (what it is called, how it is shown, what is good).
NUMBERS = {
    "eye_psnr_db": ("Scene against clip, at the eye", "{:.1f} dB", "30 or more"),
    "seam_ratio": ("Seam", "{:.3f}", "1.00 ± 0.05"),
    "loop_ratio": ("Loop", "{:.3f}", "1.1 or less"),
    "coverage": ("Sphere covered", "{:.2%}", "99.5 % or more"),
    "splats": ("Splats", "{:,}", ""),
    "frames": ("Frames", "{}", ""),
    "total_seconds": ("Time", "{:.1f} s", ""),
}

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 1100px; padding: 24px }
body { background: #16181c; color: #e8e6e3 }
h1 { font-size: 24px; margin: 0 0 4px } h2 { font-size: 16px; margin: 28px 0 8px; color: #b9c4d0 }
table { border-collapse: collapse } td, th { padding: 4px 18px 4px 0; text-align: left; vertical-align: top }
th { color: #8b97a3; font-weight: 500 }
figure { margin: 0 0 20px } img { max-width: 100%; border-radius: 6px; display: block }
figcaption { color: #8b97a3; margin-top: 4px } code { color: #9ecbff } li { margin: 2px 0 }
@media (prefers-color-scheme: light) {
  body { background: #fff; color: #1c1e21 } h2 { color: #39424d } code { color: #1f5c99 }
}
"""


def read_report(folder: Path) -> dict[str, Any]:
    """The numbers of a result folder."""
    path = folder / "report.json"
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is missing or damaged ({error}). Give the folder of a finished job.") from error


def models_used(stages: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Licence and permission of every network that a job used, for ``models`` of a report.

    ``stages``: {stage: names, hub ids or files of the networks that it used}.
    """
    return [licence_entry(name, stage) for stage, names in stages.items() for name in dict.fromkeys(names)]


def write_report(folder: Path, report: dict[str, Any]) -> None:
    """Write report.json and report.html; the page holds every picture of ``PICTURES`` that the folder has."""
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.html").write_text(_page(folder, report), encoding="utf-8")


def _page(folder: Path, report: dict[str, Any]) -> str:
    rows = []
    for name, (title, form, good) in NUMBERS.items():
        if name in report:
            aim = f"<td>{html.escape(good)}</td>" if good else "<td></td>"
            rows.append(f"<tr><th>{title}</th><td>{form.format(report[name])}</td>{aim}</tr>")
    stages = [
        f"<tr><th>{html.escape(n)}</th><td>{s:.1f} s</td></tr>" for n, s in report.get("stage_seconds", {}).items()
    ]
    backends = [
        f"<tr><th>{html.escape(stage)}</th><td>{html.escape(str(name))}</td></tr>"
        for stage, name in report.get("backends", {}).items()
    ]
    models = [
        f"<tr><th>{html.escape(str(model.get('stage', '')))}</th><td>{html.escape(str(model['name']))}</td>"
        f"<td>{html.escape(str(model['licence']))}</td><td>{html.escape(commercial_words(model['commercial_use']))}"
        f"{html.escape(': ' + model['terms'] if model.get('terms') else '')}</td></tr>"
        for model in report.get("models", [])
    ]
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in report.get("notes", []))
    figures = []
    for name, caption in PICTURES.items():
        if (folder / name).is_file():
            kind = "png" if name.endswith(".png") else "jpeg"
            data = base64.b64encode((folder / name).read_bytes()).decode()
            figures.append(
                f'<figure><img alt="{html.escape(caption)}" src="data:image/{kind};base64,{data}">'
                f"<figcaption>{html.escape(caption)}</figcaption></figure>"
            )
    source = html.escape(str(report.get("source", "")))
    size = " × ".join(map(str, report.get("size", [])))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>HoloTime report</title>'
        f"<style>{_STYLE}</style></head><body><h1>HoloTime report</h1><p>{source} · {size}</p>"
        f"<h2>Quality</h2><table>{''.join(rows)}</table>"
        + (f"<h2>Notes</h2><ul>{notes}</ul>" if notes else "")
        + f"<h2>Pictures</h2>{''.join(figures)}"
        + (f"<h2>Models and their licences</h2><table>{''.join(models)}</table>" if models else "")
        + f"<h2>Time</h2><table>{''.join(stages)}</table><h2>Backends</h2><table>{''.join(backends)}</table>"
        f"<h2>Versions</h2><p><code>{html.escape(json.dumps(report.get('versions', {})))}</code></p></body></html>\n"
    )
