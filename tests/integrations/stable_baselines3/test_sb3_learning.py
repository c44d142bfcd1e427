"""What the library's algorithms store and learn from the batch."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

import torch
from stable_baselines3 import A2C, DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecEnvWrapper, VecMonitor

from drivesim.integrations.stable_baselines3 import make_vec_env
from drivesim.planning import solve

OBSTACLES = "drivesim/Obstacles-v1"
PROBE = {"env_id": "drivesim/Autodrive-v1", "observation": "features", "num_levels": 1}
ONE_WAY = {**PROBE, "crossing_cars": 0, "num_obstacles": 1, "reward_weights": {"collision": -0.5, "off_road": -0.5}}
GAMMA = 0.9
LIMIT = 6


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Recorder(VecEnvWrapper):
    """Keeps copies of what passes through it."""

    def __init__(self, venv) -> None:
        super().__init__(venv)
        self.steps = []

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        obs, rewards, dones, infos = self.venv.step_wait()
        self.steps.append((obs.copy(), rewards.copy(), dones.copy(), [dict(info) for info in infos]))
        return obs, rewards, dones, infos


class OnRollout(BaseCallback):
    """Calls a function when a rollout is complete and nothing has been learnt from it."""

    def __init__(self, call) -> None:
        super().__init__()
        self.call = call

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.call(self.model)


def way_it_ended(info: dict) -> str:
    """`"runs"`, `"terminated"`, `"truncated"`, or `"both"` at once, of the summary alone."""
    if "episode_length" not in info:
        return "runs"
    is_terminated = info["collision"] or info["off_road"] or info["route_completion"] == 1.0
    return ("both" if info["episode_length"] == LIMIT else "terminated") if is_terminated else "truncated"


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_rollouts_bootstrap_at_truncations_and_at_nothing_else(algorithm) -> None:
    venv = Recorder(make_vec_env(OBSTACLES, 16, observation="features", max_episode_steps=LIMIT))
    counts = {"runs": 0, "terminated": 0, "truncated": 0, "both": 0}

    def check(model) -> None:
        for row, (_, rewards, _, infos) in enumerate(venv.steps):
            expected = rewards.copy()
            for i, info in enumerate(infos):
                end = way_it_ended(info)
                counts[end] += 1
                if end == "truncated":
                    obs, _ = model.policy.obs_to_tensor(info["terminal_observation"])
                    with torch.no_grad():
                        value = model.policy.predict_values(obs).item()
                    assert abs(value) > 1e-4
                    expected[i] += GAMMA * value
            np.testing.assert_allclose(model.rollout_buffer.rewards[row], expected, rtol=0, atol=1e-5)
            if row > 0:
                before_obs, _, before_dones, _ = venv.steps[row - 1]
                assert np.array_equal(model.rollout_buffer.observations[row], before_obs)
                assert np.array_equal(model.rollout_buffer.episode_starts[row].astype(bool), before_dones)

    model = algorithm("MlpPolicy", venv, n_steps=64, gamma=GAMMA, seed=3, device="cpu")
    model.learn(64 * 16, callback=OnRollout(check))
    assert min(counts.values()) > 0, counts


def test_the_replay_buffer_holds_the_true_successors_and_masks_terminations_only() -> None:
    num_envs, num_steps = 8, 100
    venv = Recorder(make_vec_env(OBSTACLES, num_envs, observation="features", max_episode_steps=LIMIT))
    model = DQN("MlpPolicy", venv, learning_starts=10**6, train_freq=1, buffer_size=8000, seed=1, device="cpu")
    model.learn(num_envs * num_steps)
    buffer = model.replay_buffer
    assert buffer.pos == num_steps
    counts = {"runs": 0, "terminated": 0, "truncated": 0, "both": 0}
    for row, (obs, rewards, _, infos) in enumerate(venv.steps):
        assert np.array_equal(buffer.rewards[row], rewards)
        for i, info in enumerate(infos):
            end = way_it_ended(info)
            counts[end] += 1
            successor = obs[i] if end == "runs" else info["terminal_observation"]
            assert np.array_equal(buffer.next_observations[row, i], successor)
            is_masked = buffer.dones[row, i] * (1 - buffer.timeouts[row, i])
            assert is_masked == (end in ("terminated", "both"))
            if row + 1 < num_steps:
                assert np.array_equal(buffer.observations[row + 1, i], obs[i])
    assert min(counts.values()) > 0, counts


def test_ppo_learns_the_best_drive_of_a_level() -> None:
    venv = make_vec_env(n_envs=32, **PROBE, difficulty="easy")
    model = PPO("MlpPolicy", venv, n_steps=32, batch_size=256, n_epochs=4, learning_rate=2e-3, seed=0, device="cpu")
    model.learn(20_000)
    assert greedy_return(model, difficulty="easy", **PROBE) == best_return(difficulty="easy", **PROBE)


def test_dqn_learns_the_best_drive_of_a_level() -> None:
    model = DQN(
        "MlpPolicy",
        make_vec_env(n_envs=16, **ONE_WAY),
        learning_rate=1e-3,
        learning_starts=1000,
        batch_size=128,
        gamma=0.95,
        train_freq=1,
        gradient_steps=4,
        target_update_interval=500,
        exploration_fraction=0.5,
        policy_kwargs={"net_arch": [64, 64]},
        seed=0,
        device="cpu",
    )
    model.learn(15_000)
    assert greedy_return(model, **ONE_WAY) == best_return(**ONE_WAY)


def best_return(env_id: str, **options) -> float:
    """What the best drive of the one level earns, as `greedy_return` would measure it."""
    env = gym.make(env_id, **options)
    env.reset(seed=0)
    plan = solve(env)
    assert plan.is_exact
    return pytest.approx(plan.total_reward, rel=0, abs=1e-6)


def greedy_return(model, **options) -> float:
    """Mean return of 20 episodes, through the library's own evaluation."""
    return evaluate_policy(model, VecMonitor(make_vec_env(n_envs=4, **options)), n_eval_episodes=20)[0]


def test_the_librarys_log_shows_without_a_monitor_what_it_shows_with_one() -> None:
    logs = []
    for wrapper in (lambda venv: venv, VecMonitor):
        model = PPO("MlpPolicy", wrapper(make_vec_env(n_envs=8, **PROBE)), n_steps=64, seed=0, device="cpu")
        model.learn(1024)
        episodes = [(episode["l"], episode["r"]) for episode in model.ep_info_buffer]
        logs.append((list(model.ep_success_buffer), np.array(episodes)))
    assert len(logs[0][1]) > 10
    assert logs[0][0] == logs[1][0]
    np.testing.assert_allclose(logs[0][1], logs[1][1], rtol=0, atol=1e-5)


def test_runs_from_the_same_seed_end_with_the_same_weights() -> None:
    weights = []
    for _ in range(2):
        venv = make_vec_env(OBSTACLES, 8, observation="features")
        model = PPO("MlpPolicy", venv, n_steps=16, batch_size=64, seed=4, device="cpu").learn(512)
        weights.append([weight.detach().numpy().copy() for weight in model.policy.parameters()])
    for first, second in zip(*weights, strict=True):
        assert np.array_equal(first, second)


@pytest.mark.parametrize("observation", ["grid", "full_grid"])
def test_planes_can_be_learnt_from(observation) -> None:
    venv = make_vec_env("drivesim/Highway-v1", 4, observation=observation)
    PPO("MlpPolicy", venv, n_steps=16, batch_size=32, device="cpu").learn(128)


# --- the contrib package and SBX --------------------------------------------------------------------------------------


def test_maskable_ppo_takes_no_masked_action_and_stores_the_masks() -> None:
    contrib = pytest.importorskip("sb3_contrib")
    model = contrib.MaskablePPO("MlpPolicy", make_vec_env(OBSTACLES, 8, observation="features"), n_steps=64, seed=0)
    seen = []

    def check(model) -> None:
        masks = model.rollout_buffer.action_masks.reshape(64, 8, 5).astype(bool)
        actions = model.rollout_buffer.actions.reshape(64, 8, 1).astype(int)
        assert np.take_along_axis(masks, actions, axis=2).all()
        seen.append((~masks).sum())

    model.learn(1024, callback=OnRollout(check))
    assert len(seen) == 2
    assert min(seen) > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what SBX builds on
def test_sbx_learns_from_the_batch() -> None:
    sbx = pytest.importorskip("sbx")
    venv = make_vec_env(n_envs=32, **PROBE, difficulty="easy")
    model = sbx.PPO("MlpPolicy", venv, n_steps=32, batch_size=256, n_epochs=4, learning_rate=2e-3, seed=0)
    model.learn(20_000)
    assert greedy_return(model, difficulty="easy", **PROBE) == best_return(difficulty="easy", **PROBE)
