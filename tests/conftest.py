"""No test opens a window on anybody's screen; the helpers beside this file can be imported from every folder.

Kernels are those of the installation's object code where it is of these sources, for compiling them takes minutes; else
numba's, whatever files there are. tests/objects/ holds that both do the same.
"""

import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # each core has a worker of its own, and threads that wait would spin
from drivesim.core import prebuilt
from drivesim.core.sources import kernel_digest


def is_built() -> bool:
    """Whether there is object code of these very sources; what is stale would say so in every process of every test."""
    path = next((path for path in map(prebuilt.path_of, prebuilt.own_targets()) if path.exists()), None)
    try:
        return path is not None and prebuilt.unsealed(path.read_bytes()).sources == kernel_digest()
    except prebuilt.SealError:
        return False


os.environ.setdefault("DRIVESIM_PREBUILT", str(int(is_built())))
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell starts what runs in the background so
    signal.signal(signal.SIGINT, signal.default_int_handler)
