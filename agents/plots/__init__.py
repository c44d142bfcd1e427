"""Figures: learning curves of runs, comparisons of algorithms, regret, the traffic's fundamental diagram.

============ ===========================================================================
module       what it does
============ ===========================================================================
``runs``     reads run folders; means over seeds with Student's 95 % interval
``learning`` learning curves, of one run or several seeds, and of algorithms side by side
``regret``   drivers' regret over how much the best drive is held up, from files of ``evaluate.py``
``traffic``  measures flow and speed on a ring road, and draws them over density
``search``   scores and values of a search for hyper-parameters; needs Optuna
``figures``  the common look, and the writing of files
============ ===========================================================================

Every figure is written as PNG and as SVG, and the same data give the same bytes. Nothing here opens a window or touches
matplotlib's global state beyond the call.
"""

from agents.plots.learning import plot_comparison, plot_learning_curve
from agents.plots.regret import plot_regret
from agents.plots.traffic import plot_traffic

__all__ = ["plot_comparison", "plot_learning_curve", "plot_regret", "plot_traffic"]
