"""Recorded episodes to be shown, and what a page holds of them."""

import json
from html.parser import HTMLParser

import gymnasium as gym
import numpy as np
from places import place_in
from scenario_facts import DRIVEN

import drivesim  # noqa: F401 (registers the environments)
from agents.scripted import make_scripted
from drivesim.actions import Action
from drivesim.render.moment import Decision, Moment
from drivesim.rendering import state_of

ALL_ACTIONS = [action.name for action in Action]
AUTODRIVE_ACTIONS = ["LEFT", "RIGHT", "FASTER", "SLOWER"]


def action_names(env_id):
    return AUTODRIVE_ACTIONS if "Autodrive" in env_id else ALL_ACTIONS


def decide(state, rng, num_actions, is_probability=True):
    """A made-up decision, which finds the three cells north of the ego worth looking at."""
    scores = rng.random(num_actions)
    scores /= scores.sum()
    row, col = place_in(state)
    cells = tuple((row - n, col, 1.0 / n) for n in (1, 2, 3) if row >= n)
    return Decision(tuple(scores.tolist()), is_probability, float(rng.normal()), cells)


def straight_on(obs):
    """The actions (B,) of a driver for environments without a rule-based one."""
    return np.full(len(obs), Action.FASTER)


straight_on.observation = "features"


def record(env_id, seed=0, max_steps=200, decides=None, driver=None, **options):
    """The moments of an episode; `decides` is None or whether the made-up scores are probabilities."""
    driver = driver or (make_scripted(env_id) if env_id in DRIVEN else straight_on)
    env = gym.make(env_id, render_mode=None, observation=driver.observation, **options)
    rng = np.random.default_rng(seed)

    def decision():
        return None if decides is None else decide(state_of(env), rng, env.action_space.n, decides)

    obs, _ = env.reset(seed=seed)
    moments = [Moment(state_of(env), decision=decision())]
    for _ in range(max_steps):
        action = int(driver(obs[None])[0])
        obs, reward, terminated, truncated, info = env.step(action)
        is_last = terminated or truncated
        terms = dict(info["reward_terms"])
        moments.append(Moment(state_of(env), action, float(reward), terms, None if is_last else decision()))
        if is_last:
            break
    env.close()
    return moments


class Random:
    """A driver that seldom gets far."""

    observation = "features"

    def __init__(self, seed=0):
        self._rng = np.random.default_rng(seed)

    def __call__(self, obs):
        return self._rng.integers(4, size=len(obs))


class _Reader(HTMLParser):
    """Takes a page apart as a browser does."""

    def __init__(self):
        super().__init__()
        self.texts = {}
        self.attributes = []
        self._open = []

    def handle_starttag(self, tag, attrs):
        self.attributes += [(tag, name, value) for name, value in attrs]
        name = dict(attrs).get("type") if tag == "script" else tag
        self.texts.setdefault(name, []).append("")
        self._open.append(name)

    def handle_endtag(self, tag):
        if tag in ("script", "style", "title", "h1"):
            self._open.append(None)

    def handle_data(self, data):
        if self._open and self._open[-1] is not None:
            self.texts[self._open[-1]][-1] += data


def read_page(path):
    """What a page holds: the texts of its elements by name, its attributes, and the episode."""
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    (text,) = reader.texts["application/json"]
    return reader.texts, reader.attributes, json.loads(text, parse_constant=_refuse)


def _refuse(name):
    raise ValueError(f"{name} is no JSON")
