"""Configuration of a run: the run itself, and the table of algorithms."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import gymnasium as gym

from agents.bc import BCConfig
from agents.dagger import DAggerConfig
from agents.dqn import DQNConfig
from agents.environments import EnvChoice
from agents.ppo import A2CConfig, PPOConfig
from agents.pqn import PQNConfig
from agents.reinforce import REINFORCEConfig
from agents.run_folder import config_from_dict, read_config, run_at
from agents.validation import check_at_least, check_choice, require
from drivesim.levels.library import are_texts

__all__ = ["AGENT_CONFIGS", "RESUMABLE", "AgentConfig", "AgentName", "TrainConfig", "read_configs", "require_resumable"]

AgentName: TypeAlias = Literal["dqn", "pqn", "reinforce", "a2c", "ppo", "bc", "dagger"]
AgentConfig: TypeAlias = DQNConfig | PQNConfig | REINFORCEConfig | PPOConfig | BCConfig
"""The configurations of all algorithms."""


class NotImportedError(ValueError):
    """A run was trained on an environment of a module that has not been imported."""


MAX_EPISODES = 1_000_000
"""Of one evaluation, whose results are held together."""


@dataclass(frozen=True)
class TrainConfig(EnvChoice):
    """A training run."""

    agent: AgentName = "ppo"
    """Algorithm."""
    seed: int = 0
    """Seed of the run: levels, weights, exploration and sampling."""
    begin_with: str = ""
    """Folder of a run whose best driver this one begins with: its weights, of the same observation and network."""
    total_steps: int = 2_000_000
    """Environment steps over all envs; the schedules end here."""
    max_seconds: float | None = None
    """Stop after this much wall-clock time, in seconds, and the update at hand, so that a resumed run goes on as one
    that was never stopped. Where that takes over ten seconds, the rest of the update is left out. None never does."""
    stop_at_success: float | None = None
    """Stop when a periodic evaluation reaches this share of held-out episodes; None never does."""
    stop_at_return: float | None = None
    """The mean return by the default reward that an evaluation must reach, too, to stop the run, for a driver that does
    not dawdle; None asks for none."""
    env_shares: dict[str, int] = field(default_factory=dict)
    """Of several environments, the share of some in the training envs, in pairs: drivesim/City-v1 3; that of all others
    is 1."""
    autoreset_mode: Literal["SameStep", "NextStep", "Disabled"] = "SameStep"
    """How training envs begin anew; all three learn from the same transitions, this one wastes no row."""
    log_interval: int = 50_000
    """Environment steps between rows of metrics.csv."""
    eval_interval: int = 250_000
    """Environment steps between evaluations on held-out levels."""
    eval_episodes: int = 512
    """Held-out episodes per evaluation."""
    checkpoint_seconds: float = 60.0
    """Wall-clock seconds between checkpoints; one more is written at the end."""
    keep_checkpoints: int = 2
    """Newest checkpoints to keep; with 1, a run whose only one is damaged starts over."""
    num_threads: int = 0
    """Threads of torch; 0 measures which number is fastest."""
    tensorboard: bool = True
    """Write TensorBoard events beside metrics.csv."""
    wandb: bool = False
    """Write to Weights & Biases as well; needs the package wandb, whose WANDB_MODE=offline is heeded."""
    wandb_project: str = "drivesim"
    """Project of Weights & Biases; the run is named after its folder."""
    progress: bool = True
    """Show a progress bar."""

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        check_at_least(self, 1, "total_steps", "log_interval", "eval_interval", "eval_episodes", "keep_checkpoints")
        check_at_least(self, 0, "seed", "num_threads", "checkpoint_seconds")
        require("eval_episodes", self.eval_episodes, self.eval_episodes <= MAX_EPISODES, f"at most {MAX_EPISODES:,}")
        check_choice(self, "agent", "autoreset_mode")
        ids = (self.among or self.env).split(",")
        are_shares = all(env_id in ids and share >= 1 for env_id, share in self.env_shares.items())
        require("env_shares", self.env_shares, are_shares, f"at least 1, of some of {ids}")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise ValueError(f"max_seconds must be positive, got {self.max_seconds!r}")
        if self.stop_at_success is not None and not 0 < self.stop_at_success <= 1:
            raise ValueError(f"stop_at_success must be in (0, 1], got {self.stop_at_success!r}")

    def is_reached(self, success: float, mean_return: float) -> bool:
        """Returns whether an evaluation ends the run."""
        return (
            self.stop_at_success is not None
            and success >= self.stop_at_success
            and (self.stop_at_return is None or mean_return >= self.stop_at_return)
        )

    def rank(self, success: float, mean_return: float) -> tuple[float, float]:
        """Returns what is greater for a better driver: success as far as it is asked for, and then the return."""
        return min(success, self.stop_at_success or 1.0), mean_return


RESUMABLE = {
    "checkpoint_seconds",
    "keep_checkpoints",
    "max_seconds",
    "progress",
    "stop_at_return",
    "stop_at_success",
    "tensorboard",
    "total_steps",
    "wandb",
    "wandb_project",
}
"""Fields of :class:`TrainConfig` that may change when a run is resumed."""


AGENT_CONFIGS: dict[AgentName, type[AgentConfig]] = {
    "dqn": DQNConfig,
    "pqn": PQNConfig,
    "reinforce": REINFORCEConfig,
    "a2c": A2CConfig,
    "ppo": PPOConfig,
    "bc": BCConfig,
    "dagger": DAggerConfig,
}


def require_resumable(saved: object, wanted: object, changeable: Collection[str] = RESUMABLE, where: str = "") -> None:
    """Checks that a run can go on with other settings.

    Args:
        saved: the run's settings, a dataclass.
        wanted: those with which it shall go on, of the same kind.
        changeable: names of fields that may differ.
        where: in front of the names.

    Raises:
        ValueError: a field must stay as it was; names it.
    """
    if type(saved) is not type(wanted):
        raise ValueError(f"algorithm of a run to be resumed must stay {type(saved).__name__}")
    for entry in fields(saved):  # type: ignore[arg-type]
        was, now = getattr(saved, entry.name), getattr(wanted, entry.name)
        if is_dataclass(was):
            require_resumable(was, now, changeable, f"{where}{entry.name}.")
        elif was != now and entry.name not in changeable:
            raise ValueError(f"{where}{entry.name} of a run to be resumed must stay {was!r}, got {now!r}")


def read_configs(folder: Path) -> tuple[TrainConfig, AgentConfig]:
    """Returns how a run was configured.

    Raises:
        FileNotFoundError: ``folder`` is not a run folder.
        ValueError: its configuration is none, or of another version.
    """
    folder = run_at(folder)
    record = read_config(folder)
    levels = record["train"].get("levels", [])
    try:
        if not isinstance(levels, list) or (levels and not are_texts(levels)):  # a name would be read as a file's
            raise ValueError(f"levels must be texts, got {str(levels)[:80]!r}")
        env = record["train"].get("env")
        named = env.split(",") if isinstance(env, str) else []
        _require_imported(folder, [each for each in named if ":" in each])
        if named:
            record["train"]["env"] = ",".join(each.rpartition(":")[2] for each in named)
        config = config_from_dict(TrainConfig, record["train"])
        return config, config_from_dict(AGENT_CONFIGS[config.agent], record["agent"])
    except NotImportedError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{folder / 'config.json'} is not the configuration of a run: {error}") from error


def _require_imported(folder: Path, named: list[str]) -> None:
    """Checks that what a file names as MODULE:ID is registered: a file may be somebody else's, and imports nothing."""
    for each in named:
        module, _, env_id = each.rpartition(":")
        if env_id not in gym.registry:
            raise NotImportedError(
                f"{folder} was trained on {env_id}, which the module {module} registers; a run imports no module by "
                f"itself: if you trust this one, say --env {','.join(named)}, or import it first in Python"
            )
