"""Makes the helpers beside the tests importable, whatever import mode pytest runs in; repeatable property tests."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))

# The same examples in every run, and no limit on their time: the first one compiles.
settings.register_profile("drivesim", derandomize=True, deadline=None, database=None)
settings.load_profile("drivesim")
