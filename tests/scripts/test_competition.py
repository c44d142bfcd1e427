"""Competitions: distinct levels that are the same for all, and claims of which only true drives count."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents.competition import Competition, Rules, Score, write_claim
from agents.evaluation import evaluate
from agents.scripted import make_scripted
from drivesim.infos import INFO_KEYS
from drivesim.replay import Replay, ReplayRecorder

LANE_KEEP, CUSTOM = "drivesim/LaneKeep-v1", "drivesim/Custom-v1"
SEED = 50
ROADS = tuple("max_steps = 12\n\n. ^G .\n" + ". ^ .\n" * length + ". ^E .\n" for length in (1, 2, 3))


@pytest.fixture(scope="module")
def competition() -> Competition:
    """Six of twelve levels; some seeds between them repeat one."""
    return Competition(Rules(LANE_KEEP, num_levels=12, episodes=6, seed=SEED))


@pytest.fixture(scope="module")
def score(competition: Competition) -> Score:
    return competition.drive("rules", make_scripted(LANE_KEEP), "grid", num_replays=6)


@pytest.fixture
def claimed(competition: Competition, score: Score, tmp_path: Path) -> Callable[..., Score]:
    """The score of a file with the replays of `score`, the second of which is changed."""

    def claim(replay: Replay | str | None = None) -> Score:
        path = tmp_path / "claim.jsonl"
        write_claim(path, score.replays)
        lines = path.read_text().splitlines()
        if replay is not None:
            lines[1] = replay if isinstance(replay, str) else json.dumps(json.loads(replay.to_json()))
        path.write_text("\n".join(lines) + "\n")
        return competition.claim("somebody", path)

    return claim


def driven(options: dict[str, Any], seed: int, **how: Any) -> Replay:
    """A drive straight ahead, to its end unless `actions` are given."""
    if "actions" in how:
        return Replay.of(LANE_KEEP, options, seed, **how)
    env = ReplayRecorder(gym.make(LANE_KEEP, **options))
    env.reset(seed=seed, options=how.get("reset"))
    for _ in range(how.get("earlier", 0)):
        env.reset()
    while not env.step(3)[2]:
        pass
    return env.replay


# --- levels -----------------------------------------------------------------------------------------------------------


def test_as_many_levels_as_are_asked_for_are_distinct_however_often_the_seeds_repeat_one() -> None:
    whole = Competition(Rules(LANE_KEEP, num_levels=6, episodes=6, seed=SEED))
    assert sorted(level % 6 for level in whole.level_seeds) == list(range(6))
    assert sorted([*whole.seeds, *whole.repeated]) == list(range(SEED, max(whole.seeds) + 1))
    assert f"left out for repeating a level: {len(whole.repeated)}" in whole.about
    env = gym.make(LANE_KEEP, split="test", num_levels=6)
    drawn = {seed: env.reset(seed=seed)[1]["level_seed"] for seed in range(SEED, max(whole.seeds) + 1)}
    assert [drawn[seed] for seed in whole.seeds] == list(whole.level_seeds)
    assert whole.repeated
    for seed, earlier in whole.repeated.items():
        assert earlier < seed
        assert drawn[seed] == drawn[earlier]
    with pytest.raises(ValueError, match="episodes must be at most 6, as many levels as there are, got 7"):
        Competition(Rules(LANE_KEEP, num_levels=6, episodes=7))


def test_given_levels_are_distinct_by_their_texts() -> None:
    levels = (*ROADS, *ROADS[:1] * 9)
    competition = Competition(Rules(CUSTOM, levels=levels))
    assert competition.episodes == 3
    assert competition.repeated
    envs = gym.make_vec(CUSTOM, num_envs=3, levels=list(levels))
    envs.reset(seed=list(competition.seeds))
    assert len(set(envs.unwrapped.level_text())) == 3
    with pytest.raises(ValueError, match="at most 3"):
        Competition(Rules(CUSTOM, levels=levels, episodes=4))


# --- drives -----------------------------------------------------------------------------------------------------------


def test_a_driver_is_measured_as_everywhere_else_where_no_level_is_repeated() -> None:
    rules = Rules(LANE_KEEP, episodes=20, seed=SEED)
    score = Competition(rules).drive("rules", make_scripted(LANE_KEEP), "grid")
    record = evaluate(make_scripted(LANE_KEEP), rules, episodes=20, seed=SEED)
    assert Competition(rules).seeds == tuple(range(SEED, SEED + 20))
    assert score.results["success"].mean() == record["success_rate"]
    assert score.results["episode_return"].mean() == record["mean_return"]


def test_the_drives_of_a_driver_are_a_claim_that_is_worth_as_much(score: Score, claimed: Callable[..., Score]) -> None:
    other = claimed()
    assert other.refused == ()
    assert other.episodes == 6
    for name in INFO_KEYS:
        assert np.array_equal(other.results[name], score.results[name]), name
    assert score.success.all()


def test_level_options_are_driven_and_asked_of_claims(tmp_path: Path) -> None:
    def competition(**level: int) -> Competition:
        return Competition(Rules(LANE_KEEP, level_options=level, episodes=2, seed=SEED))

    narrow = competition(wander=1)
    score = narrow.drive("rules", make_scripted(LANE_KEEP), "grid", num_replays=2)
    write_claim(tmp_path / "claim.jsonl", score.replays)
    assert score.replays[0].options["wander"] == 1
    assert "wander 1" in narrow.about
    assert narrow.claim("somebody", tmp_path / "claim.jsonl").episodes == 2
    assert "wander 1 instead of 2" in competition(wander=2).claim("somebody", tmp_path / "claim.jsonl").refused[0]


# --- claims -----------------------------------------------------------------------------------------------------------

OPTIONS = {"split": "test", "num_levels": 12}
SECOND = 1  # the level whose replay is another one


def with_options(**options: Any) -> Callable[[Competition], Replay]:
    return lambda competition: driven({**OPTIONS, **options}, competition.seeds[SECOND])


REFUSED: dict[str, tuple[Callable[[Competition], Replay], tuple[str, ...]]] = {
    "another environment": (
        lambda _: Replay.of("drivesim/Obstacles-v1", {}, 0, []),
        ("a drive of drivesim/Obstacles-v1", "on drivesim/LaneKeep-v1"),
    ),
    "another difficulty": (with_options(difficulty="easy"), ("difficulty 'easy' instead of 'medium'", "wander")),
    "another split": (with_options(split="train"), ("split 'train' instead of 'test'",)),
    "another pool": (with_options(num_levels=None), ("num_levels None instead of 12",)),
    "another reward": (with_options(reward="sparse"), ("reward 'sparse' instead of 'route'",)),
    "another weight": (with_options(reward_weights={"arrived": 50}), ("reward weight arrived 50.0 instead of 1.0",)),
    "another road": (with_options(wander=0), ("wander 0 instead of 50",)),
    "another time limit": (
        lambda competition: driven(OPTIONS, competition.seeds[SECOND], actions=[], max_episode_steps=-1),
        ("max_episode_steps -1 instead of",),
    ),
    "another seed": (
        lambda _: driven(OPTIONS, 7),
        ("seed 7 is not among the competition's levels", f"seeds {SEED} to"),
    ),
    "another level": (
        lambda competition: driven(OPTIONS, competition.seeds[SECOND], reset={"level_seed": 99}),
        ("level 99 is not among the competition's",),
    ),
    "one of the levels with better luck": (
        lambda competition: driven(OPTIONS, 7, reset={"level_seed": competition.level_seeds[SECOND]}),
        ("chance plays otherwise", "got seed 7"),
    ),
    "a repeated level": (
        lambda competition: driven(OPTIONS, next(iter(competition.repeated))),
        ("has the level of seed", "the one that counts"),
    ),
    "a later episode": (
        lambda competition: driven(OPTIONS, competition.seeds[SECOND], earlier=1),
        ("episode 1 of seed", "drives episode 0"),
    ),
    "a level twice": (lambda competition: driven(OPTIONS, competition.seeds[0]), ("a second drive of seed",)),
    "half a drive": (
        lambda competition: driven(OPTIONS, competition.seeds[SECOND], actions=[3, 3]),
        ("is driven for 2 ticks only, not to its end",),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_drive_of_the_competition_is_refused_alone_and_told_why(
    case: str, competition: Competition, claimed: Callable[..., Score]
) -> None:
    make, parts = REFUSED[case]
    other = claimed(make(competition))
    ((refused),) = other.refused
    assert refused.startswith("claim.jsonl, line 2: ")
    for part in parts:
        assert part in refused
    assert np.isfinite(other.results["success"]).tolist() == [True, False, True, True, True, True]
    assert other.success.sum() == 5


@pytest.mark.parametrize("change", [("success", False), ("return", 99.0), ("length", 3), "actions", "digest"])
def test_a_replay_that_was_changed_is_refused(change: Any, score: Score, claimed: Callable[..., Score]) -> None:
    record = json.loads(score.replays[SECOND].to_json())
    if change == "actions":
        record["actions"] = "1" + record["actions"][1:]
        assert record["actions"] != json.loads(score.replays[SECOND].to_json())["actions"]
    elif change == "digest":
        record["digest"] = record["digest"][::-1]
    else:
        record["outcome"][change[0]] = change[1]
    other = claimed(json.dumps(record))
    assert "goes another way" in other.refused[0]
    assert other.episodes == 5


@pytest.mark.parametrize("view", [{"observation": "features"}, {"window": (4, 2, 2)}, {"all_planes": True}])
def test_a_driver_may_look_at_what_it_likes(
    view: dict[str, Any], competition: Competition, score: Score, claimed: Callable[..., Score]
) -> None:
    seen = {**score.replays[SECOND].options, **view}
    replay = Replay.of(LANE_KEEP, seen, competition.seeds[SECOND], score.replays[SECOND].actions)
    assert replay.digest != score.replays[SECOND].digest
    other = claimed(replay)
    assert other.refused == ()
    assert other.success.all()


class Trap:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("sprung"), "")


def test_a_claim_opens_nothing(competition: Competition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "claim"
    folder.mkdir()
    (folder / "a.json").write_bytes(pickle.dumps(Trap()))
    (folder / "b.jsonl").write_bytes(pickle.dumps(Trap()) + b"\n" + b"[" * 100_000 + b"\n" + b"1" * ((1 << 20) + 5))
    (folder / "c.json").write_text('{"format": 1, "\\u001b[2J": "clears a terminal"}')
    (folder / "policy.py").write_text("open('sprung', 'w')")
    (folder / "deeper.json").mkdir()
    score = competition.claim("somebody", folder)
    places = [reason.split(":")[0] for reason in score.refused]
    assert places == ["a.json and 1 more", "b.jsonl, line 2", "b.jsonl, line 3", "c.json"]
    assert all("not a replay" in reason and reason.isprintable() for reason in score.refused)
    assert score.episodes == 0
    assert not Path("sprung").exists()


def test_of_an_endless_claim_no_more_is_read_than_could_count(competition: Competition, tmp_path: Path) -> None:
    path = tmp_path / "claim.jsonl"
    path.write_text("{}\n" * 1000)
    score = competition.claim("somebody", path)
    assert score.refused == (
        "claim.jsonl, line 1 and 11 more: not a replay: format must be 1, got None",
        "claim.jsonl, line 13: nothing from here on was read, there are but 6 levels",
    )


def test_an_empty_claim_is_refused(competition: Competition, tmp_path: Path) -> None:
    assert competition.claim("somebody", tmp_path).refused == (f"{tmp_path.name}: there is no replay in it",)
