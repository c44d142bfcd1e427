"""The rule-based driver does in the page what it does in Python, whatever it sees."""

import base64

import gymnasium as gym
import numpy as np
import pytest
from loading import load_script
from scripts_in_node import answer

from agents.export.rules_form import Noted, RulesError, rules_for_page
from agents.scripted import make_scripted
from drivesim.registry import IDS

ASK = """
const driver = new Ruled(input.form);
console.log(JSON.stringify(input.observations.map((one) => driver.actionFor(fromBase64(one)))));
"""
ROADS = tuple(load_script("make_page").rule_based_drivers())


def seen_by(driver, env_id, **options):
    """What a driver that is often disturbed sees, and what it would do: (B, …) and (B,)."""
    envs = gym.make_vec(env_id, num_envs=8, observation=driver.observation, **options)
    rng = np.random.default_rng(0)
    obs, _ = envs.reset(seed=0)
    found, actions = [], []
    for _ in range(60):
        found.append(obs.copy())
        actions.append(driver(obs))
        drawn = rng.integers(0, envs.single_action_space.n, 8)
        obs, *_ = envs.step(np.where(rng.random(8) < 0.2, drawn, actions[-1]))
    envs.close()
    return np.concatenate(found), np.concatenate(actions)


@pytest.mark.parametrize("road", ROADS)
def test_its_actions_are_those_of_python(node, road):
    env_id = f"drivesim/{road}-v1"
    driver = make_scripted(env_id)
    kinds = [{"levels": "gallery/*"}] if road == "Custom" else [{"difficulty": "easy"}, {"difficulty": "hard"}]
    form = rules_for_page(env_id)
    for kind in kinds:
        obs, actions = seen_by(driver, env_id, **kind)
        assert len(set(actions.tolist())) >= 3
        observations = [base64.b64encode(one.tobytes()).decode() for one in obs]
        assert answer(node, ASK, form=form, observations=observations) == actions.tolist()


def test_it_drives_in_the_page_where_levels_are_drawn_and_where_there_are_junctions():
    assert {"Custom", "City", "Intersection", "Roundabout", "FourWayStop", "Crosswalk", "Highway"} == set(ROADS)
    assert {f"drivesim/{road}-v1" for road in ROADS} <= set(IDS)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (lambda cells: 1 if cells[0, 0] > 0 else 0, "depends on what they see"),
        (lambda cells: cells + np.uint8(200), "add with uint8"),
        (lambda cells: ~cells, "invert with uint8"),
        (lambda cells: np.sqrt(cells), "sqrt"),
        (lambda cells: np.minimum.reduce(cells), "minimum.reduce"),
        (lambda cells: np.sort(cells), "sort"),
        (lambda cells: cells.astype(np.int64).astype(np.int8), "int8 of int64"),
        (lambda cells: cells.astype(np.float64), "float64"),
        (lambda cells: cells[cells.astype(np.int64)], "leave axes out"),
    ],
)
def test_rules_that_a_page_cannot_compute_are_refused(rule, said):
    with pytest.raises(RulesError, match=said):
        rule(Noted([], np.zeros((1, 4), np.uint8), 0))
