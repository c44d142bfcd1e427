"""The boundary contract: all three autoreset modes tell the same story, and a state continues it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

import drivesim  # noqa: F401  registers its ids
from agents.stepping import Step, Stepper

ENVS: dict[str, dict[str, Any]] = {
    "probes/Constant-v0": {},
    "probes/Cue-v0": {},
    "probes/TwoStep-v0": {},
    "probes/Truncation-v0": {},
    # So short a limit that some episodes are cut and others end in a crash.
    "drivesim/Autodrive-v1": {"max_episode_steps": 9},
}
MODES = list(AutoresetMode)
NUM_ENVS = 6
SEEDS = [100 + 7 * i for i in range(NUM_ENVS)]


@contextlib.contextmanager
def opened(env_id: str, mode: AutoresetMode) -> Iterator[Stepper]:
    """Envs that hand out views, as in training."""
    options = {"copy": False, "autoreset_mode": mode.value, **ENVS[env_id]}
    with contextlib.closing(gym.make_vec(env_id, num_envs=NUM_ENVS, **options)) as envs:
        yield Stepper(envs)


def driven(stepper: Stepper, obs: NDArray[Any]) -> NDArray[np.int64]:
    """Actions that depend on the env and its observation alone, in no simple way."""
    codes = np.round(obs.reshape(len(obs), -1).astype(np.float64) * 100.0).astype(np.int64)
    weights = 1 + np.arange(codes.shape[1]) ** 2 % 101
    return (codes @ weights + np.arange(len(obs))) % stepper.envs.single_action_space.n  # type: ignore[attr-defined]


def copied(step: Step) -> Step:
    return Step(*(None if part is None else np.array(part) for part in step))


def transitions(env_id: str, mode: AutoresetMode, num_rows: int) -> list[list[tuple[Any, ...]]]:
    """The first real rows of every env: observation, whether it begins an episode, action, reward, ends, successor,
    and the episode's metrics where it ended.
    """
    rows: list[list[tuple[Any, ...]]] = [[] for _ in range(NUM_ENVS)]
    with opened(env_id, mode) as stepper:
        obs, starts = stepper.begin(SEEDS).copy(), np.ones(NUM_ENVS, np.bool_)
        while min(map(len, rows)) < num_rows:
            step = copied(stepper.step(driven(stepper, obs)))
            episodes = iter(zip(*(column.tolist() for column in stepper.episodes.values()), strict=True))
            for i in range(NUM_ENVS):
                successor = step.next_obs[i]
                metrics = None
                if step.ended[i]:
                    assert step.final_obs is not None
                    successor, metrics = step.final_obs[i], dict(zip(stepper.episodes, next(episodes), strict=True))
                if step.is_real[i]:
                    ends = bool(step.terminated[i]), bool(step.truncated[i])
                    action, reward = int(step.actions[i]), float(step.rewards[i])
                    rows[i].append(
                        (obs[i].tobytes(), bool(starts[i]), action, reward, *ends, successor.tobytes(), metrics)
                    )
            obs, starts = step.next_obs, step.starts
    return [env_rows[:num_rows] for env_rows in rows]


@pytest.mark.parametrize("env_id", ENVS)
def test_all_autoreset_modes_give_the_same_transitions(env_id: str) -> None:
    same_step, next_step, disabled = (
        transitions(env_id, mode, 45)
        for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED)
    )
    assert next_step == same_step
    assert disabled == same_step


@pytest.mark.parametrize("env_id", ENVS)
@pytest.mark.parametrize("mode", MODES)
def test_transitions_join_within_an_episode_and_only_there(env_id: str, mode: AutoresetMode) -> None:
    """A successor is the next observation unless the episode ended; after every end one begins, and only then."""
    kinds = set()
    for env_rows in transitions(env_id, mode, 45):
        is_begun = True
        following = None
        for obs, starts, _, _, terminated, truncated, successor, metrics in env_rows:
            assert starts == is_begun
            assert starts or obs == following
            assert (metrics is not None) == (terminated or truncated)
            kinds.add((terminated, truncated))
            is_begun, following = terminated or truncated, successor
    expected = {
        "probes/Constant-v0": {(True, False)},
        "probes/Cue-v0": {(True, False)},
        "probes/TwoStep-v0": {(False, False), (True, False)},
        "probes/Truncation-v0": {(False, False), (False, True)},
        "drivesim/Autodrive-v1": {(False, False), (False, True), (True, False)},
    }
    assert kinds >= expected[env_id]


def test_the_row_that_begins_an_episode_under_next_step_is_not_real() -> None:
    # TwoStep's observations are 0 and 1. After the second step the env waits in 1, and the third action does nothing.
    seen = []
    with opened("probes/TwoStep-v0", AutoresetMode.NEXT_STEP) as stepper:
        stepper.begin(SEEDS)
        for _ in range(4):
            step = stepper.step(np.zeros(NUM_ENVS, np.int64))
            final = None if step.final_obs is None else step.final_obs[0, 0]
            flags = step.terminated[0], step.is_real[0], step.starts[0]
            seen.append((step.next_obs[0, 0], step.rewards[0], *map(bool, flags), final))
    assert seen == [
        # next_obs, reward, terminated, is_real, starts, final_obs
        (1.0, 0.0, False, True, False, None),
        (1.0, 1.0, True, True, False, 1.0),
        (0.0, 0.0, False, False, True, None),
        (1.0, 0.0, False, True, False, None),
    ]


@pytest.mark.parametrize("env_id", ["probes/Truncation-v0", "drivesim/Autodrive-v1"])
@pytest.mark.parametrize("mode", MODES)
def test_a_state_continues_exactly_wherever_it_was_taken(env_id: str, mode: AutoresetMode) -> None:
    """In the middle of episodes, right after an end and, under NEXT_STEP, while envs wait to begin."""
    num_steps = 24
    ends_before = []
    with opened(env_id, mode) as stepper:
        obs = stepper.begin(SEEDS).copy()
        states, rows = [], []
        for _ in range(num_steps):
            states.append((stepper.state(), obs))
            rows.append(copied(stepper.step(driven(stepper, obs))))
            ends_before.append(rows[-1].ended.any())
            obs = rows[-1].next_obs
    assert any(ends_before)
    assert not all(ends_before)
    with opened(env_id, mode) as twin:
        for start in range(0, num_steps, 1 if env_id.startswith("probes/") else 5):
            checkpoint, obs = states[start]
            np.testing.assert_array_equal(twin.load_state(checkpoint), obs)
            for row in rows[start:]:
                step = copied(twin.step(driven(twin, obs)))
                for name in ("actions", "rewards", "terminated", "truncated", "next_obs", "is_real", "starts"):
                    np.testing.assert_array_equal(getattr(step, name), getattr(row, name), err_msg=name)
                if row.ended.any():
                    np.testing.assert_array_equal(step.final_obs[row.ended], row.final_obs[row.ended])
                obs = step.next_obs


def test_beginning_again_forgets_the_envs_that_waited() -> None:
    with opened("probes/Constant-v0", AutoresetMode.NEXT_STEP) as stepper:
        stepper.begin(SEEDS)
        assert stepper.step(np.zeros(NUM_ENVS, np.int64)).ended.all()
        stepper.begin(SEEDS)
        step = stepper.step(np.zeros(NUM_ENVS, np.int64))
        assert step.is_real.all()
        assert step.rewards.tolist() == [1.0] * NUM_ENVS


def test_the_probes_refuse_to_step_an_env_that_has_ended_unless_it_begins_by_itself() -> None:
    envs = gym.make_vec("probes/Constant-v0", num_envs=2, autoreset_mode="Disabled")
    envs.reset(seed=0)
    envs.step(np.zeros(2, np.int64))
    with pytest.raises(gym.error.ResetNeeded, match=r"envs \[0 1\] have ended"):
        envs.step(np.zeros(2, np.int64))
    envs.reset(options={"reset_mask": np.array([True, False])})
    with pytest.raises(gym.error.ResetNeeded, match=r"envs \[1\] have ended"):
        envs.step(np.zeros(2, np.int64))


def test_an_environment_that_hides_its_autoreset_mode_is_refused() -> None:
    envs = gym.make_vec("probes/Constant-v0", num_envs=2)
    envs.metadata = {"autoreset_mode": "SameStep"}
    with pytest.raises(ValueError, match=r"must be a gymnasium\.vector\.AutoresetMode, got 'SameStep'"):
        Stepper(envs)


def test_worlds_with_other_fields_are_not_taken_over() -> None:
    with opened("probes/Constant-v0", AutoresetMode.SAME_STEP) as stepper:
        stepper.begin(SEEDS)
        checkpoint = stepper.state()
        checkpoint.values["worlds_dtype"] = "[('other', '<f8')]"
        with pytest.raises(ValueError, match="worlds have other fields"):
            stepper.load_state(checkpoint)
