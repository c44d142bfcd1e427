"""Words that are out: one word for one thing, and what to say instead.

*lane* is a road's. One of many parallel environments is an *env*, and in the kernels a *world*. An *ego* is a
controlled car, *traffic* are the others, and a *driver* is whoever decides, a policy or a rule.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LOOKED_AT = ("agents", "docs", "drivesim", "scripts", "tests", "CONTRIBUTING.md", "README.md")
"""Folders and files whose Python and Markdown is read."""

KERNELS = (
    "drivesim/core",
    "drivesim/scenarios",
    "drivesim/observations",
    "drivesim/planning",
    "drivesim/engine.py",
    "drivesim/states.py",
    "drivesim/config.py",
    "drivesim/occlusion.py",
    "tests/core",
)

NEVER = ("docs/_build", "tests/test_vocabulary.py", "tests/words.py")
"""What is generated, and where the words themselves are written."""

ROADS = (
    "README.md",
    "agents/plots/traffic.py",
    "agents/regret.py",
    "agents/scripted/",
    "docs/environments/",
    "docs/extending.md",
    "docs/gallery.md",
    "docs/observations.md",
    "docs/planning.md",
    "docs/regret.md",
    "docs/playing_in_the_browser.md",
    "docs/rewards.md",
    "docs/tutorials/",
    "docs/watching.md",
    "drivesim/actions.py",
    "drivesim/core/",
    "drivesim/levels/",
    "drivesim/observations/",
    "drivesim/occlusion.py",
    "drivesim/planning/",
    "drivesim/render/",
    "drivesim/scenarios/",
    "scripts/evaluate.py",
    "scripts/optimum.py",
    "scripts/examples/sb3_contrib_maskable_ppo.py",  # learns to keep the lane
    "tests/agents/test_plots_traffic.py",
    "tests/agents/test_regret.py",
    "tests/agents/test_watching.py",
    "tests/browser/",
    "tests/core/",
    "tests/envs/observed.py",
    "tests/envs/test_bad_options.py",
    "tests/envs/test_bad_states.py",
    "tests/envs/test_levels_out_of_reach.py",
    "tests/envs/test_multi_agent.py",
    "tests/envs/test_observation_values.py",
    "tests/envs/test_occlusion.py",
    "tests/envs/test_replays.py",
    "tests/envs/scrambled.py",
    "tests/envs/test_seeding.py",
    "tests/levels/",
    "tests/planning/",
    "tests/render/",
    "tests/scenario_contract.py",
    "tests/soak/",
)
"""Beginnings of paths of files that speak of roads' lanes. Everywhere else a lane would be an env."""

ALLOWED = re.compile(
    r"(?i:lane_?keep|half_lane)|(lane|EVENT_LANE)_(offset|change|index|CHANGE)|`lane_onset`"
    r"|\"lanes\.|\"lanes\", \"last_obs\"|\"?lanes_memory"  # keys in the checkpoints of runs, on disk
)
"""What is cut out of a line before it is looked at: names that have to stay."""


@dataclass(frozen=True)
class Word:
    """A word that is out."""

    pattern: str
    """Regular expression of it, searched for in single lines."""
    instead: str
    """The better word, for the message."""
    example: str
    """A line in which it is found."""
    where: tuple[str, ...] = ("",)
    """Beginnings of the paths of the files that it is out in."""
    but: tuple[str, ...] = ()
    """Beginnings of the paths, among those, of files that may use it."""

    def is_out_in(self, path: str) -> bool:
        """True of a path, seen from the repository's root, in which the word is out."""
        return path.startswith(self.where) and not path.startswith(self.but)


WORDS = (
    Word(r"(?i)(?<![a-z])lanes?(?![a-z])", "env (in the kernels world), a lane being a road's", "all lanes", but=ROADS),
    Word(r"(?i)\blanes? (\*i\*|i\b)", "env i", "Lane *i* of a batch"),
    Word(
        r"(?i)\b(all|single|every|each|other|per|one|some)( of the)? lanes?('s)?,? (of|in) the batch",
        "env",
        "every lane of the batch",
    ),
    Word(r"(?i)\blanes? of (a|the) (vector environment|batch)", "env of a vector environment", "lanes of a batch"),
    Word(r"(?i)\bnum_envs\b.*\blanes?\b|\blanes?\b.*\bnum_envs\b", "env", "for lane in range(num_envs)", but=KERNELS),
    Word(r"(?i)\blanes? (is|are) (seeded|stepped|reset)\b|\b(seeded|held-out) lanes?\b", "env", "1,000 held-out lanes"),
    Word(
        r"(?i)\bcontrolled (cars?|ones|vehicles?)\b",
        "ego",
        "several controlled cars",
        but=("docs/integrations/pettingzoo.md",),
    ),
    Word(
        r"\bnum_cars\b",
        "num_egos",
        "self.num_cars = 3",
        where=("drivesim", "agents", "scripts", "docs"),
        but=("agents/plots",),
    ),
    Word(r"\bagent\.observe\(|\bdef observe\(self, step\b", "record(step)", "agent.observe(step)"),
    Word(r"\bagents\.environments import .*\bEnvConfig\b", "EnvChoice", "from agents.environments import EnvConfig"),
    Word(
        r"\bagents[./](replay|checks|film)\b", "replay_buffer, config_checks, videos", "from agents.replay import Batch"
    ),
    Word(r"\brender[./]route\b", "render/planned_route", "from drivesim.render.route import planned_route"),
    Word(r"\blimit: int\b|\bself\.limit\b", "top_speed", "self.limit = limit", where=("agents/scripted",)),
    # The kernels' words.
    Word(
        r"\bnum_controlled\b|\bmax_controlled\b|\bcontrolled\b",
        "num_egos, max_egos, ego",
        "world.num_controlled",
        where=KERNELS,
    ),
    Word(r"\bDRIVER\b|\bdrivers?\[|\.drivers\b|\"drivers\"", "EGO, egos", "world.drivers[k]", where=KERNELS),
    Word(r"\brules(\.|\[|:|,|\))|\bRULES\b|\bto_rules\b|core[./]rules\b", "options", "rules.top_speed", where=KERNELS),
    Word(r"\.limit\b|\"limit\"", "speed_limit of a road, top_speed of a vehicle", "vehicle.limit", where=KERNELS),
    Word(
        r"\b(reset|step|observe|mask|key|check)_lanes\b|\blane_words\b", "…_worlds", "batch.step_lanes", where=KERNELS
    ),
    Word(r"\bMIN_LANES_PER_THREAD\b|\bengine\.num_lanes\b", "worlds, num_worlds", "engine.num_lanes", where=KERNELS),
    Word(r"\.leaves\b|\"leaves\"", "next_status", "vehicle.leaves", where=KERNELS),
    Word(r"\.asked\b|\"asked\"", "asked_at", "vehicle.asked", where=KERNELS),
    Word(r"\bvehicle\.side\b", "lane_shift", "vehicle.side", where=KERNELS),
    Word(r"\.quarter\b|\"quarter\"", "turn_now", "vehicle.quarter", where=KERNELS),
    Word(r"\bvehicle\.room\b", "stopping_room", "vehicle.room", where=KERNELS),
)
