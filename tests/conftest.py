"""No test opens a window on anybody's screen; the helpers beside this file can be imported from every folder."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
