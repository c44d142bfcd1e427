"""Any calls in any order, of a single environment, a batch, several egos in a world: all answers are as documented.

Two environments made alike get the same calls, but the second is a copy by pickle now and then; their answers are the
same, bit for bit. What is refused changes nothing. A life is a function of its number: with dice of its own in place of
Hypothesis's engine, a call costs a fourth.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import multi
import numpy as np
import work
from env_tools import GENERATED, IDS, MODES, OBSERVATIONS, REFUSALS, assert_same, world_bytes
from test_bad_inputs import BAD_ACTIONS, BAD_BATCHES, BAD_SEEDS

import drivesim
from drivesim.config import DIFFICULTIES, REWARDS

LIVES, CALLS = 5, 200
KINDS = ("single", "vector", "multi-agent")
SEEDS = (None, None, 0, 1, 7, 2**31, 2**32, 2**63 - 1, 2**63, 2**64, 2**70)
SCALARS = [each for each in BAD_ACTIONS if not isinstance(each, np.ndarray)]


class Calls:
    """One life of an environment and of its twin, made with the same options."""

    def __init__(self, kind: str, env_id: str, dice: random.Random) -> None:
        self.kind, self.env_id, self.dice = kind, env_id, dice
        self.num_calls = 0
        options: dict[str, Any] = {
            "observation": dice.choice(OBSERVATIONS),
            "reward": dice.choice(list(REWARDS)),
            "render_mode": dice.choice([None, "ansi", "rgb_array"]),
            "render_size": 64,
            "max_episode_steps": dice.randint(1, 40),
        }
        if env_id in GENERATED:
            options["difficulty"] = dice.choice(DIFFICULTIES)
        self.num = 1
        if kind == "single":
            options["disable_env_checker"] = True  # Gymnasium's own fails in the first step after a refused first reset
            maker: Callable[[], Any] = lambda: gym.make(env_id, **options)  # noqa: E731
        elif kind == "vector":
            self.num = dice.randint(1, 4)
            options["autoreset_mode"] = dice.choice(MODES)
            maker = lambda: gym.make_vec(env_id, num_envs=self.num, **options)  # noqa: E731
        else:
            worlds, agents = dice.randint(1, 2), dice.randint(1, 3)
            self.num = worlds * agents
            maker = lambda: drivesim.parallel_vec_env(env_id, worlds, agents, **options)  # noqa: E731
        self.made, self.twin = maker(), maker()
        self.is_started = self.is_closed = self.is_seeded = False
        self.ended = np.zeros(self.num, np.bool_)
        self.saved: list[tuple[Any, Any]] = []
        space = self.made.action_space if kind == "single" else self.made.single_action_space
        self.num_actions = int(space.n)

    def live(self) -> None:
        """Some calls."""
        names, weights = list(WEIGHTS), list(WEIGHTS.values())
        last = ""
        try:
            while self.num_calls < CALLS:
                (last,) = self.dice.choices(names, weights)
                getattr(self, last)()
        except Exception as error:
            error.add_note(f"in {last}, after {self.num_calls} calls of {self.kind} {self.env_id}")
            raise
        self.made.close()
        self.twin.close()

    @property
    def bare(self) -> Any:
        return self.made.unwrapped

    def ask(self, call: Callable[[Any], Any], must_fail: bool = False) -> Any:
        """The answer of both, which must be alike; a refusal, if there has to be one, changes nothing."""
        self.num_calls += 1
        before = world_bytes(self.bare.get_state()) if must_fail else None
        try:
            answer = call(self.made)
        except REFUSALS as error:
            if not must_fail:
                raise AssertionError(f"refused: {error!r}") from error
            assert str(error)
            assert before is not None
            assert np.array_equal(world_bytes(self.bare.get_state()), before)
            try:
                call(self.twin)
            except type(error) as other:
                assert str(other) == str(error)
                return None
            raise AssertionError("only one of two is refused") from error
        assert not must_fail, "taken, where a refusal is documented"
        assert_same(answer, call(self.twin))
        return answer

    @property
    def cannot_step(self) -> bool:
        """Whether a step is refused: not begun, closed, or over where nothing begins anew."""
        if not self.is_started or self.is_closed:
            return True
        if self.kind == "multi-agent":
            return False
        is_disabled = self.kind == "single" or self.made.autoreset_mode is MODES[2]
        return is_disabled and bool(self.ended.any())

    def reset(self) -> None:
        number = self.dice.choice(SEEDS)
        if not self.is_seeded:
            number = number or 0  # without one, each of the two would draw its own
        answer = self.ask(lambda env: env.reset(seed=number), must_fail=self.is_closed)
        if answer is not None:
            self.is_started = self.is_seeded = True
            self.ended = np.zeros(self.num, np.bool_)
            assert answer[0] in self.made.observation_space

    def reset_with_a_wrong_seed(self) -> None:
        wrong = self.dice.choice(BAD_SEEDS[:9])
        self.ask(lambda env: env.reset(seed=wrong), must_fail=True)

    def reset_some(self) -> None:
        if self.kind != "vector":
            return
        mask = np.array([self.dice.random() < 0.5 for _ in range(self.num)])
        must_fail = self.is_closed or not mask.any() or (not self.is_started and not mask.all())
        number = None if self.is_seeded else 0
        options = {"reset_mask": mask}
        if self.ask(lambda env: env.reset(seed=number, options=options), must_fail=must_fail) is not None:
            self.is_started = self.is_seeded = True
            self.ended &= ~mask

    def step(self) -> None:
        for _ in range(self.dice.randint(1, 4)):
            drawn = [self.dice.randrange(self.num_actions) for _ in range(self.num)]
            actions = drawn[0] if self.kind == "single" else np.array(drawn)
            answer = self.ask(lambda env, actions=actions: env.step(actions), must_fail=self.cannot_step)
            if answer is None:
                return
            obs, rewards, terminations, truncations, _ = answer
            assert obs in self.made.observation_space
            assert np.isfinite(rewards).all()
            # A single environment may go on beyond its time limit, as Gymnasium's do.
            ended = terminations if self.kind == "single" else terminations | truncations
            self.ended = np.atleast_1d(np.asarray(ended)).copy()

    def step_wrongly(self) -> None:
        if self.kind == "single":
            wrong = self.dice.choice(SCALARS)
            if wrong == 5 and self.num_actions > 5:
                return
        else:
            wrong = self.dice.choice(BAD_BATCHES[:8])
        self.ask(lambda env: env.step(wrong), must_fail=True)

    def observe(self) -> None:
        answer = self.ask(lambda env: env.unwrapped.observe(), must_fail=not self.is_started or self.is_closed)
        assert answer is None or answer in self.made.observation_space

    def look(self) -> None:
        self.ask(lambda env: env.unwrapped.action_masks(), must_fail=not self.is_started or self.is_closed)

    def write(self) -> None:
        self.ask(lambda env: env.unwrapped.level_text(), must_fail=not self.is_started or self.is_closed)

    def render(self) -> None:
        if self.bare.render_mode is None:
            return
        self.ask(lambda env: env.unwrapped.render(), must_fail=not self.is_started or self.is_closed)

    def save(self) -> None:
        if not self.is_started or len(self.saved) >= 5:
            return
        self.saved.append((self.ask(lambda env: env.unwrapped.get_state()), self.ended.copy()))

    def restore(self) -> None:
        if not self.saved:
            return
        state, ended = self.dice.choice(self.saved)
        if self.kind == "vector" and self.made.autoreset_mode is MODES[2] and ended.any():
            return  # whether it is taken is for others to test
        self.ask(lambda env: env.unwrapped.set_state(state), must_fail=self.is_closed)
        if not self.is_closed:
            self.ended = ended.copy()
            assert np.array_equal(world_bytes(self.bare.get_state()), world_bytes(state))

    def fork(self) -> None:
        if self.kind != "vector":
            return
        index, num = self.dice.randint(-1, 4), self.dice.randint(0, 3)
        must_fail = self.is_closed or not self.is_started or not 0 <= index < self.num or num < 1
        self.ask(lambda env: env.unwrapped.fork(index, num), must_fail=must_fail)

    def copy(self) -> None:
        """The twin goes on as its own copy."""
        if self.is_closed:
            return
        copied = pickle.loads(pickle.dumps(self.twin))
        self.twin.close()
        self.twin = copied

    def close(self) -> None:
        if self.kind == "single":
            return
        self.made.close()
        self.twin.close()
        self.is_closed = True


WEIGHTS = {
    "reset": 1.0,
    "reset_with_a_wrong_seed": 1.0,
    "reset_some": 1.0,
    "step": 4.0,
    "step_wrongly": 1.0,
    "observe": 1.0,
    "look": 1.0,
    "write": 0.03,
    "render": 0.1,
    "save": 1.0,
    "restore": 1.0,
    "fork": 1.0,
    "copy": 0.2,
    "close": 0.02,
}
"""How often a call is made; those that take a hundred times as long as a step are made less often."""


def piece(number: int, folder: Path) -> Iterator[int]:
    """Some lives of one id in one form."""
    kind = KINDS[number % len(KINDS)]
    every = multi.IDS if kind == "multi-agent" else IDS
    env_id = every[number // len(KINDS) % len(every)]
    for life in range(LIVES):
        work.doing(f"piece {number}, life {life}: {kind} {env_id}")
        calls = Calls(kind, env_id, random.Random(LIVES * number + life))
        calls.live()
        yield calls.num_calls


if __name__ == "__main__":
    work.run(piece)
