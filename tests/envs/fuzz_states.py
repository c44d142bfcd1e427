"""Writes nonsense into fields of states and drives what is accepted: `fuzz_states.py TURN OF ID TRAFFIC ID TRAFFIC …`.

Of the fields of the first id it takes those whose number leaves TURN when divided by OF, of those of the next id those
that leave TURN + 1, and so on: few ids together have every field.
A script for `test_bad_states.py`, which runs it in a process of its own. It writes each case before it drives it, so
that the last line tells what ended the interpreter, and after each id how many states were refused and how many driven.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
from env_tools import OBSERVATIONS, stay, world_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from drivesim.states import border_of, is_on_map

NUM_ENVS, NUM_TICKS = 2, 30
CANARY = 0xA5
settings.register_profile("drivesim", derandomize=True, deadline=None, database=None)
settings.load_profile("drivesim")


def fields_of(record: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all numbers and arrays of numbers within a record."""
    for name in record.dtype.names:
        value = record[name]
        if value.dtype.names is not None:
            yield from fields_of(value, (*path, name))
        else:
            yield (*path, name)


def at(state: np.ndarray, path: tuple[Any, ...]) -> np.ndarray:
    """The values of a field, as a view."""
    for name in path:
        state = state[name]
    return state


def guard(engine: Any) -> list[np.ndarray]:
    """Move worlds and maps to where writing beside them is seen: the bytes around them."""
    margins = []
    for name in ("worlds", "maps"):
        old = getattr(engine, name)
        margin = 8 * 1024
        memory = np.full(2 * margin + old.nbytes, CANARY, np.uint8)
        new = memory[margin : margin + old.nbytes].view(old.dtype)
        new.view(np.uint8)[:] = 0
        new[...] = old
        setattr(engine, name, new)
        margins += [memory[:margin], memory[margin + old.nbytes :]]
    engine._bind()
    return margins


class Fuzzed:
    """Environments of one id, one for each observation, and a state to spoil."""

    def __init__(self, env_id: str, traffic: str) -> None:
        options = {"traffic": traffic, "autoreset_mode": "Disabled", "max_episode_steps": -1, "num_threads": 1}
        self.envs = [
            gym.make_vec(env_id, num_envs=NUM_ENVS, observation=name, **options).unwrapped for name in OBSERVATIONS
        ]
        self.margins = [margin for envs in self.envs for margin in guard(envs._engine)]
        for envs in self.envs:
            envs.reset(seed=0)
            for _ in range(3):
                envs.step(np.full(NUM_ENVS, stay(env_id)))
        self.good = self.envs[0].get_state()
        self.good_bytes = world_bytes(self.good)
        self.sound: set[int] = set()
        """Numbers of those that are in the good state."""
        self.num_refused = self.num_driven = 0

    def judge(self, state: np.ndarray, seed: int, what: object) -> None:
        """The state is refused with nothing changed, or can be seen by all and driven within its memory."""
        sys.stdout.write(f"{what} {seed}\n")
        sys.stdout.flush()
        number = (self.num_refused + self.num_driven) % len(self.envs)  # what is refused, all refuse
        driven = self.envs[number]
        if number not in self.sound:  # it has driven on
            driven.set_state(self.good)
            self.sound.add(number)
        try:
            driven.set_state(state)
        except (TypeError, ValueError):
            self.num_refused += 1
            assert np.array_equal(world_bytes(driven.get_state()), self.good_bytes)
            return
        self.num_driven += 1
        self.sound.clear()
        for envs in self.envs:
            envs.set_state(state)
            if envs._is_started:
                assert envs.observe() in envs.observation_space
        self.drive(driven, seed)

    def drive(self, envs: Any, seed: int) -> None:
        """Drive on; everybody stays on the map and is where the occupants say, and the end can be restored."""
        engine = envs._engine
        if not envs._is_started:
            envs.reset()
        rng = np.random.default_rng(seed)
        is_border = border_of(engine.maps[:1])
        for tick in range(NUM_TICKS):
            if envs._ended.any():
                envs.reset(options={"reset_mask": envs._ended.copy()})
            obs = envs.step(rng.integers(0, envs.single_action_space.n, NUM_ENVS))[0]
            if tick % 5 == 0:  # who has left does not come back
                assert obs in envs.observation_space
                assert is_on_map(engine.worlds["vehicles"]["cell"], is_border).all()
        envs.action_masks()
        state = envs.get_state()
        try:
            envs.set_state(state)
        except ValueError as error:  # a counter that began at its end has passed it
            if "tick of env" not in str(error) and "episode of env" not in str(error):
                raise
        assert np.array_equal(world_bytes(envs.get_state()), world_bytes(state))
        assert all((margin == CANARY).all() for margin in self.margins)


def values_of(dtype: np.dtype[Any]) -> st.SearchStrategy[Any]:
    """Numbers for a field: small ones, extreme ones, any."""
    if dtype.kind == "f":
        return st.floats(width=64)
    low, high = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    likely = [*range(max(low, -1), 7), high - 1, high, high // 2, low, low + 1]
    return st.sampled_from(likely) | st.integers(max(low, -3), min(high, 40)) | st.integers(low, high)


def spoil(env_id: str, traffic: str, turn: int, of: int) -> None:
    """Spoil fields in turn, one of so many, then bytes anywhere."""
    fuzzed = Fuzzed(env_id, traffic)

    @settings(max_examples=8)
    @given(data=st.data())
    def spoil_field(data: Any, path: tuple[Any, ...]) -> None:
        state = fuzzed.good.copy()
        values = at(state, path)
        place = tuple(data.draw(st.integers(0, length - 1)) for length in values.shape)
        values[place] = value = data.draw(values_of(values.dtype))
        fuzzed.judge(state, data.draw(st.integers(0, 1000)), (path, place, value))

    @settings(max_examples=100 // of)
    @given(data=st.data())
    def flip_bytes(data: Any) -> None:
        state = fuzzed.good.copy()
        raw = state.view(np.uint8).reshape(NUM_ENVS, -1)
        places = st.tuples(st.integers(0, NUM_ENVS - 1), st.integers(0, raw.shape[1] - 1), st.integers(0, 255))
        flips = data.draw(st.lists(places, min_size=1, max_size=3))
        for env, byte, value in flips:
            raw[env, byte] = value
        fuzzed.judge(state, data.draw(st.integers(0, 1000)), flips)

    @settings(max_examples=60 // of)
    @given(data=st.data())
    def turn_a_vehicle(data: Any) -> None:
        state = fuzzed.good.copy()
        vehicles = state["world"]["vehicles"]
        place = tuple(data.draw(st.integers(0, length - 1)) for length in vehicles.shape)
        kept = {
            name: data.draw(st.integers(0, most)) for name, most in (("heading", 3), ("speed", 5), ("top_speed", 5))
        }
        for name, value in kept.items():
            vehicles[name][place] = value
        fuzzed.judge(state, data.draw(st.integers(0, 1000)), (place, kept))

    for path in list(fields_of(fuzzed.good))[turn % of :: of]:
        spoil_field(path=path)
    flip_bytes()
    turn_a_vehicle()
    sys.stdout.write(f"{env_id} {traffic}: {fuzzed.num_refused} {fuzzed.num_driven}\n")


if __name__ == "__main__":
    given_turn, given_of, *cases = sys.argv[1:]
    for number, (of_id, with_traffic) in enumerate(zip(cases[::2], cases[1::2], strict=True)):
        spoil(of_id, with_traffic, int(given_turn) + number, int(given_of))
