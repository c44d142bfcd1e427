"""The oracle: the best that can be done in a level, exactly or between certified bounds.

env = gym.make("drivesim/Highway-v1")
env.reset(seed=7)
plan = drivesim.planning.solve(env)      # plan.actions, plan.total_reward, plan.is_exact
plan.replay().save("best.json")          # for scripts/record.py, scripts/play.py
"""

from drivesim.planning.branches import Branches, originals
from drivesim.planning.plan import Plan, solve
from drivesim.planning.table import Regrets, Table, to_table

__all__ = ["Branches", "Plan", "Regrets", "Table", "originals", "solve", "to_table"]
