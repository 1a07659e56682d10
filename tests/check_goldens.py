"""Run every comparison for which a folder has files: ``python tests/check_goldens.py DIR``.

Prints one JSON line a case (file, case, max_abs_error, tolerance, ok) and ends with 1 when one fails or none was found.
"""

import argparse
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import golden_checks  # noqa: E402 - found through the path above


def cases(folder: Path, prefix: str = "") -> Iterator[dict]:
    """Run the checks of all files of a folder (whose names start with ``prefix``) and yield one record a case."""
    for module in pkgutil.iter_modules(golden_checks.__path__):
        importlib.import_module(f"golden_checks.{module.name}")
    for path in sorted(folder.glob("*.safetensors")):
        check = golden_checks.check_for(path)
        if check is None or not path.name.startswith(prefix):
            continue
        with torch.inference_mode():
            for case in check(path):
                yield {
                    "file": path.name,
                    "case": case.name,
                    "max_abs_error": case.error,
                    "tolerance": case.tolerance,
                    "ok": case.ok,
                }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--prefix", default="", help="only files whose names start with this")
    arguments = parser.parse_args()
    results = []
    for record in cases(arguments.folder, arguments.prefix):
        print(json.dumps(record), flush=True)
        results.append(record["ok"])
    if not results:
        print(f"No golden files with a check in {arguments.folder}.", file=sys.stderr)
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
