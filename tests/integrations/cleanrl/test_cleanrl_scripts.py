"""The two single-file scripts: their targets are exact where episodes end, and they learn."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from loading import load_script

import drivesim  # noqa: F401 (registers the environments)

torch = pytest.importorskip("torch")
pytest.importorskip("tyro")
pytest.importorskip("tensorboard")

from agents import targets

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts" / "examples"
NAMES = ("cleanrl_ppo", "cleanrl_dqn")
ID, LIMIT, NUM_ENVS, NUM_STEPS, GAMMA = "drivesim/LaneKeep-v1", 4, 6, 40, 0.9
LEFT, FASTER = 0, 3


@pytest.fixture(scope="module")
def ppo() -> ModuleType:
    return load_script("examples/cleanrl_ppo")


@pytest.fixture(scope="module")
def dqn() -> ModuleType:
    return load_script("examples/cleanrl_dqn")


def make_envs() -> gym.vector.VectorEnv:
    """Envs with a short time limit, so that both kinds of ends are frequent."""
    return gym.make_vec(
        ID, num_envs=NUM_ENVS, observation="features", autoreset_mode="SameStep", max_episode_steps=LIMIT
    )


def worth(obs) -> torch.Tensor:
    """A known value of any observation, different for all that occur."""
    obs = torch.as_tensor(np.asarray(obs))
    return obs @ torch.sin(torch.arange(obs.shape[-1], dtype=torch.float32))


def price(obs) -> torch.Tensor:
    """Known values of the five actions (N, 5)."""
    obs = torch.as_tensor(np.asarray(obs))
    return torch.stack([obs @ torch.cos(torch.arange(obs.shape[-1], dtype=torch.float32) * k) for k in range(5)], -1)


class Stub:
    """An agent that drives off the road every now and then, and whose values are known."""

    def value(self, obs):
        return worth(obs)

    def log_probs(self, obs):
        odds = torch.tensor([0.15, 0.1, 0.15, 0.5, 0.1])
        return odds.log().expand(len(obs), -1)


def truth(actions: np.ndarray) -> dict[str, torch.Tensor]:
    """What single environments say of the same drives, (T, N): they show every observation in turn."""
    shape = actions.shape
    found = {name: np.zeros(shape, np.float32) for name in ("rewards", "values", "next_values")}
    found |= {name: np.zeros(shape, np.bool_) for name in ("terminated", "truncated")}
    num_inputs = gym.make(ID, observation="features").observation_space.shape[0]
    found |= {name: np.zeros((*shape, num_inputs), np.float32) for name in ("obs", "next_obs")}
    for i in range(shape[1]):
        env = gym.make(ID, observation="features", max_episode_steps=LIMIT)
        obs, _ = env.reset(seed=i)
        for t in range(shape[0]):
            next_obs, reward, terminated, truncated, _ = env.step(int(actions[t, i]))
            row = (reward, worth(obs), worth(next_obs), terminated, truncated, obs, next_obs)
            for array, value in zip(found.values(), row, strict=True):
                array[t, i] = value
            obs = env.reset()[0] if terminated or truncated else next_obs
    return {name: torch.as_tensor(array) for name, array in found.items()}


# --- exactness --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rollout(ppo):
    envs = make_envs()
    obs, _ = envs.reset(seed=0)
    torch.manual_seed(0)
    args = replace(ppo.Args(), num_envs=NUM_ENVS, num_steps=NUM_STEPS)
    return ppo.collect(envs, Stub(), torch.as_tensor(obs), args)


def test_the_drives_of_these_tests_end_in_both_ways(rollout) -> None:
    steps = rollout[0]
    assert (steps.terminations & ~steps.truncations).sum() > 5
    assert (steps.truncations & ~steps.terminations).sum() > 5


def test_ppo_values_every_step_by_its_true_successor(rollout) -> None:
    steps = rollout[0]
    true = truth(steps.actions.numpy())
    torch.testing.assert_close(steps.obs, true["obs"], rtol=0, atol=0)
    torch.testing.assert_close(steps.rewards, true["rewards"], rtol=0, atol=0)
    assert torch.equal(steps.terminations, true["terminated"])
    assert torch.equal(steps.truncations, true["truncated"])
    torch.testing.assert_close(steps.values, true["values"], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(steps.next_values, true["next_values"], rtol=1e-5, atol=1e-5)


def test_ppos_advantages_are_those_of_the_agents_targets_at_both_kinds_of_ends(ppo, rollout) -> None:
    steps = rollout[0]
    true = truth(steps.actions.numpy())
    expected = targets.gae(
        *(true[name] for name in ("rewards", "values", "next_values", "terminated", "truncated")), GAMMA, 0.8
    )
    torch.testing.assert_close(ppo.advantages_of(steps, GAMMA, 0.8), expected, rtol=1e-5, atol=1e-5)


def test_a_truncated_step_is_worth_its_successor_and_a_terminated_one_is_not(ppo) -> None:
    columns = {
        "rewards": torch.ones(3, 2),
        "values": torch.zeros(3, 2),
        "next_values": torch.full((3, 2), 10.0),
        "terminations": torch.tensor([[False, False], [True, False], [False, False]]),
        "truncations": torch.tensor([[False, False], [False, True], [False, False]]),
    }
    columns["next_values"][1, 0] = torch.nan  # nobody knows what follows a termination
    none = torch.zeros(3, 2)
    advantages = ppo.advantages_of(ppo.Rollout(obs=none, actions=none, log_probs=none, **columns), 0.5, 1.0)
    # 1 + 0.5 · 10 with a bootstrap, 1 without; the first step adds 0.5 times the second's.
    assert advantages.tolist() == [[6 + 0.5 * 1, 6 + 0.5 * 6], [1, 6], [6, 6]]


def test_every_row_of_a_rollout_is_a_transition_of_one_episode(rollout) -> None:
    steps, _, episodes = rollout
    ended = (steps.terminations | steps.truncations).numpy()
    lengths = []
    for i in range(NUM_ENVS):  # ends count the rows up to and including them: there are no rows in between
        ends = np.flatnonzero(ended[:, i])
        lengths += np.diff(np.concatenate([[-1], ends])).tolist()
    assert sorted(episode["episode_length"] for episode in episodes) == sorted(lengths)
    assert len(episodes) == ended.sum()


def test_dqn_remembers_true_successors_and_targets_are_those_of_the_agents(dqn) -> None:
    envs = make_envs()
    obs, _ = envs.reset(seed=0)
    rng = np.random.default_rng(0)
    actions = rng.choice(5, (NUM_STEPS, NUM_ENVS), p=[0.15, 0.1, 0.15, 0.5, 0.1])
    rows = []
    for t in range(NUM_STEPS):
        row, obs, _ = dqn.step(envs, obs, actions[t])
        rows.append(row)
    true = truth(actions)
    assert (true["terminated"] & ~true["truncated"]).sum() > 5
    assert (true["truncated"] & ~true["terminated"]).sum() > 5
    steps = dqn.Transitions(*map(torch.cat, zip(*rows, strict=True)))
    for name, expected in (("obs", "obs"), ("next_obs", "next_obs"), ("rewards", "rewards")):
        assert torch.equal(getattr(steps, name), true[expected].flatten(0, 1)), name
    assert torch.equal(steps.terminations, true["terminated"].flatten())

    def other_price(obs):
        return price(obs).flip(-1)

    successors = true["next_obs"].flatten(0, 1)
    terminated = true["terminated"].flatten()
    expected = targets.double_dqn_target(
        true["rewards"].flatten(), price(successors), other_price(successors), terminated, GAMMA
    )
    found = dqn.td_target(steps, price, other_price, GAMMA)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
    spoilt = steps._replace(next_obs=torch.where(terminated.unsqueeze(1), torch.nan, steps.next_obs))
    torch.testing.assert_close(dqn.td_target(spoilt, price, other_price, GAMMA), expected, rtol=1e-6, atol=1e-6)


def test_the_replay_buffer_keeps_the_newest_rows_and_draws_whole_transitions(dqn) -> None:
    buffer = dqn.ReplayBuffer(size=3 * 2, num_envs=2, num_inputs=1)
    for number in range(5):
        values = torch.tensor([2.0 * number, 2.0 * number + 1])
        buffer.add(dqn.Transitions(values[:, None], values.long(), values, values[:, None] + 1, values % 2 == 0))
    batch = buffer.sample(500, torch.device("cpu"))
    assert set(batch.rewards.tolist()) == {4.0, 5.0, 6.0, 7.0, 8.0, 9.0}
    assert torch.equal(batch.obs[:, 0], batch.rewards)
    assert torch.equal(batch.next_obs[:, 0], batch.rewards + 1)
    assert torch.equal(batch.actions, batch.rewards.long())
    assert torch.equal(batch.terminations, batch.rewards % 2 == 0)


# --- the scripts as a whole -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_script_stands_on_its_own(name) -> None:
    allowed = {"torch", "numpy", "gymnasium", "drivesim", "tyro"}
    tree = ast.parse((SCRIPTS / f"{name}.py").read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    foreign = {module for module in imported if module.split(".")[0] not in sys.stdlib_module_names | allowed}
    assert foreign == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_a_function_of_its_seed(name, request, tmp_path) -> None:
    script = request.getfixturevalue(name.removeprefix("cleanrl_"))
    args = replace(script.Args(), num_envs=16, total_timesteps=2048, eval_episodes=8, log_dir=tmp_path)
    if name == "cleanrl_dqn":
        args = replace(args, learning_starts=512)
    weights = []
    for seed in (1, 1, 2):
        network, result = script.train(replace(args, seed=seed))
        weights.append(torch.cat([weight.detach().flatten() for weight in network.parameters()]))
        assert set(result) == {"eval/episode_return", "eval/episode_length", "eval/success"}
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_evaluation_counts_one_episode_of_each_held_out_level(ppo, monkeypatch) -> None:
    made = []

    def make(args, num_envs, split):
        made.append(split)
        return gym.make_vec(ID, num_envs=num_envs, observation="features", autoreset_mode="SameStep", split=split)

    monkeypatch.setattr(ppo, "make_envs", make)
    actions = torch.eye(5)[[FASTER, LEFT]].log()  # the first env goes straight on, the second one leaves the road
    agent = SimpleNamespace(log_probs=lambda obs: actions)
    result = ppo.evaluate(agent, replace(ppo.Args(), eval_episodes=2, seed=3), torch.device("cpu"))
    assert made == ["test"]
    single = []
    for i, action in enumerate((FASTER, LEFT)):
        env = gym.make(ID, observation="features", split="test")
        env.reset(seed=3 + i)
        ended = False
        while not ended:
            _, _, terminated, truncated, info = env.step(action)
            ended = terminated or truncated
        single.append(info)
    for name in ("episode_return", "episode_length", "success"):
        assert result[f"eval/{name}"] == pytest.approx(np.mean([float(info[name]) for info in single]))


@pytest.mark.parametrize(("name", "steps"), [("cleanrl_ppo", 160_000), ("cleanrl_dqn", 160_000)])
def test_a_short_run_learns_to_drive_an_easy_road(name, steps, request, tmp_path) -> None:
    script = request.getfixturevalue(name.removeprefix("cleanrl_"))
    args = replace(script.Args(), eval_episodes=200, log_dir=tmp_path)
    _, before = script.train(replace(args, total_timesteps=0))
    _, after = script.train(replace(args, total_timesteps=steps))
    assert before["eval/success"] < 0.1
    assert after["eval/success"] > 0.5
    assert after["eval/episode_return"] > before["eval/episode_return"] + 1
    assert list(tmp_path.rglob("events.out.tfevents.*"))
