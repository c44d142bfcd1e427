"""The search for hyper-parameters: ranges, a score by hand, that it repeats, and that it survives being killed."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

import optuna
import pytest
import tyro
from loading import load_script
from PIL import Image

from agents.dqn import DQNConfig
from agents.networks import NetworkConfig
from agents.ppo import PPOConfig
from agents.presets import Preset, preset_for
from agents.run_config import AGENT_CONFIGS, TrainConfig
from agents.search_spaces import SEARCH_SPACES, Choices, Range, field_of, flags, with_fields
from agents.training import NotFiniteError, TrainResult, train
from drivesim.registry import IDS

PROBE = "probes/Action-v0"
SEARCHED = ("learning_rate", "network.hidden_sizes", "epochs")


@pytest.fixture(scope="module")
def tune() -> ModuleType:
    return load_script("tune")


@dataclass
class FakeTraining:
    """Success rises linearly to 1 less the decades between the step size and 1e-3."""

    dies_at: int = -1  # call, counted from 0
    reason: str = "total_steps"
    calls: int = 0

    def __call__(self, config, agent_config, folder, on_evaluation):
        self.calls += 1
        folder.mkdir(parents=True)
        final = max(1.0 - abs(math.log10(agent_config.learning_rate / 1e-3)), 0.0)
        reason, rows = self.reason, ["global_step,eval/success_rate,time/seconds"]
        for step in range(config.eval_interval, config.total_steps + 1, config.eval_interval):
            number, success = step // config.eval_interval, final * step / config.total_steps
            rows.append(f"{step},{success!r},{number}.0")
            if self.dies_at == self.calls - 1 and number == 2:
                raise MemoryError
            if on_evaluation(step, success):
                reason = "callback"
                break
        (folder / "metrics.csv").write_text("\n".join(rows) + "\n")
        return TrainResult(folder, reason, step, float(number), final)


@pytest.fixture
def fake(tune, monkeypatch) -> FakeTraining:
    training = FakeTraining()
    monkeypatch.setattr(tune, "train", training)
    return training


def arguments(out: Path, *more: str) -> list[str]:
    return [
        "--env", PROBE, "--agent", "ppo", "--seed", "5", "--trials", "12", "--total-steps", "1000",
        "--evaluations", "5", "--parameters", *SEARCHED, "--out", str(out), *more,
    ]  # fmt: skip


def rows(out: Path) -> list[dict[str, str]]:
    """The finished trials without their numbers, which count killed ones too."""
    with (out / "trials.csv").open(newline="") as file:
        return [{name: value for name, value in row.items() if name != "trial"} for row in csv.DictReader(file)]


def states(out: Path) -> list[str]:
    storage = optuna.storages.RDBStorage(f"sqlite:///{out / 'study.sqlite'}")
    found = [trial.state.name for trial in optuna.load_study(study_name="study", storage=storage).trials]
    storage.remove_session()
    storage.engine.dispose()
    return found


# --- ranges -----------------------------------------------------------------------------------------------------------


def test_every_algorithm_has_a_search_space() -> None:
    assert set(SEARCH_SPACES) == set(AGENT_CONFIGS)


@pytest.mark.parametrize("agent", AGENT_CONFIGS)
def test_a_search_space_names_fields_and_holds_their_defaults_and_presets(agent) -> None:
    known = {"default": AGENT_CONFIGS[agent](), **{env: preset_for(env, agent).agent for env in IDS}}
    for name, space in SEARCH_SPACES[agent].items():
        for source, config in known.items():
            assert field_of(config, name) in space, (name, source)
        if isinstance(space, Range):
            assert space.low < space.high
            assert not space.log or space.low > 0
            assert type(space.low) is type(space.high) is type(field_of(known["default"], name))
        else:
            assert len(set(space.values)) == len(space.values) > 1


@pytest.mark.parametrize("agent", AGENT_CONFIGS)
def test_every_end_of_a_range_and_every_choice_is_a_valid_configuration_and_a_command_line(agent) -> None:
    default = AGENT_CONFIGS[agent]()
    for name, space in SEARCH_SPACES[agent].items():
        for value in space.values if isinstance(space, Choices) else (space.low, space.high):
            config = with_fields(default, {name: value})
            assert field_of(config, name) == value
            assert tyro.cli(type(default), args=flags({name: value}), default=default) == config


def test_a_switch_of_an_inner_configuration_is_turned_off_by_its_own_flag() -> None:
    default = DQNConfig()
    config = tyro.cli(DQNConfig, args=flags({"double": False, "network.layer_norm": False}), default=default)
    assert config == with_fields(default, {"double": False, "network.layer_norm": False}) != default


def test_several_fields_are_replaced_together() -> None:
    default = PPOConfig()
    values = {"num_envs": 4, "num_steps": 1, "minibatches": 4, "network.hidden_sizes": (8,)}
    config = with_fields(default, values)  # 4 envs of 1 step are too few for the default's 8 minibatches
    assert (config.num_envs, config.minibatches) == (4, 4)
    assert config.network == NetworkConfig(hidden_sizes=(8,), layer_norm=False)
    assert default == PPOConfig()
    with pytest.raises(AttributeError):
        field_of(default, "network.width")


# --- a trial ----------------------------------------------------------------------------------------------------------


def test_the_score_is_the_mean_of_the_last_evaluations_and_sooner_is_better_among_equals(tune, tmp_path) -> None:
    (tmp_path / "metrics.csv").write_text(
        "global_step,eval/success_rate,time/seconds\n100,0.2,5.0\n200,0.9,6.0\n300,0.96,9.0\n400,0.84,20.0\n"
    )
    config = TrainConfig(total_steps=400, eval_episodes=50)
    # mean of 0.9, 0.96 and 0.84; three evaluations have 150 episodes, so that scores differ by 1 / 150 or not at all
    assert tune.score(tmp_path, config, 0.99) == pytest.approx(0.9)
    assert tune.score(tmp_path, config, 0.95) == pytest.approx(0.9 + 0.5 / 150 * (1 - 300 / 400))
    assert tune.score(tmp_path, config, 0.9) == pytest.approx(0.9 + 0.5 / 150 * (1 - 200 / 400))
    timed = TrainConfig(total_steps=400, eval_episodes=50, max_seconds=20.0)
    assert tune.score(tmp_path, timed, 0.95) == pytest.approx(0.9 + 0.5 / 150 * (1 - 9 / 20))


def test_training_stops_when_the_callback_says_so(tmp_path) -> None:
    seen = []

    def must_stop(step: int, success: float) -> bool:
        seen.append((step, success))
        return step >= 128

    config = TrainConfig(
        env=PROBE, agent="ppo", total_steps=640, log_interval=64, eval_interval=64, eval_episodes=4, num_threads=1,
        tensorboard=False, progress=False,
    )  # fmt: skip
    agent = PPOConfig(num_envs=8, num_steps=4, minibatches=2, network=NetworkConfig(hidden_sizes=(8,)))
    result = train(config, agent, tmp_path / "stopped", on_evaluation=must_stop)
    assert (result.reason, result.global_step) == ("callback", 128)
    assert [step for step, _ in seen] == [64, 128]
    assert all(0.0 <= success <= 1.0 for _, success in seen)


# --- the search -------------------------------------------------------------------------------------------------------


def test_a_search_finds_the_best_step_size_and_says_how_to_use_it(tune, fake, tmp_path, capsys) -> None:
    assert tune.main(arguments(tmp_path)) == 0
    found = rows(tmp_path)
    assert len(found) == fake.calls == 12
    # The preset, a step size of 1e-3, comes first and is best: 0.6, 0.8 and 1.0 in its last evaluations.
    assert float(found[0]["learning_rate"]) == PPOConfig.learning_rate
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["trial"] == 0
    assert best["score"] == pytest.approx(0.8, abs=1e-3)
    assert best["agent_config"]["network"]["hidden_sizes"] == [128, 128]
    assert best["values"] == {"learning_rate": 1e-3, "network.hidden_sizes": [128, 128], "epochs": 2}
    words = (
        f"--env {PROBE} --agent ppo --seed 5 --total-steps 1000 --log-interval 200 --eval-interval 200 --num-threads 1 "
        "--learning-rate 0.001 --network.hidden-sizes 128 128 --epochs 2"
    )
    assert capsys.readouterr().out.splitlines()[-1] == f".venv/bin/python scripts/train.py {words}"
    with Image.open(tmp_path / "search.png") as picture:
        assert picture.size > (600, 400)


def test_the_command_at_the_end_is_a_run_as_the_best_trial_was(tune, fake, tmp_path) -> None:
    options = ["--env", "drivesim/Highway-v1", "--max-seconds", "60", "--trials", "3"]
    assert tune.main([*arguments(tmp_path), *options]) == 0
    best = json.loads((tmp_path / "best.json").read_text())
    _, script, *words = best["command"].split()
    assert script == "scripts/train.py"
    run = load_script("train").parse(words)
    assert preset_for("drivesim/Highway-v1", "ppo").train.stop_at_success is not None  # which no trial has
    shown = {"progress": True, "tensorboard": True}
    assert json.loads(json.dumps(asdict(run.train))) == best["train"] | shown
    assert json.loads(json.dumps(asdict(run.agent_config))) == best["agent_config"]


def test_trials_that_fall_behind_are_stopped_early(tune, fake, tmp_path) -> None:
    assert tune.main(arguments(tmp_path / "median", "--trials", "16")) == 0
    found = rows(tmp_path / "median")
    stopped = [row for row in found if row["state"] == "pruned"]
    assert stopped
    assert all(400 <= int(row["steps"]) < 1000 for row in stopped)  # after two of five evaluations
    assert all(row["state"] == "complete" for row in found[: tune.STARTUP_TRIALS])
    finished = max(float(row["score"]) for row in found if row["state"] == "complete")
    assert all(float(row["score"]) < finished for row in stopped)
    assert tune.main(arguments(tmp_path / "none", "--pruner", "none")) == 0
    assert {row["state"] for row in rows(tmp_path / "none")} == {"complete"}


def test_the_same_seed_gives_the_same_search_and_another_one_does_not(tune, fake, tmp_path) -> None:
    for name, seed in (("first", "5"), ("second", "5"), ("other", "6")):
        assert tune.main(arguments(tmp_path / name, "--seed", seed)) == 0
    assert rows(tmp_path / "first") == rows(tmp_path / "second")
    rates = {name: [row["learning_rate"] for row in rows(tmp_path / name)] for name in ("first", "other")}
    assert rates["first"][0] == rates["other"][0]  # the preset
    assert not set(rates["first"][1:]) & set(rates["other"][1:])
    assert len(set(rates["first"])) == 12


@pytest.mark.parametrize("trial", [0, 3, 10])  # the preset, one drawn at random, one after something was learnt
def test_a_killed_search_resumes_to_the_same_trials(tune, tmp_path, monkeypatch, trial) -> None:
    monkeypatch.setattr(tune, "train", FakeTraining())
    assert tune.main(arguments(tmp_path / "whole")) == 0
    monkeypatch.setattr(tune, "train", FakeTraining(dies_at=trial))
    with pytest.raises(MemoryError):
        tune.main(arguments(tmp_path / "parts"))
    training = FakeTraining()
    monkeypatch.setattr(tune, "train", training)
    assert tune.main(arguments(tmp_path / "parts", "--resume")) == 0
    assert training.calls == 12 - trial  # finished trials are kept
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")
    assert states(tmp_path / "parts").index("FAIL") == trial
    assert not (tmp_path / "parts" / "trials" / f"{trial:04d}").exists()


def test_an_interrupted_search_says_so_and_makes_its_trial_again(tune, fake, tmp_path, capsys) -> None:
    fake.reason = "interrupted"
    assert tune.main(arguments(tmp_path, "--trials", "2")) == 130
    assert "interrupted; --resume continues" in capsys.readouterr().err
    fake.reason = "total_steps"
    assert tune.main(arguments(tmp_path, "--trials", "2", "--resume")) == 0
    assert states(tmp_path) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert float(rows(tmp_path)[0]["learning_rate"]) == PPOConfig.learning_rate


def test_a_trial_whose_training_diverges_is_the_worst_and_the_search_goes_on(tune, tmp_path, monkeypatch) -> None:
    training = FakeTraining()

    def diverge_once(*arguments, **options):
        if training.calls == 1:
            training.calls += 1
            raise NotFiniteError("training stopped at step 8: loss/td is nan")
        return training(*arguments, **options)

    monkeypatch.setattr(tune, "train", diverge_once)
    assert tune.main(arguments(tmp_path, "--trials", "3", "--pruner", "none")) == 0
    assert [float(row["score"]) > 0 for row in rows(tmp_path)] == [True, False, True]


def test_a_longer_search_goes_on_from_a_shorter_one_and_others_are_refused(tune, fake, tmp_path, capsys) -> None:
    assert tune.main(arguments(tmp_path / "parts", "--trials", "9")) == 0
    assert tune.main(arguments(tmp_path / "parts")) == 2
    assert "already holds a study; pass --resume" in capsys.readouterr().err
    assert tune.main(arguments(tmp_path / "parts", "--resume", "--seed", "6")) == 2
    assert "seed must be 5 as when the search began, got 6" in capsys.readouterr().err
    assert tune.main(arguments(tmp_path / "parts", "--resume", "--trials", "12")) == 0
    assert tune.main(arguments(tmp_path / "whole")) == 0
    assert rows(tmp_path / "parts") == rows(tmp_path / "whole")


def test_two_searches_in_one_folder_do_not_take_each_others_trials(tune, fake, tmp_path, capsys) -> None:
    statuses = []

    def search_beside(*given, **options):
        if not statuses:
            statuses.append(tune.main(arguments(tmp_path, "--trials", "2", "--resume")))
        return fake(*given, **options)

    tune.train = search_beside
    assert tune.main(arguments(tmp_path, "--trials", "2")) == 0
    assert statuses == [2]
    assert "another process is searching in" in capsys.readouterr().err
    assert states(tmp_path) == ["COMPLETE", "COMPLETE"]


def test_a_file_that_holds_no_study_is_refused_in_a_line(tune, fake, tmp_path, capsys) -> None:
    (tmp_path / "study.sqlite").write_text("not a database, and longer than the hundred bytes of a header " * 3)
    assert tune.main(arguments(tmp_path, "--resume")) == 2
    said = capsys.readouterr().err
    assert "study.sqlite holds no study that can be read" in said
    assert len(said.splitlines()) == 1


def test_real_training_runs_under_the_search(tune, tmp_path, monkeypatch) -> None:
    small = PPOConfig(num_envs=8, num_steps=4, minibatches=1)

    def preset(env_id: str, agent: str) -> Preset:
        return Preset(TrainConfig(env=env_id, agent="ppo", eval_episodes=8), small)

    monkeypatch.setattr(tune, "preset_for", preset)
    assert tune.main(arguments(tmp_path, "--trials", "2", "--total-steps", "640", "--pruner", "hyperband")) == 0
    assert [row["steps"] for row in rows(tmp_path)] == ["640", "640"]
    assert not list(tmp_path.rglob("checkpoints"))
    assert (tmp_path / "trials" / "0001" / "metrics.csv").exists()


def test_wrong_arguments_are_refused_by_name(tune) -> None:
    with pytest.raises(ValueError, match=r"parameters must be among \['gamma', 'learning_rate'.*got 'clip'"):
        tune.Arguments(agent="dqn", parameters=("clip",))
    with pytest.raises(ValueError, match="env must be a registered id, got 'drivesim/Nowhere-v0'"):
        tune.Arguments(env="drivesim/Nowhere-v0")
    with pytest.raises(ValueError, match="threshold must be in"):
        tune.Arguments(threshold=95)
    with pytest.raises(ValueError, match="total_steps must be at least 1, got 0"):
        tune.Arguments(total_steps=0)
    with pytest.raises(ValueError, match=r"max_seconds must be positive, got -3"):
        tune.Arguments(max_seconds=-3.0)
