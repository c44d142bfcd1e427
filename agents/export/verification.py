"""Every form of a driver against its network: the same actions on observations of held-out levels."""

from __future__ import annotations

import contextlib
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.environments import EnvChoice, make_envs
from agents.policy import NetworkPolicy, as_tensor
from agents.stepping import Stepper

__all__ = ["Agreement", "Drives", "Form", "TorchForm", "compare", "median_microseconds", "record_drives"]

TIE = 1e-5
"""Two scores that differ by less, relative to the largest one, are equal up to the order of additions."""


class Form(Protocol):
    """A driver that also says its scores."""

    def begin(self, starts: NDArray[np.bool_] | None = None) -> None:
        """Empties the memory, of all envs or of those marked in (B,)."""

    def __call__(
        self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns scores (B, num_actions) and actions (B,)."""


class TorchForm:
    """The network itself."""

    def __init__(self, policy: NetworkPolicy) -> None:
        """Reads the policy's network, with a memory of its own."""
        self.network = policy.network
        self.memory: Tensor | None = None

    def begin(self, starts: NDArray[np.bool_] | None = None) -> None:
        """Empties the memory, of all envs or of those marked in (B,)."""
        if starts is None:
            self.memory = None
        elif self.memory is not None:
            self.memory = torch.where(torch.from_numpy(starts)[:, None], 0.0, self.memory)

    def __call__(
        self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Returns scores (B, num_actions) and actions (B,)."""
        with torch.inference_mode():
            scores, self.memory = self.network.scores(as_tensor(obs), self.memory)
            allowed = scores
            if action_masks is not None:
                allowed = scores.masked_fill(~torch.from_numpy(action_masks), -torch.inf)
            return scores.numpy(), allowed.argmax(dim=1).numpy()


@dataclass(frozen=True)
class Drives:
    """T steps of N envs under the network's eyes."""

    obs: NDArray[Any]
    """(T, N, *obs_shape)."""
    starts: NDArray[np.bool_]
    """(T, N): the observation begins an episode."""
    action_masks: NDArray[np.bool_] | None
    """(T, N, num_actions), where the policy was trained with them."""
    scores: NDArray[np.float32]
    """(T, N, num_actions) of the network."""
    actions: NDArray[np.int64]
    """(T, N), the network's best."""


@dataclass(frozen=True)
class Agreement:
    """A comparison of a form's answers with the network's."""

    agreement: float
    """Share of equal actions."""
    ties: int
    """Other actions whose scores the network cannot tell apart, see ``TIE``."""
    disagreements: int
    """Other actions besides these."""
    max_score_difference: float
    """Over all observations and actions."""


def record_drives(policy: NetworkPolicy, config: EnvChoice, observations: int, seed: int = 0) -> Drives:
    """Drives on held-out levels; the envs range from one that is always greedy to one that is always random.

    Args:
        policy: of which to record scores and best actions.
        config: environment and options.
        observations: least number of them; T and N are about its root.
        seed: of the levels and of the random actions.
    """
    num_envs = math.isqrt(observations - 1) + 1
    num_steps = math.ceil(observations / num_envs)
    randomness = np.linspace(0.0, 1.0, num_envs)
    rng = np.random.default_rng(seed)
    form = TorchForm(policy)
    rows: list[tuple[Any, ...]] = []
    with contextlib.closing(make_envs(config, num_envs, "test")) as envs:
        stepper = Stepper(envs)
        obs = stepper.begin(list(range(seed, seed + num_envs)))
        starts = np.ones(num_envs, np.bool_)
        for _ in range(num_steps):
            masks = stepper.action_masks().copy() if policy.uses_action_masks else None
            form.begin(starts)
            scores, best = form(obs, masks)
            rows.append((obs.copy(), starts, masks, scores, best))
            random_actions = rng.integers(scores.shape[1], size=num_envs)
            step = stepper.step(np.where(rng.random(num_envs) < randomness, random_actions, best))
            obs, starts = step.next_obs, step.starts.copy()
    all_obs, all_starts, all_masks, all_scores, all_actions = zip(*rows, strict=True)
    return Drives(
        np.stack(all_obs),
        np.stack(all_starts),
        np.stack(all_masks) if policy.uses_action_masks else None,
        np.stack(all_scores),
        np.stack(all_actions),
    )


def compare(form: Form, drives: Drives) -> Agreement:
    """Asks a form at every recorded step; its memory runs along with it."""
    form.begin()
    scores, actions = np.empty_like(drives.scores), np.empty_like(drives.actions)
    for t, obs in enumerate(drives.obs):
        form.begin(drives.starts[t])
        scores[t], actions[t] = form(obs, None if drives.action_masks is None else drives.action_masks[t])
    allowed = drives.scores
    if drives.action_masks is not None:
        allowed = np.where(drives.action_masks, allowed, -np.inf)
    best, chosen = (
        np.take_along_axis(allowed, index[..., None], axis=-1)[..., 0] for index in (drives.actions, actions)
    )
    differs = actions != drives.actions
    # Negated, so that a score that is not a number is no tie.
    is_error = differs & ~(best - chosen <= TIE * np.abs(drives.scores).max(axis=-1))
    return Agreement(
        agreement=1.0 - float(differs.mean()),
        ties=int(differs.sum() - is_error.sum()),
        disagreements=int(is_error.sum()),
        max_score_difference=float(np.abs(scores - drives.scores).max()),
    )


def median_microseconds(form: Form, drives: Drives, batch_size: int, seconds: float) -> float:
    """Measures one call, in microseconds, for ``seconds`` but at least five times.

    Args:
        form: to be asked.
        drives: gives the observations, repeated if they are too few.
        batch_size: observations per call.
        seconds: of wall-clock time.
    """
    index = np.arange(batch_size) % drives.actions.size
    obs = drives.obs.reshape(-1, *drives.obs.shape[2:])[index]
    masks = None
    if drives.action_masks is not None:
        masks = drives.action_masks.reshape(-1, drives.action_masks.shape[-1])[index]
    form.begin()
    return _median_seconds(lambda: form(obs, masks), seconds) * 1e6


def _median_seconds(call: Callable[[], object], seconds: float) -> float:
    call()  # the first one allocates
    durations: list[float] = []
    while len(durations) < 5 or sum(durations) < seconds:
        start = time.perf_counter()
        call()
        durations.append(time.perf_counter() - start)
    return statistics.median(durations)
