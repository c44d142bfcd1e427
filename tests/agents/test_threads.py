"""The number of torch's threads is measured once and then remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from agents import threads
from agents.threads import choose_num_threads, fastest_num_threads


@pytest.fixture
def slow_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[int, float]], None]:
    """Work that takes, on a clock of its own, the seconds given for the number of threads in use."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(threads, "time", SimpleNamespace(perf_counter=lambda: clock.now))

    def work(costs: dict[int, float]) -> None:
        clock.now += costs[torch.get_num_threads()]

    return work


@pytest.mark.parametrize(
    ("costs", "expected"),
    [({1: 1.0, 2: 0.5}, 2), ({1: 0.5, 2: 1.0}, 1), ({1: 1.0, 2: 0.91}, 1), ({1: 1.0, 2: 0.89}, 2)],
)
def test_more_threads_are_used_only_if_they_are_clearly_faster(
    costs: dict[int, float],
    expected: int,
    monkeypatch: pytest.MonkeyPatch,
    slow_with: Callable[[dict[int, float]], None],
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    before = torch.get_num_threads()
    assert fastest_num_threads(lambda: slow_with(costs)) == expected
    assert torch.get_num_threads() == before


def test_a_busy_machine_is_not_measured_for_long(
    monkeypatch: pytest.MonkeyPatch, slow_with: Callable[[dict[int, float]], None]
) -> None:
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    asked: list[int] = []

    def trial(seconds: float) -> Callable[[], None]:
        return lambda: (asked.append(1), slow_with({1: seconds, 2: seconds / 2}))[1]

    for seconds, times in ((1.0, 10), (10.0, 4)):  # each of two candidates is tried once before it is timed
        asked.clear()
        assert fastest_num_threads(trial(seconds)) == 2
        assert len(asked) == times


def test_the_answer_is_remembered_so_that_runs_repeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow_with: Callable[[dict[int, float]], None]
) -> None:
    """A second measurement could differ, and another number of threads rounds sums differently."""
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(threads, "usable_cores", lambda: 2)
    costs = {1: 1.0, 2: 0.5}
    assert choose_num_threads("work", lambda: lambda: slow_with(costs)) == 2
    costs.update({1: 0.5, 2: 1.0})
    assert choose_num_threads("work", lambda: lambda: slow_with(costs)) == 2
    assert choose_num_threads("other work", lambda: lambda: slow_with(costs)) == 1


def test_a_broken_memory_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    choose_num_threads("work", lambda: lambda: None)
    (remembered,) = (tmp_path / "threads").iterdir()
    remembered.write_bytes(remembered.read_bytes()[:-1])
    assert choose_num_threads("work", lambda: lambda: None) == 1


def test_a_memory_that_cannot_be_written_costs_a_measurement_and_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does it write into the working directory, whatever the variables say."""
    (tmp_path / "home").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setattr("drivesim.cache._has_warned", False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DRIVESIM_CACHE_DIR", "")
    monkeypatch.setattr(threads, "usable_cores", lambda: 1)
    for relative in ("", "cache"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert choose_num_threads("work", lambda: lambda: None) == 1
    assert list((tmp_path / "here").iterdir()) == []
    assert len(capsys.readouterr().err.splitlines()) == 1
