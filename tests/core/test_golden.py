"""No change of behaviour goes unnoticed: every environment answers fixed actions as recorded in tests/golden.json.

A failure here means that trajectories have changed. See scripts/update_golden.py for what to do if that is intended.
"""

from typing import ClassVar

import pytest
from loading import load_script

from drivesim.registry import IDS

golden = load_script("update_golden")


RECORDED = [(env_id, observation) for env_id, records in golden.read().items() for observation in records]


@pytest.mark.parametrize(("env_id", "observation"), RECORDED)
def test_an_environment_answers_as_recorded(env_id, observation) -> None:
    recorded = golden.read()[env_id][observation]
    answered = golden.record(env_id, observation)
    for ours, reference in zip(answered["first_steps"], recorded["first_steps"], strict=True):
        assert ours == reference
    assert answered == recorded


def test_nothing_is_on_record_but_environments_that_there_are() -> None:
    assert set(golden.read()) <= set(IDS)


class TestUpdate:
    OLD: ClassVar = {"a-v0": {"grid": {"sha256": "1"}}, "b-v0": {"grid": {"sha256": "2"}}}

    def test_is_refused_if_a_record_no_longer_holds(self) -> None:
        new = {"a-v0": {"grid": {"sha256": "other"}}, "b-v0": self.OLD["b-v0"]}
        with pytest.raises(ValueError, match=r"a-v0: .*--version-bumped"):
            golden.updated(self.OLD, new, version_bumped=False)
        assert golden.updated(self.OLD, new, version_bumped=True) == new

    def test_adds_new_ids_and_drops_those_that_are_gone(self) -> None:
        new = {"a-v0": self.OLD["a-v0"], "c-v1": {"grid": {"sha256": "3"}}}
        assert golden.updated(self.OLD, new, version_bumped=False) == new

    def test_says_what_it_has_done(self, tmp_path, monkeypatch, capsys) -> None:
        monkeypatch.setattr(golden, "GOLDEN", tmp_path / "golden.json")
        monkeypatch.setattr(golden, "IDS", ("a-v1", "b-v1"))
        monkeypatch.setattr(golden, "cases", lambda: [("a-v1", "grid"), ("b-v1", "grid")])
        for answers, said in (
            ("one", "added a-v1, b-v1"),
            ("one", "nothing has changed"),
            ("two", "changed a-v1"),
        ):
            monkeypatch.setattr(golden, "record", lambda env_id, observation, answers=answers: {"sha256": answers})
            golden.update(golden.Arguments(envs=("a-v1",) if answers == "two" else golden.IDS, version_bumped=True))
            assert capsys.readouterr().out == f"golden.json: {said}\n"

    def test_reads_what_it_writes(self, tmp_path) -> None:
        golden.write(self.OLD, tmp_path / "golden.json")
        assert golden.read(tmp_path / "golden.json") == self.OLD
        assert golden.read(tmp_path / "nowhere.json") == {}
