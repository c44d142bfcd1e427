"""What the tests of Minari datasets share: an empty folder for datasets, and makes the helpers importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch) -> Path:
    """Where Minari keeps its datasets, empty."""
    path = tmp_path / "datasets"
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(path))
    return path
