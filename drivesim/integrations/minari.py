"""Minari datasets: the rollouts of any driver, stored so that every episode can be driven again, to the last bit.

    dataset = record("drivesim/Obstacles-v1", policy, 1000, seed=0, dataset_id="obstacles/mine-v0", author="me")
    dataset = from_replays([Replay.load(path) for path in paths], "obstacles/human-v0", author="me")
    dataset = from_replays(optimal("drivesim/Obstacles-v1", range(1000)), "obstacles/optimal-v0", author="me")
    verify(minari.load_dataset("obstacles/mine-v0"))         # drives all of it and compares every number
    replays_of(dataset)[3].save("fourth.json")               # to be watched, filmed or driven in another observation

Minari's metadata of an episode holds its `seed`, its number `episode` among that seed's, its `options` (the level, if
one was asked for), `success` and `episode_return`. Observations are stored as they are, never as JPEG.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict, Unpack

import gymnasium as gym
import minari
import numpy as np
from gymnasium.envs.registration import EnvSpec
from minari.dataset.minari_dataset import parse_dataset_id
from minari.dataset.minari_storage import METADATA_FILE_NAME
from minari.namespace import create_namespace, list_local_namespaces
from minari.storage import get_dataset_path

from drivesim._version import __version__
from drivesim.checks import real, whole
from drivesim.config import LARGEST
from drivesim.integrations.minari_episodes import Episode, Made, Policy, Tape, drive, driven, optimal
from drivesim.registry import ids
from drivesim.replay import NOT_RECORDED
from drivesim.replay_file import MAX_COUNT, Record, Replay, ReplayError, begin, seed_of
from drivesim.vector_env import MAX_NUM_ENVS

__all__ = ["About", "Policy", "from_replays", "optimal", "record", "replays_of", "verify"]

REFERENCE_EPISODES = 100  # that a computed reference score is the mean of
MAX_EPISODES = 2**31 - 1


class About(TypedDict, total=False):
    """Facts about a dataset for Minari, all of it optional; Minari warns of what it would like to know."""

    algorithm_name: str
    """Who drove."""
    author: str | set[str]
    author_email: str | set[str]
    code_permalink: str
    """Where the driver's code is."""
    description: str
    """None given: what was recorded, and how."""
    ref_min_score: float
    """Mean return of a driver that counts as 0; computed of a random one if only the other score is known."""
    ref_max_score: float
    """Mean return of a driver that counts as 1, which must be more."""
    expert: Policy
    """Drives to compute `ref_max_score`: the first episodes of 100 envs of the test levels, under these options."""


def record(
    env_id: str,
    policy: Policy,
    num_episodes: int,
    *,
    seed: int,
    dataset_id: str,
    options: Mapping[str, Any] | None = None,
    max_episode_steps: int | None = None,
    num_envs: int = 64,
    **about: Unpack[About],
) -> minari.MinariDataset:
    """Drive with `policy` and write a dataset.

    Env i plays episodes 0, 1, … of seed + i. How many is settled beforehand, so that short episodes are not
    recorded more often than long ones: with `num_envs` envs, every one plays `num_episodes / num_envs` of them, the
    first envs one more if need be. The policy is called once a tick with all envs, those that are through
    included; an env whose episode has ended goes on with the first observation of its next one.

    Args:
        env_id: one of the suite's ids.
        policy: the driver; what it does to the array it gets is without effect.
        num_episodes: of the dataset, at least 1; ordered by env, then by episode.
        seed: of env 0, an integer in [0, 2**512).
        dataset_id: `namespace/name-v0`; no such dataset may exist.
        options: keyword arguments of `gym.make` that say what is driven.
        max_episode_steps: time limit in ticks; None = the registered one.
        num_envs: envs, at most; never more than episodes.
        **about: as in `About`.

    Returns:
        The dataset, as `minari.load_dataset` gives it. It is there as a whole or, if anything fails, not at all.

    Raises:
        TypeError, ValueError: naming what is wrong; nothing has been driven, unless it is the policy's actions.
    """
    if max_episode_steps is not None:  # without a limit, an episode might never end
        max_episode_steps = whole("max_episode_steps", max_episode_steps, 1, MAX_COUNT)
    made = Made.of(env_id, {} if options is None else options, max_episode_steps)
    _check_callable("policy", policy)
    num_episodes = whole("num_episodes", num_episodes, 1, MAX_EPISODES)
    num_envs = min(whole("num_envs", num_envs, 1, MAX_NUM_ENVS), num_episodes)
    seed_of(seed_of(seed) + num_envs - 1)
    _check_about(about)
    _check_free(dataset_id)
    return _write(dataset_id, made, drive(made, policy, num_episodes, num_envs, seed_of(seed)), about)


def from_replays(replays: Iterable[Replay], dataset_id: str, **about: Unpack[About]) -> minari.MinariDataset:
    """Write a dataset of episodes that somebody has driven, one per replay and in their order.

    Args:
        replays: whole episodes, of one environment with the same options and time limit.
        dataset_id: as in `record`.
        **about: as in `About`.

    Returns:
        As `record`.

    Raises:
        TypeError, ValueError: naming what is wrong.
        ReplayError: if an episode does not go as it was recorded.
    """
    replays = list(replays)
    for number, replay in enumerate(replays):
        if not isinstance(replay, Replay):
            raise TypeError(f"replays[{number}] must be a drivesim.replay.Replay, got {replay!r}")
    if not replays:
        raise ValueError("replays must hold at least one episode, got none")
    made, *others = [Made.of(each.env_id, each.options, each.max_episode_steps) for each in replays]
    for number, other in enumerate(others, start=1):
        if (other.config, other.limit) != (made.config, made.limit):
            raise ValueError(f"replays must be of one environment, got {made} and, in replays[{number}], {other}")
    _check_about(about)
    _check_free(dataset_id)
    return _write(dataset_id, made, [driven(number, replay) for number, replay in enumerate(replays)], about)


def replays_of(dataset: minari.MinariDataset) -> list[Replay]:
    """The replay of every episode, in the dataset's order, with a digest of what is stored.

    Raises:
        TypeError: for anything else than a dataset.
        ValueError: if it is not of this suite, or does not say how its episodes began.
        ReplayError: naming an episode whose parts do not fit together.
    """
    spec = _checked_spec(dataset)
    return [replay for _, replay in _stored(dataset, spec)]


def verify(dataset: minari.MinariDataset) -> None:
    """Drive every episode again, in the recovered environment, and compare all that is stored with what happens.

    Raises:
        TypeError, ValueError: as `replays_of`.
        ReplayError: naming the first episode, tick and array that differ.
    """
    spec = _checked_spec(dataset)
    with contextlib.closing(dataset.recover_environment()) as env:
        for stored, replay in _stored(dataset, spec):
            obs, info = begin(env, replay)
            tape = Tape(replay.seed, replay.episode, replay.level_seed, obs)
            where = f"episode {stored.id} of {dataset.id!r} (seed {replay.seed}, episode {replay.episode})"
            _compare(where, stored, tape)
            for action in replay.actions:
                answer = env.step(action)
                info = answer[4]
                tape.add(action, answer)
                _compare(where, stored, tape)
            metadata = tape.finish(info).metadata
            if (metadata["success"], metadata["episode_return"]) != (
                replay.outcome["success"],
                replay.outcome["return"],
            ):
                raise ReplayError(f"{where} comes to {metadata}, stored is {dict(replay.outcome)}")


# --- what is stored ---------------------------------------------------------------------------------------------------


def _checked_spec(dataset: Any) -> EnvSpec:
    """The specification of the dataset's environment.

    Raises:
        TypeError, ValueError: unless that is the suite and nothing else. A dataset's file could name any function to
            make an environment with, and recovering it would call that.
    """
    if not isinstance(dataset, minari.MinariDataset):
        raise TypeError(f"dataset must be a minari.MinariDataset, got {dataset!r}")
    spec: EnvSpec | None = dataset.env_spec
    if spec is None or spec.id not in ids() or spec.entry_point != gym.spec(spec.id).entry_point:
        raise ValueError(f"dataset must be of one of {list(ids())}, as registered, got {dataset.id!r} of {spec}")
    if spec.additional_wrappers:
        raise ValueError(f"dataset must be of an environment without further wrappers, got {dataset.id!r} of {spec}")
    return spec


def _stored(dataset: minari.MinariDataset, spec: EnvSpec) -> Iterator[tuple[minari.EpisodeData, Replay]]:
    """Every episode and its replay."""
    limit = -1 if spec.max_episode_steps is None else spec.max_episode_steps
    version = dataset.storage.metadata.get("drivesim_version", __version__)
    details = dataset.storage.get_episode_metadata(dataset.episode_indices)
    for episode, detail in zip(dataset.iterate_episodes(), details, strict=True):
        for name in ("seed", "episode", "success", "episode_return"):
            if name not in detail:
                raise ValueError(
                    f"episode {episode.id} of {dataset.id!r} has no {name!r}: it was not written by this module, or "
                    "was copied by something that leaves metadata out, as minari.combine_datasets does"
                )
        level_seed = detail.get("options", {}).get("level_seed")
        outcome = {
            "success": bool(detail["success"]),
            "return": float(detail["episode_return"]),
            "length": len(episode),
        }
        yield (
            episode,
            Replay(
                env_id=spec.id,
                options={name: value for name, value in spec.kwargs.items() if name not in NOT_RECORDED},
                seed=detail["seed"],
                actions=tuple(episode.actions.tolist()),
                digest=_digest_of(episode),
                outcome=outcome,
                episode=int(detail["episode"]),
                level_seed=None if level_seed is None else int(level_seed),
                max_episode_steps=None if limit == gym.spec(spec.id).max_episode_steps else limit,
                version=version,
            ),
        )


def _digest_of(stored: minari.EpisodeData) -> str:
    """The replay's digest of a stored episode."""
    num_steps = len(stored.rewards)
    arrays = (stored.actions, stored.terminations, stored.truncations, stored.observations[1:])
    if any(len(array) != num_steps for array in arrays):
        raise ReplayError(f"episode {stored.id} must have {num_steps} of everything, as of rewards, and one more obs")
    if (stored.terminations | stored.truncations)[:-1].any():
        raise ReplayError(f"episode {stored.id} must end with its last tick, but ends before")
    driven_so = Record(stored.observations[0], {})
    for tick in range(num_steps):
        answer = (stored.observations[tick + 1], stored.rewards[tick], stored.terminations[tick])
        driven_so.add(stored.actions[tick], (*answer, stored.truncations[tick], {}))
    return driven_so.digest


def _compare(where: str, stored: minari.EpisodeData, tape: Tape) -> None:
    """Raise unless the last that happened is what is stored.

    Raises:
        ReplayError: naming the tick and the array.
    """
    tick = len(tape.actions)
    pairs: dict[str, tuple[Any, Any]] = {"observations": (stored.observations[tick], tape.observations[-1])}
    if tick:
        pairs["rewards"] = (stored.rewards[tick - 1], np.float64(tape.rewards[-1]))
        pairs["terminations"] = (stored.terminations[tick - 1], np.bool_(tape.terminations[-1]))
        pairs["truncations"] = (stored.truncations[tick - 1], np.bool_(tape.truncations[-1]))
        if tape.costs:
            pairs["costs"] = (stored.infos["cost"][tick], np.float64(tape.costs[-1]))
    for name, (one, other) in pairs.items():
        if one.dtype != other.dtype or one.tobytes() != other.tobytes():
            raise ReplayError(f"{where} goes another way: {name} at tick {tick} are {one!r}, driven again {other!r}")


# --- what is written --------------------------------------------------------------------------------------------------


def _write(dataset_id: str, made: Made, episodes: list[Episode], about: About) -> minari.MinariDataset:
    """Write a dataset under a name of its own, and give it the right one when it is complete."""
    description = f"{len(episodes)} episodes of {made.env_id} with options {made.options}, recorded with drivesim "
    description += f"{__version__}. drivesim.integrations.minari.verify drives them again and compares every number."
    evaluation = made.for_evaluation()
    partial = f"drivesim-partial-{secrets.token_hex(8)}-v0"
    try:
        dataset = minari.create_dataset_from_buffers(
            partial,
            [episode.buffer for episode in episodes],
            env=made.spec,
            eval_env=evaluation.spec,
            algorithm_name=about.get("algorithm_name"),
            author=about.get("author"),
            author_email=about.get("author_email"),
            code_permalink=about.get("code_permalink"),
            description=about.get("description", description),
            requirements=[f"drivesim=={__version__}"],
            num_episodes_average_score=REFERENCE_EPISODES,
            data_format="hdf5",
            jpeg_encoding=False,
            **_reference_scores(evaluation, about),
        )
        dataset.storage.update_metadata({"drivesim_version": __version__})
        dataset.storage.update_episode_metadata([episode.metadata for episode in episodes])
        path = dataset.storage.data_path / METADATA_FILE_NAME
        path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset_id": dataset_id}))
        namespace = parse_dataset_id(dataset_id)[0]
        if namespace is not None and namespace not in list_local_namespaces():
            create_namespace(namespace)
        get_dataset_path(partial).rename(get_dataset_path(dataset_id))
    finally:
        shutil.rmtree(get_dataset_path(partial), ignore_errors=True)
    return minari.load_dataset(dataset_id)


def _reference_scores(made: Made, about: About) -> dict[str, float]:
    """The returns that count as 0 and 1, {} if nothing was said about the latter."""
    if "ref_max_score" not in about and "expert" not in about:
        return {}
    highest = _mean_return(made, about["expert"]) if "expert" in about else about["ref_max_score"]
    if "ref_min_score" in about:
        lowest = about["ref_min_score"]
    else:
        rng = np.random.default_rng(0)
        num_actions = len(made.config.actions)
        lowest = _mean_return(made, lambda obs: rng.integers(num_actions, size=len(obs)))
    if not lowest < highest:
        raise ValueError(f"ref_max_score must be above ref_min_score, got {highest} and {lowest}")
    return {"ref_min_score": float(lowest), "ref_max_score": float(highest)}


def _mean_return(made: Made, policy: Policy) -> float:
    """Of the first episodes of as many envs."""
    episodes = drive(made, policy, REFERENCE_EPISODES, REFERENCE_EPISODES, seed=0)
    return float(np.mean([episode.metadata["episode_return"] for episode in episodes]))


# --- checks -----------------------------------------------------------------------------------------------------------


def _check_callable(name: str, policy: Any) -> None:
    if not callable(policy):
        raise TypeError(f"{name} must be a function from observations (N, *obs_shape) to actions (N,), got {policy!r}")


def _check_free(dataset_id: Any) -> None:
    """Raise unless a dataset of that name may be written."""
    if not isinstance(dataset_id, str):
        raise TypeError(f"dataset_id must be a string as 'namespace/name-v0', got {dataset_id!r}")
    try:
        parse_dataset_id(dataset_id)
    except (TypeError, ValueError) as error:  # TypeError: Minari's answer to a name without a version
        raise ValueError(
            "dataset_id must be a name with a version, 'name-v0' or 'namespace/name-v0', of letters, digits, - and _ "
            f"(at least two in a namespace), got {dataset_id!r}"
        ) from error
    path = get_dataset_path(dataset_id)
    if path.exists():
        raise ValueError(f"dataset_id must be new, got {dataset_id!r}, which is at {path}: choose the next version")


def _check_about(about: About) -> None:
    """Raise unless a dataset can be described so."""
    for name, value in about.items():
        if name not in About.__annotations__:
            raise TypeError(f"there is no {name!r} to tell Minari; there are {list(About.__annotations__)}")
        if name == "expert":
            _check_callable(name, value)
        elif name.startswith("ref_"):
            real(name, value, -LARGEST, LARGEST, "finite")
        elif name.startswith("author"):
            texts = value if isinstance(value, set) else [value]
            if not all(isinstance(text, str) for text in texts):
                raise TypeError(f"{name} must be a string or a set of them, got {value!r}")
        elif not isinstance(value, str):
            raise TypeError(f"{name} must be a string, got {value!r}")
    if "ref_max_score" in about and "expert" in about:
        raise ValueError("ref_max_score must not be given beside expert, which computes it")
    if "ref_min_score" in about and "ref_max_score" not in about and "expert" not in about:
        raise ValueError("ref_min_score must be given with ref_max_score or expert: Minari keeps both or neither")
