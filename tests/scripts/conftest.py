"""Makes the probe environments of the agents' tests importable here too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))

import probes

probes.register()
