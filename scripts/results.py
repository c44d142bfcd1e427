"""Lets the algorithms race: trains every one on every environment with several seeds and compares the drivers.

    .venv/bin/python scripts/results.py --out runs/results
    .venv/bin/python scripts/results.py --envs drivesim/Highway-v1 --agents dqn ppo --seeds 0 1 --workers 2
    .venv/bin/python scripts/results.py --table

The same command continues what was interrupted or killed at any moment: finished runs are kept, a run that had begun is
resumed from its last checkpoint. The out folder holds every run's folder and record, summary.json and summary.csv; the
table is printed.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, show, stage

if __name__ == "__main__":
    begin_script()

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from agents.checkpoint import CheckpointError
from agents.command_line import status_of
from agents.environments import generates_levels, require_registered
from agents.interrupts import stop_requests
from agents.race import RaceConfig, Run, is_changed, make_baselines, make_run, read_record, summary_of
from agents.results import markdown, write_csv, write_summary
from agents.run_config import AgentName
from agents.training import NotFiniteError
from agents.validation import require
from drivesim.files import require_place
from drivesim.registry import IDS, with_module

_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Arguments(RaceConfig):
    """Arguments of the command line."""

    envs: tuple[str, ...] = tuple(filter(generates_levels, IDS))
    """Environment ids; by default those with held-out levels."""
    agents: tuple[AgentName, ...] = ("dqn", "pqn", "ppo")
    """Algorithms, each with its settings in agents/presets.py."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Training seeds."""
    summary: Path | None = None
    """Write the summary to this file too, as for scripts/build_docs.py."""
    table: bool = False
    """Make no runs; print the table of those that are there."""
    redo_changed: bool = False
    """Delete and repeat what was made with other settings than those of now, instead of refusing to go on."""
    is_worker: bool = False
    """Make the first of the runs and nothing else: how a race with several workers calls itself."""

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        for name in ("envs", "agents", "seeds"):
            require(name, getattr(self, name), len(getattr(self, name)) > 0, "at least one")
        object.__setattr__(self, "envs", tuple(map(require_registered, self.envs)))


def race(arguments: Arguments) -> bool:
    """Makes all runs that are missing; returns whether all are there.

    Raises:
        KeyboardInterrupt: the race was asked to stop, and has saved its state.
    """
    folder = arguments.folder
    runs = [
        Run(env_id, agent, seed) for seed in arguments.seeds for env_id in arguments.envs for agent in arguments.agents
    ]
    changed = [run for run in runs if is_changed(arguments, run)]
    if changed and not arguments.redo_changed:
        names = ", ".join(run.name for run in changed)
        raise ValueError(f"{folder} holds runs made with other settings: {names}; pass --redo-changed or another --out")
    for run in changed:
        (folder / f"{run.name}.json").unlink(missing_ok=True)
        shutil.rmtree(folder / run.name, ignore_errors=True)
    for env_id in arguments.envs:
        with stage(f"driving {env_id} without learning"):
            make_baselines(arguments, env_id)
    missing = [run for run in runs if read_record(folder / run.name) is None]
    finished = len(runs) - len(missing)
    print(f"{len(runs)} runs in {folder}/, {finished} of them finished", flush=True)
    if arguments.workers == 1:
        for number, run in enumerate(missing, finished + 1):
            make_run(arguments, run, progress=sys.stderr.isatty())
            report(arguments, run, number, len(runs))
    else:
        race_in_processes(arguments, missing, len(runs))
    return all(read_record(folder / run.name) is not None for run in runs)


def race_in_processes(arguments: Arguments, runs: list[Run], total: int) -> None:
    """Makes runs in processes of their own, some at a time.

    Raises:
        KeyboardInterrupt: the race was asked to stop; every process has saved its state and ended.
    """
    waiting, number = list(runs), total - len(runs)
    processes: dict[Run, subprocess.Popen[bytes]] = {}
    with stop_requests() as stop:
        while (waiting or processes) and stop.signal is None:
            while waiting and len(processes) < arguments.workers:
                run = waiting.pop(0)
                processes[run] = subprocess.Popen(worker_command(arguments, run), start_new_session=True)
            show(f"making {', '.join(run.name for run in processes)} ...")  # again: whoever begins clears the line
            time.sleep(_POLL_SECONDS)
            for run in [run for run, process in processes.items() if process.poll() is not None]:
                del processes[run]
                number += 1
                show("")
                report(arguments, run, number, total)
        for process in processes.values():
            process.terminate()  # the only signal that reaches it; it saves and ends
        for process in processes.values():
            process.wait()
        if stop.signal is not None:
            raise KeyboardInterrupt


def worker_command(arguments: Arguments, run: Run) -> list[str]:
    """The command that makes one run in a process of its own."""
    options = [
        "--envs", with_module(run.env), "--agents", run.agent, "--seeds", str(run.seed), "--out", str(arguments.folder),
        "--max-seconds", str(arguments.max_seconds), "--episodes", str(arguments.episodes),
        "--regret-levels", str(arguments.regret_levels), "--workers", str(arguments.workers), "--is-worker",
    ]  # fmt: skip
    if arguments.stop_at_success is not None:
        options += ["--stop-at-success", str(arguments.stop_at_success)]
    if arguments.quick:
        options.append("--quick")
    return [sys.executable, __file__, *options]


def report(arguments: Arguments, run: Run, number: int, total: int) -> None:
    """Prints a line on a run."""
    record = read_record(arguments.folder / run.name)
    if record is None:
        text = "not made; it failed, or another process is making it"
    else:
        text = (
            f"{record['success_rate']:.1%} after {record['steps']:,} steps in {record['seconds']:.0f} s "
            f"({record['stop_reason']})"
        )
    print(f"[{number}/{total}] {run.env} {run.agent} seed {run.seed}: {text}", flush=True)


def work(arguments: Arguments) -> int:
    """Races, and prints the table; returns 1 if a run is missing, else 0."""
    if arguments.is_worker:
        make_run(arguments, Run(arguments.envs[0], arguments.agents[0], arguments.seeds[0]))
        return 0
    require_place(arguments.summary)
    require_place(arguments.folder, is_folder=True)
    is_whole = arguments.table or race(arguments)
    summary = summary_of(arguments.folder)
    print(f"\n{markdown(summary)}")
    if not arguments.table:
        write_csv(arguments.folder / "summary.csv", summary["summary"])
        write_summary(arguments.folder / "summary.json", summary)
    if arguments.summary is not None:
        write_summary(arguments.summary, summary)
    return 0 if is_whole else 1


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(
        lambda: work(tyro.cli(Arguments, args=arguments, description=__doc__)),
        refusals=(CheckpointError, NotFiniteError),
    )


if __name__ == "__main__":
    sys.exit(run_script(main))
