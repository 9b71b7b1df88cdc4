"""Check the CUDA kernels on the device that is here, and measure them: `make device-check`.

`python -m bench.device --out FOLDER` needs torch, numpy, pytest, cmake and, for a device, nvcc; it fetches and installs
nothing. It builds the kernels in a copy of the sources, runs their tests, measures whole scores, kernels and candidates
per second, and has compute-sanitizer look for wrong accesses and races. `device-check.json` and `device-check.csv` in
FOLDER are written as it goes, so that a run that is cut keeps what it found. Without a device all of it runs with tiny
sizes in the emulator, which shows that the command works, and nothing about a device.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from bench.device.plan import NAMES, steps
from bench.device.steps import FAILED, LEFT_OUT, Outcome, Step, run_step
from bench.history import commit

SECONDS = 540
WORK = Path("build/device-check")
BUILD_FAILED = "the kernels were not built"


def facts(emulated: bool) -> dict[str, Any]:
    """What the report says of the machine."""
    found: dict[str, Any] = {"emulated": emulated, "torch": torch.__version__, "python": sys.version.split()[0]}
    if not emulated:
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        found |= {
            "device": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory_gb": round(properties.total_memory / 2**30, 1),
            "cuda": torch.version.cuda,
        }
    return {**found, "commit": commit(), "date": datetime.now(timezone.utc).isoformat(timespec="seconds")}


def check(todo: list[Step], out: Path, tree: Path, environment: dict[str, str], seconds: float) -> list[Outcome]:
    """Run the steps in order and write the report after each."""
    end, outcomes = time.monotonic() + seconds, list[Outcome]()
    about = facts("LSWAG_EMULATED" in environment)
    for step in todo:
        if outcomes and outcomes[0].status == FAILED:
            outcome = Outcome(step.name, LEFT_OUT, BUILD_FAILED)
        else:
            folder = tree if outcomes else Path.cwd()  # the first one makes the copy
            outcome = run_step(step, folder, environment, end - time.monotonic(), tree.parent / f"{step.name}.log")
        outcomes.append(outcome)
        report = {**about, "passed": passed(outcomes), "steps": [outcome.as_dict() for outcome in outcomes]}
        (out / "device-check.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        reason = f": {outcome.reason}" if outcome.reason else ""
        sys.stdout.write(f"{outcome.name}: {outcome.status}{reason} ({outcome.seconds:.0f} s)\n")
        if outcome.status == FAILED:
            sys.stdout.write(outcome.output)
        sys.stdout.flush()
    return outcomes


def passed(outcomes: list[Outcome]) -> bool:
    """Whether nothing failed."""
    return all(outcome.status != FAILED for outcome in outcomes)


def main() -> int:
    """Read the command line and check."""
    parser = argparse.ArgumentParser(description="Check the CUDA kernels on the device that is here, and measure them.")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the report, whose files are replaced")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for all of it (default {SECONDS})")
    parser.add_argument("--module", type=Path, help="a binary extension that is built already")
    parser.add_argument("--only", nargs="+", choices=NAMES[1:], help="these steps after the build (default: all)")
    options = parser.parse_args()
    emulated = not torch.cuda.is_available()
    if emulated:
        sys.stdout.write("No CUDA device here: tiny sizes, in the emulator. Nothing below is about a device.\n")
    out, work = options.out.resolve(), WORK.resolve()
    for folder in (out, work):
        folder.mkdir(parents=True, exist_ok=True)
    (out / "device-check.csv").unlink(missing_ok=True)
    module = None if options.module is None else options.module.resolve()
    wanted = (NAMES[0], *(options.only or NAMES))
    todo = [step for step in steps(work, out / "device-check.csv", emulated, module) if step.name in wanted]
    python_path = os.pathsep.join(("tests", *filter(None, [os.environ.get("PYTHONPATH")])))
    environment = {"PYTHONPATH": python_path, "LSWAG_EMULATED" if emulated else "LSWAG_REQUIRE_DEVICE": "1"}
    outcomes = check(todo, out, work / "tree", environment, options.seconds)
    return 0 if passed(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
