"""Custom: levels given as texts, paths, patterns of paths or lists of these; any level played is such a text."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from env_tools import (
    AUTODRIVE,
    CUSTOM,
    HIGHWAY,
    IDS,
    INTERSECTION,
    OBSERVATIONS,
    assert_refused,
    assert_same,
    world_bytes,
)
from gymnasium.envs.registration import EnvSpec

import drivesim
from drivesim.core.kernel_cache import KernelCache
from drivesim.core.world import RUNNING
from drivesim.levels.head import OPTIONS
from drivesim.levels.library import canonical_texts, library_of
from drivesim.replay import Replay, ReplayError, ReplayRecorder

STRAIGHT = """max_steps = 40

. ^G .
. ^ .
. ^ .
. ^ .
. ^E .
"""
BEND = """max_steps = 40
a.top_speed = 1

. . . . . . .
> ^> > >a1 > >G @>
. ^ . . . . .
. ^E . . . . .
"""
WIDE = """max_steps = 40

. . . . . . . . . .
>E > > > > > > > > >G
. . . . . . . . . .
"""
TWO_EGOS = """max_steps = 30

^G ^G
^ ^
^ ^
^E0 ^E1
"""
LEVELS = [STRAIGHT, BEND, WIDE]


@pytest.fixture
def roads(tmp_path, monkeypatch) -> Path:
    """The current folder, with roads/b.txt (STRAIGHT), roads/a.txt (BEND) and roads/c.text (WIDE)."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "roads"
    folder.mkdir()
    for name, text in (("b.txt", STRAIGHT), ("a.txt", BEND), ("c.text", WIDE)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def sensible(rng: np.random.Generator, env: Any) -> int:
    """A random action that does something, and not too often one to the side."""
    names = env.action_names
    allowed = np.flatnonzero(env.action_masks())
    odds = np.array([{"LEFT": 1, "RIGHT": 1, "IDLE": 8, "FASTER": 6, "SLOWER": 4}[names[n]] for n in allowed], float)
    return int(rng.choice(allowed, p=odds / odds.sum()))


def without_options(text: str) -> str:
    """A level that leaves the options of the environment open."""
    return "\n".join(line for line in text.split("\n") if line.partition(" ")[0] not in OPTIONS)


def without_identity(state: np.ndarray) -> list[Any]:
    """The fields of worlds that say more than which environment and level they are of."""
    left_out = ("scenario", "attempt", "occupants", "held")
    names = [name for name in state["world"].dtype.names if name not in left_out and not name.startswith("padding")]
    return [without_room(state["world"][name]) for name in names]


def without_room(block: np.ndarray) -> np.ndarray:
    """A block (N, n) of records without the blank ones at its end, for which there is only room."""
    if block.ndim < 2 or block.dtype.names is None:
        return block
    used = np.flatnonzero((block != np.zeros((), block.dtype)).any(axis=0))
    return block[:, : used.max(initial=-1) + 1]


# --- whatever is played is a text -------------------------------------------------------------------------------------


@pytest.mark.parametrize("observation", ["features", "full_grid"])
@pytest.mark.parametrize("env_id", IDS)
def test_a_level_played_from_its_text_goes_the_same_way_to_the_last_bit(env_id, observation) -> None:
    ticks = 0
    for seed in range(3):
        rng = np.random.default_rng(seed)
        difficulty = ("easy", "medium", "hard")[seed] if env_id != CUSTOM else "medium"
        env = gym.make(env_id, difficulty=difficulty, observation=observation).unwrapped
        env.reset(seed=seed)
        for _ in range(seed):  # a later episode as well
            env.reset()
        text = env.level_text()
        twin = gym.make(CUSTOM, observation=observation, levels=text).unwrapped
        assert twin.action_space == env.action_space
        twin.reset(seed=seed)
        for n in range(seed):
            level_seed = int(env.get_state()["world"]["level_seed"][0]) if n == seed - 1 else n
            twin.reset(options={"level_seed": level_seed})
        if seed == 0:
            twin.reset(seed=seed, options={"level_seed": int(env.get_state()["world"]["level_seed"][0])})
        assert_same(twin.observe(), env.observe())
        for _ in range(60):
            action = sensible(rng, env)
            answer = env.step(action)
            assert_same(twin.step(action)[:3], answer[:3])
            assert_same(without_identity(twin.get_state()), without_identity(env.get_state()))
            ticks += 1
            if answer[2]:
                break
        assert env.level_text() == twin.level_text() == text, "the level is that of tick 0"
    assert ticks >= 5


@pytest.mark.parametrize("env_id", [HIGHWAY, INTERSECTION])
def test_levels_with_several_egos_are_played_from_their_texts_too(env_id) -> None:
    envs = drivesim.parallel_vec_env(env_id, 1, 3, observation="features")
    obs, _ = envs.reset(seed=5)
    (text,) = envs.level_text()
    twin = drivesim.parallel_vec_env(CUSTOM, 1, 3, observation="features", levels=text)
    assert_same(twin.reset(seed=5)[0], obs)
    for action in ([1, 1, 1], [3, 4, 1], [1, 3, 4], [4, 4, 3]):
        assert_same(twin.step(np.array(action))[:4], envs.step(np.array(action))[:4])
    assert drivesim.parallel_env(CUSTOM, 3, levels=text).possible_agents == ["car_0", "car_1", "car_2"]


def test_options_that_the_user_gave_are_in_the_text() -> None:
    env = gym.make(HIGHWAY, traffic="nasch", dawdle=0.5).unwrapped
    env.reset(seed=0)
    twin = gym.make(CUSTOM, levels=env.level_text()).unwrapped
    assert (twin.config.traffic, twin.config.dawdle) == ("nasch", 0.5)
    for name in ("dawdle", "more_dawdle", "driver_model", "top_speed", "certified_within"):
        assert (twin._engine.options[name] == env._engine.options[name]).all(), name
    other = gym.make(CUSTOM, levels=env.level_text(), traffic="krauss", dawdle=0.25).unwrapped
    assert (other.config.traffic, other.config.dawdle) == ("krauss", 0.25)
    env = gym.make(AUTODRIVE).unwrapped
    env.reset(seed=0)
    assert gym.make(CUSTOM, levels=env.level_text()).action_space == env.action_space


def test_every_env_of_a_batch_tells_its_own_level() -> None:
    envs = gym.make_vec(CUSTOM, num_envs=4, levels=LEVELS).unwrapped
    with pytest.raises(gym.error.ResetNeeded):
        envs.level_text()
    envs.reset(seed=0, options={"level_seed": [0, 1, 2, 4]})
    texts = canonical_texts(LEVELS)
    assert envs.level_text() == envs.call("level_text") == (*texts, texts[1])


# --- where levels come from -------------------------------------------------------------------------------------------


def test_levels_are_texts_paths_patterns_or_lists_of_these(roads) -> None:
    def texts(levels: Any) -> tuple[str, ...]:
        return gym.make(CUSTOM, levels=levels).unwrapped.config.levels

    straight, bend, wide = (canonical_texts(text)[0] for text in LEVELS)
    assert texts(STRAIGHT) == (straight,)
    assert texts("roads/a.txt") == texts(roads / "a.txt") == (bend,)
    assert texts("roads/*.txt") == (bend, straight), "in the order of their names"
    assert texts(["roads/c.text", STRAIGHT, "roads/*.txt"]) == (wide, straight, bend, straight)
    (roads / "odd[1].txt").write_text(WIDE, encoding="utf-8")
    assert texts("roads/odd[1].txt") == (wide,), "a name with signs of patterns"
    assert texts((straight, bend)) == (straight, bend), "canonical texts stay as they are"


def test_a_spec_holds_texts_and_makes_the_same_environment_where_there_are_no_files(roads) -> None:
    env = gym.make(CUSTOM, levels="roads/*.txt", num_levels=2)
    envs = gym.make_vec(CUSTOM, num_envs=2, levels=roads / "a.txt")
    assert json.loads(envs.spec.to_json())["kwargs"]["levels"] == list(canonical_texts(BEND))
    text = env.spec.to_json()
    assert "roads" not in text
    for path in roads.iterdir():
        path.unlink()
    env.reset(seed=3)  # read once, when it was made
    twin = gym.make(EnvSpec.from_json(text))
    assert twin.unwrapped.config == env.unwrapped.config
    assert_same(twin.reset(seed=3), gym.make(env.spec).reset(seed=3))
    assert pickle.loads(pickle.dumps(env)).unwrapped.level_text() == env.unwrapped.level_text()


def test_level_n_is_the_one_of_number_n_modulo_their_count() -> None:
    envs = gym.make_vec(CUSTOM, num_envs=300, levels=LEVELS).unwrapped
    envs.reset(seed=0)
    state = envs.get_state()
    numbers = state["world"]["level_seed"] % 3
    rows = np.array([5, 4, 3])
    assert (state["map"]["rows"] == rows[numbers]).all()
    assert np.bincount(numbers).min() > 70
    first = gym.make_vec(CUSTOM, num_envs=100, levels=LEVELS, num_levels=2).unwrapped
    first.reset(seed=0)
    assert set(first.get_state()["world"]["level_seed"].tolist()) == {0, 1}
    assert set(first.get_state()["map"]["rows"].tolist()) == {4, 5}


def test_without_levels_there_is_one() -> None:
    env = gym.make(CUSTOM).unwrapped
    assert len(env.config.levels) == 1
    assert len(env.spec.kwargs) == 1
    env.reset(seed=0)
    assert env.get_state()["world"]["num_vehicles"].item() > 1


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"difficulty": "hard"}, ("difficulty", "'hard'", "given", "levels=")),
        ({"split": "test"}, ("split", "'test'", "given", "levels=")),
        ({"levels": []}, ("levels", "empty list")),
        ({"levels": 3}, ("levels", "got 3")),
        ({"levels": [STRAIGHT, None]}, ("levels", "got None")),
        ({"levels": b"roads/a.txt"}, ("levels", "got b'roads/a.txt'")),
        ({"levels": "roads/*.road"}, ("levels", "no file 'roads/*.road'")),
        ({"levels": "roads"}, ("levels", "folder 'roads'", "*.txt")),
        ({"levels": "roads/a\0.txt"}, ("levels",)),
        ({"levels": "roads/bytes.txt"}, ("bytes.txt", "UTF-8")),
        ({"levels": "roads/large.txt"}, ("large.txt", "bytes")),
        ({"levels": "roads/bad.txt"}, ("bad.txt", "line 3", "column 6")),
        ({"levels": STRAIGHT.replace("^E", "^F")}, ("levels", "line 7", "column 3", "^F")),
        ({"levels": [STRAIGHT, STRAIGHT.replace("^E", "^F")]}, ("levels[1]", "line 7", "column 3")),
        ({"levels": [STRAIGHT, WIDE.replace("40", "41")]}, ("max_steps", "40 in levels[0]", "41 in levels[1]")),
        ({"levels": ["roads/a.txt", TWO_EGOS.replace("30", "40")]}, ("number of egos", "1 in roads/a.txt", "2 in")),
        ({"levels": TWO_EGOS}, ("1 egos", "got 2", "parallel_env")),
        (
            {"levels": STRAIGHT.replace("40", "1001")},
            ("line 1, column 13", "max_steps must be a whole number from 1 to 1000, got 1001"),
        ),
        ({"levls": 3}, ("'levls'", "'levels'")),
    ],
    ids=str,
)
def test_wrong_levels_are_refused_by_name(options, parts, roads) -> None:
    (roads / "bytes.txt").write_bytes(b"\xff\n")
    (roads / "large.txt").write_bytes(b".\n" * 2**20)
    (roads / "bad.txt").write_text("max_steps = 40\n\n. ^G !!\n. ^E .\n", encoding="utf-8")
    assert_refused(lambda: gym.make(CUSTOM, **options), *parts)
    assert_refused(lambda: gym.make_vec(CUSTOM, num_envs=2, **options), *parts)


WALKERS = "{head}a.top_speed = 1\n\n. . .pv . .\n>E >a1 => >G @>\n. . .p^ . .\n"


def test_traffic_that_looks_for_nobody_is_refused_where_people_walk() -> None:
    said = "somebody walks at (0, 2), and unaware traffic waits for nobody"
    unaware = WALKERS.format(head='traffic = "unaware"\n')
    assert_refused(lambda: gym.make(CUSTOM, levels=unaware), "line 4, column 5", said)
    assert_refused(lambda: gym.make(CUSTOM, levels=WALKERS.format(head=""), traffic="unaware"), "levels[0]", said)
    assert_refused(lambda: gym.make("drivesim/Crosswalk-v1", traffic="unaware"), "traffic", "'krauss', 'nasch'")


def test_a_driver_model_that_replaces_that_of_the_levels_has_to_keep_to_the_rules_too() -> None:
    """Who is unaware crosses nobody's way; who follows Krauss begins slow enough to stop."""
    head = "portals = [0, 5, 2, 1, 1, 0]\na.top_speed = 1\nb.top_speed = 1\n\n"
    street = ". . ^ . .\n" * 3
    crossing = head + f". . @^ . .\n> >a1 *^> > @>\n{street}. . ^b1 . .\n>E > > >G .\n"
    gym.make(CUSTOM, levels=crossing)
    assert_refused(lambda: gym.make(CUSTOM, levels=crossing, traffic="unaware"), "levels[0]", "unaware traffic cross")
    fast = 'traffic = "nasch"\n\n>a5 >a0 > @>\n>E > > >G\n'
    gym.make(CUSTOM, levels=fast)
    assert_refused(lambda: gym.make(CUSTOM, levels=fast, traffic="krauss"), "levels[0]", "too fast to stop in time")


def test_an_environment_that_generates_its_levels_takes_none() -> None:
    assert_refused(lambda: gym.make(HIGHWAY, levels=STRAIGHT), "'levels'", "Highway")
    assert_refused(lambda: gym.make(HIGHWAY, level_s=3), "'level_s'", "'num_vehicles'")
    with pytest.raises(TypeError) as caught:
        gym.make(HIGHWAY, level_s=3)
    assert "'levels'" not in str(caught.value)


def test_the_number_of_egos_is_that_of_the_levels() -> None:
    envs = drivesim.parallel_vec_env(CUSTOM, 3, 2, levels=[TWO_EGOS, TWO_EGOS + "^ ^\n"])
    envs.reset(seed=0)
    for _ in range(10):
        obs = envs.step(np.full(6, 3))[0]
        assert obs in envs.observation_space
    assert_refused(lambda: drivesim.parallel_vec_env(CUSTOM, 3, 3, levels=TWO_EGOS), "3 egos", "got 2")
    assert_refused(lambda: drivesim.parallel_env(CUSTOM, 2), "2 egos", "got 1")


# --- levels of different sizes in one environment ---------------------------------------------------------------------


@pytest.mark.parametrize("observation", OBSERVATIONS)
def test_a_single_environment_goes_as_its_env_of_a_batch_whatever_the_sizes(observation) -> None:
    envs = gym.make_vec(CUSTOM, num_envs=6, levels=LEVELS, observation=observation, copy=False)
    singles = [gym.make(CUSTOM, levels=LEVELS, observation=observation) for _ in range(6)]
    obs, _ = envs.reset(seed=3)
    rng = np.random.default_rng(0)
    is_pending = np.zeros(6, np.bool_)
    for i, single in enumerate(singles):
        np.testing.assert_array_equal(single.reset(seed=3 + i)[0], obs[i])
    for _ in range(120):
        actions = rng.choice(5, 6, p=[0.05, 0.3, 0.05, 0.3, 0.3])
        obs, rewards, terminations, truncations, _ = envs.step(actions)
        for i, single in enumerate(singles):
            answer = (single.reset()[0], 0.0, False, False) if is_pending[i] else single.step(int(actions[i]))
            np.testing.assert_array_equal(answer[0], obs[i])
            assert answer[1:4] == (rewards[i], terminations[i], truncations[i])
        is_pending = terminations | truncations


def test_the_whole_map_is_as_large_as_the_largest_and_off_the_road_beyond_a_smaller_one() -> None:
    envs = gym.make_vec(CUSTOM, num_envs=3, levels=LEVELS, observation="full_grid").unwrapped
    obs, _ = envs.reset(seed=0, options={"level_seed": [2, 2, 2]})
    assert obs.shape == (3, 5, 10)
    small, _ = envs.reset(options={"level_seed": [0, 1, 2]})
    for i, (text, shape) in enumerate(zip(LEVELS, ((5, 3), (4, 7), (3, 10)), strict=True)):
        alone = gym.make(CUSTOM, levels=text, observation="full_grid")
        own = alone.reset(seed=0)[0]
        assert own.shape == shape
        np.testing.assert_array_equal(small[i, : shape[0], : shape[1]], own)
        assert not small[i, shape[0] :].any()
        assert not small[i, :, shape[1] :].any()


def test_a_state_is_checked_against_the_level_that_it_is_of() -> None:
    envs = gym.make_vec(CUSTOM, num_envs=4, levels=LEVELS).unwrapped
    twin = gym.make_vec(CUSTOM, num_envs=4, levels=LEVELS).unwrapped
    twin.reset(seed=9)
    envs.reset(seed=0, options={"level_seed": [0, 1, 2, 1]})
    envs.step(np.full(4, 3))
    state = envs.get_state()
    twin.set_state(state)
    assert np.array_equal(world_bytes(twin.get_state()), world_bytes(state))
    for _ in range(20):
        assert_same(twin.step(np.full(4, 3)), envs.step(np.full(4, 3)))
    before = world_bytes(twin.get_state())
    for field, value in (("level_seed", 0), ("num_vehicles", 1), ("num_egos", 2)):
        spoilt = state.copy()
        spoilt["world"][field][3] = value
        assert_refused(lambda spoilt=spoilt: twin.set_state(spoilt), "env 3")
    spoilt = state.copy()
    spoilt["map"]["width"][2] = 3
    assert_refused(lambda: twin.set_state(spoilt), "env 2", "width")
    spoilt = state.copy()
    spoilt["world"]["vehicles"]["cell"][1, 1] = 45  # beyond this map, if not beyond all
    assert_refused(lambda: twin.set_state(spoilt), "env 1", "cell")
    assert np.array_equal(world_bytes(twin.get_state()), before)
    copies = envs.fork(1, 4)
    twin.set_state(copies)
    assert (twin.get_state()["world"]["stage"] == RUNNING).all()


def test_a_road_that_ends_at_the_edge_of_the_map_has_states_that_are_taken_back() -> None:
    text = "max_steps = 40\negos.goal = [1]\na.destination = 0\n\n>G0 > >a1 > >G1 @>\n> >E > >a1 > >\n"
    env = gym.make(CUSTOM, levels=text).unwrapped
    env.reset(seed=0)
    for _ in range(12):
        env.step(drivesim.Action.IDLE)
        state = env.get_state()
        env.set_state(state)
        assert env.get_state().tobytes() == state.tobytes()


def test_states_of_a_small_level_in_large_records_are_taken_back() -> None:
    """Both levels have portals, a junction and ways, so that all blocks of the smaller one have elements to spare."""
    texts = []
    for env_id in (CUSTOM, INTERSECTION):
        env = gym.make(env_id).unwrapped
        env.reset(seed=0)
        texts.append(without_options(env.level_text()))
    envs = gym.make_vec(CUSTOM, num_envs=2, levels=texts).unwrapped
    envs.reset(seed=0, options={"level_seed": [0, 1]})
    envs.step(np.full(2, 3))
    state = envs.get_state()
    envs.set_state(state)
    assert np.array_equal(world_bytes(envs.get_state()), world_bytes(state))


def test_the_library_is_not_written() -> None:
    library = library_of(canonical_texts(LEVELS))
    maps, worlds = library.maps.copy(), library.worlds.copy()
    envs = gym.make_vec(CUSTOM, num_envs=8, levels=LEVELS, autoreset_mode="SameStep")
    envs.reset(seed=0)
    for _ in range(60):
        envs.step(envs.action_space.sample())
    assert (library.maps == maps).all()
    assert (library.worlds == worlds).all()


# --- time limits, replays, other processes ----------------------------------------------------------------------------


def test_a_levels_time_limit_may_be_shortened_and_not_lengthened() -> None:
    text = STRAIGHT.replace("40", "7")
    for given, limit in ((None, 7), (5, 5), (9, 7), (-1, 7)):
        env = gym.make(CUSTOM, levels=text, max_episode_steps=given)
        envs = gym.make_vec(CUSTOM, num_envs=2, levels=text, max_episode_steps=given)
        env.reset(seed=0)
        envs.reset(seed=0)
        for tick in range(1, limit + 1):
            assert env.step(1)[2:4] == (False, tick == limit)
            assert (envs.step(np.ones(2, int))[3] == (tick == limit)).all()
    endless = gym.make(CUSTOM, levels=STRAIGHT.replace("max_steps = 40\n", ""))
    assert endless.spec.max_episode_steps == 1000


def test_a_replay_holds_the_texts_and_takes_no_paths(roads) -> None:
    env = ReplayRecorder(gym.make(CUSTOM, levels="roads/*.txt"))
    env.reset(seed=0)
    while not any(env.step(3)[2:4]):
        pass
    replay = env.replay
    assert replay == Replay.of(CUSTOM, {"levels": "roads/*.txt"}, 0, replay.actions)
    for path in roads.iterdir():
        path.unlink()
    assert replay.options["levels"] == list(canonical_texts([BEND, STRAIGHT]))
    Replay.from_json(replay.to_json()).check()
    (roads / "a.txt").write_text(BEND, encoding="utf-8")
    for levels in ("roads/a.txt", ["roads/a.txt"], [STRAIGHT, "roads/*.txt"], [7]):
        record = json.loads(replay.to_json())
        record["options"]["levels"] = levels
        with pytest.raises(ReplayError, match="levels must be texts"):
            Replay.from_json(json.dumps(record))


def test_another_process_started_elsewhere_drives_the_same_levels(roads, tmp_path) -> None:
    env = gym.make(CUSTOM, levels="roads/*.txt", observation="features")
    program = (
        "import sys, gymnasium as gym, drivesim\n"
        "from gymnasium.envs.registration import EnvSpec\n"
        "env = gym.make(EnvSpec.from_json(sys.argv[1]))\n"
        "print(env.reset(seed=4)[0].tobytes().hex(), env.step(3)[0].tobytes().hex())\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    variables = os.environ | {"PYTHONPATH": str(Path(drivesim.__file__).parents[1])}
    command = [sys.executable, "-c", program, env.spec.to_json()]
    done = subprocess.run(command, cwd=elsewhere, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [env.reset(seed=4)[0].tobytes().hex(), env.step(3)[0].tobytes().hex()]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("\n>E > > >G .\n> >a1 > > .\n", "no way leads on"),
        ("\n>a0 >a0 @>a0\n. . .\n^G0 . .\n^E0 . .\n", "cycle"),
    ],
)
def test_levels_in_which_traffic_would_stand_for_ever_are_refused_with_the_place(text, reason) -> None:
    """On a road that ends at the edge of the map, and on a ring that is full."""
    with pytest.raises(ValueError, match=r"line \d+, column \d+.*" + reason):
        gym.make(CUSTOM, levels=text)


@pytest.mark.parametrize(
    ("text", "line"),
    [("^G\n.\n^E\n", 3), ("vG\n^\n^E\n", 3)],
)
def test_levels_in_which_an_ego_cannot_arrive_are_refused_with_its_place(text, line) -> None:
    assert_refused(
        lambda: gym.make(CUSTOM, levels=text), f"line {line}, column 1", "no way leads from here to the ego's"
    )


def test_an_ego_on_a_ring_may_have_as_far_to_go_as_it_likes() -> None:
    text = "ring_rows = 3\negos.remaining = [65535]\n\n@^\n^\n^E\n"
    assert "65535" in gym.make(CUSTOM, levels=text).spec.kwargs["levels"][0]


def test_no_kernel_is_compiled_anew_for_a_level_of_another_size(monkeypatch) -> None:
    def play(rows: int, cols: int) -> None:
        column = ["^G0", *["^"] * rows, "^E0"]
        env = gym.make(CUSTOM, levels="\n".join(" ".join([word, *"." * cols]) for word in column) + "\n")
        env.reset(seed=0)
        env.step(3)
        env.unwrapped.level_text()
        full_ring = " ".join(["@>a", *[">a"] * (cols + 1), "@>a"])
        assert_refused(lambda: gym.make(CUSTOM, levels=f"{full_ring}\n^G{' .' * (cols + 2)}\n^E{' .' * (cols + 2)}\n"))

    play(3, 4)
    monkeypatch.setattr(KernelCache, "load_overload", lambda self, *_: pytest.fail(self._function.__qualname__))
    play(5, 7)


def test_a_ring_with_a_signal_is_driven_though_it_leads_to_no_destination() -> None:
    env = gym.make(CUSTOM, levels="ring_cols = 8\negos.remaining = [50]\n\n>E0 > |> *> > > > @>\n").unwrapped
    env.reset(seed=0)
    assert env.get_state()["map"]["has_ways"][0] == 0
    for action in (3, 1, 1, 1, 1, 4, 1, 3, 1, 1):
        env.step(action)
    assert env.get_state()["world"]["tick"][0] == 10
