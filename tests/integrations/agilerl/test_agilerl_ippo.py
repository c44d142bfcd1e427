"""AgileRL's IPPO drives several cars, as the page shows it."""

import subprocess
import sys

import pytest
from docs_blocks import DOCS, blocks_of

pytest.importorskip("agilerl")
pytest.importorskip("supersuit")


def test_ippo_learns_as_written(tmp_path):
    ((_, source),) = blocks_of(DOCS / "integrations" / "agilerl.md", "{code-block} py")
    (tmp_path / "ippo.py").write_text(source)
    done = subprocess.run([sys.executable, "ippo.py"], cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    assert "1024/1024 steps" in done.stdout + done.stderr
