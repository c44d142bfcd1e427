"""Agents that learn to drive: DQN and what it is built from.

Import what you need from its own module: ``agents.targets`` (TD targets), ``agents.dqn``,
``agents.training`` (the loop), ``agents.evaluation``, ``agents.checkpoint``.
"""

import os

# Torch's threads wait for each other by spinning. On a machine that is also doing something else
# they then spin through whole time slices, and an update takes up to 20 times as long; sleeping
# costs a few microseconds. Read once, when torch is first imported; a value set before is kept.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
