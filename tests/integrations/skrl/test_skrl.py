"""skrl takes the environments as they are, and what it makes of the ends of episodes is what the page says."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest
from docs_blocks import run_library_page
from loading import load_script

pytest.importorskip("skrl")

import torch
from skrl import config
from skrl.agents.torch.ppo import PPO
from skrl.envs.wrappers.torch import wrap_env
from skrl.envs.wrappers.torch.gymnasium_envs import GymnasiumWrapper
from skrl.memories.torch import RandomMemory
from skrl.trainers.torch import SequentialTrainer
from skrl.utils.model_instantiators.torch import categorical_model, deterministic_model

import drivesim  # noqa: F401 (registers the environments)
from drivesim.vector_env import DriveVectorEnv

AUTODRIVE, HIGHWAY, LANE_KEEP = "drivesim/Autodrive-v1", "drivesim/Highway-v1", "drivesim/LaneKeep-v1"
NUM_ENVS, SEED = 8, 3
ODDS = (0.05, 0.4, 0.05, 0.3, 0.2)  # keep many cars on the road until their time is up


@pytest.fixture(autouse=True)
def seeded(monkeypatch) -> None:
    monkeypatch.setattr(config.torch, "_key", SEED)  # which is what skrl seeds environments with
    torch.manual_seed(SEED)


@pytest.fixture
def example():
    return load_script("examples/skrl_ppo")


def test_the_wrapper_is_found_by_itself_and_sees_the_single_spaces() -> None:
    envs = gym.make_vec(LANE_KEEP, NUM_ENVS)
    env = wrap_env(envs, verbose=False)
    assert type(env) is GymnasiumWrapper
    assert env.num_envs == NUM_ENVS
    assert env.num_agents == 1
    assert env.observation_space == envs.single_observation_space
    assert env.action_space == envs.single_action_space
    assert env.state() is None


def test_a_class_derived_from_ours_has_to_be_named() -> None:
    class Derived(DriveVectorEnv):
        pass

    envs = Derived("LaneKeep", 2)
    with pytest.raises(ValueError, match="Unknown wrapper type"):
        wrap_env(envs, verbose=False)
    assert type(wrap_env(envs, wrapper="gymnasium", verbose=False)) is GymnasiumWrapper


@pytest.mark.parametrize("copy", [False, True])
@pytest.mark.parametrize(("env_id", "observation"), [(HIGHWAY, "grid"), (LANE_KEEP, "features")])
def test_every_step_is_that_of_gymnasiums_own_vector_environment(env_id, observation, copy) -> None:
    options = {"observation": observation, "max_episode_steps": 15}
    makers = [lambda: gym.make(env_id, **options)] * NUM_ENVS
    reference = gym.vector.SyncVectorEnv(makers, autoreset_mode="SameStep")
    env = wrap_env(gym.make_vec(env_id, NUM_ENVS, autoreset_mode="SameStep", copy=copy, **options), verbose=False)
    rng = np.random.default_rng(0)
    seen, expected = [env.reset()[0]], [reference.reset(seed=SEED)[0]]
    num_ends = np.zeros(2, int)
    for _ in range(60):
        actions = rng.choice(5, NUM_ENVS, p=ODDS)
        *step, infos = env.step(torch.from_numpy(actions[:, None]))
        *true_step, true_infos = reference.step(actions)
        seen += step
        expected += true_step
        num_ends += [true_step[2].sum(), true_step[3].sum()]
        assert ("final_obs" in infos) == ("final_obs" in true_infos)
        for i in np.flatnonzero(true_infos.get("_final_obs", [])):
            np.testing.assert_array_equal(infos["final_obs"][i], true_infos["final_obs"][i])
    assert num_ends.min() >= 3
    # Compared after the last step: skrl's tensors outlive the buffers that they were made from.
    for tensor, array in zip(seen, expected, strict=True):
        np.testing.assert_array_equal(tensor.numpy(), array.reshape(NUM_ENVS, -1).astype(tensor.numpy().dtype))


def test_an_env_is_drawn_where_skrl_asks_for_pictures() -> None:
    env = wrap_env(gym.make_vec(LANE_KEEP, 2, render_mode="rgb_array"), verbose=False)
    env.reset()
    frames = env.render()
    assert len(frames) == 2
    assert frames[0].dtype == np.uint8
    assert frames[0].ndim == 3


# --- the ends of episodes ---------------------------------------------------------------------------------------------

GAMMA, LAM, ROLLOUT, LIMIT = 0.9, 0.8, 48, 5
OPTIONS = {"observation": "features", "max_episode_steps": LIMIT}


def rollout(agent_class: type[PPO], time_limit_bootstrap: bool) -> tuple[dict[str, np.ndarray], PPO]:
    """What an agent that never learns makes of one rollout, arrays (T, N, ...)."""
    envs = gym.make_vec(AUTODRIVE, NUM_ENVS, autoreset_mode="SameStep", **OPTIONS)
    env = wrap_env(envs, verbose=False)
    spaces = {"observation_space": env.observation_space, "action_space": env.action_space}
    layers = [{"name": "net", "input": "OBSERVATIONS", "layers": [16], "activations": "tanh"}]
    models = {
        "policy": categorical_model(**spaces, network=layers, output="ACTIONS"),
        "value": deterministic_model(**spaces, network=layers, output="ONE"),
    }
    cfg = {"rollouts": ROLLOUT, "learning_epochs": 1, "mini_batches": 1, "learning_rate": 0.0}
    cfg |= {"discount_factor": GAMMA, "gae_lambda": LAM, "time_limit_bootstrap": time_limit_bootstrap}
    cfg |= {"experiment": {"write_interval": 0, "checkpoint_interval": 0}}
    agent = agent_class(models=models, memory=RandomMemory(memory_size=ROLLOUT, num_envs=NUM_ENVS), cfg=cfg, **spaces)
    agent.returns = []
    trainer_cfg = {"timesteps": ROLLOUT, "headless": True, "disable_progressbar": True}
    SequentialTrainer(env=env, agents=agent, cfg=trainer_cfg | {"close_environment_at_exit": False}).train()
    names = ("actions", "values", "returns")
    return {name: agent.memory.get_tensor_by_name(name).numpy()[..., 0] for name in names}, agent


def drive(actions: np.ndarray) -> dict[str, np.ndarray]:
    """The same drives (T, N, ...) in single environments, with the true successor and the one that SAME_STEP shows."""
    rows: dict[str, list] = {name: [] for name in ("reward", "terminated", "truncated", "successor", "shown")}
    for i in range(NUM_ENVS):
        env = gym.make(AUTODRIVE, **OPTIONS)
        env.reset(seed=SEED + i)
        columns: dict[str, list] = {name: [] for name in rows}
        for action in actions[:, i]:
            obs, reward, terminated, truncated, _ = env.step(int(action))
            shown = env.reset()[0] if terminated or truncated else obs
            for name, value in zip(rows, (reward, terminated, truncated, obs, shown), strict=True):
                columns[name].append(value)
        for name, values in columns.items():
            rows[name].append(values)
    return {name: np.swapaxes(np.array(values), 0, 1) for name, values in rows.items()}


def returns_of(values: np.ndarray, rewards: np.ndarray, next_values: np.ndarray, goes_on: np.ndarray) -> np.ndarray:
    """λ-returns (T, N): `next_values` are added always, what happens later only where the drive `goes_on`."""
    returns = np.zeros_like(values)
    later = np.zeros(NUM_ENVS)
    for t in reversed(range(ROLLOUT)):
        later = rewards[t] + GAMMA * next_values[t] - values[t] + GAMMA * LAM * goes_on[t] * later
        returns[t] = values[t] + later
    return returns


@pytest.mark.parametrize("agent", ["exact", "bootstrapping", "default"])
def test_ppo_makes_of_time_limits_what_the_page_says(example, agent) -> None:
    agent_class = example.ExactPPO if agent == "exact" else PPO
    seen, learner = rollout(agent_class, time_limit_bootstrap=agent != "default")
    true = drive(seen["actions"])
    terminated, truncated = true["terminated"], true["truncated"]
    for ends in (terminated & ~truncated, truncated & ~terminated, terminated & truncated):
        assert ends.sum() >= 3

    def value_of(obs: np.ndarray) -> np.ndarray:
        inputs = {"observations": torch.tensor(obs.reshape(ROLLOUT * NUM_ENVS, -1), dtype=torch.float32)}
        with torch.no_grad():
            return learner.value.act(inputs, role="value")[0].numpy().reshape(ROLLOUT, NUM_ENVS)

    ended = terminated | truncated
    of_successor, of_shown = value_of(true["successor"]), value_of(true["shown"])
    assert np.abs(of_successor - of_shown)[ended].min() > 1e-4
    next_values, goes_on = {
        "exact": (np.where(terminated, 0.0, of_successor), ~ended),
        # The next episode's first observation stands in, even where a drive ended by itself in the last step allowed.
        "bootstrapping": (np.where(terminated & ~truncated, 0.0, of_shown), ~ended),
        # The next episode's rewards are counted as well.
        "default": (np.where(terminated, 0.0, of_shown), ~terminated),
    }[agent]
    expected = returns_of(seen["values"], true["reward"], next_values, goes_on)
    np.testing.assert_allclose(seen["returns"], expected, rtol=0, atol=1e-5)


# --- what is shown ----------------------------------------------------------------------------------------------------


def test_the_example_learns_to_drive(example, capsys) -> None:
    means = example.train(timesteps=700)
    assert means[0] < -0.5
    assert means[-1] > means[0] + 1.0
    assert "mean return" in capsys.readouterr().out


def test_the_code_of_the_page_runs_and_shows_what_it_says(monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    run_library_page("skrl")
