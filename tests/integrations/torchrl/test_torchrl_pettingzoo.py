"""TorchRL's wrapper of PettingZoo around several cars in one world."""

import pytest

pytest.importorskip("torchrl")
pytest.importorskip("pettingzoo")

import torch
from torchrl.envs import PettingZooWrapper
from torchrl.envs.utils import check_env_specs

import drivesim

INTERSECTION = "drivesim/Intersection-v1"
pytestmark = pytest.mark.filterwarnings("ignore:PettingZoo in TorchRL is tested using version == 1.24.3")


def make(num_agents=3):
    cars = drivesim.parallel_env(INTERSECTION, num_agents, observation="features")
    return PettingZooWrapper(cars, use_mask=True, done_on_any=False, categorical_actions=True, seed=0)


def test_specs_are_what_the_environment_does():
    check_env_specs(make())


def test_a_rollout_over_many_episodes_is_that_of_the_environment():
    rollout = make().rollout(300, break_when_any_done=False)
    cars = rollout["car"]
    env = drivesim.parallel_env(INTERSECTION, 3, observation="features")
    num_ends = num_left = 0
    env.reset(seed=0)  # the wrapper has done so when it was made, to learn what infos hold
    observations, _ = env.reset()
    for n in range(300):
        assert cars["mask"][n].tolist() == [agent in env.agents for agent in env.possible_agents]
        for k, agent in enumerate(env.possible_agents):
            if agent in env.agents:
                assert torch.equal(cars["observation"][n, k], torch.from_numpy(observations[agent]))
        actions = {agent: int(cars["action"][n, k]) for k, agent in enumerate(env.possible_agents)}
        observations, rewards, *_ = env.step(actions)
        for k, agent in enumerate(env.possible_agents):
            assert rollout["next", "car", "reward"][n, k, 0].item() == pytest.approx(rewards.get(agent, 0.0), abs=1e-6)
        num_left += len(env.possible_agents) - len(env.agents)
        assert bool(rollout["next", "done"][n]) == (not env.agents)
        if not env.agents:
            num_ends += 1
            observations, _ = env.reset()
    assert num_ends > 3
    assert num_left > num_ends
