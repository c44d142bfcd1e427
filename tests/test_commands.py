"""The commands of all pages work as they stand: in one form, after `make train`, with flags that exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from loading import load_script

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts),
]
PYTHON = ".venv/bin/python"
ALWAYS = {"make", PYTHON, ".ci/run"}
OF_ONES_OWN = {"pip", "python", "tensorboard", "drivesim", "sed"}  # in an environment of one's own


def commands_of(page: Path) -> list[list[str]]:
    """The words of every command in the blocks of a page."""
    blocks = re.findall(r"^```(.*)\n((?:.*\n)*?)```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    kinds = ("sh", "") if page.name == "CONTRIBUTING.md" else ("sh",)
    lines = "".join(block for kind, block in blocks if kind in kinds).replace("\\\n", " ").splitlines()
    commands, begun = [], ""
    for line in lines:
        begun += line
        try:
            commands.append(shlex.split(begun, comments=True))
        except ValueError:  # a quotation goes on
            begun += "\n"
        else:
            begun = ""
    assert not begun, f"{page} holds a quotation without an end"
    return [words for words in commands if words]


COMMANDS = {page: commands_of(page) for page in PAGES}
SCRIPTS = [
    (page, words[1:])
    for page, commands in COMMANDS.items()
    for words in commands
    if words[0] == PYTHON and words[1].startswith("scripts/")
]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def speaks_of_ones_own(page: Path) -> bool:
    """Whether a page begins with what to install into an environment of one's own."""
    return bool(COMMANDS[page]) and COMMANDS[page][0][0] == "pip"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_has_the_form_that_always_works(page) -> None:
    allowed = ALWAYS | (OF_ONES_OWN if speaks_of_ones_own(page) else set())
    if page.name == "getting_started.md":
        allowed = allowed | {"pip", "drivesim"}  # it tells of both
    assert [words for words in COMMANDS[page] if words[0] not in allowed] == []
    if not speaks_of_ones_own(page) and page.name != "CONTRIBUTING.md":
        text = re.sub(r"<!-- results -->.*?<!-- /results -->|<!--.*?-->", "", page.read_text("utf-8"), flags=re.DOTALL)
        assert re.findall(r"(?<![\w/.-])python\s(?:scripts/|-m drivesim)\S*", text) == []


def test_every_target_and_every_script_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(SCRIPTS) > 30
    for page, commands in COMMANDS.items():
        for words in commands:
            if words[0] == "make":
                assert words[1] in targets, (name_of(page), words)
            if words[0] in (PYTHON, "python") and "/" in words[1]:  # neither an option nor a file of another project
                assert (ROOT / words[1]).exists(), (name_of(page), words)


@pytest.mark.parametrize(
    "words",
    [words for _, words in SCRIPTS if words[0].count("/") == 1 and any("--" in word for word in words)],
    ids=" ".join,
)
def test_every_flag_exists(words, capsys, monkeypatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    script = load_script(Path(words[0]).stem)
    flags = {word for word in words if word.startswith("--")}
    kept = [*words[1:2]] if words[0] == "scripts/plot.py" else []
    for flag in ("--agent", "--env"):
        if flag in words and words[0] == "scripts/train.py":
            kept += [flag, words[words.index(flag) + 1]]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        script.main([*kept, "--help"])
    assert ended.value.code in (0, None)
    known = set(re.findall(r"--[\w.-]+", capsys.readouterr().out))
    assert {flag for flag in flags if flag not in known and flag.replace("--", "--no-", 1) not in known} == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_a_command_reads_is_there_after_make_train_and_the_commands_before_it(page) -> None:
    made = {"runs/latest"}
    if "mixed.md" in page.read_text(encoding="utf-8"):
        made.add("runs/roads")
    for words in COMMANDS[page]:
        for before, word in pairwise(words):
            path = word.partition("=")[2] or word
            if before in ("--out", "--save"):
                made.add(path)
            elif path.startswith(("runs/", "replays/", "claims/")) and not path.startswith("runs/*"):
                assert any(path == there or path.startswith(f"{there}/") for there in made), (word, words)


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="needs a checkout")
def test_git_ignores_what_the_commands_write() -> None:
    written = {
        path
        for commands in COMMANDS.values()
        for words in commands
        for flag, path in pairwise(words)
        if words[0] == PYTHON and flag in ("--out", "--save", "-o")
    }
    written -= {path for path in written if path.startswith("docs/")}  # where the project's own pictures are
    assert {"claims", "competition", "films", "runs/first"} <= written
    asked = subprocess.run(["git", "check-ignore", *(f"{path}/x" for path in written)], cwd=ROOT, capture_output=True)
    assert {line.removesuffix("/x") for line in asked.stdout.decode().splitlines()} == written


@pytest.mark.parametrize("name", sorted({words[0] for _, words in SCRIPTS if words[0].count("/") == 1}))
def test_what_a_script_says_of_itself_has_the_same_form(name) -> None:
    text = (ROOT / name).read_text(encoding="utf-8").split('"""')[1]
    assert PYTHON in text
    assert re.findall(r"^\s*python .*", text, flags=re.MULTILINE) == []
