"""Counting the drives that imitation takes."""

from __future__ import annotations

from loading import SCRIPTS, load_script


def test_an_interrupted_measurement_is_not_taken_for_a_finished_one(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    script = load_script("imitation")

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(script, "finish_training", interrupted)
    (tmp_path / "LaneKeep-v1__bc").mkdir()
    (tmp_path / "LaneKeep-v1__bc" / "config.json").touch()  # as a run leaves it that was interrupted before
    assert script.main(["--out", str(tmp_path), "--envs", "drivesim/LaneKeep-v1", "--agents", "bc"]) == 130
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("interrupted; the same command continues\n")
