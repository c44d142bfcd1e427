"""The one table of tuned settings: environment id to how a run and an agent are configured.

``scripts/train.py --env ID`` starts from the entry of that id, and every flag overrides one field.
An id without an entry gets the defaults of the dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from agents.dqn import DQNConfig
from agents.run_config import TrainConfig

__all__ = ["PRESETS", "Preset", "preset_for"]


@dataclass(frozen=True)
class Preset:
    """Settings of a run and of every algorithm, for one environment."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """The run."""
    dqn: DQNConfig = field(default_factory=DQNConfig)
    """Used with ``--agent dqn``."""


PRESETS: dict[str, Preset] = {
    "drivesim/Autodrive-v0": Preset(),
    "drivesim/LaneKeep-v0": Preset(),
    # Parking is a local optimum as long as exploration still crashes most drives: epsilon therefore
    # falls within the first tenth, and the large step size finds the way out of it soon.
    "drivesim/Obstacles-v0": Preset(
        train=TrainConfig(observation="features", total_steps=2_000_000, eval_interval=200_000),
        dqn=DQNConfig(
            gamma=0.97,
            learning_rate=2e-3,
            tau=0.02,
            epsilon_end=0.01,
            exploration_fraction=0.07,
        ),
    ),
    "drivesim/Highway-v0": Preset(),
    "drivesim/Intersection-v0": Preset(),
}


def preset_for(env_id: str) -> Preset:
    """Returns the settings for an environment id, with that id filled in."""
    preset = PRESETS.get(env_id, Preset())
    return replace(preset, train=replace(preset.train, env=env_id))
