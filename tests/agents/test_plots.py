"""Learning curves: means and intervals over seeds, which runs may share a line, and what is drawn."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from PIL import Image

from agents.metrics import MetricsWriter
from agents.plots import learning, plot_comparison, plot_learning_curve
from agents.plots.figures import LOOKS
from agents.plots.runs import Curve, group_runs, mean_and_interval, mean_of_seeds, read_run
from agents.run_config import AGENT_CONFIGS
from drivesim.registry import IDS

STEPS = (1000, 2000, 3000)


def write_run(
    folder: Path,
    seed: int = 0,
    *,
    env: str = "drivesim/Highway-v1",
    agent: str = "ppo",
    success: tuple[float, ...] = (0.1, 0.5, 0.9),
    steps: tuple[int, ...] = STEPS,
    seconds_per_step: float | None = 0.01,
    evaluates: bool = True,
    train: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = None,
) -> Path:
    """A run folder with what a figure needs: success as told, returns twice that, training at half of both."""
    folder.mkdir(parents=True)
    config = {"env": env, "agent": agent, "seed": seed, "difficulty": None, **(train or {})}
    (folder / "config.json").write_text(json.dumps({"train": config, "agent": settings or {"gamma": 0.9}}))
    writer = MetricsWriter(folder, tensorboard=False)
    for step, share in zip(steps, success, strict=True):
        metrics = {"rollout/success": share / 2, "rollout/episode_return": share}
        if evaluates:
            metrics |= {"eval/success_rate": share, "eval/mean_return": 2 * share}
        if seconds_per_step is not None:
            metrics["time/seconds"] = step * seconds_per_step
        writer.write(step, metrics)
    writer.close()
    return folder


def curve(*points: tuple[float, float]) -> Curve:
    x, y = np.array(points, np.float64).T
    return Curve(x, y)


@st.composite
def curves(draw: st.DrawFn) -> list[Curve]:
    """Two to five curves of their own lengths and points, all of which hold x = 500."""
    found = []
    for _ in range(draw(st.integers(2, 5))):
        x = sorted(draw(st.sets(st.integers(0, 1000), max_size=12)) | {500})
        y = draw(st.lists(st.floats(-2, 2), min_size=len(x), max_size=len(x)))
        found.append(Curve(np.array(x, np.float64), np.array(y)))
    return found


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures of learning curves and comparisons, as they are written."""
    figures: list[Any] = []
    save = learning.save
    monkeypatch.setattr(learning, "save", lambda figure, *where: (figures.append(figure), save(figure, *where))[1])
    return figures


def lines_of(axes: Any, label: str) -> Any:
    """The line of a legend's entry."""
    (line,) = [line for line in axes.lines if line.get_label() == label]
    return line


def thin_lines_of(axes: Any) -> list[Any]:
    return [line for line in axes.lines if line.get_label().startswith("_")]


class TestMeanOfSeeds:
    def test_interval_is_students(self) -> None:
        """Of 1, 2, 6: mean 3, variance (4 + 1 + 9) / 2 = 7, half width t(2) sqrt(7 / 3) = 4.302653 * 1.527525."""
        mean, low, high = mean_and_interval(np.array([[1.0, 0.0], [2.0, 0.0], [6.0, 0.0]]))
        assert mean == pytest.approx([3.0, 0.0])
        assert high - mean == pytest.approx([6.572411, 0.0], abs=1e-6)
        assert mean - low == pytest.approx([6.572411, 0.0], abs=1e-6)

    def test_interval_of_two_is_12_7_times_half_their_distance(self) -> None:
        """Variance of 0 and 2 is 2, half width t(1) sqrt(2 / 2) = 12.7062."""
        band = mean_of_seeds([curve((1, 0)), curve((1, 2))])
        assert band.mean == pytest.approx([1.0])
        assert band.high == pytest.approx([13.7062], abs=1e-4)

    def test_interval_of_shares_stays_within_0_and_1(self) -> None:
        band = mean_of_seeds([curve((1, 0.2), (2, 0.9)), curve((1, 0.1), (2, 1.0))], (0.0, 1.0))
        assert (band.low[0], band.high[1]) == (0.0, 1.0)

    def test_one_seed_has_no_interval(self) -> None:
        band = mean_of_seeds([curve((1, 0.2), (2, 0.9))])
        assert band.mean.tolist() == [0.2, 0.9]
        assert np.isnan(band.low).all()
        assert np.isnan(band.high).all()

    def test_hand_worked_seeds_with_evaluations_at_other_steps(self) -> None:
        """At 20 the first is 2, the second half way from 0 to 8; before 10 and after 30 one of them is unknown."""
        band = mean_of_seeds([curve((0, 0), (20, 2), (30, 5)), curve((10, 0), (30, 8), (40, 9))])
        assert band.x.tolist() == [10, 20, 30]
        assert band.mean.tolist() == [0.5, 3.0, 6.5]

    def test_seeds_that_were_never_measured_together_have_no_mean(self) -> None:
        assert mean_of_seeds([curve((1, 0), (2, 0)), curve((3, 1))]).x.size == 0

    @given(curves())
    @settings(max_examples=200, deadline=None)
    def test_is_the_mean_of_the_straight_lines_wherever_all_seeds_were_measured(self, seeds: list[Curve]) -> None:
        band = mean_of_seeds(seeds)
        assert band.x[0] == max(seed.x[0] for seed in seeds)
        assert band.x[-1] == min(seed.x[-1] for seed in seeds)
        assert (np.diff(band.x) > 0).all()
        anywhere = np.linspace(band.x[0], band.x[-1], 777)
        expected = np.mean([np.interp(anywhere, seed.x, seed.y) for seed in seeds], axis=0)
        assert np.interp(anywhere, band.x, band.mean) == pytest.approx(expected, abs=1e-9)
        assert (band.low <= band.mean).all()
        assert (band.mean <= band.high).all()


class TestRuns:
    def test_curves_are_over_steps_or_seconds(self, tmp_path: Path) -> None:
        run = read_run(write_run(tmp_path / "run", seconds_per_step=0.5))
        assert run.curve("eval/success_rate").x.tolist() == [1000, 2000, 3000]
        assert run.curve("eval/success_rate", "seconds").x.tolist() == [500, 1000, 1500]
        assert run.curve("eval/success_rate", "seconds").y.tolist() == [0.1, 0.5, 0.9]

    def test_the_time_of_an_evaluation_is_its_own_and_not_that_of_the_row_before(self, tmp_path: Path) -> None:
        write_run(tmp_path / "run", evaluates=False)
        writer = MetricsWriter(tmp_path / "run", tensorboard=False, resume_step=3000)
        writer.write(3000, {"eval/success_rate": 0.7, "time/seconds": 99.0})
        assert read_run(tmp_path / "run").curve("eval/success_rate", "seconds").x.tolist() == [99.0]

    def test_are_grouped_by_environment_and_algorithm(self, tmp_path: Path) -> None:
        names = [("drivesim/Highway-v1", "ppo"), ("drivesim/Highway-v1", "dqn"), ("drivesim/LaneKeep-v1", "ppo")]
        folders = [
            write_run(tmp_path / f"{number}-{seed}", seed, env=env, agent=agent)
            for seed in (2, 0, 1)
            for number, (env, agent) in enumerate(names)
        ]
        groups = group_runs([read_run(folder) for folder in folders])
        assert [(group.env, group.agent) for group in groups] == names
        assert [[run.seed for run in group.runs] for group in groups] == [[0, 1, 2]] * 3

    def test_with_the_same_seed_are_no_sample(self, tmp_path: Path) -> None:
        runs = [read_run(write_run(tmp_path / name, 4)) for name in ("one", "two")]
        with pytest.raises(ValueError, match=r"one and .*two both have seed 4"):
            group_runs(runs)

    def test_with_other_settings_are_no_sample(self, tmp_path: Path) -> None:
        one = read_run(write_run(tmp_path / "one", 0))
        hard = read_run(write_run(tmp_path / "hard", 1, train={"difficulty": "hard"}))
        patient = read_run(write_run(tmp_path / "patient", 2, settings={"gamma": 0.99}))
        with pytest.raises(ValueError, match="differ in difficulty"):
            group_runs([one, hard])
        with pytest.raises(ValueError, match="differ in agent's gamma"):
            group_runs([one, patient])

    def test_may_differ_in_limits_and_in_what_does_not_touch_learning(self, tmp_path: Path) -> None:
        one = read_run(write_run(tmp_path / "one", 0, train={"max_seconds": None, "num_threads": 1}))
        two = read_run(write_run(tmp_path / "two", 1, train={"max_seconds": 60.0, "num_threads": 2}))
        assert len(group_runs([one, two])) == 1

    def test_none_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="at least one run folder"):
            plot_learning_curve([], tmp_path)

    def test_bad_folders_are_named_with_what_is_wrong(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="nowhere does not exist"):
            read_run(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError, match="is not a run folder"):
            read_run(tmp_path)
        run = write_run(tmp_path / "run")
        metrics = run / "metrics.csv"
        metrics.write_text("")
        with pytest.raises(ValueError, match=r"metrics.csv holds none of rollout/success"):
            read_run(run)
        for text in ("global_step,rollout/success\n5,much\n", "rollout/success\n0.5\n", "a,rollout/success\n1,1\n"):
            metrics.write_text(text)
            with pytest.raises(ValueError, match=r"metrics\.csv is not the metrics of a run"):
                read_run(run)
        metrics.write_bytes(b"\xff\x00\xff")
        with pytest.raises(ValueError, match=r"metrics\.csv is not the metrics of a run"):
            read_run(run)
        metrics.write_text("global_step,eval/success_rate\n5,nan\n")
        with pytest.raises(ValueError, match="must hold finite numbers, got others for eval/success_rate"):
            read_run(run)
        metrics.unlink()
        with pytest.raises(FileNotFoundError, match=r"has no metrics\.csv"):
            read_run(run)
        with pytest.raises(ValueError, match=r"agent \(one of \['dqn'.* 'sarsa' and 0"):
            read_run(write_run(tmp_path / "other", agent="sarsa"))


class TestLearningCurve:
    def test_of_a_run_lies_in_its_folder_with_what_was_measured(self, tmp_path: Path, drawn: list[Any]) -> None:
        run = write_run(tmp_path / "run")
        paths = plot_learning_curve([run])
        assert paths == (run / "learning_curve.png", run / "learning_curve.svg")
        success, returns = drawn[0].axes
        for axes, label, values in (
            (success, "held-out levels (greedy)", [10, 50, 90]),
            (success, "while training (exploring)", [5, 25, 45]),
            (returns, "held-out levels (greedy)", [0.2, 1.0, 1.8]),
            (returns, "while training (exploring)", [0.1, 0.5, 0.9]),
        ):
            line = lines_of(axes, label)
            assert line.get_xdata() == pytest.approx(STEPS)
            assert line.get_ydata() == pytest.approx(values)
        assert not thin_lines_of(success)
        assert not success.collections
        legend = drawn[0].legends[0]
        assert legend.get_title().get_text() == "PPO on drivesim/Highway-v1, seed 0"
        assert not legend.get_frame_on()

    def test_of_several_seeds_is_their_mean_with_every_seed_thin(self, tmp_path: Path, drawn: list[Any]) -> None:
        runs = [write_run(tmp_path / f"{seed}", seed, success=(0.1 * seed, 0.5, 0.9)) for seed in range(3)]
        paths = plot_learning_curve(runs, tmp_path / "out")
        assert [path.name for path in paths] == [
            "learning_curve__Highway-v1__ppo.png", "learning_curve__Highway-v1__ppo.svg",
        ]  # fmt: skip
        success, _ = drawn[0].axes
        assert lines_of(success, "held-out levels (greedy)").get_ydata() == pytest.approx([10, 50, 90])
        assert len(thin_lines_of(success)) == 6
        assert len(success.collections) == 2  # the intervals
        assert "mean of 3 seeds" in drawn[0].legends[0].get_title().get_text()

    def test_ends_its_mean_where_the_first_seed_ends_and_shows_the_others_to_their_end(
        self, tmp_path: Path, drawn: list[Any]
    ) -> None:
        long = write_run(tmp_path / "long", 0)
        short = write_run(tmp_path / "short", 1, steps=STEPS[:2], success=(0.3, 0.7))
        plot_learning_curve([long, short], tmp_path)
        success, _ = drawn[0].axes
        assert lines_of(success, "held-out levels (greedy)").get_xdata().tolist() == [1000, 2000]
        assert max(line.get_xdata()[-1] for line in thin_lines_of(success)) == 3000

    def test_before_the_first_evaluation_shows_training_only(self, tmp_path: Path, drawn: list[Any]) -> None:
        plot_learning_curve([write_run(tmp_path / "run", evaluates=False)])
        assert [line.get_label() for line in drawn[0].axes[0].lines] == ["while training (exploring)"]

    def test_needs_evaluations_of_all_seeds_or_of_none(self, tmp_path: Path) -> None:
        runs = [write_run(tmp_path / "one", 0), write_run(tmp_path / "two", 1, evaluates=False)]
        with pytest.raises(ValueError, match=r"two/metrics\.csv holds no eval/success_rate, unlike"):
            plot_learning_curve(runs, tmp_path)

    def test_of_two_algorithms_is_refused(self, tmp_path: Path) -> None:
        runs = [write_run(tmp_path / "one", agent="ppo"), write_run(tmp_path / "two", agent="dqn")]
        with pytest.raises(ValueError, match="got ppo on drivesim/Highway-v1, dqn on drivesim/Highway-v1"):
            plot_learning_curve(runs, tmp_path)

    @pytest.mark.parametrize(
        ("factor", "label", "last"),
        [(1, "environment steps", 3000), (10, "environment steps (thousands)", 30), (1000, "(millions)", 3)],
    )
    def test_axis_of_steps_names_its_unit(self, tmp_path: Path, drawn: list[Any], factor, label, last) -> None:
        plot_learning_curve([write_run(tmp_path / "run", steps=tuple(factor * step for step in STEPS))])
        axes = drawn[0].axes[0]
        assert axes.get_xlabel().endswith(label)
        assert axes.lines[0].get_xdata()[-1] == last


class TestComparison:
    def test_has_a_row_per_environment_and_a_look_per_algorithm(self, tmp_path: Path, drawn: list[Any]) -> None:
        runs = [
            write_run(tmp_path / f"{env[9:]}-{agent}", env=env, agent=agent)
            for env in reversed(IDS)
            for agent in reversed(AGENT_CONFIGS)
        ]
        paths = plot_comparison(runs, tmp_path / "new" / "out")
        assert [path.name for path in paths] == ["comparison.png", "comparison.svg"]
        panels = np.array(drawn[0].axes).reshape(len(IDS), 2)
        assert [axes.get_title(loc="left") for axes in panels[:, 0]] == [env.partition("/")[2] for env in IDS]
        for axes, x in ((panels[0, 0], STEPS), (panels[-1, 1], [10, 20, 30])):
            lines = [line for line in axes.lines if not line.get_label().startswith("_")]
            assert [line.get_label() for line in lines] == [agent.upper() for agent in AGENT_CONFIGS]
            assert len({line.get_color() for line in lines}) == len(AGENT_CONFIGS)
            assert len({line.get_marker() for line in lines}) == len(AGENT_CONFIGS)
            assert len({str(line._dash_pattern) for line in lines}) == len(AGENT_CONFIGS)
            assert all(line.get_xdata() == pytest.approx(x) for line in lines)

    def test_has_no_axis_of_seconds_if_no_run_holds_the_time(self, tmp_path: Path, drawn: list[Any]) -> None:
        plot_comparison([write_run(tmp_path / "run", seconds_per_step=None)], tmp_path)
        assert len(drawn[0].axes) == 1

    def test_shows_no_mean_over_seconds_of_some_seeds_only(self, tmp_path: Path, drawn: list[Any]) -> None:
        timed = [write_run(tmp_path / f"dqn{seed}", seed, agent="dqn") for seed in (0, 1)]
        half = [write_run(tmp_path / f"ppo{seed}", seed, seconds_per_step=0.1 if seed else None) for seed in (0, 1)]
        plot_comparison(timed + half, tmp_path)
        steps, seconds = drawn[0].axes
        assert {line.get_label() for line in steps.lines} >= {"DQN", "PPO"}
        assert {line.get_label() for line in seconds.lines if not line.get_label().startswith("_")} == {"DQN"}

    def test_shows_seeds_that_were_never_measured_together(self, tmp_path: Path, drawn: list[Any]) -> None:
        """Runs with one evaluation each, at the same step and after other times."""
        runs = [
            write_run(tmp_path / f"{seed}", seed, steps=(1000,), success=(0.5,), seconds_per_step=seed + 1)
            for seed in (0, 1)
        ]
        plot_comparison(runs, tmp_path)
        _, seconds = drawn[0].axes
        assert [line.get_marker() for line in thin_lines_of(seconds)] == [".", "."]
        assert lines_of(seconds, "PPO").get_xdata().size == 0

    def test_needs_evaluations(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="holds no eval/success_rate: no evaluation was made"):
            plot_comparison([write_run(tmp_path / "run", evaluates=False)], tmp_path)


class TestFiles:
    def test_hold_a_picture_in_the_colours_of_its_lines(self, tmp_path: Path) -> None:
        runs = [write_run(tmp_path / agent, agent=agent) for agent in ("dqn", "ppo")]
        png, svg = plot_comparison(runs, tmp_path)
        with Image.open(png) as picture:
            colours = {"#{:02x}{:02x}{:02x}".format(*rgb[:3]) for _, rgb in picture.getcolors(1 << 24)}
            assert picture.size > (1000, 400)
        names = list(AGENT_CONFIGS)
        expected = {to_hex(LOOKS[names.index(agent)].colour) for agent in ("dqn", "ppo")}
        assert colours >= expected | {"#ffffff"}
        text = svg.read_text()
        assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
        assert all(colour in text for colour in expected)

    def test_are_the_same_bytes_for_the_same_data_whatever_the_users_style(self, tmp_path: Path) -> None:
        runs = [write_run(tmp_path / f"{seed}", seed) for seed in (0, 1)]
        first = [path.read_bytes() for path in plot_learning_curve(runs, tmp_path / "a")]
        with matplotlib.rc_context({"font.size": 20, "svg.hashsalt": None, "axes.facecolor": "black"}):
            before = dict(matplotlib.rcParams)
            second = [path.read_bytes() for path in plot_learning_curve(runs, tmp_path / "b")]
            assert dict(matplotlib.rcParams) == before
        assert first == second

    def test_change_with_the_data(self, tmp_path: Path) -> None:
        one = plot_learning_curve([write_run(tmp_path / "one")])
        two = plot_learning_curve([write_run(tmp_path / "two", success=(0.1, 0.5, 0.8))])
        assert all(a.read_bytes() != b.read_bytes() for a, b in zip(one, two, strict=True))

    def test_have_a_look_for_every_algorithm(self) -> None:
        assert len(LOOKS) == len(AGENT_CONFIGS)
        for looks in (
            [look.colour for look in LOOKS],
            [look.dashes for look in LOOKS],
            [look.marker for look in LOOKS],
        ):
            assert len(set(looks)) == len(LOOKS)
