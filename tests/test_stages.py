"""A person at a terminal sees what a command is doing; files and pipes get its results only."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from drivesim.programs import PROGRAMS, as_programs

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = """
from drivesim.stages import begin_script, run_script, stage, tell

begin_script()


def main():
    with stage("driving 10 episodes"):
        tell("3 of 10 are over")
        tell("4 of 10 are over")  # too soon
        with stage("reading the map"):
            pass
    print("done")
    return 3


raise SystemExit(run_script(main))
"""


def shown(program: str, *, on_a_terminal: bool, columns: int = 0) -> tuple[int, str]:
    """The exit status, and what stands on the standard error, of a terminal that may not know its width."""
    reader, writer = os.openpty() if on_a_terminal else os.pipe()
    if columns:
        termios.tcsetwinsize(writer, (24, columns))
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stderr=writer, stdout=writer, check=False)
    os.close(writer)
    text = os.read(reader, 1 << 16).decode()
    os.close(reader)
    return done.returncode, text


def test_what_is_done_is_shown_on_a_terminal_and_gone_before_anything_else_is() -> None:
    status, text = shown(PROGRAM, on_a_terminal=True)
    clear = "\r\x1b[K"
    assert text.split(clear) == [
        *("", "loading ...", ""),
        *(
            "driving 10 episodes ...",
            "driving 10 episodes: 3 of 10 are over ...",
            "reading the map ...",
            "driving 10 episodes ...",
        ),
        "done\r\n",
    ]
    assert status == 3
    assert "driving: 3 of 10 are over ..." in shown(PROGRAM, on_a_terminal=True, columns=30)[1].split(clear)
    assert shown(PROGRAM, on_a_terminal=False) == (3, "done\n")


@pytest.mark.parametrize("ending", ["sys.stderr = None", "sys.stderr.close()"])
def test_without_a_standard_error_the_work_is_done_all_the_same(ending: str) -> None:
    assert shown(f"import sys\n{ending}\n{PROGRAM}", on_a_terminal=True) == (3, "done\r\n")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_what_the_outputs_encoding_lacks_is_written_in_plain_characters(encoding: str) -> None:
    text = "\N{MINUS SIGN}1.5 \N{EN DASH} \N{CJK UNIFIED IDEOGRAPH-8ECA}"
    program = PROGRAM.replace('"done"', ascii(text))
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding})
    assert done.returncode == 3, done.stderr
    dash = "\N{EN DASH}" if encoding == "cp1252" else "-"
    assert done.stdout.decode(encoding) == f"-1.5 {dash} ?\n".replace("\n", os.linesep)


SCRIPTS = {path.stem: path for path in sorted((ROOT / "scripts").glob("*.py")) if "__main__" in path.read_text("utf-8")}
# Which starts them.
OF_A_PROGRAM = {
    "benchmark_driver",
    "benchmark_peers",
    "benchmark_peers_training",
    "rivals_entrant",
}
LOADS_NOTHING = {"make_wheels"}


@pytest.mark.parametrize("name", sorted(set(SCRIPTS) - OF_A_PROGRAM - LOADS_NOTHING))
def test_every_script_tells_that_it_is_loading_before_it_does(name: str) -> None:
    lines = SCRIPTS[name].read_text(encoding="utf-8").splitlines()
    begins = lines.index("    begin_script()")
    before = [line.split()[1] for line in lines[:begins] if line.startswith(("from ", "import "))]
    assert before == ["__future__", "drivesim.stages"]
    assert lines[-1] == "    sys.exit(run_script(main))"


def test_there_is_a_script_for_every_command_and_its_help_calls_it_by_that_name() -> None:
    assert set(PROGRAMS) <= set(SCRIPTS)
    for name in PROGRAMS:
        text = as_programs(ast.get_docstring(ast.parse(SCRIPTS[name].read_text(encoding="utf-8"))) or "")
        assert f"drivesim {name} " in text
        assert ".venv" not in text


PIPED = """
from agents.command_line import status_of
from drivesim.stages import run_script
raise SystemExit(run_script(lambda: status_of(lambda: print("x" * SIZE))))
"""


@pytest.mark.skipif(os.name == "nt", reason="a shell there expects no such status")
@pytest.mark.parametrize("size", [1, 1 << 20])  # the second is written before it is flushed
def test_whoever_reads_only_the_beginning_hears_no_complaint(size: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", PIPED.replace("SIZE", str(size))]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(command, cwd=ROOT, env=env, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


ANSWERED = """
import os, signal
from drivesim.stages import begin_script, run_script

begin_script()

from agents.command_line import status_of


def main():
    return status_of(lambda: os.kill(os.getpid(), signal.SIGINT), "interrupted")


raise SystemExit(run_script(main))
"""


def test_ctrl_c_is_answered_by_a_work_that_has_something_to_say_then() -> None:
    assert shown(ANSWERED, on_a_terminal=False) == (130, "interrupted\n")
    ignored = f"import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n{ANSWERED}"  # by a shell
    assert shown(ignored, on_a_terminal=False) == (0, "")
