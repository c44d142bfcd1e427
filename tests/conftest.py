"""No test opens a window on anybody's screen; the helpers beside this file can be imported from every folder.

Kernels are compiled by numba, whatever files of object code there are: tests/objects/ compares these with them.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("DRIVESIM_PREBUILT", "0")
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell starts what runs in the background so
    signal.signal(signal.SIGINT, signal.default_int_handler)
