"""Reports on libraries of agents, tried on those of this project; the functions fail if they hold."""

from __future__ import annotations

import json
import math
import os
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from report_table import report

from agents.checkpoint import Checkpoint, load_latest_checkpoint, save_checkpoint
from agents.dqn import DQN, DQNConfig
from agents.environments import env_seeds
from agents.export.numpy_form import NumpyForm, write_numpy
from agents.export.onnx_form import OnnxForm, write_onnx
from agents.export.tracing import Driver, trace
from agents.export.verification import TorchForm
from agents.networks import ActorCritic, NetworkConfig
from agents.policy import NetworkPolicy
from agents.replay_buffer import ReplayBuffer
from agents.run_config import TrainConfig, read_configs
from agents.run_folder import write_config
from agents.sampling import draw_actions, log_policy
from agents.stepping import Step, Stepper
from agents.targets import gae

SPACE = gym.spaces.Box(-1.0, 1.0, (6,), np.float32)


def envs_cut_early(mode: str = "SameStep") -> Stepper:
    """Some envs whose episodes are cut after three steps."""
    return Stepper(
        gym.make_vec("drivesim/LaneKeep-v1", 8, observation="features", max_episode_steps=3, autoreset_mode=mode)
    )


@report("stable-baselines3 #934", "a replay memory that saves observations once loses what follows a time limit")
def memory_at_time_limits(folder: Path) -> None:
    """Episodes cut after three steps, 2,000 drawn transitions: each true successor is there, and its value counts."""
    stepper = envs_cut_early()
    obs = stepper.begin(list(range(8)))
    replay = ReplayBuffer(stepper.envs.single_observation_space, 8, 800, 1)
    replay.begin(obs)
    truth, rng, num_cut = {}, np.random.default_rng(0), 0
    for row in range(60):
        step = stepper.step(rng.integers(0, 3, 8))
        for n in range(8):
            following = step.final_obs[n] if step.ended[n] else step.next_obs[n]
            truth[8 * row + n] = obs[n].tobytes(), following.tobytes(), bool(step.terminated[n])
            num_cut += int(step.truncated[n] and not step.terminated[n])
        replay.add(step)
        obs = step.next_obs.copy()
    assert num_cut > 50
    batch = replay.sample(2000, 0.9, rng)
    for n, place in enumerate(batch.steps.tolist()):
        now, following, is_end = truth[place]
        assert (batch.obs[n].numpy().tobytes(), batch.next_obs[n].numpy().tobytes()) == (now, following)
        assert math.isclose(float(batch.discounts[n]), 0.0 if is_end else 0.9, rel_tol=1e-6)


@report("AgileRL, off-policy loop", "the step on which an env begins anew is kept in the replay memory")
def memory_without_resets(folder: Path) -> None:
    """Under NEXT_STEP, episodes cut after three steps, 2,000 drawn transitions: none is such a step."""
    stepper = envs_cut_early("NextStep")
    replay = ReplayBuffer(stepper.envs.single_observation_space, 8, 800, 1)
    replay.begin(stepper.begin(list(range(8))))
    rng, real = np.random.default_rng(0), []
    for _ in range(60):
        step = stepper.step(rng.integers(0, 3, 8))
        real += step.is_real.tolist()
        replay.add(step)
    assert real.count(False) > 50
    assert all(real[place] for place in replay.sample(2000, 0.9, rng).steps.tolist())


@report(
    "Gymnasium, `vector_a2c` tutorial; PufferLib, `done_mask`",
    "advantages run over from one episode into the one before",
)
def advantages_stay_in_their_episode(folder: Path) -> None:
    """Rewards behind an end, either kind, change by a thousand: no advantage before it does."""
    for is_truncated in (False, True):
        found = []
        for later in (0.0, 1000.0):
            rewards, ends = torch.ones(6, 1), torch.zeros(6, 1, dtype=torch.bool)
            rewards[3:] += later
            ends[2] = True
            values, nothing = torch.full((6, 1), 2.0), torch.zeros(6, 1, dtype=torch.bool)
            terminated, truncated = (nothing, ends) if is_truncated else (ends, nothing)
            found.append(gae(rewards, values, values, terminated, truncated, 0.9, 0.95)[:3])
        assert torch.equal(*found)


@report("stable-baselines3, `DQN.predict`", "one coin decides whether all envs explore")
def a_coin_for_each_env(folder: Path) -> None:
    """64 envs, half of the actions at random, 100 steps: in each some envs explore and others do not."""
    config = DQNConfig(num_envs=64, learning_starts=0, epsilon_start=0.5, epsilon_end=0.5, epsilon_ladder=0.0)
    agent = DQN(SPACE, gym.spaces.Discrete(50), config, seed=0, total_steps=10_000)
    obs = np.zeros((64, 6), np.float32)
    agent.begin(obs)
    best = int(agent.network(torch.zeros(1, 6)).argmax())
    for _ in range(100):
        assert 8 < int((agent.act(obs) != best).sum()) < 56


@report(
    "stable-baselines3 #1352, #1876; sb3-contrib #68, #279; tianshou #334", "actions that are not allowed are drawn"
)
def masked_actions(folder: Path) -> None:
    """100,000 draws, masks at random, the largest scores where nothing is allowed: no such action, no NaN."""
    rng = np.random.default_rng(0)
    masks = rng.random((100_000, 5)) < 0.4
    masks[np.arange(100_000), rng.integers(0, 5, 100_000)] = True
    logits = torch.from_numpy(np.where(masks, rng.standard_normal((100_000, 5)), 50.0).astype(np.float32))
    probabilities = log_policy(logits, torch.from_numpy(masks)).exp().numpy()
    assert np.isfinite(probabilities).all()
    assert masks[np.arange(100_000), draw_actions(probabilities, rng)].all()


@report("sb3-contrib #101", "masks and memory do not go together")
def masks_with_memory(folder: Path) -> None:
    """A recurrent policy with masks, 50 steps of 64 envs that look alike: actions are allowed, scores move."""
    torch.manual_seed(0)
    network = ActorCritic(SPACE, 5, NetworkConfig(hidden_sizes=(16,)), memory_size=8)
    form, rng = TorchForm(NetworkPolicy(network, uses_action_masks=True)), np.random.default_rng(0)
    obs, found = np.ones((64, 6), np.float32), []
    for step in range(50):
        form.begin(np.full(64, step == 0))
        masks = rng.random((64, 5)) < 0.3
        masks[:, 4] = True
        scores, actions = form(obs, masks)
        found.append(float(scores[0, 4]))
        assert masks[np.arange(64), actions].all()
    assert found[0] != found[1]


@report("stable-baselines3 #383, #673, #1211; tianshou #314; skrl PR #410", "the exported network gives another answer")
def exports_agree(folder: Path) -> None:
    """A network as a file for ONNX Runtime and for NumPy alone, 5,000 observations: scores within 1e-5, one action."""
    torch.manual_seed(0)
    policy = NetworkPolicy(ActorCritic(SPACE, 5, NetworkConfig(hidden_sizes=(32, 32))))
    driver = Driver(policy)
    program = trace(driver, SPACE, 5)
    write_numpy(folder / "policy.py", driver, program, SPACE, {"environment": "a trial"})
    write_onnx(folder / "policy.onnx", driver, program, {"environment": "a trial"})
    obs = np.random.default_rng(0).uniform(-1, 1, (5000, 6)).astype(np.float32)
    for form in (TorchForm(policy), NumpyForm(folder / "policy.py"), OnnxForm(folder / "policy.onnx")):
        form.begin()
        scores, actions = form(obs, None)
        if isinstance(form, TorchForm):
            expected = scores.copy(), actions.copy()
        assert np.abs(scores - expected[0]).max() <= 1e-5 * np.abs(expected[0]).max()
        assert (actions == expected[1]).all()


@report("pytorch PR #2883; Lightning #688, #19970", "what was being saved when the power failed is all that there is")
def damaged_checkpoints(folder: Path) -> None:
    """The newest of two checkpoints is cut off, each file in turn: the older one is read, with a warning."""
    sound = Checkpoint(values={"step": 1}, tensors={"network": {"weight": torch.ones(2)}}, arrays={"x": np.ones(2)})
    names = [path.name for path in save_checkpoint(sound, folder / "any", "last", 1).iterdir()]
    assert len(names) > 2
    for number, name in enumerate(names):
        place = folder / str(number)
        save_checkpoint(sound, place, "last", 1)
        newest = save_checkpoint(sound, place, "last", 2)
        content = (newest / name).read_bytes()
        (newest / name).write_bytes(content[: len(content) // 2])
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            assert load_latest_checkpoint(place, "last").values["step"] == 1
        assert any("skipped" in str(warning.message) for warning in told)


@report("HighwayEnv, FAQ; Leurent 2019", "the answer depends on the order in which vehicles are listed")
def order_of_vehicles(folder: Path) -> None:
    """A network over entities, rows of the others shuffled, 200 scenes: the same scores but for rounding."""
    envs = gym.make_vec("drivesim/Highway-v1", 200, observation="entities")
    obs, _ = envs.reset(seed=0)
    torch.manual_seed(0)
    network = ActorCritic(envs.single_observation_space, 5, NetworkConfig(hidden_sizes=(32,)))
    order = np.random.default_rng(0).permutation(np.arange(1, obs.shape[1]))
    shuffled = np.concatenate([obs[:, :1], obs[:, order]], axis=1)
    assert not np.array_equal(obs, shuffled)
    with torch.inference_mode():
        once, again = (network(torch.from_numpy(rows))[0] for rows in (obs, shuffled))
    assert torch.allclose(once, again, atol=1e-5)


@report("Gymnasium, seeds of `VectorEnv.reset`", "runs with seeds 0 and 1 share all their envs but one")
def runs_share_no_env(folder: Path) -> None:
    """The seeds of 512 envs, of 100 runs: all 51,200 are different."""
    assert len({seed for run in range(100) for seed in env_seeds(run, 512)}) == 51_200


@report(
    "Hydra `_target_`, CVE-2025-23304; Hugging Face `auto_map`, CVE-2026-22807",
    "a configuration names code that is run",
)
def configurations_name_no_code(folder: Path) -> None:
    """`_target_`, `auto_map` and classes as values, in the configuration of a run: refused, and nothing runs."""
    write_config(folder, TrainConfig(agent="dqn"), DQNConfig())
    record = json.loads((folder / "config.json").read_text())
    read_configs(folder)
    for part in ("train", "agent"):
        for name, value in (
            ("_target_", "os.mkdir"),
            ("auto_map", {"AutoModel": f"os.mkdir('{folder}/ran')"}),
            ("agent", "os.system"),
            ("network", {"_target_": "os.mkdir", "path": f"{folder}/ran"}),
            ("__class__", "posix.system"),
        ):
            given = {**record, part: {**record[part], name: value}}
            (folder / "config.json").write_text(json.dumps(given))
            try:
                read_configs(folder)
            except ValueError:
                assert not (folder / "ran").exists()
            else:
                raise AssertionError(f"taken: {name} in {part}")


@report(
    "cleanrl #59, #465, #480; dqn_zoo #16; baselines #642, #711", "DQN with several envs counts or learns too little"
)
def many_envs(folder: Path) -> None:
    """64 envs, 100 steps of each: 6,400 steps are counted and kept, and every due update has been made."""
    config = DQNConfig(num_envs=64, learning_starts=640, buffer_size=10_000, train_frequency=64)
    agent = DQN(SPACE, gym.spaces.Discrete(4), config, seed=0, total_steps=6400)
    obs = np.zeros((64, 6), np.float32)
    agent.begin(obs)
    nothing = np.zeros(64, np.bool_)
    for _ in range(100):
        agent.record(Step(agent.act(obs), np.zeros(64), nothing, nothing, obs, None, ~nothing, nothing))
        agent.update()
    assert (agent.global_step, len(agent.replay)) == (6400, 6400)
    assert agent.num_updates == (6400 - 640) // 64


@report("NVFlare PR #5011", "what is written to be put in place at once can be read by nobody else")
def modes_of_files(folder: Path) -> None:
    """Every file of a checkpoint has the mode that the user's mask gives, for two masks."""
    sound = Checkpoint(values={"step": 1}, tensors={"network": {"weight": torch.ones(2)}}, arrays={"x": np.ones(2)})
    for mask in (0o022, 0o077):
        before = os.umask(mask)
        try:
            directory = save_checkpoint(sound, folder / oct(mask), "last", 1)
        finally:
            os.umask(before)
        for path in directory.iterdir():
            assert path.stat().st_mode & 0o777 == 0o666 & ~mask, path
