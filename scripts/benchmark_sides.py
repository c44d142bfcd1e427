"""The processes that `benchmark.py` asks for figures: versions of this code, and peers with a Python of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DRIVER = Path(__file__).with_name("benchmark_driver.py")
PEERS_SCRIPT = Path(__file__).with_name("benchmark_peers.py")


def say(message: str) -> None:
    """Tells on stderr what is being measured."""
    print(message, file=sys.stderr, flush=True)


class MeasurementError(RuntimeError):
    """A side could not measure what it was asked for."""


class UnknownCommitError(ValueError):
    """There is no such commit to measure."""


class Side:
    """One version of the code, in a process that lives until the `with` block ends.

    Args:
        root: folder of the package `drivesim`.
        cache: folder of its kernels; None = the user's.
        prebuilt: whether kernels that were built beforehand may serve it; else it compiles all that it runs.

    Attributes:
        file: where the measured package lies.
        ids: the newest id of each scenario's name.
        import_seconds: what importing the package took.

    Raises:
        MeasurementError: if the package cannot be imported from there.
    """

    def __init__(self, root: Path, cache: Path | None = None, prebuilt: bool = True) -> None:
        paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        if cache is not None:
            environment["DRIVESIM_CACHE_DIR"] = str(cache)
        if not prebuilt:
            environment["DRIVESIM_PREBUILT"] = "0"
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            hello = self._answer()
            self.file = Path(hello["file"])
            self.ids: dict[str, str] = hello["ids"]
            self.import_seconds: float = hello["import_seconds"]
            if not self.file.resolve().is_relative_to(root.resolve()):
                raise MeasurementError(f"drivesim was imported from {self.file} instead of {root}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.communicate()

    def rate(
        self,
        env_id: str,
        num_envs: int,
        num_threads: int,
        seconds: float,
        clock: str = "wall",
        **options: Any,
    ) -> float:
        """Steps per second over all envs, of an environment that is kept for the next time.

        Args:
            env_id: id, or the name of a scenario, whose newest id is then measured.
            num_envs: envs; 1 is the single environment, unwrapped.
            num_threads: threads of a batch.
            seconds: time to step for, at least.
            clock: `"wall"`, or `"cpu"` for seconds that the process was running, all its threads together.
            **options: of the environment.

        Raises:
            MeasurementError: if the environment does not exist there or fails.
        """
        request = {"do": "rate", "env": self.ids.get(env_id, env_id), "num_envs": num_envs, "num_threads": num_threads}
        return self._ask({**request, "seconds": seconds, "clock": clock, "options": options})

    def first_step(self, env_id: str) -> float:
        """Seconds from the import's start to the end of the first step; `env_id` as in `rate`."""
        return self.import_seconds + self._ask({"do": "first_step", "env": self.ids.get(env_id, env_id)})

    def forget(self) -> None:
        """Drops the environments made so far."""
        self._ask({"do": "forget"})

    def _ask(self, request: dict[str, Any]) -> float:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise MeasurementError("the measuring process has ended") from None
        return float(self._answer()["value"])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementError("the measuring process has ended")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise MeasurementError(found["error"])
        return found


def git(root: Path, *arguments: str) -> str:
    """What git prints.

    Raises:
        UnknownCommitError: with git's message, if it fails or does not exist.
    """
    try:
        finished = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)
    except OSError as error:
        raise UnknownCommitError(f"git cannot be run: {error}") from error
    if finished.returncode != 0:
        raise UnknownCommitError(finished.stderr.strip() or f"git {arguments[0]} failed")
    return finished.stdout.strip()


def resolve_commit(root: Path, commit: str) -> str:
    """The full hash of a commit of the repository at `root`.

    Raises:
        UnknownCommitError: if there is no such commit or no repository.
    """
    try:
        return git(root, "rev-parse", "--verify", "--end-of-options", f"{commit}^{{commit}}")
    except UnknownCommitError as error:
        raise UnknownCommitError(f"no commit {commit!r} in {root}: {error}") from error


@contextmanager
def worktree(root: Path, commit: str) -> Iterator[Path]:
    """A temporary worktree of a commit, removed at the end of the block, also after Ctrl-C and SIGTERM."""
    previous = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, as Ctrl-C is one
    try:
        with tempfile.TemporaryDirectory(prefix="drivesim-benchmark-") as temporary:
            folder = Path(temporary) / "worktree"
            try:
                git(root, "worktree", "add", "--detach", str(folder), commit)
                yield folder
            finally:  # not by `git`, which would raise if adding it had failed
                for arguments in (("remove", "--force", str(folder)), ("prune",)):
                    subprocess.run(["git", "-C", str(root), "worktree", *arguments], capture_output=True, check=False)
    finally:
        signal.signal(signal.SIGTERM, previous)


def ask(python: Path, script: Path, *arguments: str) -> dict[str, Any]:
    """Runs a peer's script in a process of its own and returns the JSON object that it prints, or an error."""
    command = [str(python), str(script), *arguments]
    try:
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        return {"error": str(error)}
    if finished.returncode != 0:
        return {"error": (finished.stderr.strip().splitlines() or ["failed"])[-1]}
    record: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return record


def run_peer(python: Path, peer: str, num_envs: int, num_threads: int, seconds: float) -> dict[str, Any]:
    """Measures a peer: its steps per second and version, or an error."""
    return ask(python, PEERS_SCRIPT, peer, str(num_envs), str(num_threads), str(seconds))
