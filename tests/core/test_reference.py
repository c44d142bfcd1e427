"""Compiled code does exactly what the same code does in the plain interpreter."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import rollout
from effort import FULL, effort

from drivesim.observations import ENCODERS
from drivesim.registry import ENTRIES

ROOT = Path(rollout.__file__).parents[2]
# NumPy's own way to a record's field takes four fifths of the time; with all effort it is taken.
QUICK = "import quick_records, runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"


def interpreted(scenario):
    """The same rollouts without a compiler; a warning, such as that of an overflow, is an error."""
    program = [*effort(["-c", QUICK], []), rollout.__file__, scenario, effort("everyday", "full")]
    done = subprocess.run(
        [sys.executable, "-W", "error", *program],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT}/tests/soak"},
        cwd=ROOT,
    )
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", [entry.name for entry in ENTRIES])
def test_compiled_kernels_compute_what_the_interpreter_does(scenario) -> None:
    expected = interpreted(scenario)
    assert set(expected) == set(ENCODERS)
    for observation, size in rollout.sizes(FULL).items():
        computed = rollout.rollout(scenario, observation, *size)
        assert len(computed) == len(expected[observation]) == size[1] + 1
        for step, (ours, reference) in enumerate(zip(computed, expected[observation], strict=True)):
            assert ours == reference, f"{observation}, step {step}"
