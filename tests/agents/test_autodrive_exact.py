"""Autodrive against dynamic programming: the kernel obeys its rules, and DQN finds the shortest drive.

The rules are written out a second time here, in plain Python and for one car on an open field, so that neither the
kernel nor the agent is compared with itself. Without crossing cars a level is a Markov decision process over row,
column, heading and speed: about a thousand states, solved exactly in a moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import gymnasium as gym
import numpy as np
import pytest
import torch

import drivesim  # noqa: F401 - registers the ids
from agents.dqn import DQN, DQNConfig
from agents.networks import NetworkConfig

GAMMA = 0.9
SIZE = 10
LEFT, RIGHT, FASTER, SLOWER = range(4)
ACTIONS = (LEFT, RIGHT, FASTER, SLOWER)
STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1))  # row and column, heading north, east, south, west
REWARDS = {"drives": 0.0, "arrived": 1.0, "collision": -1.0, "off_road": -1.0}  # reward="sparse"
OBSTACLE_CODE, EGO_CODE = 3, 39  # of the "full_grid" observation: 39 + 6 * heading + speed is the ego

# Always the first level of a split: the shortest drives take 6, 8 and 9 steps, 5 without obstacles.
LAYOUTS = {
    "block": {"split": "train", "num_obstacles": 8},
    "detour": {"split": "test", "num_obstacles": 6},
    "corner": {"split": "test", "num_obstacles": 12},
}


class State(NamedTuple):
    """The car; on an open field that is all there is."""

    row: int
    col: int
    heading: int
    speed: int


class Outcome(NamedTuple):
    """What an action leads to."""

    state: State
    event: str


# --- the rules, once more -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Field:
    """A level: where the obstacles are and where the drive begins."""

    obstacles: frozenset[tuple[int, int]]
    start: State

    @classmethod
    def seen_in(cls, obs: np.ndarray) -> Field:
        """Reads the level from its first observation."""
        obstacles = frozenset((int(row), int(col)) for row, col in np.argwhere(obs == OBSTACLE_CODE))
        return cls(obstacles, ego_in(obs))

    def states(self) -> list[State]:
        """All in which a car can be on its way: anywhere but on an obstacle or in the goal's row."""
        return [
            State(row, col, heading, speed)
            for row in range(1, SIZE)
            for col in range(SIZE)
            if (row, col) not in self.obstacles
            for heading in range(4)
            for speed in range(3)
        ]

    def move(self, state: State, action: int) -> Outcome:
        """One tick: steer or change speed, then enter one cell after the other."""
        row, col, heading, speed = state
        if action == FASTER:
            speed = min(speed + 1, 2)
        elif action == SLOWER:
            speed = max(speed - 1, 0)
        elif speed <= 1:  # at speed 2 the car is too fast to turn
            heading = (heading + (1 if action == RIGHT else 3)) % 4
            speed = 1
        for _ in range(speed):
            last = State(row, col, heading, speed)
            row, col = row + STEPS[heading][0], col + STEPS[heading][1]
            if not (0 <= row < SIZE and 0 <= col < SIZE):
                return Outcome(last, "off_road")
            if (row, col) in self.obstacles:
                return Outcome(State(row, col, heading, speed), "collision")
            if row == 0:
                return Outcome(State(row, col, heading, speed), "arrived")
        return Outcome(State(row, col, heading, speed), "drives")

    def optimal_values(self) -> dict[State, float]:
        """Discounted value of the best drive from every state, by value iteration to its fixed point."""
        states = self.states()
        moves = {state: [self.move(state, action) for action in ACTIONS] for state in states}
        values = dict.fromkeys(states, 0.0)
        while True:
            improved = {
                state: max(
                    REWARDS[event] + (GAMMA * values[after] if event == "drives" else 0.0) for after, event in ways
                )
                for state, ways in moves.items()
            }
            if improved == values:
                return values
            values = improved

    def fewest_steps(self) -> int:
        """Steps of the shortest drive from the start, by breadth-first search."""
        frontier, seen, steps = {self.start}, {self.start}, 0
        while frontier:
            steps += 1
            outcomes = [self.move(state, action) for state in frontier for action in ACTIONS]
            if any(event == "arrived" for _, event in outcomes):
                return steps
            frontier = {state for state, event in outcomes if event == "drives"} - seen
            seen |= frontier
        raise AssertionError("the generator let an impossible level through")


def ego_in(obs: np.ndarray) -> State:
    """Finds the ego in a `"full_grid"` observation."""
    ((row, col),) = np.argwhere(obs >= EGO_CODE)
    heading, speed = divmod(int(obs[row, col]) - EGO_CODE, 6)
    return State(int(row), int(col), heading, speed)


# --- the environment ------------------------------------------------------------------------------------------------


@pytest.fixture(params=LAYOUTS)
def options(request: pytest.FixtureRequest) -> dict[str, object]:
    return {"num_levels": 1, "crossing_cars": 0, "reward": "sparse", **LAYOUTS[request.param]}


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def placed(world: np.ndarray, state: State) -> np.ndarray:
    """A copy of a world (1,) in which the ego is somewhere else, its route remembered from there."""
    world = world.copy()
    cell = state.row * SIZE + state.col
    ego = world["vehicles"][0, 0]
    world["occupants"][0, int(ego["row"]) * SIZE + int(ego["col"])] = 0
    world["occupants"][0, cell] = 1
    world["drivers"]["remaining"][0, 0] = world["route"][0, cell]
    for name, value in state._asdict().items():
        ego[name] = value
    return world


def test_every_state_and_action_leads_where_the_rules_say(options) -> None:
    env = gym.make("drivesim/Autodrive-v0", **options).unwrapped
    obs, _ = env.reset(seed=0)
    field = Field.seen_in(obs)
    world = env.get_state()
    for state in field.states():
        there = placed(world, state)
        for action in ACTIONS:
            env.set_state(there)
            assert ego_in(env.observe()) == state
            obs, reward, terminated, _, info = env.step(action)
            expected, event = field.move(state, action)
            assert ego_in(obs) == expected, (state, action)
            assert reward == REWARDS[event], (state, action)
            assert terminated == (event != "drives"), (state, action)
            found = {"arrived": info["success"], "collision": info["collision"], "off_road": info["off_road"]}
            assert [name for name, is_true in found.items() if is_true] == [event] * terminated, (state, action)


def test_value_iteration_and_breadth_first_search_agree(options) -> None:
    env = gym.make("drivesim/Autodrive-v0", **options)
    field = Field.seen_in(env.reset(seed=0)[0])
    assert field.optimal_values()[field.start] == pytest.approx(GAMMA ** (field.fewest_steps() - 1), rel=1e-12)


def train(options: dict[str, object]) -> DQN:
    """A driver trained on one level, from its start and with 400,000 steps."""
    config = DQNConfig(
        num_envs=256,
        n_step=2,
        gamma=GAMMA,
        learning_rate=2e-3,
        batch_size=256,
        train_frequency=256,
        buffer_size=50_000,
        tau=0.02,
        epsilon_end=0.05,
        exploration_fraction=0.5,
        network=NetworkConfig(hidden_sizes=(32, 32)),
    )
    total_steps = 400_000
    envs = gym.make_vec("drivesim/Autodrive-v0", num_envs=256, autoreset_mode="SameStep", copy=False, **options)
    agent = DQN(envs.single_observation_space, envs.single_action_space, config, seed=0, total_steps=total_steps)
    obs, _ = envs.reset(seed=0)
    agent.begin(obs)
    while agent.global_step < total_steps:
        actions = agent.act(obs)
        obs, rewards, terminated, truncated, infos = envs.step(actions)
        agent.observe(actions, rewards, terminated, truncated, obs, infos.get("final_obs"))
        agent.update()
    envs.close()
    return agent


def test_dqn_learns_the_shortest_drive(options, one_thread) -> None:
    """All of 32 runs with seeds 0 to 13 (the block: 0 to 3) had found it for good within 70 % of the steps."""
    agent = train(options)
    env = gym.make("drivesim/Autodrive-v0", **options)
    start, _ = env.reset(seed=0)
    field = Field.seen_in(start)
    obs, steps, reward, has_ended = start, 0, 0.0, False
    while not has_ended:
        obs, reward, terminated, truncated, _ = env.step(int(agent.greedy(obs[None])[0]))
        has_ended = terminated or truncated
        steps += 1
    assert (steps, reward) == (field.fewest_steps(), 1.0)
    # Two-step returns still hold some of the exploration's mistakes, so the value lies a little below the optimum.
    with torch.no_grad():
        value = agent.q_network(torch.from_numpy(start[None].copy())).max().item()
    assert value == pytest.approx(field.optimal_values()[field.start], rel=0.15)
