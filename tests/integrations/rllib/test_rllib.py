"""RLlib drives, learns from and reports exactly what the environments do."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from copy import deepcopy
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("ray.rllib")

import torch
from gymnasium.vector import AutoresetMode, VectorWrapper
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.algorithms.ppo.torch.ppo_torch_learner import PPOTorchLearner
from ray.rllib.env.single_agent_env_runner import SingleAgentEnvRunner
from ray.tune.registry import register_env

from drivesim.integrations.rllib import LOGGED, log_episode, make_env, register
from drivesim.registry import IDS

# RLlib registers every environment that it makes in a process under one and the same name.
pytestmark = pytest.mark.filterwarnings("ignore:.*Overriding environment rllib-single-agent-env:UserWarning")

HIGHWAY, LANE_KEEP = "drivesim/Highway-v1", "drivesim/LaneKeep-v1"
NUM_ENVS = 5
OPTIONS = {"observation": "features", "max_episode_steps": 12}


def config_of(env: str, num_env_runners: int = 0, **env_config: Any) -> PPOConfig:
    """A small PPO; without runners of their own, envs are driven in this process."""
    return (
        PPOConfig()
        .environment(env, env_config={**OPTIONS, **env_config})
        .env_runners(
            num_env_runners=num_env_runners,
            num_envs_per_env_runner=NUM_ENVS,
            gym_env_vectorize_mode="vector_entry_point",
        )
        .training(train_batch_size_per_learner=300, minibatch_size=300, num_epochs=1)
        .rl_module(model_config={"fcnet_hiddens": [16], "vf_share_layers": False})
        .callbacks(on_episode_end=log_episode)
        .reporting(metrics_num_episodes_for_smoothing=1_000_000)
        .debugging(seed=3, log_level="ERROR")
    )


def seeds_of(seed: int) -> list[int]:
    """The seeds of the envs when RLlib resets with `seed`."""
    return np.random.SeedSequence(seed).generate_state(NUM_ENVS, np.uint64).tolist()


# --- what is made -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("env_id", IDS)
def test_every_id_is_known_to_rllib_and_is_a_compiled_batch_in_next_step_mode(env_id) -> None:
    assert register() == IDS
    runner = SingleAgentEnvRunner(config=config_of(env_id))
    envs = runner.env.unwrapped
    assert type(envs).__name__ == "DriveVectorEnv"
    assert envs.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
    assert envs.num_envs == NUM_ENVS
    assert envs.single_observation_space.shape == (108,)
    runner.stop()


def test_without_a_number_of_envs_it_is_a_single_environment_with_its_time_limit() -> None:
    env = make_env(HIGHWAY, OPTIONS)
    assert isinstance(env, gym.Env)
    assert env.spec.max_episode_steps == 12
    assert OPTIONS == {"observation": "features", "max_episode_steps": 12}


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"autoreset_mode": "SameStep"}, ("autoreset_mode", "NEXT_STEP", "SAME_STEP")),
        ({"autoreset_mode": AutoresetMode.DISABLED}, ("autoreset_mode", "NEXT_STEP", "DISABLED")),
        ({"autoreset_mode": "never"}, ("autoreset_mode", "never", "NextStep")),
        ({"copy": False}, ("copy", "True", "False")),
        ({"copy": 0}, ("copy", "0")),
        ({"difficulty": "extreme"}, ("difficulty", "extreme", "easy")),
        ({"colour": "red"}, ("colour",)),
    ],
)
def test_what_rllib_cannot_drive_is_refused_by_name(options, parts) -> None:
    register()
    for make in (
        lambda: make_env(HIGHWAY, {"num_envs": 2, **options}),
        lambda: SingleAgentEnvRunner(config=config_of(HIGHWAY, **options)),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            make()
        for part in parts:
            assert part in str(caught.value)


def test_next_step_may_be_asked_for() -> None:
    for mode in (AutoresetMode.NEXT_STEP, "NextStep", "NEXT_STEP"):
        make_env(HIGHWAY, {"num_envs": 2, "autoreset_mode": mode}).close()


def test_no_two_runners_drive_the_same_levels() -> None:
    starts: dict[str, set[bytes]] = {}
    for name, make in (
        ("registered", lambda: make_env(HIGHWAY, {"num_envs": NUM_ENVS, **OPTIONS})),
        ("plain", lambda: gym.make_vec(HIGHWAY, NUM_ENVS, **OPTIONS)),
    ):
        seen = [make().reset(seed=3 + worker)[0] for worker in (1, 2, 3)]
        starts[name] = {obs.tobytes() for batch in seen for obs in batch}
    assert len(starts["registered"]) == 3 * NUM_ENVS
    assert len(starts["plain"]) == NUM_ENVS + 2  # each runner one env further on


# --- episodes ---------------------------------------------------------------------------------------------------------


def test_rllibs_episodes_and_figures_are_those_of_our_own_rollout() -> None:
    register()
    episodes_of: dict[int, list[str]] = defaultdict(list)
    config = config_of(HIGHWAY).callbacks(
        on_episode_start=lambda *, episode, env_index, **_: episodes_of[env_index].append(episode.id_),
        on_episode_end=log_episode,
    )
    runner = SingleAgentEnvRunner(config=config)
    chunks = defaultdict(list)
    for _ in range(7):  # episodes are cut where a sample ends
        for chunk in runner.sample(num_timesteps=100):
            chunks[chunk.id_].append(chunk)
    summaries = []
    steps = 0
    for i, seed in enumerate(seeds_of(3)):
        env = gym.make(HIGHWAY, **OPTIONS)
        obs, _ = env.reset(seed=seed)
        for name in episodes_of[i]:
            ended = False
            for chunk in chunks[name]:
                for tick in range(len(chunk)):
                    assert not ended
                    np.testing.assert_array_equal(chunk.get_observations(tick), obs)
                    obs, reward, terminated, truncated, info = env.step(int(chunk.get_actions(tick)))
                    assert chunk.get_rewards(tick) == reward
                    ended = terminated or truncated
                    steps += 1
                assert (chunk.is_terminated, chunk.is_truncated) == (
                    (terminated, truncated) if ended else (False, False)
                )
                np.testing.assert_array_equal(chunk.get_observations(-1), obs)
            if ended:
                assert sum(chunk.get_return() for chunk in chunks[name]) == pytest.approx(info["episode_return"])
                assert chunk.get_infos(-1)["level_seed"] == info["level_seed"]
                summaries.append(info)
                obs, _ = env.reset()
            else:
                assert name == episodes_of[i][-1]
    assert len(summaries) > 50
    assert 0 < sum(info["timeout"] for info in summaries) < len(summaries)
    metrics = runner.get_metrics()
    figures = {name: metrics[name].peek() for name in (*LOGGED, "episode_return_mean", "num_env_steps_sampled")}
    assert figures["num_env_steps_sampled"] == steps
    assert figures["episode_return_mean"] == pytest.approx(np.mean([info["episode_return"] for info in summaries]))
    for name in LOGGED:
        assert figures[name] == pytest.approx(np.mean([info[name] for info in summaries])), name


# --- learning ---------------------------------------------------------------------------------------------------------


def row_of(obs: np.ndarray, action: Any, reward: Any) -> tuple[bytes, int, float]:
    """A row as something that can be compared."""
    return obs.tobytes(), int(action), np.float32(reward).item()


class Recorder(VectorWrapper):
    """Notes every row that the environment gives, whether it is a transition, and how that went on."""

    def __init__(self, envs: gym.vector.VectorEnv) -> None:
        super().__init__(envs)
        self.real: set[tuple[bytes, int, float]] = set()
        self.dummy: set[tuple[bytes, int, float]] = set()
        self.successors: dict[tuple[bytes, int, float], tuple[np.ndarray, bool, bool]] = {}

    def reset(self, **kwargs):
        self.obs, infos = self.env.reset(**kwargs)
        self.waits = np.zeros(self.num_envs, np.bool_)
        return self.obs, infos

    def step(self, actions):
        obs, rewards, terminations, truncations, infos = self.env.step(actions)
        for i in range(self.num_envs):
            row = row_of(self.obs[i], actions[i], rewards[i])
            (self.dummy if self.waits[i] else self.real).add(row)
            if not self.waits[i]:
                self.successors[row] = obs[i], bool(terminations[i]), bool(truncations[i])
        self.obs, self.waits = obs, terminations | truncations
        return obs, rewards, terminations, truncations, infos


class NotingLearner(PPOTorchLearner):
    """PPO that notes the rows its loss counts, and what it wants their values to be."""

    def compute_loss_for_module(self, *, module_id, config, batch, fwd_out):
        self.__dict__.setdefault("learnt", {})
        counts = batch["loss_mask"].numpy()
        columns = (batch[name].numpy()[counts] for name in ("obs", "actions", "rewards", "value_targets"))
        self.learnt.update((row_of(*row), target) for *row, target in zip(*columns, strict=True))
        return super().compute_loss_for_module(module_id=module_id, config=config, batch=batch, fwd_out=fwd_out)


def test_every_transition_is_learnt_from_and_the_row_that_begins_an_episode_is_not(two_processors) -> None:
    register_env("recorded", lambda context: Recorder(make_env(HIGHWAY, context)))
    algorithm = config_of("recorded").training(learner_class=NotingLearner).build_algo()
    for _ in range(2):
        algorithm.train()
    envs = algorithm.env_runner.env.env
    assert isinstance(envs, Recorder)
    learnt = algorithm.learner_group._learner.learnt
    algorithm.stop()
    assert len(envs.real) > 300
    assert len(envs.dummy - envs.real) > 30
    assert learnt.keys() == envs.real


def test_what_is_learnt_where_a_drive_ends_or_is_cut_is_exact() -> None:
    """One-step targets: the reward where it terminates, plus the value of its own last observation where it is cut."""
    register_env("recorded", lambda context: Recorder(make_env(HIGHWAY, context)))
    algorithm = config_of("recorded").training(learner_class=NotingLearner, lambda_=0.0, gamma=0.9).build_algo()
    learner = algorithm.learner_group._learner
    untrained = deepcopy(learner.module["default_policy"])
    algorithm.train()
    successors = algorithm.env_runner.env.env.successors
    algorithm.stop()
    ends = {"terminated": 0, "cut": 0}
    for row, target in learner.learnt.items():
        next_obs, terminated, truncated = successors[row]
        with torch.no_grad():
            next_value = untrained.compute_values({"obs": torch.from_numpy(next_obs)[None]}).item()
        assert target == pytest.approx(row[2] + (0.0 if terminated else 0.9 * next_value), abs=1e-5)
        ends["terminated"] += terminated
        ends["cut"] += truncated and not terminated
    assert min(ends.values()) > 3


class Failing(Recorder):
    """Fails once, in the 30th step of the first one."""

    made: ClassVar[list[Failing]] = []

    def __init__(self, envs: gym.vector.VectorEnv) -> None:
        super().__init__(envs)
        self.num_steps = 0
        self.made.append(self)

    def step(self, actions):
        self.num_steps += 1
        if len(self.made) == 1 and self.num_steps == 30:
            raise RuntimeError("the engine has stalled")
        return super().step(actions)


def test_an_environment_that_raises_is_made_anew_and_its_broken_episodes_are_dropped() -> None:
    Failing.made.clear()
    register_env("failing", lambda context: Failing(make_env(HIGHWAY, context)))
    runner = SingleAgentEnvRunner(config=config_of("failing").fault_tolerance(restart_failed_sub_environments=True))
    episodes = runner.sample(num_timesteps=400)
    first, second = Failing.made
    assert first.num_steps == 30
    rows = {
        row_of(episode.get_observations(tick), episode.get_actions(tick), episode.get_rewards(tick))
        for episode in episodes
        for tick in range(len(episode))
    }
    assert second.real <= rows <= first.real | second.real
    runner.stop()


# --- several processes ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_process_whose_environment_raises_is_replaced(two_processors, tmp_path) -> None:
    class Failing(VectorWrapper):
        """Fails once, in the 10th step of whichever runner gets there first."""

        num_steps = 0

        def step(self, actions):
            self.num_steps += 1
            if self.num_steps == 10:
                with suppress(FileExistsError):  # both may get there at the same time
                    (tmp_path / "failed").touch(exist_ok=False)
                    raise RuntimeError("the engine has stalled")
            return self.env.step(actions)

    register_env("failing", lambda context: Failing(make_env(HIGHWAY, context)))
    config = config_of("failing", num_env_runners=2).fault_tolerance(env_runner_health_probe_timeout_s=600)
    algorithm = config.build_algo()
    group = algorithm.env_runner_group
    algorithm.train()
    assert (tmp_path / "failed").exists()
    for _ in range(1_000):  # training goes on with the other process until there is a new one
        if group.num_healthy_remote_workers() == 2:
            break
        algorithm.train()
    assert group.num_remote_worker_restarts() == 1
    assert group.foreach_env_runner(lambda runner: runner.env.num_envs, local_env_runner=False) == [NUM_ENVS] * 2
    before, after = (algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"] for _ in range(2))
    assert after >= before + 300
    algorithm.stop()


def test_an_id_with_its_module_needs_no_registration_in_other_processes(two_processors) -> None:
    algorithm = config_of(f"drivesim:{LANE_KEEP}", num_env_runners=1).build_algo()
    modes = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: (type(runner.env.unwrapped).__name__, runner.env.unwrapped.metadata["autoreset_mode"].name),
        local_env_runner=False,
    )
    algorithm.stop()
    assert modes == [("DriveVectorEnv", "NEXT_STEP")]
