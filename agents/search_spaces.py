"""Search spaces: hyper-parameters of each algorithm that are worth searching, and their ranges.

A name is a field of the algorithm's configuration; a dot leads into a field that is itself a configuration. The ranges
hold every value of ``agents/presets.py``, so that a search can begin from what is known.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, TypeVar

from agents.run_config import AgentName

__all__ = ["SEARCH_SPACES", "Choices", "Range", "decoded", "field_of", "flags", "with_fields"]

_Config = TypeVar("_Config")


@dataclass(frozen=True)
class Range:
    """An interval with both its ends; whole numbers if the ends are."""

    low: float
    """Least value."""
    high: float
    """Greatest value."""
    log: bool = False
    """Draw uniformly from the logarithms."""

    def __contains__(self, value: float) -> bool:
        """Whether a value is in the interval."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Choices:
    """One of several values, without an order."""

    values: tuple[Any, ...]
    """All of them."""

    def __contains__(self, value: Any) -> bool:
        """Whether a value is among them."""
        return value in self.values


_COMMON: dict[str, Range | Choices] = {
    "gamma": Range(0.9, 0.999),
    "learning_rate": Range(1e-4, 1e-2, log=True),
    "network.hidden_sizes": Choices(((64, 64), (128, 128), (256, 256), (512, 512), (256, 256, 256))),
}
_EXPLORATION: dict[str, Range | Choices] = {
    "epsilon_end": Range(1e-3, 0.1, log=True),
    "exploration_fraction": Range(0.02, 0.5, log=True),
    "epsilon_ladder": Range(0.0, 8.0),
}
_ON_POLICY: dict[str, Range | Choices] = {
    **_COMMON,
    "entropy_coefficient": Range(1e-4, 0.1, log=True),
    "value_coefficient": Range(0.1, 2.0, log=True),
    "max_grad_norm": Range(0.1, 10.0, log=True),
}

_IMITATION: dict[str, Range | Choices] = {
    **_COMMON,
    "num_envs": Choices((16, 32, 64, 128)),
    "num_steps": Choices((8, 16, 32, 64)),
    "batch_size": Choices((64, 128, 256, 512)),
    "updates": Choices((32, 64, 128, 256, 512)),
    "value_coefficient": Range(0.01, 1.0, log=True),
    "max_grad_norm": Range(0.1, 10.0, log=True),
}

SEARCH_SPACES: dict[AgentName, dict[str, Range | Choices]] = {
    "dqn": {
        **_COMMON,
        **_EXPLORATION,
        "n_step": Range(1, 20),
        "tau": Range(1e-3, 1.0, log=True),
        "batch_size": Choices((256, 512, 1024, 2048)),
        "train_frequency": Choices((128, 256, 512, 1024)),
    },
    "pqn": {
        **_COMMON,
        **_EXPLORATION,
        "lam": Range(0.0, 1.0),
        "num_envs": Choices((256, 512, 1024, 2048)),
        "num_steps": Choices((4, 8, 16, 32, 64)),
        "epochs": Range(1, 4),
        "minibatches": Choices((1, 2, 4, 8, 16, 32)),
    },
    "reinforce": {
        **_ON_POLICY,
        "num_envs": Choices((256, 512, 1024, 2048)),
        "num_steps": Choices((8, 16, 32, 64)),
        "normalise_advantages": Choices((False, True)),
    },
    "a2c": {
        **_ON_POLICY,
        "lam": Range(0.8, 1.0),
        "num_envs": Choices((256, 512, 1024, 2048)),
        "num_steps": Choices((4, 5, 8, 16, 32)),
    },
    "ppo": {
        **_ON_POLICY,
        "lam": Range(0.8, 1.0),
        "clip": Range(0.05, 0.4),
        "num_envs": Choices((256, 512, 1024, 2048)),
        "num_steps": Choices((8, 16, 32, 64, 128)),
        "epochs": Range(1, 8),
        "minibatches": Choices((1, 2, 4, 8, 16, 32)),
    },
    "bc": _IMITATION,
    "dagger": {**_IMITATION, "expert_share": Range(0.0, 1.0)},
}
"""Algorithm to what may be searched."""


def field_of(config: object, name: str) -> Any:
    """Returns a field's value.

    Args:
        config: a dataclass.
        name: of the field, with dots.

    Raises:
        AttributeError: there is no such field.
    """
    value: Any = config
    for part in name.split("."):
        value = getattr(value, part)
    return value


def with_fields(config: _Config, values: dict[str, Any]) -> _Config:
    """Returns a copy of a dataclass with other values in some fields, all replaced before any is checked.

    Args:
        config: a dataclass.
        values: by the fields' names, with dots.
    """
    changes: dict[str, Any] = {}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        first, _, rest = name.partition(".")
        if rest:
            inner.setdefault(first, {})[rest] = value
        else:
            changes[name] = value
    for name, parts in inner.items():
        changes[name] = with_fields(getattr(config, name), parts)
    return dataclasses.replace(config, **changes)  # type: ignore[type-var]


def flags(values: dict[str, Any]) -> list[str]:
    """Values as the command line of scripts/train.py takes them."""
    words: list[str] = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            before, dot, last = flag.rpartition(".")
            words.append(f"--{flag}" if value else f"--{before}{dot}no-{last}")
        else:
            parts = value if isinstance(value, tuple) else (value,)
            words += [f"--{flag}", *(str(part) for part in parts)]
    return words


def decoded(value: Any) -> Any:
    """Turns what a study holds into what a configuration does."""
    value = json.loads(value) if isinstance(value, str) else value
    return tuple(value) if isinstance(value, list) else value
