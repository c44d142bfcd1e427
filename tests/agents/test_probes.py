"""Every agent, driven by the real loop in every autoreset mode, reaches the known values of the probe environments.

What the usual mistakes at the ends of episodes would give instead, with gamma = 0.8 and one-step targets:

======================================================= ======== ============ ============== ======= =================
mistake                                                 Constant Cue          TwoStep        Action  Truncation
======================================================= ======== ============ ============== ======= =================
none: the values to reach                               1        -1 and 1     0.8 and 1      1       4 and 5
a truncation drops the bootstrap                        1        -1 and 1     0.8 and 1      1       1.5 and 2.5
an end bootstraps from the next episode's observation   1        -1 and 1     0.8 and 1      1       3 and 4
a termination bootstraps                                5        -5 and 5     4 and 5        5       4 and 5
NEXT_STEP's row without a transition is learnt from     0.83     -0.5 and 0.5 0.59 and 0.74  0.83    2.5 and 3.125
======================================================= ======== ============ ============== ======= =================

Truncation's, for example: with p = 1/4 and X the mean value of what follows a step, V(later) = 1 + gamma X and
V(first) = gamma X. Rightly X = V(later); cut, X = (1 - p) V(later); from the next episode, X = (1 - p) V(later) +
p V(first). A memory tells NEXT_STEP's idle row from the real ones, so that the mistake shows in fewer probes there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from effort import effort
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from probes import ACTION_VALUES

from agents.dqn import DQNConfig
from agents.networks import NetworkConfig, QNetwork
from agents.policy import NetworkPolicy
from agents.ppo import A2CConfig, PPOConfig
from agents.pqn import PQNConfig
from agents.reinforce import REINFORCEConfig
from agents.run_config import AgentConfig, AgentName
from agents.training import TrainConfig, load_policy, train

GAMMA = 0.8
NUM_ENVS = 16
NETWORK = NetworkConfig(hidden_sizes=(16,), layer_norm=False, activation="tanh")
# RMSProp throughout: its first steps are long, since its average of squared gradients begins at 0.
DQN = DQNConfig(
    num_envs=NUM_ENVS,
    gamma=GAMMA,
    n_step=1,
    optimizer="rmsprop",
    learning_rate=0.02,
    batch_size=128,
    train_frequency=2 * NUM_ENVS,
    buffer_size=2048,
    learning_starts=256,
    tau=0.2,
    epsilon_end=0.5,
    max_grad_norm=100.0,
    network=NETWORK,
)
PQN = PQNConfig(
    num_envs=NUM_ENVS,
    num_steps=4,
    gamma=GAMMA,
    epochs=2,
    minibatches=1,
    optimizer="rmsprop",
    learning_rate=0.02,
    epsilon_end=0.5,
    network=NETWORK,
)
REINFORCE = REINFORCEConfig(
    num_envs=NUM_ENVS,
    num_steps=8,
    gamma=GAMMA,
    value_coefficient=2.0,
    entropy_coefficient=0.0,
    optimizer="rmsprop",
    learning_rate=0.05,
    max_grad_norm=10.0,
    network=NETWORK,
)
A2C = A2CConfig(
    num_envs=NUM_ENVS,
    num_steps=8,
    gamma=GAMMA,
    value_coefficient=2.0,
    entropy_coefficient=0.0,
    learning_rate=0.05,
    max_grad_norm=10.0,
    network=NETWORK,
)
PPO = PPOConfig(
    num_envs=NUM_ENVS,
    num_steps=8,
    gamma=GAMMA,
    epochs=3,
    minibatches=1,
    value_coefficient=2.0,
    entropy_coefficient=0.0,
    optimizer="rmsprop",
    learning_rate=0.03,
    max_grad_norm=10.0,
    network=NETWORK,
)

AGENTS: dict[str, tuple[AgentName, AgentConfig, int]] = {
    # what it is called here: the algorithm, its settings, and steps of all envs
    "dqn": ("dqn", DQN, 320),
    "dqn, 3 steps": ("dqn", replace(DQN, n_step=3), 320),
    "pqn": ("pqn", PQN, 320),
    "reinforce": ("reinforce", REINFORCE, 320),
    "reinforce without baseline": ("reinforce", replace(REINFORCE, baseline=False), 320),
    "a2c": ("a2c", A2C, 320),
    "ppo": ("ppo", PPO, 256),
    "ppo with memory": ("ppo", replace(PPO, memory_size=8), 384),
    "ppo with vtrace": ("ppo", replace(PPO, vtrace=True), 256),
}
MODES = [mode.value for mode in AutoresetMode]

# The observations of an episode up to the last one, where there are earlier ones: a memory has seen them all.
HISTORIES = {("probes/TwoStep-v0", 1.0): [0.0, 1.0], ("probes/Truncation-v0", 1.0): [-1.0, 1.0, 1.0]}


def trained(env_id: str, agent: str, mode: str, folder: Path) -> NetworkPolicy:
    name, config, num_vector_steps = AGENTS[agent]
    run = TrainConfig(
        env=env_id,
        agent=name,
        total_steps=NUM_ENVS * num_vector_steps,
        autoreset_mode=mode,  # type: ignore[arg-type]
        log_interval=10**9,
        eval_interval=10**9,
        eval_episodes=1,
        num_threads=1,
        tensorboard=False,
        progress=False,
    )
    train(run, config, folder)
    return load_policy(folder, "last")[0]


def learnt_values(policy: NetworkPolicy, env_id: str, cue: float) -> NDArray[np.float32]:
    """Q-values of both actions, or the value; by the network as it is, at the end of an episode's history."""
    network, memory = policy.network, None
    with torch.no_grad():
        for obs in torch.tensor(HISTORIES.get((env_id, cue), [cue]))[:, None, None]:  # (1, 1) each
            if isinstance(network, QNetwork):
                values = network(obs)[0]
            else:
                _, values, memory = network(obs, memory)  # type: ignore[operator]
    return values.numpy()


def cases() -> list[tuple[str, str, str]]:
    """Every agent on every probe: where a truncation tells the modes apart in all of them, elsewhere in one in turn."""
    return [
        (agent, env_id, mode)
        for n, agent in enumerate(AGENTS)
        for k, env_id in enumerate(ACTION_VALUES)
        for mode in effort(MODES if env_id == "probes/Truncation-v0" else [MODES[(n + k) % len(MODES)]], MODES)
    ]


@pytest.mark.parametrize(("agent", "env_id", "mode"), cases())
def test_every_agent_learns_the_closed_form_values(agent: str, env_id: str, mode: str, tmp_path: Path) -> None:
    """Constant reward, dependence on the observation, discount, choice of action, bootstrap at truncation."""
    policy = trained(env_id, agent, mode, tmp_path)
    for cue, action_values in ACTION_VALUES[env_id].items():
        values = learnt_values(policy, env_id, cue)
        expected = action_values(GAMMA)
        if len(values) == 1:  # of the policy, which is greedy where the actions differ and where they do not may be any
            expected = (max(expected),)
        np.testing.assert_allclose(values, expected, atol=0.05)
    if env_id == "probes/Action-v0":
        assert policy(np.zeros((3, 1), np.float32)).tolist() == [1, 1, 1]


def test_the_saved_driver_acts_on_what_was_learnt(tmp_path: Path) -> None:
    trained("probes/Action-v0", "dqn", "SameStep", tmp_path)
    policy, config = load_policy(tmp_path)
    assert config.env == "probes/Action-v0"
    assert policy(np.zeros((3, 1), np.float32)).tolist() == [1, 1, 1]
