"""Trains one driver for `rivals.py`, in a Python that has drivesim and the driver's library.

    python scripts/rivals_entrant.py REQUEST

REQUEST is a JSON object, and so is what is printed. The clock counts training only: it stands while the driver is
looked at, and the first rollout with its updates, in which JAX compiles and everybody warms up, counts as much as the
second. A look drives the first episodes of the same held-out levels, greedily, for the default reward.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

Act = Callable[[NDArray[Any]], NDArray[Any]]
"""Greedy actions (N,) for observations (N, *obs_shape)."""

FOREVER = 10**9  # steps of a run that only the clock ends


class Course:
    """Held-out levels: the first episodes of envs with consecutive seeds.

    Args:
        request: what `rivals.request_of` makes.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.seeds = list(range(request["first_level"], request["first_level"] + request["levels"]))
        self.num_compared, self.optimum = request["optimum_levels"], request["optimum"]
        mode = gym.vector.AutoresetMode.SAME_STEP.value
        options = {**request["options"], "split": "test", "num_threads": 1}
        self.envs = gym.make_vec(request["env"], num_envs=len(self.seeds), autoreset_mode=mode, copy=False, **options)

    def drive(self, act: Act) -> tuple[float, float]:
        """The share of levels that succeed, and what is earned as a share of what the best drives earn."""
        obs, _ = self.envs.reset(seed=self.seeds)  # type: ignore[arg-type]
        success, earned = np.zeros(len(self.seeds), np.bool_), np.zeros(len(self.seeds))
        is_open = np.ones(len(self.seeds), np.bool_)
        while is_open.any():
            obs, _, terminated, truncated, infos = self.envs.step(act(obs))
            ended = is_open & (terminated | truncated)
            if ended.any():
                success[ended] = infos["final_info"]["success"][ended]
                earned[ended] = infos["final_info"]["episode_return"][ended]
            is_open &= ~ended
        return float(success.mean()), float(earned[: self.num_compared].mean() / self.optimum)


class Watch:
    """The clock of a run, and what its driver reached when.

    Call it after every rollout and its updates; it says whether training goes on.

    Args:
        request: what `rivals.request_of` makes.
        act: the driver as it is now.
    """

    def __init__(self, request: dict[str, Any], act: Act) -> None:
        self.act, self.course = act, Course(request)
        self.interval, self.max_seconds = request["interval"], request["max_seconds"]
        self.goals: dict[str, tuple[int, float]] = {name: tuple(goal) for name, goal in request["goals"].items()}
        self.times: dict[str, list[float] | None] = dict.fromkeys(self.goals)
        self.looks: list[list[float]] = []
        self.best_share = 0.0
        self.cpu = self.wall = 0.0  # seconds of training so far
        self.num_rollouts = self.num_steps = 0
        self.course.drive(act)  # loads the kernels
        self._go_on()

    def __call__(self, num_steps: int) -> bool:
        """Stops the clock, looks at the driver if it is time, and goes on.

        Args:
            num_steps: environment steps so far.
        """
        self.num_steps = num_steps
        self.num_rollouts += 1
        weight = {1: 0, 2: 2}.get(self.num_rollouts, 1)  # the second counts for the first, too
        self.cpu += weight * (time.process_time() - self._cpu)
        self.wall += weight * (time.perf_counter() - self._wall)
        looked_at = self.looks[-1][1] if self.looks else 0.0
        is_over = self.cpu >= self.max_seconds
        if is_over or self.cpu >= looked_at + self.interval:
            self.look()
        self._go_on()
        return not is_over and None in self.times.values()

    def look(self) -> None:
        """Measures the driver as it is now; the clock stands."""
        reached = self.course.drive(self.act)
        self.best_share = max(self.best_share, reached[1])
        now = [self.num_steps, round(self.cpu, 3), round(self.wall, 3)]
        self.looks.append([*now, round(reached[0], 4), round(reached[1], 4)])
        for name, (which, least) in self.goals.items():
            if self.times[name] is None and reached[which] >= least:
                self.times[name] = now

    def _go_on(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()


# --- the entrants -----------------------------------------------------------------------------------------------------


def train_drivesim(request: dict[str, Any]) -> tuple[Watch, dict[str, str]]:
    """The project's own PPO with its preset: what `agents.training` does in a step, without log and checkpoints."""
    torch = importlib.import_module("torch")
    from agents.algorithms import make_agent, require_finite
    from agents.environments import env_seeds, make_envs
    from agents.presets import preset_for
    from agents.stepping import Stepper

    torch.set_num_threads(1)
    preset = preset_for(request["env"], "ppo")
    config, settings = preset.train, preset.agent
    config = type(config)(**{**vars(config), "seed": request["seed"], "num_threads": 1})
    envs = make_envs(config, settings.num_envs, "train", config.reward_weights)
    stepper, agent = Stepper(envs), make_agent(config, settings, envs)
    obs = stepper.begin(env_seeds(config.seed, settings.num_envs))
    agent.begin(obs)
    watch = Watch(request, lambda seen: agent.policy()(seen))
    goes_on = True
    while goes_on and agent.global_step < config.total_steps:
        num_updates = agent.num_updates
        step = stepper.step(agent.act(obs, None))
        agent.record(step)
        agent.update()
        obs = step.next_obs
        if agent.num_updates != num_updates:
            require_finite(agent)
            goes_on = watch(agent.global_step)
    return watch, versions_of("torch")


def train_sb3(request: dict[str, Any]) -> tuple[Watch, dict[str, str]]:
    """PPO of Stable-Baselines3."""
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    library = importlib.import_module("stable_baselines3")
    settings = request["settings"]
    if settings["shared"]:
        peers = importlib.import_module("benchmark_peers_training")
        network = {name: settings[name] for name in ("hidden_sizes", "layer_norm", "activation")}
        policy = peers.policy_options({"network": network, "optimizer": "adam"})
    else:
        activation = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[settings["activation"]]
        policy = {"net_arch": settings["hidden_sizes"], "activation_fn": activation}
    return learn(library.PPO, request, {"policy_kwargs": policy, "device": "cpu"}), versions_of(
        "stable_baselines3", "torch"
    )


def train_sbx(request: dict[str, Any]) -> tuple[Watch, dict[str, str]]:
    """PPO of SBX, the same in JAX; policy and value have networks of their own, without layer normalisation."""
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["JAX_PLATFORMS"] = "cpu"
    library, linen = importlib.import_module("sbx"), importlib.import_module("flax.linen")
    settings = request["settings"]
    policy = {"net_arch": settings["hidden_sizes"], "activation_fn": getattr(linen, settings["activation"])}
    return learn(library.PPO, request, {"policy_kwargs": policy}), versions_of("sbx-rl", "jax", "stable_baselines3")


def learn(algorithm: Any, request: dict[str, Any], more: dict[str, Any]) -> Watch:
    """Trains with an algorithm of Stable-Baselines3's interface, on the native batch of envs."""
    make_vec_env = importlib.import_module("drivesim.integrations.stable_baselines3").make_vec_env
    callbacks = importlib.import_module("stable_baselines3.common.callbacks")
    settings = request["settings"]
    rate = settings["learning_rate"]
    total_steps = settings["annealed_over"] or FOREVER
    envs = make_vec_env(
        request["env"],
        settings["num_envs"],
        reward_weights=request["reward_weights"],
        num_threads=1,
        **request["options"],
    )
    model = algorithm(
        "MlpPolicy",
        envs,
        n_steps=settings["num_steps"],
        batch_size=settings["batch_size"],
        n_epochs=settings["epochs"],
        learning_rate=(lambda left: rate * left) if settings["annealed_over"] else rate,
        gamma=settings["gamma"],
        gae_lambda=settings["lam"],
        clip_range=settings["clip"],
        ent_coef=settings["entropy_coefficient"],
        vf_coef=settings["value_coefficient"],
        max_grad_norm=settings["max_grad_norm"],
        seed=request["seed"] * 1_000_000,  # it is that of the first env, too: no two runs share levels
        **more,
    )
    watch = Watch(request, lambda obs: model.predict(obs, deterministic=True)[0])

    class Looks(callbacks.BaseCallback):  # type: ignore[misc, name-defined]
        """Hands the time between two rollouts to the watch."""

        goes_on = True

        def _on_rollout_start(self) -> None:
            if self.num_timesteps > 0:
                self.goes_on = watch(self.num_timesteps)

        def _on_step(self) -> bool:
            return self.goes_on

    model.learn(total_steps, callback=Looks(), log_interval=FOREVER)
    return watch


def train_single_file(request: dict[str, Any]) -> tuple[Watch, dict[str, str]]:
    """The PPO in one file of the examples, of CleanRL's shape: tanh, policy and value with networks of their own."""
    sys.path.insert(0, str(Path(__file__).with_name("examples")))
    torch, file = importlib.import_module("torch"), importlib.import_module("cleanrl_ppo")
    torch.set_num_threads(1)
    settings = request["settings"]
    num_envs, rate = settings["num_envs"], settings["learning_rate"]
    args = file.Args(
        env_id=request["env"],
        num_envs=num_envs,
        num_steps=settings["num_steps"],
        num_minibatches=num_envs * settings["num_steps"] // settings["batch_size"],
        update_epochs=settings["epochs"],
        gamma=settings["gamma"],
        gae_lambda=settings["lam"],
        clip_coef=settings["clip"],
        ent_coef=settings["entropy_coefficient"],
        vf_coef=settings["value_coefficient"],
        max_grad_norm=settings["max_grad_norm"],
    )
    torch.manual_seed(request["seed"])
    mode = gym.vector.AutoresetMode.SAME_STEP
    options = {**request["options"], "reward_weights": request["reward_weights"], "num_threads": 1}
    envs = gym.make_vec(args.env_id, num_envs=num_envs, autoreset_mode=mode, **options)
    seeds = np.random.SeedSequence(request["seed"]).generate_state(num_envs, np.uint64).tolist()
    obs = torch.as_tensor(envs.reset(seed=seeds)[0])
    width = settings["hidden_sizes"][0]
    agent = file.Agent(obs.shape[1], int(envs.single_action_space.n), width)  # type: ignore[attr-defined]
    optimizer = torch.optim.Adam(agent.parameters(), lr=rate, eps=1e-5)

    def act(seen: NDArray[Any]) -> NDArray[Any]:
        with torch.no_grad():
            actions: NDArray[Any] = agent.log_probs(torch.as_tensor(seen)).argmax(dim=-1).numpy()
        return actions

    watch = Watch(request, act)
    num_steps, goes_on = 0, True
    total_steps = settings["annealed_over"] or FOREVER
    while goes_on and num_steps < total_steps:
        optimizer.param_groups[0]["lr"] = rate * (1 - num_steps / total_steps if settings["annealed_over"] else 1)
        rollout, obs, _ = file.collect(envs, agent, obs, args)
        file.update(agent, optimizer, rollout, args)
        num_steps += num_envs * settings["num_steps"]
        goes_on = watch(num_steps)
    return watch, versions_of("torch")


def versions_of(*names: str) -> dict[str, str]:
    """Versions of packages."""
    return {name: metadata.version(name) for name in names}


ENTRANTS: dict[str, Callable[[dict[str, Any]], tuple[Watch, dict[str, str]]]] = {
    "drivesim": train_drivesim,
    "sb3": train_sb3,
    "sbx": train_sbx,
    "single-file": train_single_file,
}


def main() -> int:
    """Trains what the command line asks for."""
    importlib.import_module("drivesim")  # registers its environments
    request = json.loads(sys.argv[1])
    busy = os.getloadavg()[0]
    watch, versions = ENTRANTS[request["entrant"]](request)
    if not watch.looks or watch.looks[-1][0] != watch.num_steps:  # its steps were at their end
        watch.look()
    record = {
        "times": watch.times,
        "best_share": watch.best_share,
        "best_success": max(look[3] for look in watch.looks),
        "steps": watch.num_steps,
        "cpu_seconds": watch.cpu,
        "wall_seconds": watch.wall,
        "busy": round(max(busy, os.getloadavg()[0]), 2),
        "versions": versions,
        "looks": watch.looks,
    }
    print(json.dumps(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
