"""Runs the reliability matrix: what must never happen, looked for as long as there is time.

    make soak                                                       # every row, ten minutes each
    .venv/bin/python scripts/soak.py --rows interpreter kills --minutes 5
    .venv/bin/python scripts/soak.py --table

A row is a program in tests/soak/, which works piece by piece: piece n is the same in every run of the same code. The
same command goes on where it was stopped or killed, and adds to what was counted before; figures of other code are
begun anew. A row that crashes, hangs, or takes more memory than its bound has failed in that piece, and goes on with
the next. The figures are kept in the out folder; with --docs they are written into the documentation too.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script

if __name__ == "__main__":
    begin_script()

import contextlib
import json
import os
import queue
import resource
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tyro
from tables import filled_in, table

from agents.command_line import status_of
from agents.results import read_summary, write_summary
from agents.validation import check_positive, require
from drivesim import __version__
from drivesim.core.kernel_cache import source_digest
from drivesim.files import write_whole

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT, *(ROOT / "tests" / name for name in ("", "agents", "core", "envs", "levels", "soak")))
MIB = 2**20
QUIET = 300.0
"""Seconds without a line after which a row hangs; kernels of the largest scenario compile within them."""
LATE = 120.0
"""Seconds that the last piece may take beyond the time that was given."""
MAX_FAILURES = 10
"""Failures in one command after which a row is given up."""
PERIOD = 1.0
"""Seconds between two looks at a row, and between two lines of progress on a terminal."""


@dataclass(frozen=True)
class Row:
    """A row of the matrix."""

    what: str
    wished: int
    unit: str
    max_mib: int = 6144
    """Resident memory that it may take."""

    @property
    def is_small(self) -> bool:
        """Whether its counts are written out."""
        return self.wished < 10_000


ROWS = {
    "interpreter": Row("compiled = plain Python, random options and actions, all ids", 10**6, "transitions"),
    "batches": Row("batch sizes, threads, autoreset modes and buffers give one trajectory", 10**8, "steps"),
    "stateful": Row("any calls in any order: single, vector, multi-agent", 50_000 * 200, "calls"),
    "hostile": Row("hostile options, states, texts, replays, run folders, checkpoints", 10**6, "cases", max_mib=2048),
    "kills": Row("SIGKILL while training and saving, 200 for each algorithm; equal weights", 1000, "kills"),
    "endurance": Row("step, reset, render, make and close; nothing grows", 10**9, "steps"),
    "caches": Row("8 processes on an empty or damaged cache, some killed; workers killed", 100, "rounds"),
    "reports": Row("bug reports of neighbouring projects, tried here", 68, "trials"),
}


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    rows: tuple[str, ...] = tuple(ROWS)
    """Rows to work on, one after the other."""
    minutes: float = 10.0
    """Time for each of them."""
    out: Path = Path("runs/soak")
    """Folder of the figures."""
    docs: Path | None = None
    """Folder of the documentation: write reliability.json there, and the table in reliability.md."""
    table: bool = False
    """Work on nothing; print the table."""

    def __post_init__(self) -> None:
        """Checks every field."""
        check_positive(self, "minutes")
        for name in self.rows:
            require("rows", name, name in ROWS, f"among {list(ROWS)}")


def code() -> str:
    """What the figures are of: version, and digest of the kernels' sources and of what compiles them."""
    return f"{__version__} {source_digest()[:12]}"


def read_figures(path: Path) -> dict[str, Any]:
    """The figures in a file.

    Raises:
        ValueError: it holds none, such as one that is cut off.
    """
    try:
        record: dict[str, Any] = read_summary(path)
        is_one = record["row"] in ROWS and all(key in record for key in ("code", "count", "failures", "figures"))
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} must hold the figures of a row; delete it, and the row begins anew") from error
    if not is_one:
        raise ValueError(f"{path} must hold the figures of a row; delete it, and the row begins anew")
    return record


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """A row's figures; zeros if there are none, or none of this code."""
    path = folder / f"{name}.json"
    if path.exists():
        record = read_figures(path)
        if record["code"] == code():
            return record
        print(f"{name}: the figures are of other code ({record['code']}); begun anew")
    counts = {"count": 0, "pieces": 0, "wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_mib": 0}
    return {"row": name, "code": code(), **counts, "failures": [], "figures": {}}


def work(name: str, arguments: Arguments) -> dict[str, Any]:
    """Works on a row for its time; returns its figures, which are kept every second."""
    folder = arguments.out
    folder.mkdir(parents=True, exist_ok=True)
    record = read_record(folder, name)
    end = time.monotonic() + 60 * arguments.minutes
    num_failures = len(record["failures"])
    is_first = True
    while is_first or time.monotonic() < end:
        is_first = False
        started = time.monotonic()
        wall, cpu = record["wall_seconds"], record["cpu_seconds"]
        before = children_seconds()
        with Worker(name, record["pieces"], max(end - started, 0.0), folder) as worker:
            kept = started
            for _ in worker.lines(record, end):
                now = time.monotonic()
                record["wall_seconds"] = wall + now - started
                record["peak_mib"] = max(record["peak_mib"], worker.peak_mib)
                if now - kept >= PERIOD:
                    write_summary(folder / f"{name}.json", record)
                    kept = now
        record["cpu_seconds"] = cpu + children_seconds() - before
        record["date"] = datetime.now(UTC).date().isoformat()
        if worker.failure is not None:
            failure = {"piece": record["pieces"], "doing": worker.doing, "error": worker.failure}
            record["failures"].append(failure)
            record["pieces"] += 1
            print(f"\n{name}: FAILED in piece {failure['piece']}: {failure['error']}\n  {failure['doing']}")
        write_summary(folder / f"{name}.json", record)
        if len(record["failures"]) - num_failures >= MAX_FAILURES:
            break
    print(f"\r{line_of(name, record, 0.0)}", flush=True)
    return record


def children_seconds() -> float:
    """CPU seconds of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Worker:
    """The process of a row."""

    def __init__(self, name: str, first: int, seconds: float, folder: Path) -> None:
        """Starts it with a piece, for some seconds."""
        self.name = name
        self.failure: str | None = None
        self.doing = ""
        self.peak_mib = 0
        self._folder = folder / name
        self._folder.mkdir(exist_ok=True)
        self._log = folder / f"{name}.log"
        command = [sys.executable, str(ROOT / "tests" / "soak" / f"{name}.py"), str(first), f"{seconds:.1f}"]
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [*command, str(self._folder)],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, FOLDERS)), "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        """Neither it nor what it has started outlives this command."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def lines(self, record: dict[str, Any], end: float) -> Iterator[None]:
        """Follows it to its end, and yields whenever a piece has been added to the record."""
        counted, heard, shown = 0, time.monotonic(), 0.0
        while True:
            now = time.monotonic()
            if now - shown >= PERIOD:
                shown = now
                self._show(record, counted, end - now)
            try:
                line = self._lines.get(timeout=PERIOD)
            except queue.Empty:
                self._look()
                if now > end + LATE:
                    return  # a long piece is cut off: nothing has failed, and nothing of it is counted
                if now - heard > QUIET:
                    self.failure = f"no sign of life for {QUIET:.0f} s"
                if self.failure is not None:
                    return
                continue
            heard = now
            if line is None:
                self._end()
                return
            told = json.loads(line)
            self.doing = told.get("doing", self.doing)
            counted += told.get("count", 0)
            record["figures"] |= told.get("figures", {})
            if "piece" in told:
                record["count"] += counted
                record["pieces"] = told["piece"] + 1
                counted = 0
                self._look()
                yield
                if self.failure is not None:
                    return

    def _look(self) -> None:
        """Measures its memory."""
        try:
            text = Path(f"/proc/{self._process.pid}/status").read_text(encoding="ascii")
        except OSError:
            return  # it has ended, or this is no Linux
        rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
        if "VmHWM" in rows:
            self.peak_mib = int(rows["VmHWM"].split()[0]) // 1024
        if self.peak_mib > ROWS[self.name].max_mib:
            self.failure = f"{self.peak_mib} MiB of memory, more than {ROWS[self.name].max_mib}"

    def _end(self) -> None:
        status = self._process.wait()
        if status != 0:
            text = self._log.read_text(encoding="utf-8", errors="replace").strip()
            self.failure = f"ended with {status}: {text[-600:]}"

    def _show(self, record: dict[str, Any], counted: int, left: float) -> None:
        if sys.stdout.isatty():
            print(
                f"\r{line_of(self.name, record | {'count': record['count'] + counted}, left)}\033[K", end="", flush=True
            )


def line_of(name: str, record: dict[str, Any], left: float) -> str:
    """A row in a line."""
    row = ROWS[name]
    ending = f", {left:.0f} s left" if left > 0 else f" in {record['wall_seconds'] / 3600:.2f} h"
    return f"{name}: {record['count']:,} of {row.wished:,} {row.unit}, {len(record['failures'])} failures{ending}"


def markdown(records: list[dict[str, Any]]) -> str:
    """The figures as a table."""
    rows: list[tuple[str, ...]] = [("what", "wished", "done", "failures", "hours, CPU hours", "figures", "command")]
    by_name = {record["row"]: record for record in records}
    for name, row in ROWS.items():
        command = f"`make soak ARGS='--rows {shlex.quote(name)}'`"
        record = by_name.get(name)
        if record is None:
            rows.append((row.what, f"{row.wished:,} {row.unit}", "not run yet", "", "", "", command))
            continue
        figures = {"peak memory": f"{record['peak_mib']:,} MiB", **record["figures"]}
        figures.pop("reports", None)
        rows.append(
            (
                row.what,
                f"{row.wished:,} {row.unit}",
                f"{record['count']:,}",
                str(len(record["failures"])),
                f"{record['wall_seconds'] / 3600:.2f}, {record['cpu_seconds'] / 3600:.2f}",
                "; ".join(f"{key} {value}" for key, value in figures.items()),
                command,
            )
        )
    codes = list(dict.fromkeys(record["code"] for record in records))
    told = (
        f"\n\nCode: {'; '.join(codes)}, version and digest of the kernels' sources and their compiler." if codes else ""
    )
    return table(rows) + told


def tables(docs: Path) -> dict[str, str]:
    """The tables of docs/reliability.md, from the figures in docs/reliability.json."""
    path = docs / "reliability.json"
    records = read_summary(path)["records"] if path.exists() else []
    rows: list[tuple[str, ...]] = [("reported of", "that", "tried here", "on")]
    for record in records:
        reports = record["figures"].get("reports", [])
        rows += [(where, trouble, trial, record["date"]) for where, trouble, trial in reports]
    return {"matrix": markdown(records), "reports": table(rows)}


def run(arguments: Arguments) -> int:
    """Works on the rows, and writes what there is; returns 1 if anything failed, else 0."""
    page = None if arguments.docs is None else arguments.docs / "reliability.md"
    if page is not None and not page.is_file():
        raise FileNotFoundError(f"docs must be the folder of reliability.md, got {str(arguments.docs)!r}")
    failures = sum(len(work(name, arguments)["failures"]) for name in (() if arguments.table else arguments.rows))
    records = [read_figures(path) for path in sorted(arguments.out.glob("*.json"))]
    records.sort(key=lambda record: list(ROWS).index(record["row"]))
    print(markdown(records))
    if page is not None:
        write_summary(page.with_suffix(".json"), {"records": records})
        write_whole(page, filled_in(page.read_text(encoding="utf-8"), tables(page.parent), needs_all=True))
    return int(failures > 0)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status: 1 if anything failed."""
    return status_of(lambda: run(tyro.cli(Arguments, args=arguments, description=__doc__)))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the row ends too
    sys.exit(run_script(main))
