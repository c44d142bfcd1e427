"""Measures how fast Stable-Baselines3 trains, for `benchmark_training.py`, in a Python that has it and drivesim.

    python scripts/benchmark_peers_training.py REQUEST

REQUEST and what is printed are one JSON object each. The peer gets the same envs, rewards, rollouts, batches, replay
ratio and network, layer normalisation included: the whole body is handed over as its features extractor. Its DQN has
no double target and so evaluates one network less per update; it tosses one coin of exploration for all envs.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from importlib import metadata
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

importlib.import_module("drivesim")  # registers its environments
peer: Any = importlib.import_module("stable_baselines3")
vec_env: Any = importlib.import_module("stable_baselines3.common.vec_env")
layers: Any = importlib.import_module("stable_baselines3.common.torch_layers")

NO_INFO: MappingProxyType[str, Any] = MappingProxyType({})  # one for all envs that go on
CHUNK_STEPS = 32  # of every env, between two looks at the clock, where no rollout says otherwise


class NativeVecEnv(vec_env.VecEnv):  # type: ignore[misc]
    """The native batch as the peer's vector environment: same-step autoreset, one copy of the observations.

    That copy cannot be saved: the peer stores the observations it acted on only after the next step.
    """

    def __init__(self, envs: gym.vector.VectorEnv[Any, Any, Any]) -> None:
        self.envs = envs  # whose attributes the constructor asks for
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self.actions = np.zeros(envs.num_envs, np.int64)

    def reset(self) -> NDArray[Any]:
        """Begins an episode in every env."""
        obs: NDArray[Any] = self.envs.reset(seed=0)[0].copy()
        return obs

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Takes the actions."""
        self.actions = actions

    def step_wait(self) -> tuple[NDArray[Any], NDArray[np.float32], NDArray[np.bool_], list[Any]]:
        """Makes the step; only envs whose episode ended have something to tell."""
        obs, rewards, terminated, truncated, step_infos = self.envs.step(self.actions)
        ended = terminated | truncated
        infos: list[Any] = [NO_INFO] * self.num_envs
        for env in np.flatnonzero(ended):
            infos[env] = {
                "terminal_observation": step_infos["final_obs"][env],
                "TimeLimit.truncated": bool(truncated[env] and not terminated[env]),
            }
        return obs.copy(), rewards.astype(np.float32), ended, infos

    def close(self) -> None:
        """Closes the batch."""
        self.envs.close()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Returns an attribute of the batch once per env."""
        return [getattr(self.envs, attr_name)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Is not used in training."""
        raise NotImplementedError

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **options: Any) -> list[Any]:
        """Is not used in training."""
        raise NotImplementedError

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """The envs have no wrappers."""
        return [False] * self.num_envs


class BodyExtractor(layers.BaseFeaturesExtractor):  # type: ignore[misc]
    """The same hidden layers as `agents.networks.make_body` builds for a Box (features,)."""

    def __init__(self, observation_space: gym.spaces.Box, network: dict[str, Any]) -> None:
        sizes = (int(np.prod(observation_space.shape)), *network["hidden_sizes"])
        super().__init__(observation_space, sizes[-1])
        modules: list[nn.Module] = []
        for num_inputs, num_outputs in pairwise(sizes):
            modules.append(nn.Linear(num_inputs, num_outputs))
            modules += [nn.LayerNorm(num_outputs)] if network["layer_norm"] else []
            modules.append(nn.ReLU() if network["activation"] == "relu" else nn.Tanh())
        self.layers = nn.Sequential(*modules)

    def forward(self, observations: Tensor) -> Tensor:
        """Maps observations (B, num_inputs) to features (B, num_features)."""
        features: Tensor = self.layers(observations)
        return features


def policy_options(config: dict[str, Any]) -> dict[str, Any]:
    """The network, with nothing between features and heads, and the optimizer."""
    optimizers = {name.lower(): value for name, value in vars(torch.optim).items() if isinstance(value, type)}
    return {
        "features_extractor_class": BodyExtractor,
        "features_extractor_kwargs": {"network": config["network"]},
        "net_arch": [],
        "optimizer_class": optimizers[config["optimizer"]],
    }


def make_ppo(config: dict[str, Any], envs: Any) -> Any:
    """Builds PPO; what the peer lacks is refused."""
    for name in ("memory_size", "mask_actions", "vtrace"):
        if config[name]:
            raise ValueError(f"Stable-Baselines3's PPO has nothing like {name}={config[name]}")
    policy = {**policy_options(config), "share_features_extractor": not config["separate_critic"]}
    return peer.PPO(
        "MlpPolicy",
        envs,
        learning_rate=config["learning_rate"],
        n_steps=config["num_steps"],
        batch_size=config["num_envs"] * config["num_steps"] // config["minibatches"],
        n_epochs=config["epochs"],
        gamma=config["gamma"],
        gae_lambda=config["lam"],
        clip_range=config["clip"],
        clip_range_vf=config["value_clip"],
        target_kl=config["target_kl"],
        normalize_advantage=config["normalise_advantages"],
        ent_coef=config["entropy_coefficient"],
        vf_coef=config["value_coefficient"],
        max_grad_norm=config["max_grad_norm"],
        policy_kwargs=policy,
        device="cpu",
        seed=0,
    )


def make_dqn(config: dict[str, Any], envs: Any) -> Any:
    """Builds DQN with as many updates per environment step, after the exploration phase."""
    num_envs, train_frequency = config["num_envs"], config["train_frequency"]
    return peer.DQN(
        "MlpPolicy",
        envs,
        learning_rate=config["learning_rate"],
        buffer_size=config["buffer_size"],
        learning_starts=config["learning_starts"],
        batch_size=config["batch_size"],
        tau=config["tau"],
        gamma=config["gamma"],
        train_freq=max(train_frequency // num_envs, 1),
        gradient_steps=max(num_envs // train_frequency, 1),
        n_steps=config["n_step"],
        target_update_interval=config["target_update_interval"] * train_frequency,
        exploration_initial_eps=config["epsilon_end"],
        exploration_final_eps=config["epsilon_end"],
        max_grad_norm=config["max_grad_norm"],
        policy_kwargs=policy_options(config),
        device="cpu",
        seed=0,
    )


def make_envs(adapter: str, request: dict[str, Any]) -> Any:
    """Makes the envs: the native batch, or the peer's own loop over single environments."""
    env_id, options, num_envs = request["env"], request["options"], request["config"]["num_envs"]
    if adapter == "dummy":
        return vec_env.DummyVecEnv([lambda: gym.make(env_id, **options)] * num_envs)
    mode = gym.vector.AutoresetMode.SAME_STEP.value
    return NativeVecEnv(gym.make_vec(env_id, num_envs=num_envs, copy=False, autoreset_mode=mode, **options))


def measure(request: dict[str, Any]) -> list[dict[str, Any]]:
    """Steps per second of `learn`, with every adapter and number of threads asked for."""
    config = request["config"]
    chunk = config["num_envs"] * config.get("num_steps", CHUNK_STEPS)
    records = []
    for adapter in request["adapters"]:
        envs = make_envs(adapter, request)
        model = make_dqn(config, envs) if request["agent"] == "dqn" else make_ppo(config, envs)
        model.learn(config.get("learning_starts", 0) + chunk, log_interval=None)  # warm-up
        for num_threads in request["threads"]:
            torch.set_num_threads(num_threads)
            model.learn(chunk, log_interval=None, reset_num_timesteps=False)
            before, start = model.num_timesteps, time.perf_counter()
            elapsed = 0.0
            while elapsed < request["seconds"]:
                model.learn(chunk, log_interval=None, reset_num_timesteps=False)
                elapsed = time.perf_counter() - start
            rate = (model.num_timesteps - before) / elapsed
            records.append({"adapter": adapter, "num_threads": num_threads, "steps_per_second": rate})
        envs.close()
    return records


def main() -> int:
    """Measures what the command line asks for."""
    versions = {name: metadata.version(name) for name in ("stable_baselines3", "torch")}
    print(json.dumps({"versions": versions, "runs": measure(json.loads(sys.argv[1]))}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
