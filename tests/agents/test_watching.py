"""What a learnt driver thinks: the same as it does, and where it looks."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import drivesim  # noqa: F401 (registers the environments)
from agents.algorithms import ALGORITHMS
from agents.environments import EnvChoice
from agents.evaluation import first_episodes
from agents.networks import ActorCritic, NetworkConfig, QNetwork
from agents.policy import NetworkPolicy
from agents.q_heads import HeadConfig
from agents.random_agent import make_random
from agents.run_config import AGENT_CONFIGS
from agents.scripted import make_scripted
from agents.watching import decide, saliency, think_along, watch
from drivesim.observations import features
from drivesim.render.state import place_of
from drivesim.rendering import state_of
from drivesim.replay import Replay

HIGHWAY, OBSTACLES, INTERSECTION = "drivesim/Highway-v1", "drivesim/Obstacles-v1", "drivesim/Intersection-v1"
AUTODRIVE = "drivesim/Autodrive-v1"
FEATURES = gym.spaces.Box(-1.0, 1.0, (12,), np.float32)
SMALL = NetworkConfig(hidden_sizes=(16, 8))
NUM_ACTIONS = 5
HEADS = {
    "mean": None,
    "dueling quantiles": HeadConfig(dueling=True, returns="quantile", num_outputs=7),
    "noisy atoms": HeadConfig(noisy_std=0.5, returns="categorical", num_outputs=7, v_min=-2.0, v_max=3.0),
}
ACTORS = {"plain": {}, "separate critic": {"separate_critic": True}, "memory": {"memory_size": 6}}


def unsettled(network: nn.Module) -> nn.Module:
    """Every parameter moved from its first value, so that scores differ."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return network


def network_of(name: str, space: gym.spaces.Box = FEATURES, num_actions: int = NUM_ACTIONS) -> Any:
    torch.manual_seed(1)
    if name in HEADS:
        return unsettled(QNetwork(space, num_actions, SMALL, HEADS[name]))
    network = unsettled(ActorCritic(space, num_actions, SMALL, **ACTORS[name]))
    with torch.no_grad():
        network.policy_head.weight *= 5  # a policy with preferences
    return network


def driver_of(config: EnvChoice, name: str, *, masks: bool = False) -> NetworkPolicy:
    """An untrained driver of an environment."""
    env = gym.make(config.env, **config.options())
    return NetworkPolicy(network_of(name, env.observation_space, env.action_space.n), uses_action_masks=masks)


class Hand(nn.Module):
    """A network made by hand: the scores are what a function makes of the observation."""

    scores_are_logits = False

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def scores(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None]:
        return self.function(obs), state

    def judge(self, obs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return self.function(obs), None, state


@pytest.mark.parametrize("has_masks", [False, True])
@pytest.mark.parametrize("name", [*HEADS, *ACTORS])
def test_a_decision_is_the_action_of_a_call_with_its_reasons(name: str, has_masks: bool) -> None:
    network = network_of(name)
    caller, decider = NetworkPolicy(network), NetworkPolicy(network)
    rng = np.random.default_rng(0)
    memory = None
    taken = set()
    for _ in range(12):
        obs = rng.uniform(-1, 1, (9, 12)).astype(np.float32)
        masks = np.ones((9, NUM_ACTIONS), np.bool_)
        if has_masks:
            masks = rng.random((9, NUM_ACTIONS)) < 0.5
            masks[:, 1] = True
        verdict = decider.decide(obs, masks if has_masks else None)
        np.testing.assert_array_equal(verdict.actions, caller(obs, masks if has_masks else None))
        taken |= set(verdict.actions.tolist())
        with torch.no_grad():
            if name in HEADS:
                scores = network(torch.from_numpy(obs)).numpy()
                values = np.where(masks, scores, -np.inf).max(axis=1)
            else:
                logits, values, memory = network(torch.from_numpy(obs), memory)
                odds = np.exp(logits.numpy().astype(np.float64)) * masks
                scores = odds / odds.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(verdict.scores, scores, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(verdict.values, values, rtol=1e-5, atol=1e-6)
    assert len(taken) > 1
    if name in ACTORS and has_masks:
        assert (verdict.scores[~masks] == 0).all()


@pytest.mark.parametrize("agent", AGENT_CONFIGS)
def test_every_algorithm_knows_what_its_scores_are(agent: str) -> None:
    network = ALGORITHMS[agent].make_network(FEATURES, NUM_ACTIONS, AGENT_CONFIGS[agent]())
    verdict = NetworkPolicy(network).decide(np.zeros((2, 12), np.float32))
    is_policy = agent in ("ppo", "a2c", "reinforce", "bc", "dagger")
    assert network.scores_are_logits == is_policy
    assert np.allclose(verdict.scores.sum(axis=1), 1) == is_policy
    assert verdict.values.shape == (2,)


def test_imagined_observations_are_judged_as_the_next_one_would_be_and_forgotten() -> None:
    network = network_of("memory")
    policy, undisturbed = NetworkPolicy(network), NetworkPolicy(network)
    rng = np.random.default_rng(1)
    for _ in range(6):
        many = rng.uniform(-1, 1, (7, 12)).astype(np.float32)
        imagined = policy.imagine(many)
        verdict, expected = policy.decide(many[:1]), undisturbed.decide(many[:1])
        for one, other in zip(verdict, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(imagined.scores[0], verdict.scores[0], rtol=1e-5)
        assert np.ptp(imagined.scores, axis=0).max() > 1e-3


@pytest.mark.parametrize(
    ("env_id", "name", "masks"),
    [
        (HIGHWAY, "mean", False),
        (OBSTACLES, "dueling quantiles", False),
        (AUTODRIVE, "plain", True),
        (INTERSECTION, "memory", True),
        (HIGHWAY, "memory", False),
    ],
)
def test_every_decision_that_is_shown_led_to_the_action_that_followed(env_id: str, name: str, masks: bool) -> None:
    config = EnvChoice(env_id, difficulty="easy")
    policy = driver_of(config, name, masks=masks)
    replay, moments = watch(policy, config, seed=4)
    replay.check()
    assert replay.options["split"] == "test"
    assert [moment.action for moment in moments[1:]] == list(replay.actions)
    for moment, action in zip(moments, replay.actions, strict=False):
        decision = moment.decision
        assert decision is not None
        assert int(np.argmax(decision.scores)) == action or not decision.is_probability
        assert decision.is_probability == (name in ACTORS)
        assert decision.value is not None
        assert decision.saliency == ()
        assert {type(score) for score in (*decision.scores, decision.value)} == {float}
        if not masks and not decision.is_probability:
            assert int(np.argmax(decision.scores)) == action
            assert decision.value == max(decision.scores)
    assert moments[-1].decision is None


@pytest.mark.parametrize("name", ["plain", "memory"])
def test_the_watched_episode_is_the_one_that_evaluation_counts(name: str) -> None:
    config = EnvChoice(OBSTACLES, observation="features")
    policy = driver_of(config, name, masks=True)
    results = first_episodes(policy, config, num_envs=3, seed=30, split="test")
    for i in range(3):
        replay, _ = watch(policy, config, seed=30 + i)
        assert replay.outcome["return"] == results["episode_return"][i]
        assert replay.outcome["length"] == results["episode_length"][i]
    other, _ = watch(policy, config, seed=30, split="train")
    assert other.digest != watch(policy, config, seed=30)[0].digest


def test_a_driver_with_masks_is_told_what_is_open_to_it() -> None:
    config = EnvChoice(INTERSECTION)
    policy = driver_of(config, "plain", masks=True)
    env = gym.make(INTERSECTION).unwrapped
    num_barred = 0
    for seed in range(3):
        for moment in watch(policy, config, seed=seed)[1][:-1]:
            env.set_state(moment.state.to_array(env.get_state().dtype))
            scores = np.array(moment.decision.scores)
            assert ((scores > 0) == env.action_masks()).all()
            num_barred += int((scores == 0).sum())
    assert num_barred > 0


def test_drivers_that_learnt_nothing_are_watched_without_decisions() -> None:
    config = EnvChoice(HIGHWAY)
    for policy in (make_scripted(HIGHWAY), make_random(NUM_ACTIONS, seed=3)):
        replay, moments = watch(policy, config, seed=2, xray=True)
        replay.check()
        assert len(moments) == len(replay.actions) + 1
        assert all(moment.decision is None for moment in moments)


@pytest.mark.parametrize("name", ["mean", "memory"])
def test_a_driver_thinks_along_with_whoever_drove_in_its_own_observation(name: str) -> None:
    options = {"difficulty": "hard", "num_vehicles": 20, "split": "train", "reward": "shaped"}
    actions = [3, 1, 0, 3, 3, 2, 4, 1]
    replay = Replay.of(HIGHWAY, {**options, "observation": "full_grid"}, seed=7, actions=actions)
    config = EnvChoice(HIGHWAY, observation="features", difficulty="easy")
    policy = driver_of(config, name)
    moments = think_along(policy, config, replay)
    env = gym.make(HIGHWAY, observation="features", **options)
    obs, _ = env.reset(seed=7)
    policy.begin()
    for n, action in enumerate(actions):
        expected = policy.decide(obs[None])
        assert moments[n].decision.scores == tuple(expected.scores[0].tolist())
        assert moments[n].decision.value == expected.values[0]
        obs, reward, *_ = env.step(action)
        assert (moments[n + 1].action, moments[n + 1].reward) == (action, reward)
    assert moments[-1].decision is None
    assert len(moments) == len(actions) + 1
    with pytest.raises(ValueError, match="env of the driver must be that of the replay, 'drivesim/Highway-v1', got 'd"):
        think_along(policy, EnvChoice(OBSTACLES), replay)


def highway_with_a_car_ahead(observation: str, gap: int) -> tuple[gym.Env, tuple[int, int]]:
    """The ego in the second lane, one car `gap` free cells before it, two in the lanes beside; and that car's cell."""
    env = gym.make(HIGHWAY, observation=observation)
    env.reset(seed=0)
    state = env.unwrapped.get_state()
    vehicles = state["world"]["vehicles"][0]
    vehicles["status"][4:] = 0
    for k, (row, col) in enumerate(((2, 50), (2, 51 + gap), (1, 52), (3, 49))):
        vehicles["cell"][k] = (row + 1) * 102 + col + 1  # of a ring of 100 cells and its border
    env.unwrapped.set_state(state)
    return env, (2, 51 + gap)


def brakes_for_what_is_directly_ahead(observation: str, gap: int) -> NetworkPolicy:
    """Reads one number, what is `gap` + 1 cells ahead, and brakes if that is a vehicle."""

    def function(obs: Tensor) -> Tensor:
        if observation == "grid":
            is_there = obs[:, 1, 12 - gap - 1, 2] > 0  # the plane `vehicle`
        elif observation == "features":
            is_there = obs[:, features.FEATURES.index("own/ahead")] < 1  # the nearest vehicle
        else:
            is_there = (obs[:, 2, 51 + gap] >= 15) & (obs[:, 2, 51 + gap] < 43)
        scores = torch.zeros((len(obs), NUM_ACTIONS))
        scores[:, 3] = 0.5
        scores[:, 4] = is_there.float()
        return scores

    return NetworkPolicy(Hand(function))


@pytest.mark.parametrize("gap", [0, 4])
@pytest.mark.parametrize("observation", ["grid", "features", "full_grid"])
def test_a_driver_that_looks_at_the_car_ahead_looks_at_exactly_that_cell(observation: str, gap: int) -> None:
    env, cell = highway_with_a_car_ahead(observation, gap)
    before = env.unwrapped.get_state()
    action, decision = decide(brakes_for_what_is_directly_ahead(observation, gap), env, xray=True)
    assert action == 4
    assert decision.saliency == ((*cell, 1.0),)
    assert decision.value == 1.0
    assert (env.unwrapped.get_state() == before).all()


def test_a_driver_that_looks_at_an_obstacle_looks_at_exactly_that_cell() -> None:
    env = gym.make(OBSTACLES, difficulty="hard")
    obs, _ = env.reset(seed=1)
    plane = env.unwrapped.config.scenario_class.window.planes.index("obstacle")
    while not obs[plane, :12, 5].any():  # drive until there is one straight ahead
        obs, *_ = env.step(3)
    ahead = int(np.flatnonzero(obs[plane, :12, 5])[-1])
    state = state_of(env)
    row, col = place_of(state.map, int(state.world["vehicles"]["cell"][0]))

    def function(obs: Tensor) -> Tensor:
        scores = torch.zeros((len(obs), NUM_ACTIONS))
        scores[:, 0] = obs[:, plane, ahead, 5] / 255 - 0.5
        scores[:, 2] = -1
        return scores

    policy = NetworkPolicy(Hand(function))
    action, decision = decide(policy, env, xray=True)
    assert action == 0
    assert decision.saliency == ((row - (12 - ahead), col, 1.0),)


def observed(changes: list[float]) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32]]:
    """An observation that is the scores of two actions, and one for each change of the better one."""
    obs = np.array([0.0, 2.0], np.float32)
    return obs, np.arange(2 * len(changes)).reshape(-1, 2), obs + np.outer(changes, [0.0, 1.0]).astype(np.float32)


def test_weights_are_shares_of_the_largest_change_and_the_small_ones_are_left_out() -> None:
    policy = NetworkPolicy(Hand(lambda obs: obs))
    found = saliency(policy, *observed([0.1, -0.2, 0.0, 0.009, 0.011, 0.2]))
    assert [(row, col) for row, col, _ in found] == [(2, 3), (10, 11), (0, 1), (8, 9)]
    assert [weight for *_, weight in found] == pytest.approx([1.0, 1.0, 0.5, 0.055], abs=1e-5)
    assert saliency(policy, *observed([0.0099, -0.005])) == ()
    assert len(saliency(policy, *observed([0.011]))) == 1
    assert saliency(policy, *observed([])) == ()
    many = saliency(policy, *observed([0.5 + 0.01 * n for n in range(45)]))
    assert [row // 2 for row, *_ in many] == list(range(44, 4, -1))


def test_a_barred_action_is_not_the_one_that_is_looked_at() -> None:
    policy = NetworkPolicy(Hand(lambda obs: obs), uses_action_masks=True)
    obs, cells, occluded = observed([0.5, 0.5])
    occluded[1, 0] -= 0.25
    found = saliency(policy, obs, cells, occluded, np.array([[True, False]]))
    assert found == ((2, 3, 1.0),)


@pytest.mark.parametrize(
    ("env_id", "name", "masks"),
    [(INTERSECTION, "memory", True), (OBSTACLES, "mean", False), (AUTODRIVE, "plain", True)],
)
def test_an_x_ray_adds_cells_of_the_map_and_changes_no_decision(env_id: str, name: str, masks: bool) -> None:
    config = EnvChoice(env_id, difficulty="hard")
    policy = driver_of(config, name, masks=masks)
    replay, plain = watch(policy, config, seed=1)
    assert watch(policy, config, seed=1, xray=True)[0] == replay
    num_cells = 0
    for one, other in zip(plain, think_along(policy, config, replay, xray=True), strict=True):
        assert (one.decision is None) == (other.decision is None)
        if one.decision is None or other.decision is None:
            continue
        assert one.decision.scores == other.decision.scores
        assert one.decision.value == other.decision.value
        weights = [weight for *_, weight in other.decision.saliency]
        assert weights == sorted(weights, reverse=True)
        assert len(weights) <= 40
        assert all(0.05 <= weight <= 1 for weight in weights)
        num_cells += len(weights)
        for row, col, _ in other.decision.saliency:
            assert 0 <= row < int(other.state.map["rows"])
            assert 0 <= col < int(other.state.map["cols"])
    assert num_cells > 0
