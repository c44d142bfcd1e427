"""TorchRL sees exactly the transitions of the environments."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from docs_blocks import run_library_page
from loading import load_script

pytest.importorskip("torchrl")

import torch
from torchrl.collectors import Collector
from torchrl.data import Composite, Unbounded
from torchrl.envs import GymEnv, TransformedEnv, check_env_specs, default_info_dict_reader
from torchrl.envs.transforms import ActionMask

from drivesim.integrations.torchrl import make_env

HIGHWAY, LANE_KEEP, OBSTACLES = "drivesim/Highway-v1", "drivesim/LaneKeep-v1", "drivesim/Obstacles-v1"
NUM_ENVS = 6
ODDS = (0.05, 0.4, 0.05, 0.3, 0.2)  # keep many cars on the road until their time is up


TABLE = np.random.default_rng(0).choice(5, 997, p=ODDS)


def act(obs: np.ndarray) -> np.ndarray:
    """A deterministic policy: actions (N,) that hang on every byte of observations (N, *obs_shape)."""
    flat = np.ascontiguousarray(obs).reshape(len(obs), -1).view(np.uint8)
    return TABLE[(flat @ np.arange(1, flat.shape[1] + 1)) % len(TABLE)]


def policy(tensordict):
    """The same for TorchRL."""
    return tensordict.set("action", torch.from_numpy(act(tensordict["observation"].numpy())))


def drive(num_steps: int, seed: int, env_id: str, num_envs: int = NUM_ENVS, **options) -> dict[str, np.ndarray]:
    """Our own rollout (N, T, ...), one Gymnasium environment per env, begun by `seed` and one more reset."""
    rows: dict[str, list] = {name: [] for name in ("obs", "mask", "reward", "terminated", "truncated", "next_obs")}
    for i in range(num_envs):
        env = gym.make(env_id, **options)
        env.reset(seed=seed + i)
        obs, info = env.reset()
        env_rows: dict[str, list] = {name: [] for name in rows}
        for _ in range(num_steps):
            next_obs, reward, terminated, truncated, next_info = env.step(act(obs[None])[0])
            row = (obs, info["action_mask"], np.float32(reward), terminated, truncated, next_obs)
            for name, value in zip(rows, row, strict=True):
                env_rows[name].append(value)
            obs, info = env.reset() if terminated or truncated else (next_obs, next_info)
        for name, values in env_rows.items():
            rows[name].append(values)
    return {name: np.array(values) for name, values in rows.items()}


def assert_same_rollout(batch, expected: dict[str, np.ndarray]) -> None:
    """A batch (N, T) of TorchRL holds our own rollout."""
    for key, name in (("observation", "obs"), (("next", "observation"), "next_obs")):
        assert batch[key].numpy().dtype == expected[name].dtype
        np.testing.assert_array_equal(batch[key].numpy(), expected[name])
    for name in ("reward", "terminated", "truncated"):
        np.testing.assert_array_equal(batch["next", name].squeeze(-1).numpy(), expected[name])
    np.testing.assert_array_equal(
        batch["next", "done"].squeeze(-1).numpy(), expected["terminated"] | expected["truncated"]
    )


# --- transitions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["DISABLED", "SAME_STEP"])
@pytest.mark.parametrize("observation", ["grid", "features"])
def test_data_is_as_the_specs_say(mode, observation) -> None:
    check_env_specs(make_env(HIGHWAY, 3, autoreset_mode=mode, observation=observation))


def test_torchrl_makes_the_single_environment_by_its_id() -> None:
    env = GymEnv(HIGHWAY, categorical_action_encoding=True, observation="features")
    check_env_specs(env)
    assert env.observation_spec["observation"].shape == (108,)


@pytest.mark.parametrize("mode", ["DISABLED", "SAME_STEP"])
@pytest.mark.parametrize("env_id", [HIGHWAY, OBSTACLES])
def test_a_rollout_is_that_of_the_environments_over_many_episodes(mode, env_id) -> None:
    limit, num_steps = 12, 1_000
    env = make_env(env_id, NUM_ENVS, autoreset_mode=mode, max_episode_steps=limit)
    env.set_seed(3)
    batch = env.rollout(num_steps, policy, break_when_any_done=False)
    expected = drive(num_steps, 3, env_id, max_episode_steps=limit)
    assert expected["terminated"].sum() > 100
    assert (expected["truncated"] & ~expected["terminated"]).sum() > 100
    assert_same_rollout(batch, expected)


def test_a_collector_gathers_the_transitions_of_the_environments_across_its_batches() -> None:
    num_batches, num_steps = 5, 20
    env = make_env(LANE_KEEP, NUM_ENVS, observation="features")
    env.set_seed(7)
    frames = num_steps * NUM_ENVS
    batches = Collector(
        env,
        policy,
        frames_per_batch=frames,
        total_frames=num_batches * frames,
        auto_register_policy_transforms=False,
    )
    gathered = torch.cat([batch.clone() for batch in batches], 1)
    expected = drive(num_batches * num_steps, 7, LANE_KEEP, observation="features")
    assert expected["terminated"].any()
    assert_same_rollout(gathered, expected)


def test_a_step_leaves_the_tensors_of_earlier_ones_as_they_were() -> None:
    env = make_env(HIGHWAY, NUM_ENVS, action_mask=True)
    env.set_seed(0)
    tensordict, kept, copies = env.reset(), [], []
    for _ in range(80):
        step, tensordict = env.step_and_maybe_reset(policy(tensordict))
        kept.append(step)
        copies.append(step.clone())
    for step, copy in zip(kept, copies, strict=True):
        assert (step == copy).all()
    addresses = [step["next", name].data_ptr() for step in kept for name in ("observation", "reward", "action_mask")]
    assert len(set(addresses)) == len(addresses)


def test_under_same_step_torchrl_skips_an_episode_where_all_envs_end() -> None:
    second = {}
    for mode in ("DISABLED", "SAME_STEP"):
        env = make_env(HIGHWAY, 1, autoreset_mode=mode, max_episode_steps=1)
        env.set_seed(0)
        second[mode] = env.rollout(3, policy, break_when_any_done=False)["observation"][0]
    assert (second["DISABLED"][0] == second["SAME_STEP"][0]).all()
    assert (second["DISABLED"][2] == second["SAME_STEP"][1]).all()
    assert (second["DISABLED"][1] != second["SAME_STEP"][1]).any()


# --- masks and infos --------------------------------------------------------------------------------------------------


def test_masks_are_those_of_the_states_that_are_observed() -> None:
    num_steps = 200
    env = make_env(OBSTACLES, NUM_ENVS, action_mask=True)
    check_env_specs(env)
    env.set_seed(1)
    batch = env.rollout(num_steps, policy, break_when_any_done=False)
    expected = drive(num_steps, 1, OBSTACLES)
    assert expected["mask"].any(axis=(0, 1)).all()
    assert not expected["mask"].all()
    np.testing.assert_array_equal(batch["action_mask"].numpy(), expected["mask"])
    assert_same_rollout(batch, expected)


def test_torchrl_draws_no_action_that_its_mask_closes() -> None:
    torch.manual_seed(0)
    env = TransformedEnv(make_env(LANE_KEEP, NUM_ENVS, action_mask=True), ActionMask())
    env.set_seed(0)
    batch = env.rollout(100, break_when_any_done=False)
    assert batch["action_mask"].gather(-1, batch["action"].unsqueeze(-1)).all()
    assert not batch["action_mask"].all()


def test_how_an_episode_ended_can_be_read_from_its_infos() -> None:
    num_steps = 100
    env = make_env(HIGHWAY, NUM_ENVS)
    spec = Composite(episode_length=Unbounded((NUM_ENVS,), dtype=torch.int64), shape=(NUM_ENVS,))
    env.set_info_dict_reader(default_info_dict_reader(["episode_length"], spec))
    check_env_specs(env)
    env.set_seed(0)
    batch = env.rollout(num_steps, policy, break_when_any_done=False)
    ended = batch["next", "done"].squeeze(-1)
    lengths = batch["next", "episode_length"]
    assert ended.any()
    assert (lengths[~ended] == 0).all()
    for i in range(NUM_ENVS):
        ticks = ended[i].nonzero().squeeze(-1)
        assert lengths[i][ticks].tolist() == torch.diff(ticks, prepend=torch.tensor([-1])).tolist()


# --- bad options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"autoreset_mode": "NextStep"}, ("autoreset_mode", "NEXT_STEP", "DISABLED")),
        ({"autoreset_mode": "never"}, ("autoreset_mode", "never", "Disabled")),
        ({"copy": False}, ("copy", "False")),
        ({"action_mask": True, "autoreset_mode": "SameStep"}, ("action_mask", "SAME_STEP", "DISABLED")),
        ({"action_mask": 1}, ("action_mask", "1")),
        ({"difficulty": "extreme"}, ("difficulty", "extreme", "easy")),
        ({"colour": "red"}, ("colour",)),
    ],
)
def test_a_bad_option_is_refused_by_name(options, parts) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        make_env(HIGHWAY, 2, **options)
    for part in parts:
        assert part in str(caught.value)


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_example_learns_to_drive(capsys) -> None:
    example = load_script("examples/torchrl_ppo")
    returns = example.train(rollouts=12)
    assert returns[0] < -0.7
    assert returns[-1] > 0.3
    assert "return" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:PettingZoo in TorchRL is tested using version == 1.24.3")  # as the page says
def test_the_code_of_the_page_runs_and_shows_what_it_says(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    run_library_page("torchrl")
