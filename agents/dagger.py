"""DAgger, dataset aggregation: config, and who drives; the loss and the update are those of behaviour cloning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.bc import BC, BCConfig
from agents.policy import as_tensor
from agents.validation import check_unit_interval

__all__ = ["DAgger", "DAggerConfig"]


@dataclass(frozen=True)
class DAggerConfig(BCConfig):
    """DAgger (Ross, Gordon and Bagnell 2011, *A Reduction of Imitation Learning to No-Regret Online Learning*)."""

    expert_share: float = 0.5
    """The expert drives in this share of the steps after the first updates, in its square after the second, and so on;
    before them in all (paper: any share; 0 did best)."""

    def __post_init__(self) -> None:
        """Checks every field."""
        super().__post_init__()
        check_unit_interval(self, "expert_share")


class DAgger(BC):
    """A policy that learns what an expert would do in the states that the policy itself gets into.

    Behaviour cloning knows the states of perfect drives and is lost after the first mistake. Here the learner drives,
    more and more, and the expert only says what would have been right; everything that it ever said is learnt from:
        in rollout i, every step of every env: with probability expert_share^i the expert's action, else argmax pi(a|s)
    The update is :class:`agents.bc.BC`'s.

    Differences from the paper: 1. rollouts are short segments of many envs, not whole drives. 2. the updates go on from
    the weights of the last ones, instead of training a new policy each time. 3. those of behaviour cloning here.
    Logged: as of behaviour cloning, and schedule/expert_share.
    """

    config: DAggerConfig

    def act(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Takes the likeliest actions (N,), in some envs the expert's."""
        costs = self.ask()
        with torch.inference_mode():
            own: NDArray[np.int64] = self.network(as_tensor(obs))[0].argmax(dim=1).numpy()
        is_shown = self.rng.random(len(own)) < self.expert_share()
        actions = np.where(is_shown, costs.argmin(axis=1), own)
        self.keep(obs, actions, costs)
        return actions

    def expert_share(self) -> float:
        """In which share of the steps the expert drives now."""
        return self.config.expert_share ** math.ceil(self.num_updates / self.config.updates)

    def metrics(self) -> dict[str, float]:
        """Returns the last updates' means."""
        return {"schedule/expert_share": self.expert_share(), **super().metrics()}
