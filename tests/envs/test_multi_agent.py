"""Several egos in one world: each as if alone where nobody is in its way, and traffic that stays safe."""

import gymnasium as gym
import numpy as np
import pytest
from multi import IDLE, IDS, shared_cells, wishes

import drivesim


def make(env_id, num_worlds=4, num_agents=4, **options):
    return drivesim.parallel_vec_env(env_id, num_worlds, num_agents, **options)


@pytest.mark.parametrize("env_id", IDS)
@pytest.mark.parametrize("observation", ["grid", "features"])
def test_one_ego_to_a_world_is_the_vector_environment(env_id, observation):
    several = make(env_id, num_worlds=6, num_agents=1, observation=observation)
    single = gym.make_vec(
        env_id, num_envs=6, observation=observation, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP
    )
    rng = np.random.default_rng(0)
    assert (several.reset(seed=3)[0] == single.reset(seed=3)[0]).all()
    ends = 0
    for _ in range(300):
        actions = wishes(rng, 6)
        obs, rewards, terminations, truncations, infos = several.step(actions)
        expected = single.step(actions)
        for mine, theirs in zip((obs, rewards, terminations, truncations), expected[:4], strict=True):
            assert (mine == theirs).all()
        ended = terminations | truncations
        assert infos["is_real"].all()
        assert (infos["starts"] == ended).all()
        assert ("final_obs" in infos) == ended.any() == ("final_obs" in expected[4])
        if ended.any():
            ends += int(ended.sum())
            assert (infos["final_obs"][ended] == expected[4]["final_obs"][ended]).all()
            for key, values in infos["final_info"].items():
                assert (values == expected[4]["final_info"][key]).all(), key
        assert (several.action_masks() == single.unwrapped.action_masks()).all()
        assert (several.observe() == obs).all()
    assert ends > 20


DENSE = {"num_lanes": 2, "length": 100, "distance": 30, "num_vehicles": 40, "slowest": 1, "fastest": 5}


@pytest.mark.parametrize(
    ("env_id", "options"),
    [("drivesim/Highway-v1", DENSE), *((env_id, {}) for env_id in IDS)],
)
def test_traffic_never_collides_whatever_several_egos_do(env_id, options):
    """Whoever leads may crash or arrive in any tick and be gone; the one behind must not have counted on it."""
    envs = make(env_id, num_worlds=100, num_agents=8, difficulty="hard", max_episode_steps=80, **options)
    envs.reset(seed=1)
    rng = np.random.default_rng(1)
    ends = 0
    for _ in range(250):
        infos = envs.step(wishes(rng, envs.num_envs))[4]
        ends += int(infos.get("_final_info", np.zeros(1)).sum())
        state = envs.get_state()
        assert shared_cells(state) == 0
    assert ends > 200


@pytest.mark.parametrize("env_id", IDS)
def test_an_ego_ends_once_and_waits_for_its_world(env_id):
    envs = make(env_id, num_worlds=6, num_agents=3, max_episode_steps=50)
    envs.reset(seed=2)
    rng = np.random.default_rng(2)
    waits = np.zeros(18, bool)
    restarts = 0
    for _ in range(400):
        obs, rewards, terminations, truncations, infos = envs.step(wishes(rng, 18))
        ended = terminations | truncations
        assert (infos["is_real"] == ~waits).all()
        assert not (ended & waits).any()
        assert (rewards[waits] == 0.0).all()
        gone = (waits | ended).reshape(6, 3)
        is_over = gone.all(axis=1)
        assert (infos["starts"].reshape(6, 3) == is_over[:, None]).all()
        restarts += int(is_over.sum())
        waits = (gone & ~is_over[:, None]).reshape(-1)
        assert (envs.is_driving == ~waits).all()
        assert obs.shape == envs.observation_space.shape
    assert restarts > 20


def test_the_return_told_at_the_end_is_the_sum_of_the_rewards():
    envs = make("drivesim/Highway-v1", num_worlds=8, num_agents=4, num_vehicles=10)
    envs.reset(seed=3)
    rng = np.random.default_rng(3)
    totals, seen = np.zeros(32), 0
    for _ in range(300):
        _, rewards, terminations, truncations, infos = envs.step(wishes(rng, 32))
        totals += rewards
        for i in np.flatnonzero(terminations | truncations):
            assert infos["final_info"]["episode_return"][i] == pytest.approx(totals[i], abs=1e-12)
            seen += 1
        totals[infos["starts"]] = 0.0
    assert seen > 30


@pytest.mark.parametrize("env_id", IDS)
def test_egos_start_apart_and_can_all_arrive(env_id):
    envs = make(env_id, num_worlds=64, num_agents=8)
    envs.reset(seed=4)
    for world in envs.get_state()["world"]:
        egos = world["vehicles"][:8]
        assert len(set(egos["cell"].tolist())) == 8
        assert (world["egos"]["route_length"] > 3).all()
        assert (world["egos"]["remaining"] < 65535).all()
        assert world["num_egos"] == 8


def test_worlds_are_the_same_whatever_the_number_of_worlds_and_threads():
    few = make("drivesim/Intersection-v1", num_worlds=3, num_agents=4)
    many = make("drivesim/Intersection-v1", num_worlds=520, num_agents=4, num_threads=2)
    few.reset(seed=5)
    many.reset(seed=5)
    rng = np.random.default_rng(5)
    for _ in range(60):
        actions = wishes(rng, many.num_envs)
        for mine, theirs in zip(few.step(actions[:12])[:4], many.step(actions)[:4], strict=True):
            assert (mine == theirs[:12]).all()


def test_the_order_of_the_egos_does_not_matter():
    """Two egos change places in the record and in the actions: everything else stays as it is."""
    envs, mirror = (make("drivesim/Highway-v1", num_worlds=1, num_agents=2, dawdle=0.0) for _ in range(2))
    envs.reset(seed=6)
    mirror.reset(seed=6)
    state = envs.get_state()
    for name in ("vehicles", "egos"):
        state["world"][name][0, [0, 1]] = state["world"][name][0, [1, 0]]
    leaders = state["world"]["vehicles"]["leader"]
    leaders[:] = np.where(leaders == 0, 1, np.where(leaders == 1, 0, leaders))
    mirror.set_state(state)
    rng = np.random.default_rng(6)
    for _ in range(40):
        actions = wishes(rng, 2)
        rewards, terminations = envs.step(actions)[1:3]
        swapped = mirror.step(actions[::-1].copy())
        assert (swapped[1] == rewards[::-1]).all()
        assert (swapped[2] == terminations[::-1]).all()
        if terminations.any():
            return


def test_state_continues_exactly():
    envs = make("drivesim/Intersection-v1", num_worlds=3, num_agents=3)
    envs.reset(seed=7)
    rng = np.random.default_rng(7)
    for _ in range(20):
        envs.step(wishes(rng, 9))
    state = envs.get_state()
    actions = [wishes(rng, 9) for _ in range(40)]
    first = [envs.step(each)[:4] for each in actions]
    envs.set_state(state)
    for each, expected in zip(actions, first, strict=True):
        for mine, theirs in zip(envs.step(each)[:4], expected, strict=True):
            assert (mine == theirs).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("drivesim/Autodrive-v1", 1, 2), "env_id must be one of"),
        (("Highway", 1, 2), "env_id must be one of"),
        (("drivesim/Highway-v1", 0, 2), "num_worlds must be in"),
        (("drivesim/Highway-v1", 1, 9), r"num_agents must be in \[1, 8\], got 9"),
        (("drivesim/Highway-v1", 1, 1.5), "num_agents must be an integer"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        drivesim.parallel_vec_env(*arguments)


def test_bad_options_and_actions_are_refused():
    with pytest.raises(TypeError, match="num_lane"):
        make("drivesim/Highway-v1", num_lane=3)
    envs = make("drivesim/Highway-v1")
    with pytest.raises(gym.error.ResetNeeded):
        envs.step(np.zeros(16, int))
    envs.reset(seed=0)
    before = envs.get_state()
    with pytest.raises(ValueError, match="got 5 in env 7"):
        envs.step(np.where(np.arange(16) == 7, 5, IDLE))
    with pytest.raises((TypeError, ValueError), match="actions"):
        envs.step(np.zeros(4, int))
    assert (envs.get_state() == before).all()


def test_worlds_are_drawn():
    envs = make("drivesim/Highway-v1", num_worlds=2, num_agents=3, render_mode="rgb_array")
    envs.reset(seed=0)
    frames = envs.render()
    assert len(frames) == 2
    assert all(frame.ndim == 3 for frame in frames)
