"""Lets the project's PPO race against others on the same environments, and measures the training time that each needs.

    .venv/bin/python scripts/rivals.py --out runs/rivals
    .venv/bin/python scripts/rivals.py --envs drivesim/LaneKeep-v1 --entrants drivesim sb3 --max-seconds 120
    .venv/bin/python scripts/rivals.py --table

The rivals are the PPO of Stable-Baselines3, that of SBX, which is the same in JAX, and scripts/examples/cleanrl_ppo.py,
in one file. All get the same levels, observation and reward, and a process of their own with one thread. A rival first
tries several settings on one environment: this project's preset, those of its pages, and draws from the ranges that
rl-zoo searches. It drives every environment with the best of them and with the preset of that environment, and each of
its times is the least of both. Libraries that are not in this Python get an environment of their own, below
.venv-integrations.

The same command continues what was interrupted: a run that was cut off is made again, finished ones are kept. With
more --max-seconds those are made again that would have needed them.
"""

from __future__ import annotations

from drivesim.stages import begin_script, run_script, stage

if __name__ == "__main__":
    begin_script()

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tyro
from rivals_table import GOALS, best_of, markdown

from agents.command_line import status_of
from agents.ppo import PPOConfig
from agents.presets import preset_for
from agents.results import FINAL_SEED, read_summary, write_summary
from agents.validation import check_at_least, require
from drivesim.decimals import DASH, decimal
from drivesim.files import require_place, write_whole

ROOT = Path(__file__).resolve().parents[1]
ENTRANT = Path(__file__).with_name("rivals_entrant.py")
Entrant = Literal["drivesim", "sb3", "sbx", "single-file"]
ENTRANTS: tuple[Entrant, ...] = get_args(Entrant)
LIBRARIES = {"sb3": "stable_baselines3", "sbx": "stable_baselines3"}
"""Entrants that are not in this Python, and the folder of tests/integrations that says what to install."""

OPTIMA = {
    record["env"]: record
    for record in read_summary(ROOT / "docs" / "optimum.json")["records"]
    if not record["level_options"] and record["seed"] == FINAL_SEED
}
"""What the best drives earn, on the first of the levels that the drivers are looked at on."""

QUICK_SECONDS = 0.5


@dataclass(frozen=True)
class Arguments:
    """Arguments of the command line."""

    envs: tuple[str, ...] = tuple(f"drivesim/{name}-v1" for name in ("LaneKeep", "Obstacles", "Intersection"))
    """Environment ids, of those with features in their presets."""
    entrants: tuple[Entrant, ...] = ENTRANTS
    """Who takes part."""
    settings: tuple[Literal["tuned", "preset"], ...] = ("tuned", "preset")
    """What a rival drives with: the best of its own search, and this project's preset for the environment."""
    seeds: tuple[int, ...] = (0,)
    """Training seeds."""
    max_seconds: float = 300.0
    """Longest training of a run, in seconds of the processor."""
    interval: float = 2.0
    """Seconds of training between two looks at the driver."""
    levels: int = 1000
    """Held-out levels of a look."""
    search_env: str = "drivesim/LaneKeep-v1"
    """Where a rival looks for its settings."""
    trials: int = 8
    """Settings that a rival tries there."""
    trial_seconds: float = 60.0
    """Longest training with each."""
    out: Path = Path("runs/rivals")
    """Folder of the records."""
    summary: Path | None = None
    """Write the summary to this file too, as for scripts/build_docs.py."""
    table: bool = False
    """Make no runs; print the table of those that are there."""
    quick: bool = False
    """Train for a moment, to see that everything works; runs/rivals-quick by default."""

    def check(self) -> None:
        """Refuses fields that are wrong.

        Raises:
            ValueError: names one of them.
        """
        for name in ("envs", "entrants", "settings", "seeds"):
            require(name, getattr(self, name), len(getattr(self, name)) > 0, "at least one")
        for env_id in (*self.envs, self.search_env):
            is_known = env_id in OPTIMA and preset_for(env_id).train.observation == "features"
            require("envs", env_id, is_known, "one whose preset sees features and whose best drives are known")
        for name in ("max_seconds", "interval", "trial_seconds"):
            require(name, getattr(self, name), getattr(self, name) > 0, "positive")
        check_at_least(self, 1, "trials")
        fewest = max(OPTIMA[env_id]["levels"] for env_id in (*self.envs, self.search_env))
        require("levels", self.levels, self.levels >= fewest, f"at least {fewest}, of which the best drives are known")
        require("seeds", self.seeds, all(0 <= seed < 1000 for seed in self.seeds), "in [0, 1000)")

    @property
    def folder(self) -> Path:
        """Where the records lie."""
        is_default = self.out == Arguments.out
        return self.out.with_name(f"{self.out.name}-quick") if self.quick and is_default else self.out


# --- settings of the rivals -------------------------------------------------------------------------------------------


def preset_settings(env_id: str) -> dict[str, Any]:
    """This project's preset, in the rivals' words; SB3 gets the same network, the others its widths."""
    preset = preset_for(env_id, "ppo")
    agent = preset.agent
    assert isinstance(agent, PPOConfig)
    return {
        "num_envs": agent.num_envs,
        "num_steps": agent.num_steps,
        "batch_size": agent.num_envs * agent.num_steps // agent.minibatches,
        "epochs": agent.epochs,
        "learning_rate": agent.learning_rate,
        "annealed_over": preset.train.total_steps if agent.anneal_learning_rate else None,
        "gamma": agent.gamma,
        "lam": agent.lam,
        "clip": agent.clip,
        "entropy_coefficient": agent.entropy_coefficient,
        "value_coefficient": agent.value_coefficient,
        "max_grad_norm": agent.max_grad_norm,
        "hidden_sizes": list(agent.network.hidden_sizes),
        "activation": agent.network.activation,
        "layer_norm": agent.network.layer_norm,
        "shared": True,
    }


PAGES: dict[str, Any] = {
    "num_envs": 256,
    "num_steps": 32,
    "batch_size": 1024,
    "epochs": 2,
    "learning_rate": 1e-3,
    "annealed_over": None,
    "gamma": 0.99,
    "lam": 0.95,
    "clip": 0.2,
    "entropy_coefficient": 0.01,
    "value_coefficient": 0.5,
    "max_grad_norm": 0.5,
    "hidden_sizes": [64, 64],
    "activation": "tanh",
    "layer_norm": False,
    "shared": False,
}
"""Settings of the examples for other libraries."""


def drawn_settings(rng: np.random.Generator) -> dict[str, Any]:
    """Settings from the ranges of rl-zoo's search for PPO, for hundreds of envs.

    Discount, mixing, entropy, clipping, gradient and networks are as there. Rollouts and batches are those of many
    envs; of the step sizes (1e-5 to 2e-3) the upper two thirds are drawn from, and of the passes (1, 5, 10, 20) up to
    10, with 2 and 3: what learns more slowly is none for a race.
    """

    def log_uniform(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    def one_of(*values: Any) -> Any:
        return values[int(rng.integers(len(values)))]

    return {
        "num_envs": one_of(128, 256, 512),
        "num_steps": one_of(16, 32, 64),
        "batch_size": one_of(256, 512, 1024, 2048),
        "epochs": one_of(1, 2, 3, 5, 10),
        "learning_rate": log_uniform(1e-4, 2e-3),
        "annealed_over": None,
        "gamma": 1 - log_uniform(1e-4, 0.03),
        "lam": 1 - log_uniform(1e-4, 0.1),
        "clip": one_of(0.1, 0.2, 0.3, 0.4),
        "entropy_coefficient": log_uniform(1e-8, 0.1),
        "value_coefficient": 0.5,
        "max_grad_norm": float(rng.uniform(0.3, 2.0)),
        "hidden_sizes": one_of([64, 64], [128, 128], [256, 256]),
        "activation": one_of("tanh", "relu"),
        "layer_norm": False,
        "shared": False,
    }


def candidates(arguments: Arguments) -> list[dict[str, Any]]:
    """The settings that every rival tries, in their order."""
    rng = np.random.default_rng(0)
    drawn = [drawn_settings(rng) for _ in range(arguments.trials)]
    return [preset_settings(arguments.search_env), PAGES, *drawn][: arguments.trials]


# --- runs -------------------------------------------------------------------------------------------------------------


def python_of(entrant: str) -> Path | None:
    """A Python that has an entrant's library, made if there is none; None if it cannot be made."""
    library = LIBRARIES.get(entrant)
    if library is None:
        return Path(sys.executable)
    folder = ROOT / ".venv-integrations" / library
    python, requirements = folder / "bin" / "python", ROOT / "tests" / "integrations" / library / "requirements.txt"
    commands = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "-r", str(requirements), "-e", str(ROOT)],
    ]
    ready = [str(python), "-c", f"import drivesim, {library}"]
    if not python.exists() or subprocess.run(ready, capture_output=True).returncode != 0:
        print(f"{entrant}: installing its library into {folder}", flush=True)
        if any(subprocess.run(command).returncode != 0 for command in commands):
            how = " && ".join(" ".join(command) for command in commands)
            print(f"{entrant} is left out, its library cannot be installed; try: {how}", flush=True)
            return None
    return python


def request_of(
    arguments: Arguments, env_id: str, entrant: str, settings: dict[str, Any] | None, seed: int, max_seconds: float
) -> dict[str, Any]:
    """What `rivals_entrant.py` is asked for."""
    config, best = preset_for(env_id, "ppo").train, OPTIMA[env_id]
    return {
        "entrant": entrant,
        "env": env_id,
        "seed": seed,
        "settings": settings,
        "options": config.options(),
        "reward_weights": config.reward_weights,
        "first_level": FINAL_SEED,
        "levels": arguments.levels,
        "optimum_levels": best["levels"],
        "optimum": best["mean_optimum"],
        "goals": GOALS,
        "interval": arguments.interval,
        "max_seconds": min(max_seconds, QUICK_SECONDS) if arguments.quick else max_seconds,
    }


def made(folder: Path, name: str, request: dict[str, Any], python: Path) -> dict[str, Any]:
    """The record of a run, from its file or freshly made: also where the one that is there had less time.

    Raises:
        ValueError: the file is of another request, or the run failed.
    """
    path = folder / f"{name}.json"
    if path.exists():
        kept: dict[str, Any] = json.loads(path.read_text())
        wanted = {**json.loads(json.dumps(request)), "max_seconds": kept["request"]["max_seconds"]}
        if kept["request"] != wanted:
            raise ValueError(f"{path} was made with other settings; choose another --out, or delete it")
        if None not in kept["times"].values() or wanted["max_seconds"] >= request["max_seconds"]:
            return kept
    words = [str(python), str(ENTRANT), json.dumps(request)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "NPROC"), "1")
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    with stage(f"{name} learns"):
        answer = subprocess.run(words, env={**os.environ, **one, "PYTHONPATH": paths}, capture_output=True, text=True)
    if answer.returncode != 0:
        last = answer.stderr.strip().splitlines()[-1:] or [f"exit status {answer.returncode}"]
        raise ValueError(f"{name} failed: {last[0]}")
    record = {"name": name, **json.loads(answer.stdout.splitlines()[-1]), "request": request}
    write_whole(path, json.dumps(record) + "\n")
    shown = " / ".join(DASH if time is None else f"{time[1]:.0f}" for time in record["times"].values())
    print(
        f"{name}: {shown} s, {record['best_success']:.1%}, {decimal(100 * record['best_share'], 1)}% of the optimum, "
        f"after {record['steps']:,} steps in {record['cpu_seconds']:.0f} s",
        flush=True,
    )
    return record


def limit(found: list[dict[str, Any]], max_seconds: float) -> float:
    """How long another run may take: no longer than the best one, if that has reached everything."""
    if found and None not in (best := best_of(found))["times"].values():
        return min(max_seconds, float(max(time[1] for time in best["times"].values())))
    return max_seconds


def searched(arguments: Arguments, entrant: str, python: Path) -> dict[str, Any]:
    """The settings with which a rival did best on the environment of the search."""
    found: list[dict[str, Any]] = []
    for number, settings in enumerate(candidates(arguments)):
        seconds = limit(found, arguments.trial_seconds)
        request = request_of(arguments, arguments.search_env, entrant, settings, 0, seconds)
        found.append(made(arguments.folder, f"search__{entrant}__{number}", request, python))
    settings = best_of(found)["request"]["settings"]
    assert isinstance(settings, dict)
    return settings


def race(arguments: Arguments) -> None:
    """Makes what is missing."""
    arguments.folder.mkdir(parents=True, exist_ok=True)
    pythons = {entrant: python_of(entrant) for entrant in arguments.entrants}
    present = {entrant: python for entrant, python in pythons.items() if python is not None}
    rivals = [entrant for entrant in present if entrant != "drivesim"]
    tuned = {}
    if "tuned" in arguments.settings:
        tuned = {entrant: searched(arguments, entrant, present[entrant]) for entrant in rivals}
    for env_id in arguments.envs:
        for entrant, python in present.items():
            variants: dict[str, dict[str, Any] | None] = {"preset": None}
            if entrant != "drivesim":
                of_name: dict[str, Callable[[], dict[str, Any]]] = {
                    "tuned": lambda: tuned[entrant],  # noqa: B023 (called at once)
                    "preset": lambda: preset_settings(env_id),  # noqa: B023
                }
                variants = {name: of_name[name]() for name in arguments.settings}
            for seed in arguments.seeds:
                found: list[dict[str, Any]] = []
                for variant, settings in variants.items():
                    if settings is not None and settings in [record["request"]["settings"] for record in found]:
                        continue  # the search chose the preset
                    seconds = limit(found, arguments.max_seconds)
                    request = request_of(arguments, env_id, entrant, settings, seed, seconds)
                    name = f"{env_id.rpartition('/')[2]}__{entrant}__{variant}__{seed}"
                    found.append(made(arguments.folder, name, request, python))


def gathered(folder: Path) -> dict[str, Any]:
    """All records of a folder: of the race with all looks, of the search without.

    Raises:
        ValueError: there is none of the race.
    """
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*__*.json"))]
    trials = [{**record, "looks": []} for record in records if record["name"].startswith("search__")]
    runs = [record for record in records if not record["name"].startswith("search__")]
    if not runs:
        raise ValueError(f"{folder} holds no finished run")
    return {"search": trials, "runs": runs}


def work(arguments: Arguments) -> None:
    """Races, and prints the table."""
    arguments.check()
    require_place(arguments.summary)
    require_place(arguments.folder, is_folder=True)
    if not arguments.table:
        race(arguments)
    summary = gathered(arguments.folder)
    print(f"\n{markdown(summary)}")
    if arguments.summary is not None:
        write_summary(arguments.summary, summary)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    return status_of(lambda: work(tyro.cli(Arguments, args=arguments, description=__doc__)))


if __name__ == "__main__":
    sys.exit(run_script(main))
