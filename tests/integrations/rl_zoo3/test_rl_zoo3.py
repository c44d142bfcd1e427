"""The command lines of rl_zoo3, as the page shows them."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from docs_blocks import DOCS

pytest.importorskip("rl_zoo3")

TEXT = (DOCS / "integrations" / "rl_zoo3.md").read_text(encoding="utf-8")
SHORT = {"train": "-n 2000 --eval-freq 800 --eval-episodes 2", "enjoy": "-n 50", "record_video": "-n 20"}


def test_the_page_works_as_written(tmp_path):
    (settings,) = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "zoo.yml").write_text(settings)
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", TEXT, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    commands = [line for line in lines if line.strip().startswith("python")]
    assert len(commands) == 3
    for command, (name, short) in zip(commands, SHORT.items(), strict=True):
        assert f"rl_zoo3.{name}" in command
        words = [sys.executable, *shlex.split(command)[1:], *short.split()]
        environment = os.environ | {"SDL_VIDEODRIVER": "dummy", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        if name == "train":
            assert "success_rate" in done.stdout
    assert list(tmp_path.rglob("*.mp4"))
