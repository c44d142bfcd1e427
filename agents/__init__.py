"""Agents that learn to drive.

Import what you need from its own module: ``agents.targets`` (TD targets), ``agents.dqn``, ``agents.ppo``,
``agents.training`` (the loop), ``agents.evaluation``, ``agents.checkpoint``.
"""

import os

# Torch's threads wait for each other by spinning, for milliseconds. On a machine that also does something else
# they then spin through whole time slices, and an update takes up to 20 times as long. Without any spinning, waking
# them costs what a second thread gains. Three thousand turns, some microseconds, are between: a second core makes
# updates 1.3 times as fast, one that is busy twice as slow. Read when torch is first imported; set values are kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "3000")  # of libgomp, which torch for Linux has; it outranks the policy
