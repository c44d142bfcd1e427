"""Replays: an episode from its seed and actions, in a file, checked when it is replayed."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from env_tools import (
    AUTODRIVE,
    HIGHWAY,
    IDLE,
    IDS,
    INTERSECTION,
    LANE_KEEP,
    OBSERVATIONS,
    OBSTACLES,
    assert_refused,
    assert_same,
    at,
    draw_actions,
    stay,
    world_bytes,
)

import drivesim
from drivesim.config import RewardWeights
from drivesim.env import DriveEnv
from drivesim.render.state import State
from drivesim.rendering import state_of
from drivesim.replay import Replay, ReplayError, ReplayRecorder, moments
from drivesim.replay_file import MAX_BYTES, OUTCOME, begin, little_endian, make

FIRST_SEED = 11


def recorder(env_id: str = OBSTACLES, folder: Path | None = None, **options: object) -> ReplayRecorder:
    return ReplayRecorder(gym.make(env_id, **options), folder=folder)


def drive(env: gym.Env, seed: int = 0, num_steps: int = 1000) -> list[State]:
    """Random actions up to the episode's end; the states on the way, the first one included."""
    rng = np.random.default_rng(seed)
    states = [state_of(env)]
    for _ in range(num_steps):
        _, _, terminated, truncated, _ = env.step(int(draw_actions(rng, int(env.action_space.n), None)))
        states.append(state_of(env))
        if terminated or truncated:
            break
    return states


def standing(env_id: str, num_steps: int) -> Replay:
    """A replay of so many ticks: of an ego that does not move."""
    return Replay.of(env_id, {}, 0, [stay(env_id)] * num_steps)


def edited(replay: Replay, **changes: object) -> str:
    """The text of a replay with some fields changed by hand; those changed to `...` are left out."""
    record = {**json.loads(replay.to_json()), **changes}
    return json.dumps({name: value for name, value in record.items() if value is not ...})


@pytest.mark.parametrize("observation", OBSERVATIONS)
@pytest.mark.parametrize("env_id", IDS)
def test_a_replay_shows_the_very_worlds_that_were_driven(env_id, observation, tmp_path) -> None:
    env = recorder(env_id, observation=observation, **at("hard", env_id))
    for episode in range(3):
        env.reset(seed=FIRST_SEED if episode == 0 else None)
        states = drive(env, episode)
        replay = env.replay
        assert (replay.seed, replay.episode, len(replay.actions)) == (FIRST_SEED, episode, len(states) - 1)
        loaded = Replay.load(replay.save(tmp_path / "replay.json"))
        assert loaded == replay
        for moment, state in zip(moments(loaded), states, strict=True):
            assert moment.state == state


def test_a_replay_keeps_how_much_was_seen_and_how_actions_are_numbered() -> None:
    seen = {"observation": "grid", "window": (4, 2, 3), "all_planes": True, "all_actions": True}
    env = recorder(AUTODRIVE, num_obstacles=0, crossing_cars=0, **seen)
    env.reset(seed=3)
    for action in (3, 1, 4, 3):
        env.step(action)
    loaded = Replay.from_json(env.replay.to_json())
    assert loaded.options == {"num_obstacles": 0, "crossing_cars": 0, **seen, "window": [4, 2, 3]}
    assert loaded.actions == (3, 1, 4, 3)
    loaded.check()
    with pytest.raises(ReplayError):
        replace(loaded, options={**loaded.options, "window": [4, 2, 2]}).check()


def test_moments_tell_action_reward_and_terms_of_the_tick_that_led_there() -> None:
    env = recorder(HIGHWAY, reward="shaped")
    env.reset(seed=3)
    answers = [env.step(action) for action in (3, 1, 3, 0, 4)]
    start, *shown = moments(env.replay)
    assert start.is_start
    assert (start.action, start.reward, dict(start.reward_terms)) == (None, 0.0, {})
    for moment, action, answer in zip(shown, (3, 1, 3, 0, 4), answers, strict=True):
        assert (moment.action, moment.reward) == (action, answer[1])
        assert moment.reward_terms == answer[4]["reward_terms"]
        assert moment.decision is None
    assert len({moment.reward for moment in shown}) > 1


@pytest.mark.parametrize("env_id", IDS)
def test_a_recorder_changes_nothing_that_the_environment_does(env_id) -> None:
    plain, recorded = gym.make(env_id), recorder(env_id)
    rng = np.random.default_rng(0)
    assert plain.observation_space == recorded.observation_space
    for episode in range(4):
        seed = 5 if episode in (0, 3) else None
        options = {"level_seed": 8} if episode == 2 else None
        assert_same(plain.reset(seed=seed, options=options), recorded.reset(seed=seed, options=options))
        assert plain.np_random.bit_generator.state == recorded.np_random.bit_generator.state
        is_over = False
        while not is_over:
            action = int(draw_actions(rng, int(plain.action_space.n), None))
            answer = plain.step(action)
            assert_same(answer, recorded.step(action))
            is_over = answer[2] or answer[3]
    assert_refused(lambda: recorded.step(99), "action", "99")
    assert_refused(lambda: recorded.reset(seed=-1), "seed", "-1")
    recorded.close()
    assert_refused(lambda: recorded.reset(), "closed")


def test_a_refused_reset_or_action_leaves_the_recording_as_it_was() -> None:
    env = recorder()
    env.reset(seed=4)
    env.step(3)
    before = env.replay
    for call in (lambda: env.reset(seed=-1), lambda: env.reset(options={"level": 1}), lambda: env.step(7)):
        assert_refused(call)
    assert env.replay == before
    env.step(3)
    assert env.replay.actions == (3, 3)
    env.replay.check()


@pytest.mark.parametrize("env_id", IDS)
def test_the_start_of_a_late_episode_is_reached_without_driving_those_before(env_id) -> None:
    env = gym.make(env_id)
    env.reset(seed=9)
    for episode in range(1, 5):
        env.reset()
        replay = Replay.of(env_id, {}, 9, [], episode=episode)
        again = make(replay)
        begin(again, replay)
        assert np.array_equal(world_bytes(env.unwrapped.get_state()), world_bytes(again.unwrapped.get_state()))
    Replay.of(env_id, {}, 9, [IDLE], episode=2**40).check()


@pytest.mark.parametrize("env_id", IDS)
def test_every_env_of_a_vector_environment_has_its_replays_and_their_digests_are_as_described(env_id) -> None:
    num_envs, seed = 3, 20
    envs = gym.make_vec(env_id, num_envs=num_envs, autoreset_mode="SameStep", observation="features")
    rng = np.random.default_rng(1)
    obs, _ = envs.reset(seed=seed)
    digests = [hashlib.sha256(row.astype("<f4").tobytes()).digest() for row in obs]
    actions: list[list[int]] = [[] for _ in range(num_envs)]
    episodes = [0] * num_envs
    num_checked = 0
    for _ in range(60):
        chosen = draw_actions(rng, envs.single_action_space.n, num_envs)
        obs, rewards, terminated, truncated, infos = envs.step(chosen)
        for i in range(num_envs):
            ended = terminated[i] or truncated[i]
            actions[i].append(int(chosen[i]))
            seen = infos["final_obs"][i] if ended else obs[i]
            tick = struct.pack("<d??", rewards[i], terminated[i], truncated[i])
            digests[i] = hashlib.sha256(digests[i] + seen.astype("<f4").tobytes() + tick).digest()
            if ended:
                replay = Replay.of(env_id, {"observation": "features"}, seed + i, actions[i], episode=episodes[i])
                assert replay.digest == digests[i].hex()
                info = {name: infos["final_info"][f"episode_{name}"][i] for name in ("return", "length")}
                assert replay.outcome == {"success": bool(infos["final_info"]["success"][i]), **info}
                num_checked += 1
                episodes[i] += 1
                actions[i] = []
                digests[i] = hashlib.sha256(obs[i].astype("<f4").tobytes()).digest()
    assert num_checked >= 1


def test_the_bytes_of_a_digest_are_the_same_on_every_machine() -> None:
    numbers = [1.5, -0.25, 3e38]
    assert little_endian(np.array(numbers, ">f4")) == little_endian(np.array(numbers, "<f4"))
    assert little_endian(np.array(numbers, "<f4")) == struct.pack("<3f", *numbers)


@pytest.mark.parametrize(
    ("options", "limit"),
    [
        ({"difficulty": "hard", "split": "test", "length": 30}, None),
        ({"reward": "shaped", "reward_weights": RewardWeights(time=-0.125)}, None),
        ({"reward_weights": {"collision": -2.0}, "num_levels": np.int64(3)}, 7),
        ({"observation": "full_grid", "render_mode": "rgb_array", "render_size": 320}, 1),
        ({}, -1),
        ({}, 100),
    ],
    ids=str,
)
def test_options_level_and_time_limit_are_part_of_a_replay(options, limit, tmp_path) -> None:
    env = recorder(OBSTACLES, tmp_path / "new" / "folder", max_episode_steps=limit, **options)
    env.reset(seed=6, options={"level_seed": np.int64(77)})
    slower = 4
    for _ in range(120):
        if any(env.step(slower)[2:4]):
            break
    replay = env.replay
    ticks = {7: 7, 1: 1, -1: 120}.get(limit, 100)
    assert len(replay.actions) == replay.outcome["length"] == ticks
    assert replay.level_seed == 77
    assert replay.max_episode_steps == (None if limit == 100 else limit)
    assert not {"render_mode", "render_size", "scenario"} & set(replay.options)
    replay.check()
    saved = tmp_path / "new" / "folder" / "Obstacles-v1-6-0.json"
    assert saved.exists() == (limit != -1), "only finished episodes are saved"
    if limit != -1:
        assert Replay.load(saved) == replay
    assert [int(moment.world["level_seed"]) for moment in moments(replay)] == [77] * (ticks + 1)


def test_the_shortest_of_several_time_limits_holds() -> None:
    env = ReplayRecorder(gym.wrappers.TimeLimit(gym.wrappers.TimeLimit(gym.make(HIGHWAY), 5), 8))
    env.reset(seed=0)
    drive(env)
    assert env.replay.max_episode_steps == 5
    env.replay.check()


@pytest.mark.parametrize("env_id", IDS)
def test_forty_ticks_take_less_than_600_bytes_and_each_more_at_most_1_2(env_id) -> None:
    sizes = [len(standing(env_id, num_ticks).to_json().encode()) for num_ticks in (0, 20, 40)]
    assert sizes[2] < 600
    assert sizes[2] - sizes[1] <= 1.2 * 20
    everything = {"observation": "features", "num_levels": 5, "reward": "shaped", **at("hard", env_id)}
    assert len(Replay.of(env_id, everything, 2**64, [0] * 0, level_seed=2**62).to_json().encode()) + 40 < 600


def test_a_recorder_draws_a_seed_if_it_is_given_none() -> None:
    seeds = set()
    for _ in range(3):
        env = recorder(HIGHWAY)
        env.reset()
        env.step(3)
        env.replay.check()
        seeds.add(env.replay.seed)
        first = env.replay
        env.reset()
        assert (env.replay.seed, env.replay.episode) == (first.seed, 1)
        env.replay.check()
    assert len(seeds) == 3
    assert max(seeds) < 2**53, "every reader of JSON must keep it"


@pytest.mark.parametrize("seed", [0, 2**32, 2**64 + 1, 10**30, 2**512 - 1, np.uint64(2**63)])
def test_seeds_of_every_size_are_replayed(seed, tmp_path) -> None:
    env = recorder(HIGHWAY, tmp_path, max_episode_steps=2)
    env.reset(seed=seed)
    drive(env)
    (path,) = tmp_path.iterdir()
    assert path.name == f"Highway-v1-{int(seed)}-0.json"
    replay = Replay.load(path)
    assert replay == env.replay
    replay.check()
    assert_refused(lambda: env.reset(seed=2**512), "seed", "2**512", "513 bits")


@pytest.mark.parametrize(
    "changes",
    [
        {"actions": "441443"},
        {"actions": "44144"},
        {"digest": "0" * 64},
        {"seed": 1},
        {"episode": 1},
        {"level_seed": 5},
        {"options": {"difficulty": "easy"}},
        {"options": {"observation": "features"}},
        {"max_episode_steps": 6},
        {"outcome": {"success": True, "return": 0.0, "length": 6}},
    ],
    ids=str,
)
def test_an_episode_that_goes_another_way_than_recorded_is_not_shown_unless_asked_for(changes) -> None:
    replay = Replay.of(HIGHWAY, {}, 0, [4, 4, 1, 4, 4, 1])
    forged = Replay.from_json(edited(replay, **changes))
    for call in (forged.check, lambda: moments(forged)):
        assert_refused(call, HIGHWAY, f"seed {forged.seed}", f"drivesim {drivesim.__version__}", "verify=False")
    assert len(list(moments(forged, verify=False))) == len(forged.actions) + 1


def test_the_message_names_the_version_to_install() -> None:
    old = Replay.from_json(edited(standing(HIGHWAY, 3), version="0.0.7", digest="f" * 64))
    assert_refused(old.check, "drivesim 0.0.7", "install drivesim==0.0.7")


def test_without_a_check_moments_stop_where_the_episode_ends() -> None:
    crash = Replay.of(LANE_KEEP, {}, 0, [3, 0, 0, 0])
    assert crash.outcome["length"] == 4, "still on the road"
    longer = Replay.from_json(edited(crash, actions="3000" + "0" * 60))
    shown = list(moments(longer, verify=False))
    assert 5 < len(shown) < 65
    assert shown[-1].events == ("off road",)
    assert_refused(longer.check)
    assert_refused(
        lambda: Replay.of(LANE_KEEP, {}, 0, longer.actions), "actions", f"after {len(shown) - 1} ticks", "64"
    )


BAD_FILES = [
    ({"format": 2}, "format must be 1"),
    ({"format": True}, "format must be 1"),
    ({"format": ...}, "format"),
    ({"colour": 1}, "colour"),
    ({"seed": ...}, "seed is missing"),
    ({"digest": ...}, "digest is missing"),
    ({"env_id": "drivesim/Nowhere-v0"}, "env_id"),
    ({"env_id": "os:system"}, "env_id"),
    ({"env_id": "CartPole-v1"}, "env_id"),
    ({"env_id": ["drivesim/Highway-v1"]}, "env_id"),
    ({"options": []}, "options"),
    ({"options": {"lanes": 3}}, "lanes"),
    ({"options": {"render_mode": "human"}}, "render_mode"),
    ({"options": {"scenario": "Highway"}}, "scenario"),
    ({"options": {"level": {}}}, "level"),
    ({"options": {"max_episode_steps": 3}}, "max_episode_steps"),
    ({"options": {"difficulty": {}}}, "difficulty"),
    ({"options": {"num_lanes": 2.5}}, "num_lanes"),
    ({"options": {"reward_weights": {"progress": "1"}}}, "progress"),
    ({"seed": -1}, "seed"),
    ({"seed": 1.0}, "seed"),
    ({"seed": "1"}, "seed"),
    ({"seed": True}, "seed"),
    ({"seed": None}, "seed"),
    ({"seed": 2**512}, "seed"),
    ({"episode": -1}, "episode"),
    ({"episode": 2**63}, "episode"),
    ({"episode": False}, "episode"),
    ({"level_seed": -1}, "level_seed"),
    ({"level_seed": "7"}, "level_seed"),
    ({"max_episode_steps": 0}, "max_episode_steps"),
    ({"max_episode_steps": -2}, "max_episode_steps"),
    ({"max_episode_steps": 2.0}, "max_episode_steps"),
    ({"max_episode_steps": 5}, "time limit of 5"),
    ({"actions": "444449"}, "actions[5]"),
    ({"actions": "4444 4"}, "actions"),
    ({"actions": "44-4"}, "actions"),
    ({"actions": "٣٣"}, "actions"),
    ({"actions": "4" * 51}, "time limit of 50"),
    ({"actions": [4, 4]}, "actions"),
    ({"actions": 44}, "actions"),
    ({"digest": "f" * 63}, "digest"),
    ({"digest": "F" * 64}, "digest"),
    ({"digest": 7}, "digest"),
    ({"version": ""}, "version"),
    ({"version": 1}, "version"),
    ({"version": "1" * 65}, "version"),
    ({"outcome": None}, "outcome"),
    ({"outcome": {"success": True}}, "outcome"),
    ({"outcome": {"success": 1, "return": 0.0, "length": 6}}, "outcome success"),
    ({"outcome": {"success": True, "return": "0", "length": 6}}, "outcome return"),
    ({"outcome": {"success": True, "return": float("nan"), "length": 6}}, "NaN"),
    ({"outcome": {"success": True, "return": float("inf"), "length": 6}}, "Infinity"),
    ({"outcome": {"success": True, "return": 0.0, "length": -6}}, "outcome length"),
]


@pytest.mark.parametrize(("changes", "named"), BAD_FILES, ids=str)
def test_a_file_edited_by_hand_is_refused_by_naming_it_and_the_field(changes, named, tmp_path) -> None:
    path = tmp_path / "edited.json"
    path.write_text(edited(standing(HIGHWAY, 6), **changes), encoding="utf-8")
    with pytest.raises(ReplayError, match=r"edited\.json is not a replay") as caught:
        Replay.load(path)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"null", b"[]", b"7", b'"a"', b"{", b"\xff\xfe", b"\x80\x04.", b"[" * 100_000, b'{"format": 1' + b"0" * 5000],
    ids=range(10),
)
def test_a_file_of_something_else_is_refused(content, tmp_path) -> None:
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(ReplayError, match=r"file\.json is not a replay"):
        Replay.load(tmp_path / "file.json")


def test_a_field_that_is_given_twice_is_refused() -> None:
    text = standing(HIGHWAY, 2).to_json()
    assert_refused(lambda: Replay.from_json(text.replace("{", '{"seed": 3,', 1)), "seed is given twice")


def test_a_file_cut_off_anywhere_is_refused(tmp_path) -> None:
    whole = standing(HIGHWAY, 6).save(tmp_path / "whole.json").read_bytes()
    for length in range(len(whole) - 1):  # the last byte is the newline
        (tmp_path / "part.json").write_bytes(whole[:length])
        with pytest.raises(ReplayError, match="not a replay"):
            Replay.load(tmp_path / "part.json")


def test_a_huge_file_is_refused_without_reading_all_of_it(tmp_path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: takes no room on the disk
    with pytest.raises(ReplayError, match=str(MAX_BYTES)):
        Replay.load(path)
    with pytest.raises(FileNotFoundError):
        Replay.load(tmp_path / "missing.json")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    path = standing(HIGHWAY, 2).save(tmp_path / "replay.json")
    before = path.read_bytes()

    def fail(self: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        standing(HIGHWAY, 3).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"actions": [0, 5]}, "actions[1]"),
        ({"actions": [0, True]}, "actions[1]"),
        ({"actions": "01"}, "actions"),
        ({"actions": 3}, "actions"),
        ({"actions": np.zeros((2, 2), int)}, "actions[0]"),
        ({"actions": [4] * 51}, "time limit of 50"),
        ({"options": None}, "options"),
        ({"options": {"split": "dev"}}, "split"),
        ({"env_id": "Highway"}, "env_id"),
        ({"seed": None}, "seed"),
        ({"episode": 1.0}, "episode"),
    ],
    ids=str,
)
def test_bad_arguments_of_a_replay_are_named(changes, named) -> None:
    arguments = {"env_id": HIGHWAY, "options": {}, "seed": 0, "actions": [0], **changes}
    assert_refused(lambda: Replay.of(**arguments), named)


def test_numpy_numbers_become_plain_ones() -> None:
    replay = Replay.of(HIGHWAY, {"num_vehicles": np.int32(5)}, np.int64(3), np.array([3, 3, 1], np.uint8))
    assert replay == Replay.from_json(replay.to_json())
    assert {type(action) for action in replay.actions} == {type(replay.seed)} == {int}


def test_only_what_is_recorded_as_it_is_can_be_wrapped() -> None:
    def flip(env: gym.Env) -> gym.Env:
        return gym.wrappers.TransformObservation(env, lambda obs: 255 - obs, env.observation_space)

    assert_refused(lambda: ReplayRecorder(gym.make("CartPole-v1")), "env", "CartPole")
    assert_refused(lambda: ReplayRecorder(DriveEnv("Highway")), "gym.make")
    assert_refused(lambda: ReplayRecorder(flip(gym.make(HIGHWAY))), "TransformObservation")
    outside = flip(recorder(HIGHWAY))
    outside.reset(seed=0)
    outside.step(3)
    outside.get_wrapper_attr("replay").check()
    inside = ReplayRecorder(gym.wrappers.RecordEpisodeStatistics(recorder(AUTODRIVE)))
    inside.reset(seed=0)
    drive(inside)
    assert inside.replay == inside.env.env.replay


def test_there_is_no_replay_before_the_first_reset_and_none_where_a_state_was_set() -> None:
    env = recorder(HIGHWAY)
    assert_refused(lambda: env.replay, "reset()")
    env.reset(seed=0)
    start = env.unwrapped.get_state()
    env.step(3)
    env.unwrapped.set_state(start)
    assert_refused(lambda: env.replay, "a state was set")
    env.step(3)
    assert_refused(lambda: env.replay, "a state was set")
    env.reset()
    env.replay.check()
    other = recorder(HIGHWAY)
    other.reset(seed=1)
    env.unwrapped.set_state(other.unwrapped.get_state())
    env.reset()  # the next episode of the other seed
    assert_refused(lambda: env.replay, "a state was set")
    env.reset(seed=2)
    drive(env)
    env.replay.check()


def test_an_episode_into_which_a_state_was_set_is_not_saved_as_another_one(tmp_path) -> None:
    env = recorder(HIGHWAY, tmp_path, max_episode_steps=3)
    env.reset(seed=0)
    start = env.unwrapped.get_state()
    env.step(3)
    env.unwrapped.set_state(start)
    assert env.step(3)[3] is False
    assert env.step(3)[3] is True
    assert list(tmp_path.iterdir()) == []
    assert_refused(lambda: env.replay, "a state was set")


def test_steps_after_the_end_are_taken_and_not_recorded() -> None:
    env = recorder(HIGHWAY, max_episode_steps=3)
    env.reset(seed=0)
    for n in range(6):
        assert env.step(IDLE)[3] == (n >= 2)
    assert env.replay.actions == (IDLE,) * 3
    env.replay.check()


def test_a_recorder_is_part_of_the_specification_and_can_be_copied(tmp_path) -> None:
    env = recorder(INTERSECTION, tmp_path, difficulty="easy", max_episode_steps=4)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json()))
    assert isinstance(again, ReplayRecorder)
    env.reset(seed=3)
    env.step(3)
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env)), again]
    again.reset(seed=3)
    again.step(3)
    drive(env)
    for twin in twins:
        drive(twin)
        assert twin.replay == env.replay
    assert [path.name for path in tmp_path.iterdir()] == ["Intersection-v1-3-0.json"]


def test_registering_does_not_load_replays_and_they_load_neither_torch_nor_pygame() -> None:
    code = (
        "import sys, drivesim; assert 'drivesim.replay' not in sys.modules; import drivesim.replay, drivesim.occlusion;"
        "print(sorted({'torch', 'pygame', 'agents'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_outcome_is_that_of_the_info() -> None:
    env = recorder(HIGHWAY)
    env.reset(seed=0)
    assert env.replay.outcome == {"success": False, "return": 0.0, "length": 0}
    assert tuple(env.replay.outcome) == OUTCOME
    for _ in range(5):
        *_, info = env.step(IDLE)
    assert env.replay.outcome == {"success": False, "return": info["episode_return"], "length": 5}
    assert info["episode_return"] > 0
