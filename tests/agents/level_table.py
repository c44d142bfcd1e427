"""A small Autodrive level as a table: every state that a drive can reach, and what every action leads to.

The transitions are the kernel's own. What a driver sees is the state: with ``observation="full_grid"`` the map, the ego
with its heading and speed and the crossing cars, which never look out for it, are all there is. Two things would be
hidden from it and are therefore switched off: the time limit, and the ``"route"`` reward's discount for harsh
driving, which remembers the last acceleration.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

import drivesim  # noqa: F401 - registers the ids
from drivesim.core.map import OBSTACLE, PORTAL, UNREACHABLE

SIZE = 10
NUM_ACTIONS = 4
OPTIONS: dict[str, Any] = {"num_levels": 1, "max_episode_steps": -1, "reward_weights": {"harsh_factor": 1.0}}
NUM_ENVS = 200  # worlds that are tried out at a time
PERIOD = 10  # ticks after which a stream of crossing cars is where it was


class LevelTable(NamedTuple):
    """A level with S states, those in which a drive is over among them, and A actions."""

    obs: NDArray[np.uint8]
    """(S, 10, 10)."""
    next_states: NDArray[np.int64]
    """(S, A)."""
    rewards: NDArray[np.float64]
    """(S, A)."""
    is_over: NDArray[np.bool_]
    """(S,): nothing follows; the rows of such a state in the other tables are meaningless."""
    starts: NDArray[np.int64]
    """States in which a drive may begin: at rest on the southern edge, in any column and any phase of the stream."""

    @property
    def running(self) -> NDArray[np.int64]:
        """The states in which a drive goes on."""
        return np.flatnonzero(~self.is_over)

    def optimal_q_values(self, gamma: float) -> NDArray[np.float64]:
        """Returns Q* (S, A), the fixed point of value iteration; 0 where a drive is over."""
        q_values = np.zeros(self.rewards.shape)
        while True:
            next_values = np.where(self.is_over, 0.0, q_values.max(axis=1))  # (S,)
            improved = np.where(self.is_over[:, None], 0.0, self.rewards + gamma * next_values[self.next_states])
            if np.abs(improved - q_values).max() < 1e-12:
                return improved
            q_values = improved

    def returns_of(self, actions: NDArray[np.int64], gamma: float) -> NDArray[np.float64]:
        """Returns the discounted return (S,) of every state under a deterministic policy, (S,) actions."""
        rows = np.arange(len(actions))
        rewards = np.where(self.is_over, 0.0, self.rewards[rows, actions])
        successors = self.next_states[rows, actions]
        values = np.zeros(len(actions))
        while True:
            improved = rewards + np.where(self.is_over, 0.0, gamma * values[successors])
            if np.abs(improved - values).max() < 1e-12:
                return improved
            values = improved


def cells_at(rows: Any, cols: Any) -> Any:
    """The cells of rows and columns; around the field is a border of one cell."""
    return (rows + 1) * (SIZE + 2) + cols + 1


def placed(state: NDArray[Any], row: int, col: int, heading: int, speed: int) -> NDArray[Any]:
    """A copy of a state (1,) in which the ego is somewhere else, its route remembered from there."""
    state = state.copy()
    cell = cells_at(row, col)
    ego = state["world"]["vehicles"][0, 0]
    state["world"]["egos"]["remaining"][0, 0] = state["map"]["distances"][0, cell]
    ego["cell"], ego["heading"], ego["speed"] = cell, heading, speed
    return state


def walled(state: NDArray[Any], street: range) -> NDArray[Any]:
    """A copy of a state (1,) with obstacles everywhere but in some columns; crossing cars drive on as before."""
    state = state.copy()
    walls = cells_at(np.arange(1, SIZE)[:, None], np.setdiff1d(np.arange(SIZE), street)).reshape(-1)
    ground = state["map"]["ground"]
    ground[0, walls] = ground[0, walls] & PORTAL | OBSTACLE << 4
    state["map"]["distances"][0, walls] = UNREACHABLE
    return state


def legal_starts(state: NDArray[Any], num_cars: int, street: range) -> NDArray[Any]:
    """The states (K,) in which a drive on this level, a state (1,), may begin."""
    starts = []
    for phase in range(PERIOD if num_cars else 1):
        shifted = state.copy()
        cars = shifted["world"]["vehicles"][0, 1 : 1 + num_cars]
        rows, cols = np.divmod(cars["cell"], SIZE + 2)
        cars["cell"] = cells_at(rows - 1, (cols - 1 + phase) % SIZE)
        starts += [placed(shifted, SIZE - 1, col, 0, 0) for col in street]
    return np.concatenate(starts)


def tabulate(street: range = range(SIZE), **options: Any) -> LevelTable:
    """Drives every way there is from every legal start of the first level of a split.

    Args:
        options: of the environment, beside :data:`OPTIONS`.
    """
    envs = gym.make_vec(
        "drivesim/Autodrive-v1", num_envs=NUM_ENVS, autoreset_mode="Disabled", **OPTIONS, **options
    ).unwrapped
    envs.reset(seed=0)
    starts = legal_starts(walled(envs.get_state()[:1], street), options["crossing_cars"], street)
    index: dict[tuple[bool, bytes], int] = {}
    obs: list[NDArray[np.uint8]] = []
    is_over: list[bool] = []
    edges: list[tuple[int, int, int, float]] = []  # state, action, next state, reward

    def number_of(seen: NDArray[np.uint8], ended: bool) -> tuple[int, bool]:
        """The number of a state, and whether it was new."""
        key = (ended, seen.tobytes())  # a car that left the field is shown where it was last
        is_new = key not in index
        if is_new:
            index[key] = len(obs)
            obs.append(seen.copy())
            is_over.append(ended)
        return index[key], is_new

    def padded(worlds: NDArray[Any]) -> NDArray[Any]:
        """As many worlds as there are envs; the last one fills up."""
        return np.concatenate([worlds, np.repeat(worlds[-1:], NUM_ENVS - len(worlds))])

    envs.set_state(padded(starts))
    first = [number_of(seen, False) for seen in envs.observe()[: len(starts)]]
    frontier = [(state, world) for (state, is_new), world in zip(first, starts, strict=True) if is_new]
    while frontier:
        batch, frontier = frontier[:NUM_ENVS], frontier[NUM_ENVS:]
        worlds = padded(np.stack([world for _, world in batch]))
        for action in range(NUM_ACTIONS):
            envs.set_state(worlds)
            seen, rewards, terminated, _, _ = envs.step(np.full(NUM_ENVS, action))
            after = envs.get_state()
            for i, (state, _) in enumerate(batch):
                successor, is_new = number_of(seen[i], bool(terminated[i]))
                edges.append((state, action, successor, float(rewards[i])))
                if is_new and not terminated[i]:
                    frontier.append((successor, after[i]))
    envs.close()
    next_states = np.zeros((len(obs), NUM_ACTIONS), np.int64)
    all_rewards = np.zeros((len(obs), NUM_ACTIONS))
    for state, action, successor, reward in edges:
        next_states[state, action], all_rewards[state, action] = successor, reward
    return LevelTable(
        np.stack(obs), next_states, all_rewards, np.array(is_over), np.unique([state for state, _ in first])
    )


class TableVectorEnv(gym.vector.VectorEnv[Any, Any, Any]):
    """Envs on a tabulated level, same-step. Episodes begin in any state, and are cut off at random.

    Without a time limit the optimal values are those of a drive without end; cutting episodes must not change them.
    """

    def __init__(
        self, table: LevelTable, num_envs: int, truncation_rate: float = 0.1, start_share: float = 0.0
    ) -> None:
        self.table = table
        self.start_share = start_share  # of the episodes that begin in a legal start
        self.num_envs = num_envs
        self.truncation_rate = truncation_rate  # per step
        self.single_observation_space = gym.spaces.Box(
            0, 255 if table.obs.ndim == 4 else 62, table.obs.shape[1:], np.uint8
        )
        self.single_action_space = gym.spaces.Discrete(NUM_ACTIONS)
        self.metadata = {"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP}
        self.states = np.zeros(num_envs, np.int64)
        self.rng = np.random.default_rng()

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Begins in every env."""
        self.rng = np.random.default_rng(seed)
        self.states = self._draw_states()
        return self.table.obs[self.states], {}

    def step(self, actions: NDArray[Any]) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Looks up what the actions lead to, and begins anew where an episode ended."""
        table = self.table
        rewards = table.rewards[self.states, actions]
        successors = table.next_states[self.states, actions]
        terminated = table.is_over[successors]
        truncated = self.rng.random(self.num_envs) < self.truncation_rate
        ended = terminated | truncated
        self.states = np.where(ended, self._draw_states(), successors)
        infos = {"final_obs": table.obs[successors], "_final_obs": ended} if ended.any() else {}
        return table.obs[self.states], rewards, terminated, truncated, infos

    def _draw_states(self) -> NDArray[np.int64]:
        anywhere = self.rng.choice(self.table.running, self.num_envs)
        legal = self.rng.choice(self.table.starts, self.num_envs)
        return np.where(self.rng.random(self.num_envs) < self.start_share, legal, anywhere)
