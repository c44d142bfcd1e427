"""No test opens a window on anybody's screen."""

import os

os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
