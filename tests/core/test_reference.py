"""Compiled code does exactly what the same code does in the plain interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rollout

from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES

WORLDS, STEPS = 3, 60


def interpreted(scenario, observation):
    """The same rollout without a compiler; a warning, such as that of an overflow, is an error."""
    done = subprocess.run(
        [sys.executable, "-W", "error", rollout.__file__, scenario, observation, str(WORLDS), str(STEPS)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        cwd=Path(rollout.__file__).parents[2],
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("observation", ENCODERS)
@pytest.mark.parametrize("scenario", [entry.name for entry in ENTRIES])
def test_compiled_kernels_compute_what_the_interpreter_does(scenario, observation) -> None:
    expected = interpreted(scenario, observation)
    computed = rollout.rollout(scenario, observation, WORLDS, STEPS)
    assert len(computed) == len(expected) == STEPS + 1
    for step, (ours, reference) in enumerate(zip(computed, expected, strict=True)):
        assert ours == reference, f"step {step}"
