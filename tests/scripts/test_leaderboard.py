"""The command line that ranks drivers: whoever drives, the same levels, a table, and a page with films."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from loading import load_script

from agents.competition import Competition, Rules, Score
from agents.leaderboard import json_of, leaderboard, markdown_of, text_of, write_leaderboard
from agents.metrics import sign_test
from agents.results import mean_interval
from drivesim.infos import INFO_KEYS

LANE_KEEP = "drivesim/LaneKeep-v1"
LEVELS = ["--env", LANE_KEEP, "--episodes", "5", "--seed", "3"]
TRAIN = [
    "--env", LANE_KEEP, "--agent", "ppo", "--observation", "features", "--num-envs", "8", "--num-steps", "8",
    "--minibatches", "2", "--memory-size", "8", "--mask-actions", "--network.hidden-sizes", "16", "--eval-episodes",
    "8", "--num-threads", "1", "--no-tensorboard", "--no-progress", "--final-episodes", "8", "--total-steps", "512",
]  # fmt: skip
FUNCTION = """
import numpy as np

seen = []

def drive(obs):
    assert obs.shape[1:] == (108,)
    seen.append((obs, obs.copy()))
    assert all((kept == copy).all() for kept, copy in seen)
    return np.full(len(obs), 3)

drive.observation = "features"

def fail(obs):
    raise ZeroDivisionError("what a pity")

def dream(obs):
    return [7] * len(obs)
"""


@pytest.fixture(scope="module")
def script() -> ModuleType:
    return load_script("leaderboard")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(FUNCTION)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    assert load_script("train").main([*TRAIN, "--out", str(folder)]) == 0
    return folder


def board_of(script: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the table as JSON."""
    capsys.readouterr()
    status = script.main([*LEVELS, *arguments, "--format", "json"])
    return status, json.loads(capsys.readouterr().out)


def score(driver: str, success: str, returns: float = 1.0, refused: tuple[str, ...] = ()) -> Score:
    """A score of levels that were driven well (+), badly (-) or not at all (.)."""
    values = np.array([{"+": 1.0, "-": 0.0, ".": np.nan}[letter] for letter in success])
    results = {name: 0.0 * values for name in INFO_KEYS}
    results |= {"success": values, "episode_return": returns * values, "episode_length": 10.0 + np.arange(len(values))}
    return Score(driver, results, {}, refused)


# --- whoever drives ---------------------------------------------------------------------------------------------------


def test_every_kind_of_driver_drives_the_same_levels_and_its_saved_drives_are_worth_as_much(
    script, folder, run_dir, capsys, monkeypatch
) -> None:
    monkeypatch.setattr("agents.export.verification._median_seconds", lambda call, seconds: 1.0)
    export = ["--out", str(folder / "export"), "--observations", "100"]
    assert load_script("export").main([str(run_dir), *export]) == 0
    drivers = [
        "rule-based", "random", "never-steers", "mine.py:drive", "module=mine:drive", f"run={run_dir}",
        "numpy=export/policy.py", "onnx=export/policy.onnx",
    ]  # fmt: skip
    status, board = board_of(script, capsys, *drivers, "--save", "claims")
    assert status == 0
    assert board["seeds"] == [3, 4, 5, 6, 7]
    rows = {row.pop("driver"): row for row in board["drivers"]}
    names = ["rule-based", "random", "never-steers", "drive", "module", "run", "numpy", "onnx"]
    assert sorted(rows) == sorted(names)
    assert rows["rule-based"]["rank"] == 1
    assert rows["rule-based"]["success_rate"] == 1.0
    assert rows["run"] == rows["numpy"] == rows["onnx"]
    assert rows["drive"] == rows["module"]
    status, again = board_of(script, capsys, *(f"claims/{name}.jsonl" for name in names))
    assert status == 0
    assert {row.pop("driver"): row for row in again["drivers"]} == rows
    assert board_of(script, capsys, "claims")[0] == 1, "a folder of claims is one claim, and drives each level once"


def test_a_driver_that_fails_is_refused_and_the_others_go_on(script, folder, capsys) -> None:
    (folder / "foreign.py").write_text("OBS_SHAPE = 3")
    (folder / "policy.py").write_text("Policy = object\nOBS_SHAPE = (7, 7)\nUSES_ACTION_MASKS = False\n")
    drivers = ["mine.py:fail", "mine.py:dream", "mine.py:sleep", "foreign.py", "policy.py", "nobody", "no.jsonl"]
    status, board = board_of(script, capsys, "random", *drivers)
    assert status == 1
    assert [row["driver"] for row in board["drivers"]] == ["random"]
    reasons = [line.split(": ", 1) for line in board["refused"]]
    assert [name for name, _ in reasons] == ["fail", "dream", "sleep", "foreign", "policy", "nobody", "no"]
    for (_, reason), part in zip(
        reasons,
        (
            "ZeroDivisionError('what a pity')", "actions must be integers in [0, 4]", "no function 'sleep'",
            "foreign.py is not an exported driver: it has no Policy", "it reads observations of shape (7, 7)",
            "a driver must be a run folder, replays, an exported", "No such file",
        ),
        strict=True,
    ):  # fmt: skip
        assert part in reason
    assert script.main([*LEVELS, "mine.py:fail"]) == 2
    assert "error: nobody could drive: fail: ZeroDivisionError" in capsys.readouterr().err


def test_without_an_environment_that_of_the_first_run_is_driven(script, run_dir, capsys) -> None:
    capsys.readouterr()
    assert script.main(["random", f"mine={run_dir}", "--episodes", "2", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["env"] == LANE_KEEP
    assert script.main(["random"]) == 2
    assert "error: env must be given" in capsys.readouterr().err


def test_a_run_that_is_not_there_is_named(script, capsys) -> None:
    assert script.main(["runs/mistyped", "random"]) == 2
    assert "error: runs/mistyped does not exist" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_refused_before_anybody_drives(script, tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert script.main(["random", "--env", "drivesim/LaneKeep-v1", "--out", str(tmp_path / "file" / "page")]) == 2
    said = capsys.readouterr().err
    assert "error: " in said
    assert " s\n" not in said  # the time that a driver took


def test_without_a_choice_the_levels_are_those_that_the_first_run_was_trained_on(script, run_dir, tmp_path) -> None:
    run = tmp_path / "hard"
    shutil.copytree(run_dir, run)
    record = json.loads((run / "config.json").read_text())
    record["train"] |= {"difficulty": "hard", "level_options": {"length": 20}}
    (run / "config.json").write_text(json.dumps(record))

    def driven(**chosen: Any) -> tuple[str, str | None, dict[str, int]]:
        rules = script.Arguments(("random", str(run)), **chosen).rules
        return rules.env, rules.difficulty, rules.level_options

    assert driven() == (LANE_KEEP, "hard", {"length": 20})
    assert driven(difficulty="easy") == (LANE_KEEP, "easy", {"length": 20})
    assert driven(env=LANE_KEEP) == (LANE_KEEP, None, {})
    assert script.Arguments(("random",), levels=("gallery/chicane",)).rules.env == "drivesim/Custom-v1"


def test_a_driver_of_several_environments_drives_each_of_them_and_its_drives_count(script, folder, capsys) -> None:
    train = [*TRAIN, "--observation", "grid", "--env", f"{LANE_KEEP},drivesim/Autodrive-v1"]
    assert load_script("train").main([*train, "--out", "runs/both"]) == 0
    assert board_of(script, capsys, "runs/both", "--save", "claims", "--out", "page")[0] == 0
    status, board = board_of(script, capsys, "mine=runs/both", "claims/both.jsonl")
    assert status == 0, board["refused"]
    mine, claimed = board["drivers"]
    assert mine["successes"] == claimed["successes"]
    assert mine["mean_return"] == claimed["mean_return"]
    assert script.main(["runs/both"]) == 2
    assert "env must be given, as --env ID, since runs/both was trained on" in capsys.readouterr().err


def test_a_run_of_another_environment_is_refused(script, run_dir, capsys) -> None:
    assert script.main(["--env", "drivesim/Obstacles-v1", "--episodes", "2", str(run_dir)]) == 2
    assert f"it was trained on {LANE_KEEP}, but the competition is on drivesim/Obstacles-v1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "drivers must be at least one"),
        (["random", "random"], "drivers must be of different names"),
        (["a/b=random"], "drivers must be of names that can be printed"),
        (["a\x1b=random"], "drivers must be of names that can be printed"),
        (["random", "--env", "drivesim/Nowhere-v1"], "env must be one of"),
        (["random", "--episodes", "0"], "episodes must be None or at least 1"),
        (["random", "--num-levels", "3"], "episodes must be at most 3"),
        (["random", "--level-options", "cows", "3"], "level_options of drivesim/LaneKeep-v1 must be among"),
        (["random", "--seed", "-1"], "seed must be at least 0"),
    ],
)
def test_wrong_arguments_are_told_in_a_line(arguments, message, script, capsys) -> None:
    assert script.main([*LEVELS, *arguments]) == 2
    assert f"error: {message}" in capsys.readouterr().err


# --- the table --------------------------------------------------------------------------------------------------------

COMPETITION = Competition(Rules(LANE_KEEP, episodes=8))


def test_drivers_are_ranked_by_success_and_then_by_return_and_equals_share_a_rank() -> None:
    scores = [
        score("b", "++++++--"), score("a", "++++++--"), score("richer", "--++++++", 2.0),
        score("best", "+++++++-"), score("worst", "-------+", 9.0),
    ]  # fmt: skip
    rows = leaderboard(COMPETITION, scores)["drivers"]
    assert [(row["rank"], row["driver"]) for row in rows] == [
        (1, "best"), (2, "richer"), (3, "a"), (3, "b"), (5, "worst"),
    ]  # fmt: skip
    assert [row["against_first"] for row in rows[:2]] == [None, {"won": 1, "lost": 2, "p": 1.0}]
    assert rows[4]["against_first"] == {"won": 1, "lost": 7, "p": sign_test(1, 7)}
    assert rows[0]["success_ci95"] == pytest.approx([0.529, 0.978], abs=5e-4)  # 7 of 8, Wilson
    assert rows[0]["mean_return"] == 0.875
    assert rows[0]["return_ci95"] == pytest.approx([0.579, 1.171], abs=5e-4)  # 0.875 +- 2.3646 * 0.35355 / sqrt(8)
    assert rows[0]["mean_length_of_successes"] == 13.0


def test_leaving_out_levels_never_pays() -> None:
    whole, part = leaderboard(COMPETITION, [score("whole", "++++++--", -5.0), score("part", "++++++..", 9.0)])[
        "drivers"
    ]
    assert (whole["driver"], whole["rank"], part["driver"], part["rank"]) == ("whole", 1, "part", 2)
    assert part["success_rate"] == whole["success_rate"] == 0.75
    assert part["mean_return"] is part["return_ci95"] is part["collision_rate"] is None
    assert part["successes"][-2:] == [None, None]
    assert "part [6 of 8 driven]" in text_of(leaderboard(COMPETITION, [score("part", "++++++..")]))


def test_the_sign_test_counts_the_fair_coins_that_fall_as_unevenly() -> None:
    assert sign_test(0, 0) == sign_test(3, 3) == sign_test(1, 2) == 1.0
    assert sign_test(0, 5) == sign_test(5, 0) == 2 / 32
    assert sign_test(1, 7) == 2 * (1 + 8) / 256
    assert sign_test(0, 5000) == 0.0  # no overflow


def test_the_interval_of_a_mean_is_students_and_may_leave_the_unit_interval() -> None:
    assert mean_interval([1.0, 3.0]) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-3)
    assert mean_interval([-4.0, -4.0, -4.0]) == (-4.0, -4.0)


def test_numbers_below_zero_have_a_minus_sign_and_zero_has_none() -> None:
    board = leaderboard(COMPETITION, [score("bad", "++++++++", -0.5), score("even", "++++++++", -0.001)])
    for shown in (text_of(board), markdown_of(board)):
        assert "\u22120.50 (\u22120.50 to \u22120.50)" in shown
        assert "0.00 (0.00 to 0.00)" in shown
        assert not re.search(r"-\d", shown)
    assert json.loads(json_of(board))["drivers"][1]["mean_return"] == -0.5


# --- texts and pages --------------------------------------------------------------------------------------------------


def test_names_and_reasons_of_others_are_text_wherever_they_are_shown(tmp_path) -> None:
    name, reason = "<script>|*x*", "line 1: <img src=x>"
    board = leaderboard(COMPETITION, [score(name, "+" * 8, refused=(reason,))], failed=["`late`: [no](x)"])
    write_leaderboard(tmp_path / "index.html", board, {})
    page = (tmp_path / "index.html").read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;script&gt;|*x*" in page
    assert "line 1: &lt;img src=x&gt;" in page
    assert r"| \<script>\|\*x\* |" in markdown_of(board)
    assert r"Refused: \`late\`: \[no](x)" in markdown_of(board)
    assert board["refused"] == ["`late`: [no](x)", f"{name}: {reason}"]


def test_the_page_has_the_films_of_the_first_drives_of_everybody_and_nothing_from_elsewhere(
    script, folder, run_dir, capsys
) -> None:
    assert script.main([*LEVELS, "rule-based", "--save", "claims"]) == 0
    drivers = ["me=mine.py:drive", "you=claims/rule-based.jsonl", f"net={run_dir}"]
    arguments = [*drivers, "--out", "out", "--num-films", "2"]
    status, board = board_of(script, capsys, *arguments)
    assert status == 0
    out = folder / "out"
    assert json.loads((out / "leaderboard.json").read_text()) == board
    assert (out / "leaderboard.md").read_text().count("| you |") == 1
    page = (out / "index.html").read_text()
    films = re.findall(r'<a [^>]*href="([^"]+)" target="film">', page)
    assert sorted(films) == sorted(path.relative_to(out).as_posix() for path in (out / "films").iterdir())
    assert sorted(films) == [f"films/{stem}-{seed}.html" for stem in ("1-me", "2-you", "3-net") for seed in (3, 4)]
    assert '<iframe name="film" title="Film" src="films/' in page
    assert "http" not in page
    assert len(re.findall('<[ai] class="(?:good|bad)"', page)) == 15
    shown = {name: (out / "films" / f"{name}-3.html").read_text() for name in ("2-you", "3-net")}
    assert '"driver","you"' in shown["2-you"]
    assert ['"decision":{' in shown[name] for name in shown] == [False, True], "what a network makes of a state"
    (out / "films" / "1-of-ones-own-3.html").touch()
    assert script.main([*LEVELS, "me=mine.py:drive", "--out", "out", "--num-films", "1", "--save", "claims"]) == 0
    assert sorted(path.name for path in (out / "films").iterdir()) == ["1-me-3.html", "1-of-ones-own-3.html"]
    said = capsys.readouterr().err
    assert "out/index.html: the table; films beside it: 1" in said
    assert "claims/me.jsonl: 5 drives" in said
