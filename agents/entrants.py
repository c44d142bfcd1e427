"""Who may drive in a competition: runs, exported files, functions of Python, and drivers that learn nothing.

====================== ===============================================================================
source                 what drives
====================== ===============================================================================
``runs/first``         the best driver of a run; ``runs/latest`` is the newest
``…/policy.py``        an exported driver, see ``scripts/export.py``; likewise ``policy.onnx``
``FILE.py:FUNCTION``   a function of a file that maps observations (B, *obs_shape) to actions (B,)
``MODULE:FUNCTION``    one of a module that Python finds from here
``rule-based``         the scenario's driver made of rules
``ignores-others``     the same, as if it were alone on the road
``never-steers``       the one that only changes its speed
``random``             the one that draws its actions
``planner``            :class:`agents.planner.Planner` with the scenario's driver made of rules
====================== ===============================================================================

All but the last five run code or read weights that somebody wrote; an opponent whom nobody knows better sends replays.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.baselines import TYPED, make_baseline
from agents.competition import CLAIM_SUFFIXES, Rules
from agents.environments import make_envs
from agents.export.numpy_form import NumpyForm, import_file
from agents.export.onnx_form import OnnxForm
from agents.policy import Policy
from agents.random_agent import make_random
from agents.run_folder import LATEST, run_at
from agents.training import load_policy
from agents.validation import count_actions
from drivesim.observations import ENCODERS

__all__ = ["Entrant", "is_claim", "load_entrant", "named"]


@dataclass(frozen=True)
class Entrant:
    """A driver and the observation that it reads."""

    policy: Policy
    """Maps observations (B, *obs_shape) to actions (B,)."""
    observation: str | None
    """None is the scenario's own."""
    among: str = ""
    """Of a driver of several environments their ids, separated by commas."""


def named(source: str) -> tuple[str, str]:
    """Splits ``NAME=SOURCE``; without a name it follows from the source. The newest run gets its own name."""
    name, equals, rest = source.partition("=")
    if equals and name and not Path(source).exists():
        return name, named(rest)[1]
    if source.replace(" ", "-") in TYPED:
        return source.replace(" ", "-"), source.replace(" ", "-")
    source = str(run_at(Path(source))) if LATEST in Path(source).parts else source
    _, colon, function = source.rpartition(":")
    if colon:
        return function, source
    path = Path(source)
    return path.stem if path.suffix in (".py", ".onnx", *CLAIM_SUFFIXES) else path.resolve().name, source


def is_claim(source: str) -> bool:
    """Whether a source is replays: a file of them, or a folder that is none of a run."""
    path = Path(source)
    return path.suffix in CLAIM_SUFFIXES or (path.is_dir() and not (path / "config.json").is_file())


def load_entrant(source: str, rules: Rules, observation: str | None = None) -> Entrant:
    """Loads whoever is to drive.

    Args:
        source: see the module.
        rules: of the competition.
        observation: what a function reads that has no attribute ``observation``.

    Raises:
        ValueError, OSError, ImportError, agents.checkpoint.CheckpointError: there is no such driver, or it drives
            elsewhere.
    """
    if source in TYPED:
        return _baseline(source, rules)
    path = Path(source)
    if path.suffix in (".py", ".onnx"):
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {source}")
        form = NumpyForm(path) if path.suffix == ".py" else OnnxForm(path)
        return Entrant(_FormPolicy(form), _observation_of(form.obs_shape, rules))
    if path.is_dir():
        policy, config = load_policy(path)
        for choice in config.each():
            if choice.env == rules.env:
                return Entrant(policy, choice.observation, choice.among)
        raise ValueError(f"it was trained on {config.env}, but the competition is on {rules.env}")
    if ":" in source:
        function = _function_of(source)
        return Entrant(_FunctionPolicy(function), getattr(function, "observation", observation))
    kinds = "a run folder, replays, an exported .py or .onnx, FILE.py:FUNCTION or MODULE:FUNCTION"
    raise ValueError(f"a driver must be {kinds}, or one of {list(TYPED)}, got {source!r}")


class _FormPolicy:
    """An exported driver as a policy."""

    def __init__(self, form: NumpyForm | OnnxForm) -> None:
        self.form = form
        self.uses_action_masks = form.uses_action_masks

    def begin(self) -> None:
        """Empties the memory."""
        self.form.begin()

    def __call__(self, obs: NDArray[Any], action_masks: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """Chooses the actions (B,)."""
        return self.form(obs, action_masks)[1]


class _FunctionPolicy:
    """A function as a policy: it gets observations of its own, which it may keep."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.uses_action_masks = bool(getattr(function, "uses_action_masks", False))

    def begin(self) -> None:
        """Tells the function that an episode begins, if it wants to know."""
        getattr(self.function, "begin", lambda: None)()

    def __call__(self, obs: NDArray[Any], *action_masks: NDArray[np.bool_]) -> NDArray[Any]:
        """Chooses the actions (B,)."""
        return np.asarray(self.function(obs.copy(), *action_masks))


def _baseline(name: str, rules: Rules) -> Entrant:
    if name == "random":  # with a seed of its own
        with contextlib.closing(make_envs(rules, 1, rules.split)) as envs:
            return Entrant(make_random(count_actions(envs.single_action_space), rules.seed), rules.observation)
    policy, choice = make_baseline(name, rules)
    return Entrant(policy, choice.observation)


def _function_of(source: str) -> Callable[..., Any]:
    place, _, name = source.rpartition(":")
    if Path(place).suffix == ".py":
        module = import_file(Path(place), Path(place).stem)
    else:
        here = os.getcwd()
        if here not in sys.path:
            sys.path.append(here)
        module = importlib.import_module(place)
    function = getattr(module, name, None)
    if not callable(function):
        raise ValueError(f"{place} has no function {name!r}")
    return function  # type: ignore[no-any-return]


def _observation_of(shape: tuple[int, ...], rules: Rules) -> str:
    """The observation that has a shape in this competition.

    Raises:
        ValueError: there is none.
    """
    shapes = {}
    for name in ENCODERS:
        with contextlib.closing(make_envs(replace(rules, observation=name), 1, rules.split)) as envs:
            shapes[name] = envs.single_observation_space.shape
        if shapes[name] == tuple(shape):
            return name
    raise ValueError(f"it reads observations of shape {tuple(shape)}; on {rules.env} there are {shapes}")
