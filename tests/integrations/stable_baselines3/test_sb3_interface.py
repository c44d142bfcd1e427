"""What a vector environment of Stable-Baselines3 has to answer beside steps, and what it refuses."""

from __future__ import annotations

import copy
import re

import gymnasium as gym
import numpy as np
import pytest
from docs_blocks import DOCS

pytest.importorskip("stable_baselines3")

from gymnasium.wrappers import TimeLimit
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor, VecTransposeImage

from drivesim.integrations.stable_baselines3 import SB3VecEnv, make_vec_env
from drivesim.registry import IDS

OBSTACLES = "drivesim/Obstacles-v1"
FASTER, LEFT = 3, 0


def started(num_envs: int = 4, env_id: str = OBSTACLES, **options: object) -> SB3VecEnv:
    venv = make_vec_env(env_id, num_envs, seed=0, **{"observation": "features", **options})
    venv.reset()
    return venv


@pytest.mark.parametrize("env_id", IDS)
def test_the_librarys_checker_finds_nothing_to_warn_of(env_id) -> None:
    check_env(gym.make(env_id, observation="features"))  # warnings are errors


def test_nothing_that_was_returned_is_written_to_again() -> None:
    venv = started(max_episode_steps=4)
    kept = [venv.reset(), *venv.env_method("observe"), venv.env_method("action_masks")[0]]
    for _ in range(9):
        obs, rewards, dones, infos = venv.step(np.full(4, FASTER))
        kept += [obs, rewards, dones, *(info["terminal_observation"] for info in infos if info)]
    assert len(kept) > 6 + 27
    copies = copy.deepcopy(kept)
    venv.reset()
    for _ in range(9):
        venv.step(np.full(4, LEFT))
        venv.env_method("observe")
    for value, before in zip(kept, copies, strict=True):
        assert np.array_equal(value, before)
    assert not any(np.shares_memory(one, other) for i, one in enumerate(kept) for other in kept[:i] if one is not other)


def test_every_info_is_a_dict_of_its_own() -> None:
    venv = started()
    before = venv.step(np.full(4, FASTER))[3]
    before[0]["mine"] = 1  # as VecMonitor writes into them
    after = venv.step(np.full(4, FASTER))[3]
    assert before[1:] == [{}] * 3
    assert after == [{}] * 4
    assert len({id(info) for info in [*before, *after]}) == 8


def test_masks_are_those_of_the_single_environments() -> None:
    venv = started(5)
    loop = DummyVecEnv([lambda: gym.make(OBSTACLES, observation="features")] * 5)
    loop.seed(0)
    loop.reset()
    seen = set()
    rng = np.random.default_rng(0)
    for _ in range(40):
        masks = venv.env_method("action_masks")
        assert np.array_equal(masks, loop.env_method("action_masks"))
        seen |= {tuple(mask.tolist()) for mask in masks}
        actions = rng.choice(5, 5, p=(0.05, 0.35, 0.05, 0.35, 0.2))
        venv.step(actions)
        loop.step(actions)
    assert len(seen) > 1
    assert len(venv.env_method("action_masks", indices=2)) == 1
    third_and_first = venv.env_method("action_masks", indices=[2, 0])
    assert np.array_equal(third_and_first, np.array(venv.env_method("action_masks"))[[2, 0]])
    assert venv.has_attr("action_masks")
    assert np.array_equal(venv.get_attr("action_masks", 3)[0](), venv.env_method("action_masks")[3])


def test_masks_are_found_through_wrappers_as_the_contrib_package_looks_for_them() -> None:
    utils = pytest.importorskip("sb3_contrib.common.maskable.utils")
    for venv in (started(3), VecMonitor(started(3))):
        assert utils.is_masking_supported(venv)
        masks = utils.get_action_masks(venv)
        assert masks.shape == (3, 5)
        assert masks.dtype == np.bool_


def test_attributes_are_those_of_the_envs() -> None:
    venv = started(3)
    assert venv.get_attr("action_space") == [gym.spaces.Discrete(5)] * 3
    assert venv.get_attr("observation_space", [0]) == [venv.observation_space]
    assert venv.get_attr("render_mode", 1) == [None]
    assert not venv.has_attr("compute_reward")  # else the library takes the envs for goal environments
    venv.set_attr("phase", "easy")
    venv.set_attr("phase", "hard", indices=[1])
    assert venv.get_attr("phase") == ["easy", "hard", "easy"]
    assert VecMonitor(venv).get_attr("phase", 2) == ["easy"]
    venv.set_attr("mine", 1, indices=0)
    assert venv.get_attr("mine", 0) == [1]
    with pytest.raises(AttributeError, match="mine"):
        venv.get_attr("mine")


@pytest.mark.parametrize("name", ["config", "render_mode", "action_space", "step"])
def test_what_belongs_to_the_batch_cannot_be_set(name) -> None:
    venv = started(2)
    with pytest.raises(AttributeError, match=name):
        venv.set_attr(name, None)


@pytest.mark.parametrize("name", ["step", "reset", "get_state", "fly"])
def test_methods_that_do_not_answer_for_each_env_are_refused(name) -> None:
    venv = started(2)
    with pytest.raises(AttributeError, match=name):
        venv.env_method(name)
    with pytest.raises(AttributeError, match=name):
        venv.get_attr(name)


def test_no_env_has_a_wrapper() -> None:
    venv = started(3)
    assert venv.env_is_wrapped(Monitor) == [False] * 3
    assert venv.env_is_wrapped(TimeLimit, indices=[1]) == [False]


def test_pictures_are_those_of_the_envs_and_are_tiled() -> None:
    venv = started(4, render_mode="rgb_array", render_size=64)
    frames = venv.get_images()
    assert len(frames) == 4
    assert all(np.array_equal(frame, other) for frame, other in zip(frames, venv.envs.render(), strict=True))
    height, width, _ = frames[0].shape
    assert venv.render().shape == (2 * height, 2 * width, 3)
    assert np.array_equal(venv.env_method("render", indices=1)[0], frames[1])
    assert venv.metadata["render_fps"] == venv.envs.metadata["render_fps"]


def test_without_pictures_there_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="render_mode"):
        assert started(2).get_images() == [None, None]


def test_a_window_follows_by_itself(monkeypatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    venv = started(2, render_mode="human")
    venv.step(np.full(2, FASTER))
    assert venv.render() is None
    venv.close()


def test_closing_twice_is_fine_and_a_closed_batch_does_not_step() -> None:
    venv = started(2)
    venv.close()
    venv.close()
    with pytest.raises(gym.error.ClosedEnvironmentError):
        venv.step(np.zeros(2, int))


def test_planes_keep_their_order_where_the_guess_of_the_axes_is_switched_off() -> None:
    """The library takes the shortest axis of a picture for its channels and moves it to the front."""
    shapes = {env_id: gym.make(env_id, observation="grid").observation_space.shape for env_id in IDS}
    mistaken = [env_id for env_id, shape in shapes.items() if min(shape) != shape[0]]
    text = (DOCS / "integrations" / "stable_baselines3.md").read_text(encoding="utf-8")
    (named,) = re.findall(r"for the channels: in (.*?)\s+that\s+is\s+one\s+of\s+the\s+window's\s+sides", text)
    assert re.findall(r"`(\w+)`", named) == [env_id.removeprefix("drivesim/").partition("-")[0] for env_id in mistaken]
    for env_id in mistaken:
        venv = started(2, env_id, observation="grid")
        shape = venv.observation_space.shape
        assert VecTransposeImage(venv).observation_space.shape != shape
        kept = VecTransposeImage(venv, skip=True)
        assert kept.observation_space.shape == shape
        venv.seed(3)
        obs = venv.reset()
        venv.seed(3)
        assert np.array_equal(kept.reset(), obs)


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_another_environment_is_refused() -> None:
    with pytest.raises(ValueError, match=r"env_id must be .*Obstacles-v1.*got 'CartPole-v1'"):
        make_vec_env("CartPole-v1")
    with pytest.raises(gym.error.NameNotFound, match="Obstacle"):
        make_vec_env("drivesim/Obstacle-v0")
    with pytest.raises(TypeError, match="envs must be a DriveVectorEnv"):
        SB3VecEnv(gym.make_vec("CartPole-v1", 2, vectorization_mode="sync"))


@pytest.mark.parametrize("option", ["autoreset_mode", "copy"])
def test_what_the_library_needs_cannot_be_chosen(option) -> None:
    with pytest.raises(TypeError, match=option):
        make_vec_env(OBSTACLES, **{option: True})


@pytest.mark.parametrize("mode", ["NextStep", "Disabled"])
def test_another_autoreset_mode_is_refused(mode) -> None:
    with pytest.raises(ValueError, match="autoreset_mode must be 'SameStep'"):
        SB3VecEnv(gym.make_vec(OBSTACLES, 2, autoreset_mode=mode))


@pytest.mark.parametrize(
    "options", [{"level": 3}, {"level_seed": -1}, {"level_seed": 1.5}, [{}, {"level_seed": "3"}]], ids=repr
)
def test_bad_options_are_refused_and_change_nothing(options) -> None:
    venv, twin = started(2), started(2)
    venv.set_options(options)
    with pytest.raises((TypeError, ValueError), match=r"level_seed|options"):
        venv.reset()
    venv.set_options()
    assert np.array_equal(venv.reset(), twin.reset())


def test_a_list_of_options_needs_one_for_each_env() -> None:
    venv = started(2)
    venv.set_options([{}])
    with pytest.raises(ValueError, match="options must be one dict or a list of 2, got 1"):
        venv.reset()


def test_bad_seeds_and_actions_are_refused() -> None:
    venv = started(2)
    with pytest.raises(ValueError, match="actions must be integers in"):
        venv.step(np.array([0, 5]))
    with pytest.raises(TypeError, match="actions must be integers in"):
        venv.step(np.array([0.0, 1.0]))
    venv.seed(-2)
    with pytest.raises(ValueError, match="seed must be at least 0, got -2"):
        venv.reset()
    with pytest.raises(gym.error.ResetNeeded):
        make_vec_env(OBSTACLES, 2).step(np.zeros(2, int))
