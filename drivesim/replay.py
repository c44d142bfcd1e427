"""Replays: an episode is an environment, a seed and the actions, about a byte a tick.

    env = ReplayRecorder(gym.make("drivesim/Highway-v1"), folder="replays")
    env.reset(seed=7)                                    # drive on until the episode ends
    replay = Replay.load("replays/Highway-v1-7-0.json")  # or env.replay, at any time
    frames = [draw_frame(moment.state) for moment in moments(replay)]
    Replay.of("drivesim/Highway-v1", {}, seed=7, actions=[3, 3, 1]).save("begin.json")

A file is JSON and holds nothing that could run. Its digest covers every observation, reward and end: on any machine,
a replay either goes as it was recorded, to the last bit of what the driver saw and was paid, or says that it cannot.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.utils import RecordConstructorArgs

from drivesim.engine import key_of
from drivesim.env import DriveEnv
from drivesim.registry import entry_of, ids
from drivesim.render.moment import Moment
from drivesim.render.state import State
from drivesim.rendering import state_of
from drivesim.replay_file import Record, Replay, ReplayError, begin, make, seed_of, world_of

__all__ = ["Replay", "ReplayError", "ReplayRecorder", "all_moments", "moments"]

Array = np.ndarray[Any, Any]

NOT_RECORDED = ("scenario", "render_mode", "render_size")  # the id says the first, the others only show
MAX_SHOWN_TICKS = 10_000
"""Of a film or a page, whose states are held together: 80 MB in the largest town."""
DRAWN_SEED_BITS = 53  # what every reader of JSON keeps exactly


def moments(replay: Replay, verify: bool = True) -> Iterator[Moment]:
    """The episode's worlds and how each came about, from the start to the last action.

    Args:
        replay: the episode.
        verify: drive it once before, and hand out nothing unless it goes as it was recorded. Without, this is what
            the actions lead to here, up to the episode's end.

    Raises:
        ReplayError: if it does not.
    """
    if verify:
        replay.check()
    return show(replay)


def all_moments(replay: Replay) -> list[Moment]:
    """All of `moments`, for films and pages.

    Raises:
        ReplayError: also if the episode is too long to be held.
    """
    if len(replay.actions) > MAX_SHOWN_TICKS:
        raise ReplayError(f"an episode of at most {MAX_SHOWN_TICKS:,} ticks can be shown, got {len(replay.actions):,}")
    return list(moments(replay))


def show(replay: Replay) -> Iterator[Moment]:
    """The moments, without a check."""
    with contextlib.closing(make(replay)) as env:
        begin(env, replay)
        start = state_of(env)
        yield Moment(start)
        for action in replay.actions:
            _, reward, terminated, truncated, info = env.step(action)
            state = State(start.map, state_of(env).world)  # one map for all, which is most of a state
            yield Moment(state, action, float(reward), info["reward_terms"])
            if terminated or truncated:
                return


class ReplayRecorder(gym.Wrapper[Any, Any, Any, Any], RecordConstructorArgs):
    """Records every episode and otherwise behaves as the environment in it, which `gym.make` made.

    A first `reset()` without a seed draws one, so that the episode can be replayed. Steps after the episode's end are
    not part of it. An episode into which `set_state` reaches cannot be replayed from its seed: it has no replay.

    Args:
        env: an environment of the suite, not wrapped in anything that changes what is seen, done or paid.
        folder: gets every finished episode as `<id>-<seed>-<episode>.json`, in place of an earlier one of that name;
            None = none.

    Raises:
        TypeError: for any other environment.
    """

    def __init__(self, env: gym.Env[Any, Any], folder: str | Path | None = None) -> None:
        RecordConstructorArgs.__init__(self, folder=None if folder is None else str(folder))
        gym.Wrapper.__init__(self, env)
        base = env.unwrapped
        if not isinstance(base, DriveEnv) or base.spec is None:
            raise TypeError(f"env must be one of {list(ids())}, made by gym.make, got {env}")
        entry = entry_of(base.config.scenario)
        limits = [limit for limit in map(time_limit, layers(env)) if limit is not None]
        limit = min(limits) if limits else -1
        self._made: dict[str, Any] = {
            "env_id": entry.id,
            "options": {name: value for name, value in base.spec.kwargs.items() if name not in NOT_RECORDED},
            "max_episode_steps": None if limit == entry.max_episode_steps else limit,
        }
        self._folder = None if folder is None else Path(folder)
        self._seed: int | None = None
        self._level_seed: int | None = None
        self._start: Array = world_of(env)
        self._record: Record | None = None
        self._finished: Replay | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """As the environment's, but that a seed must be below 2**512."""
        if seed is None and self._seed is None:
            seed = secrets.randbits(DRAWN_SEED_BITS)
        key = self._seed if seed is None else seed_of(seed)
        obs, info = self.env.reset(seed=seed, options=options)
        self._seed = key
        self._level_seed = None if not options or "level_seed" not in options else int(options["level_seed"])
        self._start = world_of(self.env)
        self._record = Record(obs, info)
        self._finished = None
        return obs, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """As the environment's."""
        answer = self.env.step(action)
        record = self._record
        if record is not None and not record.is_over:
            record.add(action, answer)
            if record.is_over and self._is_undisturbed(record):
                self._finished = self._replay(record)
                if self._folder is not None:
                    self._folder.mkdir(parents=True, exist_ok=True)
                    name = f"{self._finished.env_id.rpartition('/')[2]}-{self._seed}-{self._finished.episode}.json"
                    self._finished.save(self._folder / name)
        return answer

    @property
    def replay(self) -> Replay:
        """The episode that was last begun: all of it, or so far.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            ReplayError: if a state was set.
        """
        if self._record is None:
            raise gym.error.ResetNeeded("call reset() before replay: there is no episode")
        if self._finished is not None:
            return self._finished
        if self._record.is_over or not self._is_undisturbed(self._record):
            raise ReplayError("this episode has no replay: a state was set, its seed and actions do not lead here")
        return self._replay(self._record)

    def _replay(self, record: Record) -> Replay:
        return Replay(
            **self._made,
            seed=self._seed,  # type: ignore[arg-type]  # known since the first reset
            actions=tuple(record.actions),
            digest=record.digest,
            outcome=record.outcome,
            episode=int(self._start["episode"][0]),
            level_seed=self._level_seed,
        )

    def _is_undisturbed(self, record: Record) -> bool:
        """Whether the world is of the episode that was begun, of its seed, and as many ticks into it."""
        world, start = world_of(self.env), self._start
        is_same = all(np.array_equal(world[name], start[name]) for name in ("episode", "level_seed"))
        return (
            is_same
            and [int(world[name][0]) for name in ("key_0", "key_1")] == key_of(self._seed).tolist()
            and int(world["tick"][0]) == len(record.actions)
        )


HARMLESS = (
    gym.wrappers.HumanRendering,
    gym.wrappers.OrderEnforcing,
    gym.wrappers.PassiveEnvChecker,
    gym.wrappers.RecordEpisodeStatistics,
    gym.wrappers.RecordVideo,
    gym.wrappers.RenderCollection,
    gym.wrappers.TimeLimit,
    ReplayRecorder,
)
"""Wrappers that leave observations, actions and rewards as they are."""


def layers(env: gym.Env[Any, Any]) -> Iterator[gym.Wrapper[Any, Any, Any, Any]]:
    """The wrappers around an environment, from the outermost.

    Raises:
        TypeError: for one that may change what is recorded.
    """
    while isinstance(env, gym.Wrapper):
        if type(env) not in HARMLESS:
            raise TypeError(
                f"env must not be wrapped in {type(env).__name__}: put the recorder between it and gym.make"
            )
        yield env
        env = env.env


def time_limit(wrapper: gym.Wrapper[Any, Any, Any, Any]) -> int | None:
    """The ticks after which this very wrapper truncates, None = it does not."""
    return wrapper.spec.max_episode_steps if isinstance(wrapper, gym.wrappers.TimeLimit) and wrapper.spec else None
