"""The one table of tuned settings: environment id and algorithm to how a run and an agent are configured.

``scripts/train.py --env ID --agent NAME`` starts from that entry, and every flag overrides one field.
An id without an entry gets the defaults of the dataclasses.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from agents.dqn import DQNConfig
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.pqn import PQNConfig
from agents.run_config import AGENT_CONFIGS, AgentConfig, AgentName, TrainConfig

__all__ = ["PRESETS", "Preset", "preset_for"]


@dataclass(frozen=True)
class Preset:
    """Settings of a run and of its algorithm, for one environment."""

    train: TrainConfig = field(default_factory=TrainConfig)
    """The run."""
    agent: AgentConfig = field(default_factory=DQNConfig)
    """The algorithm."""


HALF = {"collision": -0.5, "off_road": -0.5}
"""Under the full penalties a driver that explores by chance first learns to park, since most of its
drives end in a crash; half of them shorten that phase where it is long."""

_DQN = DQNConfig(
    num_envs=1024,
    gamma=0.99,
    tau=0.01,
    batch_size=2048,
    train_frequency=1024,
    epsilon_end=0.01,
    exploration_fraction=0.07,
)
_FRESH_DQN = replace(  # long windows tell how a drive went on, as long as they are of a driver much like today's
    _DQN, n_step=20, double=False, prioritised=True, batch_size=1024, buffer_size=65_000, average_weights=0.99
)
_PLANES_DQN = replace(
    _DQN, n_step=5, prioritised=True, returns="quantile", num_quantiles=8, average_weights=0.995,
    network=NetworkConfig(first_layer="bfloat16"),
)  # fmt: skip
_QUANTILE_DQN = replace(  # how a gap in traffic turns out is a matter of chance, which a mean alone hides
    _FRESH_DQN, num_envs=512, train_frequency=512, batch_size=2048, n_step=10, gamma=0.995, returns="quantile",
    num_quantiles=8, average_weights=0.998,
)  # fmt: skip
_PQN = PQNConfig(num_steps=32, epochs=2, lam=0.9, epsilon_end=0.01)
_SMALL_PQN = replace(_PQN, epochs=1, minibatches=16, learning_rate=2e-3, network=NetworkConfig(hidden_sizes=(64, 64)))
_PPO = PPOConfig(num_steps=32, epochs=3, average_weights=0.97, network=NetworkConfig())
_SHORT_PPO = replace(_PPO, num_envs=512)  # twice the updates: what has to be learnt step by step is learnt sooner
_PATIENT_PPO = replace(_SHORT_PPO, gamma=0.998)  # with 0.99 five ticks of waiting cost more than one crash in fifty
_PLANES_PPO = replace(_PPO, network=NetworkConfig(hidden_sizes=(64, 64), first_layer="bfloat16"))


OPTIMA = {
    "Autodrive": 1.955,
    "LaneKeep": 1.881,
    "Obstacles": 1.813,
    "Highway": 1.741,
    "Intersection": 1.918,
    "Merge": 1.847,
    "Exit": 1.83,
    "Overtake": 1.827,
    "FourWayStop": 1.94,
    "Roundabout": 1.897,
    "Crosswalk": 1.88,
    "Parking": 1.94,
    "City": 1.939,
}
"""What the best drives earn on average, by docs/optimum.json."""


def _brisk(name: str, share: float = 0.95) -> dict[str, float]:
    """The option of a run that does not end before its driver earns a share of what the best drives do."""
    return {"stop_at_return": round(share * OPTIMA[name], 3)}


def _run(total_steps: int, **options: Any) -> TrainConfig:
    """A run that ends early when 99.6 % of 1,000 held-out levels are driven."""
    defaults: dict[str, Any] = {
        "observation": "features",
        "reward_weights": HALF,
        "eval_episodes": 1000,
        "stop_at_success": 0.996,
    }
    return TrainConfig(total_steps=total_steps, **(defaults | options))


IMITATION: tuple[AgentName, ...] = ("bc", "dagger")
"""Algorithms that are shown how it is done: they need few steps, of which each takes an expert's while."""

PRESETS: dict[str, dict[AgentName, Preset]] = {
    "drivesim/Autodrive-v1": {
        "dqn": Preset(_run(4_000_000, observation="grid"), _PLANES_DQN),
        "pqn": Preset(_run(4_000_000, observation="grid"), _PQN),
        "ppo": Preset(
            _run(6_000_000, observation="grid", stop_at_success=0.998, **_brisk("Autodrive", 0.97)), _PLANES_PPO
        ),
    },
    "drivesim/LaneKeep-v1": {
        "dqn": Preset(_run(2_000_000), _DQN),
        "pqn": Preset(_run(3_000_000), _PQN),
        "ppo": Preset(_run(3_000_000, **_brisk("LaneKeep", 0.97)), _PPO),
    },
    "drivesim/Obstacles-v1": {
        "dqn": Preset(_run(2_500_000, **_brisk("Obstacles", 0.93)), _FRESH_DQN),
        "pqn": Preset(_run(8_000_000), _SMALL_PQN),
        "ppo": Preset(
            _run(2_500_000, reward_weights={**HALF, "time": -0.8}, stop_at_success=0.995, **_brisk("Obstacles", 0.96)),
            replace(_SHORT_PPO, gamma=0.995, entropy_coefficient_end=0.003),  # dead ends are seen well ahead
        ),
    },
    "drivesim/Highway-v1": {
        "dqn": Preset(_run(5_000_000, reward_weights={**HALF, "time": -0.7}), _QUANTILE_DQN),
        "pqn": Preset(_run(6_000_000), _PQN),
        "ppo": Preset(
            _run(6_000_000, reward_weights={**HALF, "time": -0.7}, stop_at_success=0.995, **_brisk("Highway", 0.97)),
            _PATIENT_PPO,
        ),
    },
    "drivesim/Exit-v1": {
        "dqn": Preset(_run(5_000_000), _DQN),
        "pqn": Preset(_run(5_000_000), _PQN),
        "ppo": Preset(_run(5_000_000, reward_weights={**HALF, "time": -0.6}, **_brisk("Exit", 0.97)), _PPO),
    },
    "drivesim/Custom-v1": {
        "ppo": Preset(_run(2_000_000), _PPO),
    },
    **{
        f"drivesim/{name}-v1": {
            "dqn": Preset(_run(steps), _DQN),
            "pqn": Preset(_run(steps), _PQN),
            "ppo": Preset(_run(ppo_steps, **_brisk(name, share)), ppo),
        }
        for name, steps, ppo_steps, share, ppo in (
            ("Intersection", 4_000_000, 3_000_000, 0.95, _PATIENT_PPO),
            ("Merge", 5_000_000, 5_000_000, 0.97, _PPO),
            ("Overtake", 5_000_000, 6_000_000, 0.97, _PATIENT_PPO),
            ("FourWayStop", 4_000_000, 4_000_000, 0.95, _PPO),
            ("Roundabout", 5_000_000, 3_000_000, 0.95, _PATIENT_PPO),
            ("Crosswalk", 4_000_000, 4_000_000, 0.95, _PPO),
            ("Parking", 6_000_000, 4_000_000, 0.95, _SHORT_PPO),
            ("City", 8_000_000, 8_000_000, 0.95, _PPO),
        )
    },
}


MIXED: dict[AgentName, AgentConfig] = {"dqn": _DQN, "pqn": _PQN, "ppo": replace(_PPO, num_envs=1024)}
"""How one driver learns several environments at once."""


def preset_for(env_id: str, agent: AgentName = TrainConfig.agent) -> Preset:
    """Returns the settings for an environment id and an algorithm, with both filled in.

    An algorithm that was not tuned for the id drives there as PPO does, with its own defaults. For several ids,
    separated by commas, there are steps for each of them.
    """
    num_ids = len(env_id.split(","))
    if num_ids > 1:
        run = _run(4_000_000 * num_ids, env=env_id, agent=agent, eval_episodes=200 * num_ids)
        return Preset(run, MIXED.get(agent) or AGENT_CONFIGS[agent]())
    tuned = PRESETS.get(env_id, {})
    preset = tuned.get(agent) or Preset(tuned.get("ppo", Preset()).train, AGENT_CONFIGS[agent]())
    if agent in IMITATION:
        few = replace(preset.train, total_steps=100_000, log_interval=4096, eval_interval=8192, reward_weights={})
        preset = replace(preset, train=few)
    return replace(preset, train=replace(preset.train, env=env_id, agent=agent))
