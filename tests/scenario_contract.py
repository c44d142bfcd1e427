"""What a scenario must bring: one message for each thing that it does not.

`.venv/bin/python scripts/new_scenario.py NAME` writes a skeleton of all of it.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium as gym
import numpy as np
from scenario_facts import FACTS

from agents import scripted
from agents.presets import PRESETS
from agents.results import BASELINES
from drivesim.actions import Action
from drivesim.config import DIFFICULTIES, RewardWeights
from drivesim.registry import ENTRIES, Entry, scenario_of

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = (
    *("Description", "Actions", "Observations", "Rewards", "Starting state", "Episode end", "Info", "Arguments"),
    "Version history",
)
NUM_LEVELS = 100
LEVEL_SEEDS = list(range(10**9, 10**9 + NUM_LEVELS))
ALIKE = 2
"""Levels of these that may be alike by chance, in the smallest worlds."""
OF_THE_EPISODE = ("key_0", "key_1", "episode", "level_seed", "attempt")
"""Fields of a world that two worlds with the same level need not share."""
PYTHON = ".venv/bin/python"
Messages = Iterator[str]


def file_name(entry: Entry) -> str:
    """The name of a scenario's module, page and picture."""
    return entry.module.rpartition(".")[2]


def missing(entry: Entry, root: Path = ROOT) -> list[str]:
    """What a scenario of the suite does not bring.

    Args:
        entry: its line in the registry.
        root: folder of the project, with its texts.
    """
    return [message for check in CHECKS for message in check(entry, root)]


# --- code ---------------------------------------------------------------------------------------------------------


def in_the_registry(entry: Entry, root: Path) -> Messages:
    """Its number and its file."""
    if [other.number for other in ENTRIES].count(entry.number) != 1:
        yield f"drivesim/registry.py: {entry.id} has the number of another id; take another name"
    if entry.module != f"drivesim.scenarios.{snake(entry.name)}":
        yield f"drivesim/registry.py: the module of {entry.name} must be drivesim.scenarios.{snake(entry.name)}"


def snake(name: str) -> str:
    """`SnowPlough` as `snow_plough`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def a_driver(entry: Entry, root: Path) -> Messages:
    """A rule-based driver, or word that there is none."""
    if entry.name not in scripted.DRIVERS:
        yield (
            f'agents/scripted/__init__.py: DRIVERS has no entry "{entry.name}"; it is what makes the rule-based '
            "driver, or None"
        )


def a_preset(entry: Entry, root: Path) -> Messages:
    """Settings for training."""
    if entry.id not in PRESETS:
        yield f'agents/presets.py: PRESETS has no entry "{entry.id}"'


def facts(entry: Entry, root: Path) -> Messages:
    """What the tests know of it."""
    if entry.name not in FACTS:
        yield f'tests/scenario_facts.py: FACTS has no entry "{entry.name}"'
    elif [name for name in FACTS if name in names()] != [name for name in names() if name in FACTS]:
        yield "tests/scenario_facts.py: FACTS must have the order of the registry"


def names() -> list[str]:
    """Those of the suite."""
    return list(dict.fromkeys(entry.name for entry in ENTRIES))


def different_levels(entry: Entry, root: Path) -> Messages:
    """Levels that differ from seed to seed."""
    if not scenario_of(entry.name).generates_levels():
        return
    for difficulty in DIFFICULTIES:
        envs = gym.make_vec(entry.id, num_envs=NUM_LEVELS, difficulty=difficulty).unwrapped
        envs.reset(seed=0, options={"level_seed": LEVEL_SEEDS})
        states = np.zeros(NUM_LEVELS, envs.get_state().dtype)  # between fields, a copy may hold anything
        states[...] = envs.get_state()
        envs.close()
        for name in OF_THE_EPISODE:
            states["world"][name] = 0
        num = len({state.tobytes() for state in states})
        if num < NUM_LEVELS - ALIKE:
            yield (
                f"{entry.module}: of {NUM_LEVELS} {difficulty} levels only {num} differ; let `lay` or `populate` draw "
                "more"
            )


# --- texts --------------------------------------------------------------------------------------------------------


def a_record(entry: Entry, root: Path) -> Messages:
    """Digests of recorded rollouts."""
    recorded = json.loads((root / "tests" / "golden.json").read_text(encoding="utf-8"))
    wanted = list(dict.fromkeys((scenario_of(entry.name).observation, "features")))
    if list(recorded.get(entry.id, ())) != wanted:
        yield f"tests/golden.json: no record of {entry.id}; run {PYTHON} scripts/update_golden.py --envs {entry.id}"


def a_page(entry: Entry, root: Path) -> Messages:
    """Its page, and its rows in the tables."""
    advice = f"run {PYTHON} scripts/build_docs.py"
    if not (root / "docs" / "environments" / f"{file_name(entry)}.md").exists():
        yield f"docs/environments/{file_name(entry)}.md: there is no such page; {advice}"
    if f"[{entry.name}]({file_name(entry)}.md)" not in read(root / "docs" / "environments" / "index.md"):
        yield f"docs/environments/index.md: no row of {entry.name}; {advice}"
    for table in ("environments", "observations"):
        text = read(root / "README.md").partition(f"<!-- {table} -->")[2].partition(f"<!-- /{table} -->")[0]
        if f"| `{entry.id}`" not in text:
            yield f"README.md: no row of {entry.id} in the table of {table}; {advice}"


def a_line_of_the_change_log(entry: Entry, root: Path) -> Messages:
    """Word to the users."""
    if f"drivesim/{entry.name}-v" not in read(root / "CHANGELOG.md"):
        yield f"CHANGELOG.md: not a word of {entry.id}; it gets a line under [Unreleased]"


def measurements(entry: Entry, root: Path) -> Messages:
    """Figures of drivers on its levels, or word that there are none yet."""
    if entry.name not in FACTS or not FACTS[entry.name].is_measured or not scenario_of(entry.name).generates_levels():
        return
    results = json.loads(read(root / "docs" / "results.json"))
    difficulty = json.loads(read(root / "docs" / "difficulty.json"))["records"]
    measured = {
        "results.py": {each["agent"] for each in results["baselines"] if each["env"] == entry.id} >= set(BASELINES)
        and any(run["env"] == entry.id for run in results["runs"]),
        "difficulty.py": {(each["difficulty"], each["agent"]) for each in difficulty if each["env"] == entry.id}
        >= {(level, name) for level in DIFFICULTIES for name in BASELINES},
    }
    for script, is_there in measured.items():
        if not is_there:
            file = f"docs/{script.removesuffix('.py')}.json"
            yield (
                f"{file}: no figures of {entry.id}; run {PYTHON} scripts/{script} --envs {entry.id} --summary {file}, "
                "or say is_measured=False in tests/scenario_facts.py"
            )


def read(path: Path) -> str:
    """The text of a file; empty if there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


# --- the docstring ------------------------------------------------------------------------------------------------


def docstring(entry: Entry, root: Path) -> Messages:
    """Its sections, and what the code says of them."""
    text = inspect.getdoc(scenario_of(entry.name)) or ""
    parts = re.split(r"^## (.+)$", text, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    where = f"{entry.module}, docstring of {entry.name}"
    if not (text.splitlines() or [""])[0].endswith("."):
        yield f"{where}: the first line must be a sentence"
    for name in SECTIONS:
        if name not in sections:
            yield f"{where}: there is no section `## {name}`"
            continue
        for message in SECTION_CHECKS.get(name, nothing)(entry, sections[name]):
            yield f"{where}, {name}: {message}"
    found = [name for name in sections if name != "References"]
    if sorted(found) == sorted(SECTIONS) and found != list(SECTIONS):
        yield f"{where}: the sections must come in the order {', '.join(SECTIONS)}"
    for name in found:
        if name not in SECTIONS:
            yield f"{where}: there is no such section in others as `## {name}`"


def nothing(entry: Entry, text: str) -> Messages:
    """Of a section that the code says nothing about."""
    return iter(())


def rows(table: str) -> list[list[str]]:
    """The rows of a Markdown table without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def description(entry: Entry, text: str) -> Messages:
    """A drawing, and where in it the ego is."""
    if "```text\n" not in text:
        yield "there must be a level drawn as text, between ```text and ```"
    if "`E0` the ego" not in " ".join(text.split()):
        yield "it must say that in the drawing `E0` is the ego"


def actions(entry: Entry, text: str) -> Messages:
    """The live ones."""
    scenario = scenario_of(entry.name)
    if f"`Discrete({len(scenario.actions)})`" not in text:
        yield f"it must name the space, `Discrete({len(scenario.actions)})`"
    if [row[:2] for row in rows(text)] != [[str(n), name] for n, name in enumerate(scenario.actions)]:
        yield f"the table must have the rows {', '.join(f'{n} {name}' for n, name in enumerate(scenario.actions))}"
    if not set(scenario.actions) <= {action.name for action in Action}:
        yield f"there are no actions but those of drivesim.Action, got {scenario.actions}"
    if f"speed + 1, at most {scenario.top_speed}" not in text:
        yield f"FASTER must be `speed + 1, at most {scenario.top_speed}`"


def observations(entry: Entry, text: str) -> Messages:
    """The live default space."""
    scenario = scenario_of(entry.name)
    space = gym.make(entry.id).observation_space
    written = f'`observation="{scenario.observation}"` (default): `{space}`'
    found = re.search(r'`observation="(\w+)"` \(default\):\s+`Box\((\S+), (\S+), (\(.+?\)), (\w+)\)`', text)
    if found is None:
        yield f"it must name the default space: {written}"
        return
    name, low, high, shape, dtype = found.groups()
    told = gym.spaces.Box(float(low), float(high), ast.literal_eval(shape), np.dtype(dtype))
    if name != scenario.observation or told != space:
        yield f"the default space is {written}"
    for pattern, attribute in ((r"(\d+) cells ahead", "ahead"), (r"(\d+)\s+behind", "behind")):
        for number in re.findall(pattern, text):
            if int(number) != getattr(scenario.window, attribute):
                yield f"the window has {getattr(scenario.window, attribute)} cells {attribute}, not {number}"


def rewards(entry: Entry, text: str) -> Messages:
    """The default weights."""
    text = " ".join(text.split())
    weights = RewardWeights()
    for pattern, value in (
        (r"times ([\d.]+) on the shoulder", weights.shoulder_factor),
        (r"times ([\d.]+) above the speed limit", weights.speeding_factor),
        (r"times ([\d.]+) when the acceleration changes by 2", weights.harsh_factor),
        (r"- ([\d.]+) (?:on crossing|across) a lane's boundary", -weights.lane_change),
        (r"- ([\d.]+) over the whole time limit", -weights.time),
        (r"down to ([\d.]+) on its edge", weights.offset_factor),
        (r"\+ ([\d.]+) (?:on arrival|for covering it)", weights.arrived),
        (r"- ([\d.]+) (?:on a collision|for leaving the road)", -weights.collision),
        (r"- ([\d.]+) for entering the junction on red", -weights.red_light),
        (r"speed limit of (\d+)", scenario_of(entry.name).speed_limit),
    ):
        for number in re.findall(pattern, text):
            if float(number) != value:
                yield f"it is {value:g} and not {number} in `{pattern}`"
    for pattern in (r"- [\d.]+ over the whole time limit", r"\+ 1 (on arrival|for covering it)"):
        if not re.search(pattern, text):
            yield f"it must hold `{pattern}`"


def ends(entry: Entry, text: str) -> Messages:
    """The registered time limit, and the form of the list."""
    kinds = re.findall(r"^\d\. (Termination|Truncation): (.+)\.$", text, flags=re.MULTILINE)
    if len(kinds) != len([line for line in text.splitlines() if re.match(r"\d\.", line)]):
        yield "each line of the list must be `1. Termination: ….` or `1. Truncation: ….`"
    if [what for kind, what in kinds if kind == "Truncation"] != [f"after {entry.max_episode_steps} steps"]:
        yield f"there must be one truncation, `Truncation: after {entry.max_episode_steps} steps.`"


def arguments(entry: Entry, text: str) -> Messages:
    """The fields of the level options, and the presets."""
    scenario = scenario_of(entry.name)
    table = {row[0].strip("`"): row[1:] for row in rows(text)}
    wanted = ["difficulty", *scenario.config.__dataclass_fields__]
    if list(table) != wanted:
        yield f"the table must have the rows {', '.join(wanted)}, got {', '.join(table)}"
        return
    if table.pop("difficulty")[:2] != ["str", '`"medium"`']:
        yield 'difficulty must be a str, by default `"medium"`'
    for name, (kind, default, unit, _) in table.items():
        presets = {level: getattr(preset, name) for level, preset in scenario.presets.items()}
        if kind != "int" or not unit:
            yield f"{name} must be an int, and have a unit"
        if stated_defaults(default) != presets:
            yield f"{name} is {', '.join(f'{value} {level}' for level, value in presets.items())}, got {default}"


def stated_defaults(text: str) -> dict[str, int]:
    """`"6 easy, 12 medium, 18 hard"` or `"100"` as the value for each difficulty."""
    if re.fullmatch(r"\d+", text):
        return dict.fromkeys(DIFFICULTIES, int(text))
    return {difficulty: int(value) for value, difficulty in re.findall(r"(\d+) (easy|medium|hard)", text)}


def history(entry: Entry, text: str) -> Messages:
    """The registered version, and all before it."""
    versions = [int(number) for number in re.findall(r"^\* v(\d+):", text, re.MULTILINE)]
    if not versions or versions[-1] not in (0, 1) or versions != list(range(entry.version, versions[-1] - 1, -1)):
        yield f"it must have a line for every version from `* v{entry.version}:` down to the first, got {versions}"


SECTION_CHECKS: dict[str, Callable[[Entry, str], Messages]] = {
    "Description": description,
    "Actions": actions,
    "Observations": observations,
    "Rewards": rewards,
    "Episode end": ends,
    "Arguments": arguments,
    "Version history": history,
}
CHECKS: tuple[Callable[[Entry, Path], Messages], ...] = (
    in_the_registry,
    docstring,
    different_levels,
    a_driver,
    a_preset,
    facts,
    a_record,
    a_page,
    a_line_of_the_change_log,
    measurements,
)
