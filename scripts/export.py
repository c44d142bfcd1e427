"""Exports the driver of a run as an ONNX model and as one Python file that needs nothing but numpy.

    .venv/bin/python scripts/export.py runs/first --int8

Writes policy.onnx and policy.py, with --int8 also policy_int8.onnx and policy_int8.py, and
compares the actions of each with those of the network on observations of held-out levels. Prints size, latency
and agreement of every form, or one JSON object with --json.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from agents.checkpoint import CheckpointError
from agents.command_line import refuse
from agents.environments import asked_for
from agents.export.export_run import ExportError, FormName, export_run
from agents.run_config import read_configs
from agents.run_folder import run_at
from agents.validation import require
from drivesim.decimals import DASH
from drivesim.files import require_place


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    run_dir: Annotated[Path, tyro.conf.Positional]
    """Run folder; runs/latest is the newest."""
    env: str | None = None
    """Id of the run, as MODULE:ID, where a module of yours registers it."""
    checkpoint: Literal["best", "last"] = "best"
    """Which driver of the run."""
    out: Path | None = None
    """Folder to write to; None takes RUN_DIR/export."""
    formats: tuple[FormName, ...] = ("onnx", "numpy")
    """Which forms."""
    int8: bool = False
    """Also write each form with its weights as 8-bit integers."""
    observations: int = 10_000
    """Observations to compare the forms' actions on."""
    json: bool = False
    """Print one JSON object and nothing else."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parsed = tyro.cli(Arguments, args=arguments, description=__doc__)
    try:
        run_dir = run_at(parsed.run_dir)
        out = run_dir / "export" if parsed.out is None else parsed.out
        require_place(out, is_folder=True)
        require_place(out.parent, is_folder=True)  # where the files are made
        env_id = asked_for(parsed.env)
        config = read_configs(run_dir)[0]
        require("env", env_id, env_id in (None, config.env), f"that of the run, {config.env}")
        with stage("exporting, and comparing the forms"):
            report = export_run(
                run_dir,
                out,
                checkpoint=parsed.checkpoint,
                formats=parsed.formats,
                int8=parsed.int8,
                observations=parsed.observations,
            )
    except (ValueError, OSError, CheckpointError, ExportError) as error:
        return refuse(error)
    print(json.dumps(report, allow_nan=False) if parsed.json else _table(report))
    return 0


def _table(report: dict[str, Any]) -> str:
    """Lays out the report: what was exported, and a row per form."""
    head = (
        f"{'form':<12}{'file':<18}{'kB':>9}{'us at 1':>10}{'us at 1024':>12}"
        f"{'agreement':>11}{'ties':>6}{'max diff':>11}"
    )
    rows = [
        f"{record['form']:<12}{record['file'] or DASH:<18}"
        f"{DASH if record['bytes'] is None else format(record['bytes'] / 1e3, '.1f'):>9}"
        f"{record['microseconds_batch_1']:>10.0f}{record['microseconds_batch_1024']:>12.0f}"
        f"{record['agreement']:>11.4%}{record['ties']:>6}{record['max_score_difference']:>11.1e}"
        for record in report["forms"]
    ]
    about = f"{report['environment']}, {report['run']}, {report['success']}"
    return "\n".join(
        [about, f"{report['observations']:,} observations; written to {report['folder']}", "", head, *rows]
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
