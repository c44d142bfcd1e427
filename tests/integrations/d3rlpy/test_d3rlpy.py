"""d3rlpy learns from what was driven, tick by tick."""

import pytest
from docs_blocks import run_library_page

pytest.importorskip("d3rlpy")
pytest.importorskip("minari.dataset")

import numpy as np

from drivesim.integrations.minari import record

ABOUT = {"algorithm_name": "random", "author": "me", "author_email": "me@example.org", "code_permalink": "none"}


def policy(obs):
    return np.random.default_rng(0).choice(5, len(obs), p=[0.05, 0.4, 0.05, 0.3, 0.2])


@pytest.mark.filterwarnings("ignore")
def test_the_page_works_as_written_and_every_transition_is_one_of_the_recorded(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    options = {"observation": "features", "difficulty": "easy"}
    record("drivesim/Obstacles-v1", policy, 50, seed=0, dataset_id="obstacles/random-v0", options=options, **ABOUT)
    names = run_library_page("d3rlpy")
    episodes, dataset = names["episodes"], names["dataset"]
    assert len(dataset.episodes) == len(episodes) == 50
    for learnt, driven in zip(dataset.episodes, episodes, strict=True):
        assert np.array_equal(learnt.observations, driven.observations[:-1])
        assert np.array_equal(learnt.actions[:, 0], driven.actions)
        assert np.array_equal(learnt.rewards[:, 0], driven.rewards)
        assert learnt.terminated == driven.terminations[-1]
