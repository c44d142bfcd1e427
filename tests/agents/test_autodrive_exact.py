"""Autodrive against dynamic programming: the kernel obeys its rules, and every learner finds the best drive.

The rules are written out a second time here, in plain Python and for one ego, so that neither the kernel nor a learner
is compared with itself. Small levels are tables of about a thousand states, solved exactly in a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch
from effort import effort
from level_table import OPTIONS, SIZE, LevelTable, TableVectorEnv, tabulate

from agents.dqn import DQN, DQNConfig
from agents.networks import NetworkConfig
from agents.ppo import PPO, A2CConfig, PPOConfig
from agents.pqn import PQN, PQNConfig
from agents.reinforce import REINFORCE, REINFORCEConfig
from agents.stepping import Stepper

GAMMA = 0.9
LEFT, RIGHT, FASTER, SLOWER = range(4)
ACTIONS = (LEFT, RIGHT, FASTER, SLOWER)
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # row and column, heading north, east, south, west
REWARDS = {"drives": 0.0, "arrived": 1.0, "collision": -1.0, "off_road": -1.0}
OBSTACLE_CODE, CAR_CODE, EGO_CODE = 3, 16, 44  # of "full_grid"; + 7 * heading + speed for the latter two
TIME = -0.4 / 60  # a tick: 0.4 over the whole time limit

# Always the first level of a split. The street is two columns wide, and a stream of cars drives across it: there the
# best drive waits.
LEVELS: dict[str, dict[str, Any]] = {
    "block": {"split": "train", "num_obstacles": 8, "crossing_cars": 0},
    "detour": {"split": "test", "num_obstacles": 6, "crossing_cars": 0},
    "corner": {"split": "test", "num_obstacles": 12, "crossing_cars": 0},
    "street": {"split": "test", "num_obstacles": 0, "crossing_cars": 2, "street": range(4, 6)},
}


class State(NamedTuple):
    """The ego."""

    row: int
    col: int
    heading: int
    speed: int


class Outcome(NamedTuple):
    """What an action leads to."""

    state: State
    event: str


# --- the rules, once more ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A level and where everybody is."""

    obstacles: frozenset[tuple[int, int]]
    cars: frozenset[State]
    ego: State

    @classmethod
    def seen_in(cls, obs: np.ndarray) -> Field:
        """Reads an observation."""
        cells = {(int(row), int(col)): int(obs[row, col]) for row, col in np.ndindex(obs.shape)}
        cars = [
            State(*cell, *divmod(code - CAR_CODE, 7)) for cell, code in cells.items() if CAR_CODE <= code < EGO_CODE
        ]
        (ego,) = [State(*cell, *divmod(code - EGO_CODE, 7)) for cell, code in cells.items() if code >= EGO_CODE]
        return cls(frozenset(c for c, code in cells.items() if code == OBSTACLE_CODE), frozenset(cars), ego)

    def cars_after(self, sub_step: int) -> list[tuple[int, int]]:
        """Where the crossing cars are after so many fifths of a tick; they come back on the other side."""
        ways = [(car, car.speed * sub_step // 5) for car in sorted(self.cars)]
        return [(car.row, (car.col + STEPS[car.heading][1] * cells) % SIZE) for car, cells in ways]

    def move(self, action: int) -> Outcome:
        """One tick: steer or change speed, then enter one cell after the other, all cars at the same time."""
        row, col, heading, speed = self.ego
        if action == FASTER:
            speed = min(speed + 1, 2)
        elif action == SLOWER:
            speed = max(speed - 1, 0)
        elif speed <= 1:  # at speed 2 the ego is too fast to turn
            heading = (heading + (1 if action == RIGHT else 3)) % 4
            speed = 1
        for sub_step in range(1, 6):
            before, cell = (row, col), (row, col)
            if speed * sub_step // 5 > speed * (sub_step - 1) // 5:
                cell = (row + STEPS[heading][0], col + STEPS[heading][1])
                if not (0 <= cell[0] < SIZE and 0 <= cell[1] < SIZE):
                    return Outcome(State(row, col, heading, speed), "off_road")
            row, col = cell
            here = State(row, col, heading, speed)
            for car_before, car in zip(self.cars_after(sub_step - 1), self.cars_after(sub_step), strict=True):
                if cell == car or (cell == car_before != before == car):
                    return Outcome(here, "collision")
            if cell in self.obstacles:
                return Outcome(here, "collision")
            if row == 0:
                return Outcome(here, "arrived")
        return Outcome(State(row, col, heading, speed), "drives")

    def distances(self) -> dict[tuple[int, int], int]:
        """Cells to the northern edge around the obstacles, by breadth-first search."""
        distances = {(0, col): 0 for col in range(SIZE)}
        frontier = list(distances)
        for cell in frontier:
            for step in STEPS:
                after = (cell[0] + step[0], cell[1] + step[1])
                is_open = 0 <= after[0] < SIZE and 0 <= after[1] < SIZE and after not in self.obstacles
                if is_open and after not in distances:
                    distances[after] = distances[cell] + 1
                    frontier.append(after)
        return distances


# --- the tables -------------------------------------------------------------------------------------------------------


@cache
def table_of(level: str, reward: str) -> LevelTable:
    return tabulate(reward=reward, **LEVELS[level])


def own_route_length(level: str) -> int:
    """Cells from the start that the generator drew for this level, whose share a cell is worth."""
    options = {name: value for name, value in LEVELS[level].items() if name != "street"}
    obs, _ = gym.make("drivesim/Autodrive-v1", **OPTIONS, **options).reset(seed=0)
    field = Field.seen_in(obs)
    return field.distances()[field.ego[:2]]


@pytest.mark.parametrize("level", LEVELS)
def test_every_state_and_action_leads_where_the_rules_say(level: str) -> None:
    table, sparse = table_of(level, "route"), table_of(level, "sparse")
    fields = [Field.seen_in(obs) for obs in table.obs]
    obstacles = frozenset().union(*(field.obstacles for field in fields))  # one may be hidden under a crossing car
    fields = [replace(field, obstacles=obstacles) for field in fields]
    distances, route_length = fields[0].distances(), own_route_length(level)
    for state in table.running.tolist():
        before = fields[state]
        for action in ACTIONS:
            expected, event = before.move(action)
            successor = table.next_states[state, action]
            assert fields[successor].ego == expected, (before, action)
            assert table.is_over[successor] == (event != "drives"), (before, action)
            assert sparse.rewards[state, action] == REWARDS[event], (before, action)
            # Who leaves the field or hits an obstacle keeps the distance that it had.
            distance = distances[before.ego[:2]]
            left = distance if event == "off_road" else distances.get(expected[:2], distance)
            reward = REWARDS[event] + (distance - left) / route_length + TIME
            assert table.rewards[state, action] == pytest.approx(reward, abs=1e-12), (before, action)
            if event == "drives":
                assert {car[:2] for car in fields[successor].cars} == set(before.cars_after(5)), (before, action)


@pytest.mark.parametrize("level", LEVELS)
def test_all_legal_starts_are_in_the_table(level: str) -> None:
    table = table_of(level, "route")
    starts = {Field.seen_in(table.obs[state]) for state in table.starts}
    columns = LEVELS[level].get("street", range(SIZE))
    assert {field.ego for field in starts} == {State(SIZE - 1, col, 0, 0) for col in columns}
    num_phases = 5 if LEVELS[level]["crossing_cars"] else 1  # two cars on ten columns
    assert len(starts) == len(columns) * num_phases


@pytest.mark.parametrize("level", [level for level in LEVELS if level != "street"])
def test_a_drive_in_the_environment_follows_the_table(level: str) -> None:
    """Drives of many steps: nothing that the observation does not show makes a difference."""
    table = table_of(level, "route")
    numbers = {table.obs[state].tobytes(): state for state in table.running}
    env = gym.make("drivesim/Autodrive-v1", reward="route", **OPTIONS, **LEVELS[level])
    rng = np.random.default_rng(0)
    num_ends = 0
    obs, _ = env.reset(seed=0)
    for _ in range(2000):
        state, action = numbers[obs.tobytes()], rng.integers(4)
        obs, reward, terminated, truncated, _ = env.step(action)
        successor = table.next_states[state, action]
        np.testing.assert_array_equal(obs, table.obs[successor])
        assert (reward, terminated, truncated) == (table.rewards[state, action], table.is_over[successor], False)
        if terminated:
            num_ends += 1
            obs, _ = env.reset()
    assert num_ends > 100


@pytest.mark.parametrize("level", LEVELS)
def test_value_iteration_and_breadth_first_search_agree(level: str) -> None:
    """With 1 for arriving and nothing on the way, a start is worth gamma to the number of steps before the last."""
    table = table_of(level, "sparse")
    values = table.optimal_q_values(GAMMA).max(axis=1)
    for start in table.starts.tolist():
        frontier, steps = {start}, 1
        while not any((table.rewards[state] == 1.0).any() for state in frontier):
            frontier = {int(s) for state in frontier for s in table.next_states[state] if not table.is_over[s]}
            steps += 1
        assert values[start] == pytest.approx(GAMMA ** (steps - 1), rel=1e-9)


# --- the learners -----------------------------------------------------------------------------------------------------

# One-step targets, because only their fixed point is Q*: longer returns, Peng's Q(lambda) among them, hold what
# exploration did on the way, and exploration never ends here.
VALUE_LEARNERS: dict[str, tuple[Any, Any, int]] = {
    "dqn": (
        DQN,
        DQNConfig(
            num_envs=128,
            n_step=1,
            gamma=GAMMA,
            learning_rate=5e-3,
            batch_size=512,
            train_frequency=128,
            buffer_size=250_000,
            learning_starts=5_000,
            tau=0.2,
            epsilon_end=0.8,
            exploration_fraction=0.8,
            loss="mse",
            network=NetworkConfig(hidden_sizes=(256,)),
        ),
        200_000,
    ),
    "pqn": (
        PQN,
        PQNConfig(
            num_envs=512,
            num_steps=1,
            gamma=GAMMA,
            lam=0.0,
            epochs=3,
            minibatches=1,
            learning_rate=1e-2,
            epsilon_end=0.8,
            exploration_fraction=0.8,
            network=NetworkConfig(hidden_sizes=(256,)),
        ),
        600_000,
    ),
}
# Much entropy at first: from most states a random driver crashes, so that a hasty learner parks for ever.
POLICY_LEARNERS: dict[str, tuple[Any, Any, int]] = {
    "ppo": (
        PPO,
        PPOConfig(
            num_envs=256,
            num_steps=16,
            gamma=GAMMA,
            lam=0.6,
            epochs=4,
            minibatches=8,
            learning_rate=1e-2,
            entropy_coefficient=0.2,
            network=NetworkConfig(hidden_sizes=(64,), layer_norm=False),
        ),
        500_000,
    ),
    "a2c": (
        PPO,
        A2CConfig(
            num_envs=256,
            num_steps=4,
            gamma=GAMMA,
            lam=0.6,
            optimizer="adam",
            learning_rate=3e-3,
            entropy_coefficient=0.3,
            network=NetworkConfig(hidden_sizes=(64, 64), layer_norm=False),
        ),
        700_000,
    ),
    "reinforce": (
        REINFORCE,
        REINFORCEConfig(
            num_envs=256,
            num_steps=4,
            gamma=GAMMA,
            learning_rate=3e-3,
            entropy_coefficient=0.3,
            network=NetworkConfig(hidden_sizes=(64, 64), layer_norm=False),
        ),
        700_000,
    ),
}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


LOOKS = 40
"""How often a learner is looked at, at most."""
IN_A_ROW = 4
"""Looks, a tenth of the steps, after which what is good counts as learnt: once may be chance."""


def seen(
    learner: tuple[Any, Any, int], envs: TableVectorEnv, look: Callable[[Any], float], is_good: Callable[[float], bool]
) -> list[float]:
    """What each look at an agent finds while it acts, records and updates, until it is good and stays so."""
    algorithm, config, total_steps = learner
    agent = algorithm(
        envs.single_observation_space, envs.single_action_space, config, seed=0, total_steps=total_steps
    )  # fmt: skip
    stepper = Stepper(envs)
    obs = stepper.begin([0])
    agent.begin(obs)
    found: list[float] = []
    while agent.global_step < total_steps:
        step = stepper.step(agent.act(obs))
        agent.record(step)
        agent.update()
        obs = step.next_obs
        if agent.global_step * LOOKS >= (len(found) + 1) * total_steps:
            found.append(look(agent))
            if len(found) >= IN_A_ROW and all(map(is_good, found[-IN_A_ROW:])):
                break
    return found


def value_errors(learner: tuple[Any, Any, int], table: LevelTable) -> list[float]:
    """The largest |Q - Q*| of all states and actions; most steps are cut off, so that every state is often begun in."""
    envs = TableVectorEnv(table, learner[1].num_envs, truncation_rate=0.8)
    optimum, obs = table.optimal_q_values(GAMMA), torch.from_numpy(table.obs)

    def look(agent: Any) -> float:
        with torch.no_grad():
            q_values = agent.network(obs).numpy()
        return float(np.abs(q_values - optimum)[table.running].max())

    return seen(learner, envs, look, lambda error: error <= MAX_ERROR)


def shares_of_the_optimum(learner: tuple[Any, Any, int], table: LevelTable) -> list[float]:
    """The smallest return of the greedy policy over the optimal one, of all legal starts."""
    envs = TableVectorEnv(table, learner[1].num_envs, truncation_rate=0.1, start_share=0.5)
    optimum = table.optimal_q_values(GAMMA).max(axis=1)[table.starts]

    def look(agent: Any) -> float:
        returns = table.returns_of(agent.policy()(table.obs), GAMMA)[table.starts]
        return float((returns / optimum).min())

    return seen(learner, envs, look, lambda share: share >= MIN_SHARE)


MAX_ERROR, MIN_SHARE = 0.05, 0.99
VALUE_CASES = [("block", "route"), ("block", "sparse"), ("corner", "route"), ("street", "route")]
# Not "corner": PPO and REINFORCE then drive best from all starts but one, where they stay 1.2 % below the optimum.
POLICY_CASES = [("block", "route"), ("block", "sparse"), ("detour", "sparse"), ("street", "route")]
USUAL_CASES = {
    "dqn": ("block", "route"),
    "pqn": ("street", "route"),
    "ppo": ("block", "route"),
    "a2c": ("detour", "sparse"),
    "reinforce": ("street", "route"),
}
"""Every learner once, and every kind of level."""


def cases(learners: dict[str, Any], full: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    """A learner's name, a level and a reward each."""
    return [(name, *case) for name in learners for case in effort([USUAL_CASES[name]], full)]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "level", "reward"), cases(VALUE_LEARNERS, VALUE_CASES))
def test_the_learnt_values_are_optimal_in_every_state(name: str, level: str, reward: str) -> None:
    errors = value_errors(VALUE_LEARNERS[name], table_of(level, reward))
    assert max(errors[-IN_A_ROW:]) <= MAX_ERROR, errors


@pytest.mark.slow
@pytest.mark.parametrize(("name", "level", "reward"), cases(POLICY_LEARNERS, POLICY_CASES))
def test_the_learnt_policy_is_optimal_from_every_start(name: str, level: str, reward: str) -> None:
    shares = shares_of_the_optimum(POLICY_LEARNERS[name], table_of(level, reward))
    assert min(shares[-IN_A_ROW:]) >= MIN_SHARE, shares
