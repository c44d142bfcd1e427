"""Training takes no more memory the longer it lasts."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from agents.presets import preset_for
from agents.training import train


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_dqn_that_learns_on_takes_no_more_memory(tmp_path: Path) -> None:
    preset = preset_for("drivesim/LaneKeep-v1", "dqn")
    options = {"total_steps": 600_000, "eval_interval": 50_000, "eval_episodes": 8, "num_threads": 1}
    config = replace(preset.train, tensorboard=False, progress=False, stop_at_success=None, **options)
    sizes: list[int] = []
    train(config, preset.agent, tmp_path, on_evaluation=lambda step, success: bool(sizes.append(resident_bytes())))
    full = sizes[5]  # after 300,000 steps, when the replay memory of 200,000 is full
    assert max(sizes[6:]) - full < 60e6, sizes  # it was 150 MB
