"""Any calls in any order, of a single environment, a batch, several egos in a world: all answers are as documented.

Two environments made alike get the same calls, but the second is a copy by pickle now and then; their answers are the
same, bit for bit. What is refused changes nothing.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import multi
import numpy as np
import work
from env_tools import GENERATED, IDS, MODES, OBSERVATIONS, REFUSALS, assert_same, world_bytes
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from test_bad_inputs import BAD_ACTIONS, BAD_BATCHES, BAD_SEEDS

import drivesim
from drivesim.config import DIFFICULTIES, REWARDS

RUNS, CALLS = 5, 200  # the first run is the one in which nothing is called
KINDS = ("single", "vector", "multi-agent")
SETTINGS = settings(
    max_examples=RUNS,
    stateful_step_count=CALLS,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class Calls(RuleBasedStateMachine):
    """One life of an environment and of its twin."""

    kind: str
    env_id: str
    num_calls = 0

    @initialize(data=st.data())
    def make(self, data: Any) -> None:
        """Both, with the same options."""
        options: dict[str, Any] = {
            "observation": data.draw(st.sampled_from(OBSERVATIONS)),
            "reward": data.draw(st.sampled_from(list(REWARDS))),
            "render_mode": data.draw(st.sampled_from([None, "ansi", "rgb_array"])),
            "render_size": 64,
            "max_episode_steps": data.draw(st.integers(1, 40)),
        }
        if self.env_id in GENERATED:
            options["difficulty"] = data.draw(st.sampled_from(DIFFICULTIES))
        self.num = 1
        if self.kind == "single":
            options["disable_env_checker"] = True  # Gymnasium's own fails in the first step after a refused first reset
            maker: Callable[[], Any] = lambda: gym.make(self.env_id, **options)  # noqa: E731
        elif self.kind == "vector":
            self.num = data.draw(st.integers(1, 4))
            options["autoreset_mode"] = data.draw(st.sampled_from(MODES))
            maker = lambda: gym.make_vec(self.env_id, num_envs=self.num, **options)  # noqa: E731
        else:
            worlds, agents = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 3))
            self.num = worlds * agents
            maker = lambda: drivesim.parallel_vec_env(self.env_id, worlds, agents, **options)  # noqa: E731
        self.made, self.twin = maker(), maker()
        self.is_started = self.is_closed = self.is_seeded = False
        self.ended = np.zeros(self.num, np.bool_)
        self.saved: list[tuple[Any, Any]] = []
        space = self.made.action_space if self.kind == "single" else self.made.single_action_space
        self.num_actions = int(space.n)

    @property
    def bare(self) -> Any:
        return self.made.unwrapped

    def ask(self, call: Callable[[Any], Any], must_fail: bool = False) -> Any:
        """The answer of both, which must be alike; a refusal, if there has to be one, changes nothing."""
        type(self).num_calls += 1
        before = world_bytes(self.bare.get_state())
        try:
            answer = call(self.made)
        except REFUSALS as error:
            if not must_fail:
                raise AssertionError(f"refused: {error!r}") from error
            assert str(error)
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

    @rule(number=st.none() | st.integers(0, 2**70))
    def reset(self, number: int | None) -> None:
        if not self.is_seeded:
            number = number or 0  # without one, each of the two would draw its own
        answer = self.ask(lambda env: env.reset(seed=number), must_fail=self.is_closed)
        if answer is not None:
            self.is_started = self.is_seeded = True
            self.ended = np.zeros(self.num, np.bool_)
            assert answer[0] in self.made.observation_space

    @rule(data=st.data())
    def reset_with_a_wrong_seed(self, data: Any) -> None:
        wrong = data.draw(st.sampled_from(BAD_SEEDS[:9]))
        self.ask(lambda env: env.reset(seed=wrong), must_fail=True)

    @precondition(lambda self: self.kind == "vector")
    @rule(data=st.data())
    def reset_some(self, data: Any) -> None:
        mask = np.array(data.draw(st.lists(st.booleans(), min_size=self.num, max_size=self.num)))
        must_fail = self.is_closed or not mask.any() or (not self.is_started and not mask.all())
        number = None if self.is_seeded else 0
        options = {"reset_mask": mask}
        if self.ask(lambda env: env.reset(seed=number, options=options), must_fail=must_fail) is not None:
            self.is_started = self.is_seeded = True
            self.ended &= ~mask

    @rule(data=st.data(), times=st.integers(1, 4))
    def step(self, data: Any, times: int) -> None:
        for _ in range(times):
            drawn = data.draw(st.lists(st.integers(0, self.num_actions - 1), min_size=self.num, max_size=self.num))
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

    @rule(data=st.data())
    def step_wrongly(self, data: Any) -> None:
        if self.kind == "single":
            wrong = data.draw(st.sampled_from([each for each in BAD_ACTIONS if not isinstance(each, np.ndarray)]))
            if wrong == 5 and self.num_actions > 5:
                return
        else:
            wrong = data.draw(st.sampled_from(BAD_BATCHES[:8]))
        self.ask(lambda env: env.step(wrong), must_fail=True)

    @rule()
    def observe(self) -> None:
        answer = self.ask(lambda env: env.unwrapped.observe(), must_fail=not self.is_started or self.is_closed)
        assert answer is None or answer in self.made.observation_space

    @rule()
    def look(self) -> None:
        must_fail = not self.is_started or self.is_closed
        self.ask(lambda env: env.unwrapped.action_masks(), must_fail=must_fail)
        self.ask(lambda env: env.unwrapped.level_text(), must_fail=must_fail)

    @precondition(lambda self: self.bare.render_mode is not None)
    @rule()
    def render(self) -> None:
        self.ask(lambda env: env.unwrapped.render(), must_fail=not self.is_started or self.is_closed)

    @precondition(lambda self: self.is_started and len(self.saved) < 5)
    @rule()
    def save(self) -> None:
        self.saved.append((self.ask(lambda env: env.unwrapped.get_state()), self.ended.copy()))

    @precondition(lambda self: bool(self.saved))
    @rule(data=st.data())
    def restore(self, data: Any) -> None:
        state, ended = data.draw(st.sampled_from(self.saved))
        if self.kind == "vector" and self.made.autoreset_mode is MODES[2] and ended.any():
            return  # whether it is taken is for others to test
        self.ask(lambda env: env.unwrapped.set_state(state), must_fail=self.is_closed)
        if not self.is_closed:
            self.ended = ended.copy()
            assert np.array_equal(world_bytes(self.bare.get_state()), world_bytes(state))

    @precondition(lambda self: self.kind == "vector")
    @rule(index=st.integers(-1, 4), num=st.integers(0, 3))
    def fork(self, index: int, num: int) -> None:
        must_fail = self.is_closed or not self.is_started or not 0 <= index < self.num or num < 1
        self.ask(lambda env: env.unwrapped.fork(index, num), must_fail=must_fail)

    @precondition(lambda self: not self.is_closed)
    @rule()
    def copy(self) -> None:
        """The twin goes on as its own copy."""
        copied = pickle.loads(pickle.dumps(self.twin))
        self.twin.close()
        self.twin = copied

    @precondition(lambda self: self.kind != "single")
    @rule(one_in=st.integers(0, 30))
    def close(self, one_in: int) -> None:
        if one_in == 0:
            self.made.close()
            self.twin.close()
            self.is_closed = True

    def teardown(self) -> None:
        if hasattr(self, "made"):
            self.made.close()
            self.twin.close()


def piece(number: int, folder: Path) -> Iterator[int]:
    """Some lives of one id in one form."""
    kind = KINDS[number % len(KINDS)]
    every = multi.IDS if kind == "multi-agent" else IDS
    env_id = every[number // len(KINDS) % len(every)]
    work.doing(f"piece {number}: {kind} {env_id}")
    machine = type("Machine", (Calls,), {"kind": kind, "env_id": env_id, "num_calls": 0})
    run_state_machine_as_test(seed(number)(machine), settings=SETTINGS)
    yield machine.num_calls


if __name__ == "__main__":
    work.run(piece)
