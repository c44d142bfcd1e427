"""Times the environments of one version of the code, in a process of its own, for `benchmark.py`.

    PYTHONPATH=FOLDER_OF_DRIVESIM python scripts/benchmark_driver.py

Nothing but Gymnasium's interface is used, so that any commit can be measured by this same file. Requests come on stdin
and answers go to stdout, one JSON object per line. The first answer holds `file`, where `drivesim` lies, `ids`, the
newest id of each scenario, and `import_seconds`. Requests are

    {"do": "rate", "env": ID, "num_envs": N, "num_threads": N, "seconds": S, "clock": CLOCK, "options": {…}}
    {"do": "first_step", "env": ID}
    {"do": "forget"}

and answers `{"value": NUMBER}` or `{"error": MESSAGE}`: steps per second over all envs, seconds from `gym.make` to the
end of the first step, and 0. Environments are kept for the next request until `forget`.
"""

from __future__ import annotations

import importlib
import json
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}  # "cpu" is not disturbed by what else the machine does
MAX_DRAWN = 2**20  # actions drawn beforehand, at most; then they are used again
WARM_UP_STEPS = 32  # until the envs' episodes no longer end together

Run = Callable[[float, Callable[[], float]], float]  # (seconds, clock) → steps per second of that clock


def single_stepper(env_id: str, options: dict[str, Any], seed: int) -> Run:
    """What steps one environment without its wrappers; resets are part of the time and no steps."""
    import gymnasium as gym
    import numpy as np

    made: Any = gym.make(env_id, **options)
    limit = made.spec.max_episode_steps
    env = made.unwrapped
    actions: list[int] = np.random.default_rng(seed).integers(made.action_space.n, size=1024).tolist()
    env.reset(seed=seed)
    env.step(0)
    env.reset()

    def run(seconds: float, clock: Callable[[], float]) -> float:
        steps, length = 0, 0
        start = clock()
        while (elapsed := clock() - start) < seconds:
            for action in actions:
                terminated = env.step(action)[2]
                length += 1
                if terminated or length == limit:
                    env.reset()
                    length = 0
            steps += len(actions)
        return steps / elapsed

    return run


def vector_stepper(env_id: str, options: dict[str, Any], num_envs: int, num_threads: int, seed: int) -> Run:
    """What steps a batch with `copy=False` and SAME_STEP; resets are part of the time and no steps."""
    import gymnasium as gym
    import numpy as np

    mode = gym.vector.AutoresetMode.SAME_STEP.value
    envs: Any = gym.make_vec(
        env_id, num_envs=num_envs, num_threads=num_threads, copy=False, autoreset_mode=mode, **options
    )
    rows = max(4, min(256, MAX_DRAWN // num_envs))
    actions = np.random.default_rng(seed).integers(envs.single_action_space.n, size=(rows, num_envs))
    envs.reset(seed=seed)
    for step in range(WARM_UP_STEPS):
        envs.step(actions[step % rows])

    def run(seconds: float, clock: Callable[[], float]) -> float:
        steps = 0
        start = clock()
        while (elapsed := clock() - start) < seconds:
            envs.step(actions[steps % rows])
            steps += 1
        return steps * num_envs / elapsed

    return run


def first_step(env_id: str) -> float:
    """Seconds of making an environment, its first reset and its first step."""
    import gymnasium as gym

    start = time.perf_counter()
    env = gym.make(env_id)
    env.reset(seed=0)
    env.step(0)
    return time.perf_counter() - start


def newest_ids() -> dict[str, str]:
    """The newest registered id of each scenario's name."""
    import gymnasium as gym

    specs = [spec for spec in gym.registry.values() if spec.namespace == "drivesim"]
    return {spec.name: spec.id for spec in sorted(specs, key=lambda spec: spec.version or 0)}


def answer(request: dict[str, Any], steppers: dict[str, Run]) -> float:
    """Does what a request asks for; `steppers` holds what earlier ones have made."""
    if request["do"] == "forget":
        steppers.clear()
        return 0.0
    if request["do"] == "first_step":
        return first_step(request["env"])
    env_id, options, num_envs = request["env"], request["options"], request["num_envs"]
    key = json.dumps([env_id, options, num_envs, request["num_threads"]])
    if key not in steppers and num_envs == 1:
        steppers[key] = single_stepper(env_id, options, seed=0)
    elif key not in steppers:
        steppers[key] = vector_stepper(env_id, options, num_envs, request["num_threads"], seed=0)
    return steppers[key](request["seconds"], CLOCKS[request["clock"]])


def main() -> int:
    """Answers requests until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for `benchmark.py`, which then ends this process
    out, sys.stdout = sys.stdout, sys.stderr  # whatever the measured code prints is no answer
    start = time.perf_counter()
    drivesim = importlib.import_module("drivesim")
    import_seconds = time.perf_counter() - start
    hello = {"file": drivesim.__file__, "ids": newest_ids(), "import_seconds": import_seconds}
    print(json.dumps(hello), file=out, flush=True)
    steppers: dict[str, Run] = {}
    for line in sys.stdin:
        found: dict[str, Any]
        try:
            found = {"value": answer(json.loads(line), steppers)}
        except Exception as error:  # an old commit may lack what is asked for, which is worth a line in the table
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), file=out, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
