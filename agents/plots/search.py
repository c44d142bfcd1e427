"""A search for hyper-parameters: scores in their order, what mattered, and the values of every trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
from optuna.trial import FrozenTrial, TrialState

__all__ = ["plot_search"]


def plot_search(study: optuna.Study, path: Path) -> None:
    """Draws the scores in their order, the parameters' importance, and every trial as a line through its values."""
    from matplotlib.figure import Figure  # no window system, no global state

    complete = study.get_trials(states=(TrialState.COMPLETE,))
    pruned = study.get_trials(states=(TrialState.PRUNED,))
    figure = Figure(figsize=(11.0, 8.0), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    history = figure.add_subplot(grid[0, 0])
    scores = [trial.values[0] for trial in complete]
    numbers = [trial.number for trial in complete]
    history.plot(numbers, scores, "o", markersize=4, label="finished")
    history.plot(numbers, np.maximum.accumulate(scores), "-", label="best so far")
    history.plot([trial.number for trial in pruned], [trial.values[0] for trial in pruned], "x", label="stopped early")
    history.set(xlabel="trial", ylabel="score", title="history")
    history.legend(frameon=False)

    searched = list(complete[0].params)
    importance = figure.add_subplot(grid[0, 1])
    if len(set(scores)) > 1:
        shares = optuna.importance.get_param_importances(study)
        importance.barh(list(shares)[::-1], list(shares.values())[::-1])
    importance.set(title="importance", xlim=(0.0, 1.0))

    parallel = figure.add_subplot(grid[1, :])
    low, high = min(scores), max(scores)
    for trial in sorted(complete, key=lambda trial: trial.values[0]):  # the best on top
        shade = (trial.values[0] - low) / (high - low) if high > low else 1.0
        heights = [_height_of(trial, name) for name in searched]
        parallel.plot(range(len(searched)), heights, color=(0.85 * (1 - shade), 0.85 * (1 - shade), 0.85), alpha=0.7)
    parallel.set(xticks=range(len(searched)), yticks=(0.0, 1.0), yticklabels=("least", "most"))
    parallel.set_xticklabels(searched, rotation=20, ha="right")
    parallel.set_title("values of each trial; the darker, the better")
    figure.savefig(path, dpi=110)


def _height_of(trial: FrozenTrial, name: str) -> float:
    """Where a value lies between the ends of its range, from 0 to 1."""
    space, value = trial.distributions[name], trial.params[name]
    if isinstance(space, optuna.distributions.CategoricalDistribution):
        return space.choices.index(value) / max(len(space.choices) - 1, 1)
    assert isinstance(space, optuna.distributions.FloatDistribution | optuna.distributions.IntDistribution)
    ends = np.asarray([space.low, value, space.high], dtype=np.float64)
    low, middle, high = np.log(ends) if space.log else ends
    return float((middle - low) / (high - low))
