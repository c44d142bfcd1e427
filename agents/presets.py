"""The one table of tuned settings: environment id and algorithm to how a run and an agent are configured.

``scripts/train.py --env ID --agent NAME`` starts from that entry, and every flag overrides one field.
An id without an entry gets the defaults of the dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agents.dqn import DQNConfig
from agents.networks import NetworkConfig
from agents.run_config import AGENT_CONFIGS, AgentConfig, AgentName, TrainConfig

__all__ = ["PRESETS", "Preset", "preset_for"]


@dataclass(frozen=True)
class Preset:
    """Settings of a run and of its algorithm, for one environment."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """The run."""
    agent: AgentConfig = field(default_factory=DQNConfig)
    """The algorithm."""


MILD = {"collision": -0.1, "off_road": -0.1}
"""Under the full penalties a driver that explores first learns to park, since most of its drives end
in a crash; a crash still costs all of the route that is left and the arrival."""
HALF = {"collision": -0.5, "off_road": -0.5}
"""Where traffic makes the last crashes the hard ones."""

_SMALL = DQNConfig(gamma=0.97, tau=0.02, epsilon_end=0.01, exploration_fraction=0.1)
_WIDE = DQNConfig(
    gamma=0.97,
    tau=0.01,
    epsilon_end=0.01,
    exploration_fraction=0.07,
    network=NetworkConfig(hidden_sizes=(256, 256)),
)


def _on(observation: str, reward_weights: dict[str, float], total_steps: int) -> TrainConfig:
    return TrainConfig(
        observation=observation,
        reward_weights=reward_weights,
        total_steps=total_steps,
        eval_interval=200_000,
    )


PRESETS: dict[str, dict[AgentName, Preset]] = {
    "drivesim/Autodrive-v0": {"dqn": Preset(_on("grid", HALF, 1_500_000), _SMALL)},
    "drivesim/LaneKeep-v0": {"dqn": Preset(_on("features", MILD, 1_500_000), _SMALL)},
    "drivesim/Obstacles-v0": {"dqn": Preset(_on("features", MILD, 3_000_000), _WIDE)},
    "drivesim/Highway-v0": {"dqn": Preset(_on("features", HALF, 2_000_000), _WIDE)},
    "drivesim/Intersection-v0": {"dqn": Preset(_on("features", HALF, 2_000_000), replace(_WIDE, gamma=0.99))},
}


def preset_for(env_id: str, agent: AgentName = "dqn") -> Preset:
    """Returns the settings for an environment id and an algorithm, with both filled in."""
    preset = PRESETS.get(env_id, {}).get(agent) or Preset(agent=AGENT_CONFIGS[agent]())
    return replace(preset, train=replace(preset.train, env=env_id, agent=agent))
