"""Datasets that cannot be written or are not what they say: what is told, and that nothing half-written is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("minari.dataset")  # a folder of tests is called minari as well
h5py = pytest.importorskip("h5py")

import minari
from minari.dataset._storages.hdf5_storage import HDF5Storage
from minari_episodes_helpers import ABOUT, HIGHWAY, OBSTACLES, files_in, human_replays, random_policy

from drivesim.integrations.minari import from_replays, record, replays_of, verify
from drivesim.replay import Replay, ReplayError

FEATURES = {"observation": "features"}


def refused(policy: object = None, **changes: object) -> None:
    """A call of `record` that is as it should be, but for what is changed, and that must not drive."""

    def never(obs: np.ndarray) -> np.ndarray:
        raise AssertionError("nothing must be driven")

    settings = {"env_id": OBSTACLES, "num_episodes": 2, "seed": 0, "dataset_id": "x-v0", "options": FEATURES}
    record(policy=never if policy is None else policy, **{**settings, **ABOUT, **changes})


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"env_id": "CartPole-v1"},
            ValueError,
            r"env_id must be one of .*'drivesim/Obstacles-v1'.*, got 'CartPole-v1'",
        ),
        ({"env_id": 3}, TypeError, "env_id must be one of"),
        ({"policy": 3}, TypeError, r"policy must be a function from observations \(N, \*obs_shape\).*, got 3"),
        ({"num_episodes": 0}, ValueError, r"num_episodes must be in \[1, \d+\], got 0"),
        ({"num_episodes": 2.0}, TypeError, "num_episodes must be an integer"),
        ({"num_envs": 0}, ValueError, r"num_envs must be in \[1, \d+\], got 0"),
        ({"seed": None}, TypeError, "seed must be an integer of at least 0, got None"),
        ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
        ({"seed": 2**512 - 1}, ValueError, r"seed must be below 2\*\*512"),
        ({"max_episode_steps": -1}, ValueError, r"max_episode_steps must be in \[1, \d+\], got -1"),
        ({"options": ["features"]}, TypeError, r"options must be a dict.*, got \['features'\]"),
        ({"options": {"observation": "lidar"}}, ValueError, "observation must be one of .*, got 'lidar'"),
        ({"options": {"render_mode": "human"}}, TypeError, "Obstacles has no option 'render_mode'; there are"),
        ({"options": {"copy": False}}, TypeError, "Obstacles has no option 'copy'; there are"),
        ({"dataset_id": 7}, TypeError, "dataset_id must be a string as 'namespace/name-v0', got 7"),
        ({"dataset_id": "name"}, ValueError, "dataset_id must be a name with a version.*, got 'name'"),
        ({"dataset_id": "a/name-v0"}, ValueError, r"dataset_id .* \(at least two in a namespace\), got 'a/name-v0'"),
        ({"dataset_id": "../name-v0"}, ValueError, "dataset_id must be a name with a version.*, got '../name-v0'"),
        ({"publisher": "me"}, TypeError, r"there is no 'publisher' to tell Minari; there are \['algorithm_name', "),
        ({"author": ["me"]}, TypeError, r"author must be a string or a set of them, got \['me'\]"),
        ({"author_email": {1}}, TypeError, r"author_email must be a string or a set of them, got \{1\}"),
        ({"description": 1}, TypeError, "description must be a string, got 1"),
        ({"expert": "rules"}, TypeError, "expert must be a function .*, got 'rules'"),
        ({"ref_max_score": float("nan")}, ValueError, "ref_max_score must be finite, got nan"),
        ({"ref_min_score": 0.0}, ValueError, "ref_min_score must be given with ref_max_score or expert"),
        ({"ref_max_score": 2.0, "expert": len}, ValueError, "ref_max_score must not be given beside expert"),
    ],
    ids=str,
)
def test_bad_input_is_named_before_anything_is_driven(changes, error, message, root) -> None:
    with pytest.raises(error, match=message):
        refused(**changes)
    assert files_in(root) == []


def test_a_name_that_is_taken_is_refused_before_anything_is_driven(root) -> None:
    first = record(OBSTACLES, random_policy(), 2, seed=0, dataset_id="x-v0", options=FEATURES, **ABOUT)
    content = [episode.rewards.tolist() for episode in first]
    with pytest.raises(
        ValueError, match=r"dataset_id must be new, got 'x-v0', which is at .*: choose the next version"
    ):
        refused()
    with pytest.raises(ValueError, match="dataset_id must be new"):
        from_replays(replays_of(first), "x-v0", **ABOUT)
    assert [episode.rewards.tolist() for episode in minari.load_dataset("x-v0")] == content
    assert list(minari.list_local_datasets()) == ["x-v0"]


def policy_that_fails(error: BaseException) -> Callable[[np.ndarray], np.ndarray]:
    is_first = iter([True])

    def policy(obs: np.ndarray) -> np.ndarray:
        if not next(is_first, False):
            raise error
        return np.ones(len(obs), np.int64)

    return policy


@pytest.mark.parametrize("error", [RuntimeError("lost"), KeyboardInterrupt()], ids=repr)
def test_nothing_is_left_of_a_recording_whose_driver_fails(error, root) -> None:
    with pytest.raises(type(error)):
        refused(policy_that_fails(error), dataset_id="odd/x-v0")
    assert files_in(root) == []


@pytest.mark.parametrize("actions", [np.array([0, 5]), np.array([0.0, 1.0]), np.array([1]), [True, False]], ids=repr)
def test_bad_actions_of_a_driver_are_named_and_leave_nothing(actions, root) -> None:
    with pytest.raises((TypeError, ValueError), match=r"actions must be integers in \[0, 4\]"):
        refused(lambda obs: actions)
    assert files_in(root) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("method", ["update_episodes", "update_episode_metadata"])
def test_nothing_is_left_of_a_dataset_that_cannot_be_written(method, error, root, monkeypatch) -> None:
    whole = getattr(HDF5Storage, method)

    def fail(self: HDF5Storage, values: list) -> None:
        whole(self, values)
        raise error

    replays = human_replays(OBSTACLES, [{"seed": 1}, {"seed": 2}], **FEATURES)
    monkeypatch.setattr(HDF5Storage, method, fail)
    with pytest.raises(type(error)):
        refused(random_policy(), dataset_id="a/b/x-v0")
    with pytest.raises(type(error)):
        from_replays(replays, "x-v0", **ABOUT)
    assert files_in(root) == []
    monkeypatch.undo()


def test_a_warning_of_minari_that_is_an_error_leaves_nothing(root) -> None:
    with pytest.raises(UserWarning, match="`author` is set to None"):
        record(OBSTACLES, random_policy(), 1, seed=0, dataset_id="x-v0", code_permalink="https://example.org")
    assert files_in(root) == []


def test_a_dataset_that_appears_in_the_meantime_is_left_alone(root) -> None:
    taken = root / "x-v0" / "data" / "mine"

    def policy(obs: np.ndarray) -> np.ndarray:
        taken.parent.mkdir(parents=True, exist_ok=True)
        taken.write_text("mine")
        return np.ones(len(obs), np.int64)

    with pytest.raises(OSError, match="x-v0"):
        refused(policy)
    assert files_in(root) == ["x-v0", "x-v0/data", "x-v0/data/mine"]
    assert taken.read_text() == "mine"


def test_an_expert_that_is_no_better_than_chance_is_refused(root) -> None:
    with pytest.raises(ValueError, match=r"ref_max_score must be above ref_min_score, got -3\.0 and -3\.0"):
        refused(random_policy(), ref_max_score=-3.0, ref_min_score=-3.0)
    assert files_in(root) == []


# --- replays ----------------------------------------------------------------------------------------------------------


def test_bad_replays_are_named(root) -> None:
    whole, other = human_replays(OBSTACLES, [{"seed": 1}, {"seed": 2}], **FEATURES)
    part = Replay.of(OBSTACLES, FEATURES, 1, whole.actions[:-1])
    empty = Replay.of(OBSTACLES, FEATURES, 1, ())
    (grid,) = human_replays(OBSTACLES, [{"seed": 1}], observation="grid")
    (elsewhere,) = human_replays(HIGHWAY, [{"seed": 1}], **FEATURES)
    (limited,) = human_replays(OBSTACLES, [{"seed": 1}], max_episode_steps=5, **FEATURES)
    for replays, error, message in (
        ([], ValueError, "replays must hold at least one episode, got none"),
        ([whole, "replay.json"], TypeError, r"replays\[1\] must be a drivesim.replay.Replay, got 'replay.json'"),
        ([whole, part], ValueError, rf"replays\[1\] must be a whole episode, but it stops after {len(part.actions)} "),
        ([empty], ValueError, r"replays\[0\] must be a whole episode, but it stops after 0 ticks"),
        (
            [whole, other, grid],
            ValueError,
            r"replays must be of one environment, .*features.*, in replays\[2\], .*grid",
        ),
        ([whole, elsewhere], ValueError, r"replays must be of one environment, .*Obstacles.*Highway"),
        ([whole, limited], ValueError, r"replays must be of one environment, .*max_episode_steps=5"),
    ):
        with pytest.raises(error, match=message):
            from_replays(replays, "x-v0", **ABOUT)
    assert files_in(root) == []


def test_options_may_be_said_in_different_words() -> None:
    (one,) = human_replays(OBSTACLES, [{"seed": 1}], **FEATURES)
    (two,) = human_replays(OBSTACLES, [{"seed": 2}], difficulty="medium", **FEATURES)
    verify(from_replays([one, two], "x-v0", **ABOUT))


def test_a_replay_that_goes_another_way_is_refused(root) -> None:
    (replay,) = human_replays(OBSTACLES, [{"seed": 1}], **FEATURES)
    text = replay.to_json().replace(replay.digest, "0" * 64)
    with pytest.raises(ReplayError, match="goes another way"):
        from_replays([Replay.from_json(text)], "x-v0", **ABOUT)
    assert files_in(root) == []


# --- what has been changed since --------------------------------------------------------------------------------------


def dataset_to_change(**options: object) -> minari.MinariDataset:
    settings = {"seed": 3, "dataset_id": "x-v0", "num_envs": 2, "options": {**FEATURES, **options}}
    return record(OBSTACLES, random_policy(), 4, **settings, **ABOUT)


@pytest.mark.parametrize("name", ["observations", "rewards", "terminations", "truncations", "actions", "infos/cost"])
def test_a_single_changed_value_is_found(name) -> None:
    dataset = dataset_to_change(reward="cost")
    verify(dataset)
    with h5py.File(dataset.storage.data_path / "main_data.hdf5", "r+") as file:
        values = file["episode_2"][name]
        last = (-1,) * values.ndim
        old = values[last]
        values[last] = np.nextafter(old, np.inf, dtype=old.dtype) if old.dtype.kind == "f" else (old + 1) % 2
        assert values[last] != old
    with pytest.raises(ReplayError, match=r"episode 2 of 'x-v0'.*goes another way|episode 2 .*"):
        verify(dataset)


@pytest.mark.parametrize("name", ["seed", "episode", "success", "episode_return"])
def test_changed_or_missing_metadata_of_an_episode_is_found(name) -> None:
    dataset = dataset_to_change()
    path = dataset.storage.data_path / "main_data.hdf5"
    with h5py.File(path, "r+") as file:
        attributes = file["episode_2"].attrs
        attributes[name] = not attributes[name] if name == "success" else attributes[name] + 1
    with pytest.raises(ReplayError, match="episode 2 of 'x-v0'"):
        verify(dataset)
    with h5py.File(path, "r+") as file:
        del file["episode_2"].attrs[name]
    with pytest.raises(ValueError, match=f"episode 2 of 'x-v0' has no '{name}'"):
        replays_of(dataset)


def test_an_episode_that_is_cut_or_goes_on_is_found() -> None:
    dataset = dataset_to_change()
    with h5py.File(dataset.storage.data_path / "main_data.hdf5", "r+") as file:
        file["episode_1"]["rewards"].resize(len(file["episode_1"]["rewards"]) - 1, axis=0)
        file["episode_2"]["terminations"][0] = True
    with pytest.raises(ReplayError, match=r"episode 1 must have \d+ of everything"):
        replays_of(dataset)
    with pytest.raises(ReplayError, match="episode 2 must end with its last tick"):
        replays_of(minari.MinariDataset(dataset.storage, np.array([2])))


def test_a_combination_of_datasets_has_lost_its_seeds_and_says_so() -> None:
    first = dataset_to_change()
    second = record(OBSTACLES, random_policy(), 2, seed=9, dataset_id="y-v0", options=FEATURES, **ABOUT)
    both = minari.combine_datasets([first, second], "both-v0")
    assert len(both) == 6
    with pytest.raises(ValueError, match=r"episode 0 of 'both-v0' has no 'seed'.*combine_datasets"):
        verify(both)


def changed_spec(dataset: minari.MinariDataset, **changes: object) -> minari.MinariDataset:
    path: Path = dataset.storage.data_path / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["env_spec"] = json.dumps(json.loads(metadata["env_spec"]) | changes)
    path.write_text(json.dumps(metadata))
    return minari.load_dataset(dataset.id)


def test_no_other_function_than_the_suites_makes_an_environment(monkeypatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("nothing must be made")

    dataset = dataset_to_change()
    monkeypatch.setattr(gym, "make", refuse)
    monkeypatch.setattr(minari.MinariDataset, "recover_environment", refuse)
    for changes in ({"entry_point": "os:system"}, {"id": "drivesim/Unknown-v0"}, {"id": "CartPole-v1"}):
        with pytest.raises(ValueError, match=r"dataset must be of one of .*, as registered, got 'x-v0'"):
            verify(changed_spec(dataset, **changes))
    wrapper = {"name": "Odd", "entry_point": "os:system", "kwargs": {}}
    honest = {"id": OBSTACLES, "entry_point": "drivesim.env:DriveEnv"}
    with pytest.raises(ValueError, match="without further wrappers"):
        verify(changed_spec(dataset, **honest, additional_wrappers=[wrapper]))
    with pytest.raises(TypeError, match=r"dataset must be a minari.MinariDataset, got 'x-v0'"):
        verify("x-v0")


def test_another_road_under_the_same_name_is_found() -> None:
    dataset = dataset_to_change()
    with pytest.raises(ReplayError, match="episode 0 of 'x-v0'"):
        verify(changed_spec(dataset, kwargs={"scenario": "LaneKeep", **FEATURES}))
