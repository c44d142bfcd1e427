"""Many worlds fit into one picture, each at its place."""

import gymnasium as gym
import numpy as np
import pytest

from drivesim.registry import IDS
from drivesim.render.frame import draw_scene
from drivesim.render.grid import GAP, MOST_WORLDS, columns_for, draw_grid
from drivesim.render.scene import Scene
from drivesim.rendering import state_of


def scenes_of(env_id, num_envs):
    envs = gym.make_vec(env_id, num_envs=num_envs)
    envs.reset(seed=0)
    return [Scene(state_of(envs, i)) for i in range(num_envs)]


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize(("num_envs", "columns"), [(1, None), (5, 2), (6, None), (7, 3)])
def test_every_world_has_its_place(env_id, num_envs, columns):
    scenes = scenes_of(env_id, num_envs)
    picture = draw_grid(scenes, size=600, columns=columns)
    assert picture.dtype == np.uint8
    assert max(picture.shape) <= 600
    one = draw_scene(scenes[0], 2)
    aspect = one.shape[0] / one.shape[1]
    across = min(columns or columns_for(num_envs, aspect, 1.0), num_envs)
    width = (picture.shape[1] + GAP) // across - GAP
    cell = 2 * width // one.shape[1]
    for n, scene in enumerate(scenes):
        expected = draw_scene(scene, cell)
        top, left = n // across * (expected.shape[0] + GAP), n % across * (expected.shape[1] + GAP)
        assert (picture[top : top + expected.shape[0], left : left + expected.shape[1]] == expected).all()


def test_more_columns_than_worlds_are_as_many_as_worlds():
    scenes = scenes_of("drivesim/Autodrive-v1", 3)
    assert (draw_grid(scenes, size=600, columns=20) == draw_grid(scenes, size=600, columns=3)).all()


def test_columns_make_the_picture_most_like_a_square():
    for count in (1, 2, 3, 7, 16, 64):
        for height, width in ((1.0, 1.0), (1.0, 4.0), (3.0, 1.0)):
            best = columns_for(count, height, width)
            longest = {n: max(n * width, -(-count // n) * height) for n in range(1, count + 1)}
            assert longest[best] == min(longest.values())
    assert columns_for(16, 1.0, 1.0) == 4


def test_of_very_many_worlds_the_first_are_shown():
    few = scenes_of("drivesim/Autodrive-v1", MOST_WORLDS)
    more = [*few, few[0]]
    assert (draw_grid(few, size=800) == draw_grid(more, size=800)).all()


def test_vector_environment_draws_its_worlds_in_one_picture():
    envs = gym.make_vec("drivesim/LaneKeep-v1", num_envs=4, render_size=512)
    with pytest.raises(gym.error.ResetNeeded):
        envs.unwrapped.render_grid()
    envs.reset(seed=0)
    picture = envs.unwrapped.render_grid()
    assert max(picture.shape) <= 512
    assert envs.unwrapped.render_grid(columns=4).shape[1] > envs.unwrapped.render_grid(columns=1).shape[1]
    with pytest.raises(ValueError, match="columns must be in"):
        envs.unwrapped.render_grid(columns=0)


@pytest.mark.parametrize("size", [64, 128, 512, 1080])
def test_size_of_the_pictures_can_be_chosen(size):
    for env_id in IDS:
        env = gym.make(env_id, render_mode="rgb_array", render_size=size)
        env.reset(seed=0)
        height, width, _ = env.render().shape
        assert 0.5 * size <= max(height, width) <= max(size, 80)
        assert height % 2 == width % 2 == 0
        if size >= 512:
            assert height % 16 == width % 16 == 0


@pytest.mark.parametrize("size", [0, 63, 4097, 1.5, "large", True])
def test_a_bad_size_is_refused(size):
    for make in (gym.make, lambda env_id, **options: gym.make_vec(env_id, num_envs=2, **options)):
        with pytest.raises((TypeError, ValueError), match="render_size must be"):
            make("drivesim/Autodrive-v1", render_size=size)


def test_of_a_large_batch_only_the_worlds_that_are_shown_are_prepared(monkeypatch) -> None:
    """A thousand scenes took three seconds, of which a picture shows 64."""
    envs = gym.make_vec("drivesim/LaneKeep-v1", num_envs=MOST_WORLDS + 100, render_mode="rgb_array")
    envs.reset(seed=0)
    prepared = []
    renderer = type(envs.unwrapped._renderer)
    state = renderer._state
    monkeypatch.setattr(renderer, "_state", lambda self, index: prepared.append(index) or state(self, index))
    assert envs.unwrapped.render_grid().any()
    assert prepared == list(range(MOST_WORLDS))
