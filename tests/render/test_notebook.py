"""What a notebook shows of a replay."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from itertools import combinations

import gymnasium as gym
import numpy as np
import pytest
from browsing import until

from drivesim.notebook import about_page
from drivesim.replay import Replay, ReplayRecorder, all_moments

NOTEBOOK = """<!doctype html><html><head><style>
h1 {{ color: rgb(255, 0, 0) }} .card {{ display: none }} #picture {{ width: 1px }}
</style></head><body style="width: {width}px"><h1>A notebook</h1><p id="before" class="chart">before</p>{cell}
<p id="after">after</p></body></html>"""
LOOKS = """
return ['h1', '#before', '#after', 'body'].map((name) => {
  const style = getComputedStyle(document.querySelector(name));
  return [style.color, style.font, style.margin, style.background, style.display];
})"""


@pytest.fixture(scope="module")
def replay() -> Replay:
    env = ReplayRecorder(gym.make("drivesim/City-v1"))
    env.reset(seed=7)
    rng = np.random.default_rng(0)
    while True:
        *_, terminated, truncated, _ = env.step(int(rng.choice([1, 3, 4], p=[0.5, 0.3, 0.2])))
        if terminated or truncated:
            return env.replay


def test_it_is_one_frame_and_nothing_beside_it(replay) -> None:
    shown = replay._repr_html_()
    match = re.fullmatch(
        r'<iframe title="[^"<>]*" sandbox="allow-scripts" style="[^"<>]*" srcdoc="([^"<>]*)"></iframe>', shown
    )
    assert match is not None
    assert replay.env_id in html.unescape(match[1])
    assert replay._repr_html_() == shown


def test_a_return_below_zero_has_a_minus_sign(replay) -> None:
    earned = replay.outcome["return"]
    assert earned < 0
    assert about_page(replay, list(all_moments(replay)))["facts"]["return"] == f"\u2212{-earned:.3f}"


def test_an_episode_that_goes_another_way_is_a_line_that_says_so(replay) -> None:
    shown = replace(replay, digest="0" * 64)._repr_html_()
    assert shown.startswith("<p>the episode of drivesim/City-v1")
    assert "<iframe" not in shown


@pytest.mark.parametrize("width", [420, 700, 1100])
def test_in_a_browser_it_plays_changes_nothing_around_it_and_no_labels_overlap(
    browser, replay, tmp_path, width
) -> None:
    looks = []
    for name, cell in (("without", ""), ("with", replay._repr_html_())):
        path = tmp_path / f"{name}.html"
        path.write_text(NOTEBOOK.format(width=width, cell=cell), encoding="utf-8")
        browser.get(path.as_uri())
        looks.append(browser.execute_script(LOOKS))
    assert looks[0] == looks[1]
    assert browser.execute_script("return window.drivesim === undefined")
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))
    until(browser, "window.drivesim !== undefined")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert browser.execute_script("return document.getElementById('picture').getBoundingClientRect().width > 100")
    browser.execute_script("window.drivesim.setSpeed(16); window.drivesim.play()")
    until(browser, "window.drivesim.tick() === window.drivesim.numTicks")
    labels = browser.execute_script(
        "return [...document.querySelectorAll('#marks button')].map((mark) => mark.getBoundingClientRect().toJSON())"
    )
    assert len(labels) > 3
    for first, second in combinations(labels, 2):
        is_beside = first["right"] <= second["left"] or second["right"] <= first["left"]
        assert is_beside or first["bottom"] <= second["top"] or second["bottom"] <= first["top"]
