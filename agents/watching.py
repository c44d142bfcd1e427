"""A learnt driver's decisions while it drives, and the cells that it looks at.

    policy, config = load_policy(Path("runs/..."))
    replay, moments = watch(policy, config, seed=0, xray=True)
    moments[3].decision            # scores of the actions, value of the state, and the cells that matter
    think_along(policy, config, replay)  # the same for an episode that somebody else drove

Which cells matter is found by occlusion (Zeiler and Fergus 2014, *Visualizing and Understanding Convolutional
Networks*): what is on a cell is hidden in the world, the driver is asked again, and the change of the chosen action's
score, be it a value or a probability, is the cell's weight. A driver's memory is what it was before the decision, and
so are the actions that are open to it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from agents.environments import EnvChoice, require_registered
from agents.policy import NetworkPolicy, Policy
from drivesim.config import OF_OBSERVATION
from drivesim.occlusion import occlusions
from drivesim.render.moment import Decision, Moment
from drivesim.replay import Replay, ReplayRecorder, all_moments

__all__ = ["decide", "saliency", "think_along", "watch"]

MIN_CHANGE = 0.01  # of an action value or a probability: if no cell changes it by more, none matters
MIN_WEIGHT = 0.05
MAX_CELLS = 40


def watch(
    policy: Policy, config: EnvChoice, *, seed: int, split: str = "test", xray: bool = False
) -> tuple[Replay, list[Moment]]:
    """Drives one episode.

    Args:
        policy: the driver; of a :class:`NetworkPolicy`, every moment but the last tells its decision.
        config: environment and options, of several environments the first; paid is the default reward.
        seed: of the env, at least 0.
        split: stream of levels.
        xray: whether the decisions tell which cells matter.
    """
    config = config.each()[0]
    require_registered(config.env)
    with contextlib.closing(ReplayRecorder(gym.make(config.env, **config.options(split)))) as env:
        if isinstance(policy, NetworkPolicy):
            policy.begin()
            _require_domain(policy, config, env)
        obs, _ = env.reset(seed=seed)
        getattr(policy, "ride_in", lambda _: None)(env)
        is_over = False
        while not is_over:
            obs, _, terminated, truncated, _ = env.step(_act(policy, obs, env))
            is_over = terminated or truncated
        replay = env.replay
    return replay, think_along(policy, config, replay, xray=xray)


def think_along(policy: Policy, config: EnvChoice, replay: Replay, *, xray: bool = False) -> list[Moment]:
    """Shows an episode with what a driver would do in each of its states, whoever drove.

    Args:
        policy: the driver that is asked; any but a :class:`NetworkPolicy` has nothing to say.
        config: of the driver: the environment, which must be the replay's, and the observation that it reads.
        replay: the episode; its own options hold but for the observation.
        xray: whether the decisions tell which cells matter.

    Raises:
        ReplayError: the episode does not go as it was recorded.
        ValueError: the driver is of another environment.
    """
    config = config.only(replay.env_id)
    shown = all_moments(replay)
    if not isinstance(policy, NetworkPolicy):
        return shown
    options = {name: value for name, value in replay.options.items() if name not in OF_OBSERVATION} | config.seen()
    with contextlib.closing(gym.make(replay.env_id, **options)) as env:
        base: Any = env.unwrapped
        policy.begin()
        _require_domain(policy, config, env)
        for n, moment in enumerate(shown[:-1]):
            base.set_state(moment.state.to_array(base.get_state().dtype))
            shown[n] = dataclasses.replace(moment, decision=decide(policy, env, xray=xray)[1])
    return shown


def decide(policy: NetworkPolicy, env: gym.Env[Any, Any], *, xray: bool = False) -> tuple[int, Decision]:
    """Lets a driver take its next decision.

    Args:
        policy: the driver, which has begun with this episode's start; its memory moves on.
        env: with the state that it is to decide on, and the observation that it reads.
        xray: whether the decision tells which cells matter.

    Returns:
        The action and the decision.
    """
    obs = env.unwrapped.observe()  # type: ignore[attr-defined]
    masks = _masks(policy, env)
    cells: tuple[tuple[int, int, float], ...] = ()
    if xray:
        cells = saliency(policy, obs, *occlusions(env), masks)
    verdict = policy.decide(obs[None], masks)
    decision = Decision(
        scores=tuple(verdict.scores[0].tolist()),
        is_probability=policy.network.scores_are_logits,
        value=None if verdict.values is None else float(verdict.values[0]),
        saliency=cells,
    )
    return int(verdict.actions[0]), decision


def saliency(
    policy: NetworkPolicy,
    obs: NDArray[Any],
    cells: NDArray[np.int64],
    occluded: NDArray[Any],
    masks: NDArray[np.bool_] | None = None,
) -> tuple[tuple[int, int, float], ...]:
    """Returns the cells that matter most for a single env's next decision, the heaviest first.

    Args:
        policy: the driver; its memory stays.
        obs: what it observes, one array of ``obs_shape``.
        cells: rows and columns, (M, 2).
        occluded: what it would observe with each of them hidden, (M, *obs_shape).
        masks: which actions are open to it, (1, num_actions).

    Returns:
        At most 40 (row, column, weight), in shares of the largest change, which weighs 1; none below 0.05, and none at
        all if the largest change is below 0.01.
    """
    together = np.concatenate([obs[None], occluded])
    verdict = policy.imagine(together, None if masks is None else masks.repeat(len(together), axis=0))
    scores = verdict.scores[:, verdict.actions[0]]
    changes = np.abs(scores[1:] - scores[0])
    if changes.max(initial=0.0) < MIN_CHANGE:
        return ()
    weights = changes / changes.max()
    order = np.argsort(-weights, kind="stable")[:MAX_CELLS]
    order = order[weights[order] >= MIN_WEIGHT]
    rows, cols = cells[order].T.tolist()
    return tuple(zip(rows, cols, weights[order].tolist(), strict=True))


def _act(policy: Policy, obs: NDArray[Any], env: gym.Env[Any, Any]) -> int:
    """A driver's action, for reasons of its own."""
    if isinstance(policy, NetworkPolicy):
        return int(policy(obs[None], _masks(policy, env))[0])
    return int(policy(obs[None])[0])


def _require_domain(policy: NetworkPolicy, config: EnvChoice, env: gym.Env[Any, Any]) -> None:
    """Raises a ValueError unless a driver was trained for what it is to be shown in."""
    if policy.domain is not None:
        num_actions = int(getattr(env.action_space, "n", 0))
        policy.domain.require(config.env, config.observation, env.observation_space, num_actions)


def _masks(policy: NetworkPolicy, env: gym.Env[Any, Any]) -> NDArray[np.bool_] | None:
    """Which actions are open to a driver that was trained with masks, (1, num_actions)."""
    if not policy.uses_action_masks:
        return None
    masks: NDArray[np.bool_] = env.unwrapped.action_masks()[None]  # type: ignore[attr-defined]
    return masks
