"""The common look of all figures, and how they are written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivesim.files import written
from drivesim.render import palette

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LOOKS", "Look", "paper_style", "save"]

Colour = tuple[float, float, float]

_STYLE: dict[Any, Any] = {  # Any: matplotlib types the keys one by one
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 8.5,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.wspace": 0.06,
    "font.size": 8,
    "grid.color": "#d9d9d9",
    "grid.linewidth": 0.5,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 2.8,
    "lines.linewidth": 1.4,
    "lines.markeredgecolor": "white",  # sets markers that overlap apart
    "lines.markeredgewidth": 0.5,
    "lines.markersize": 4.5,
    "savefig.dpi": 200,
    "svg.hashsalt": "drivesim",  # names inside the file that would be random otherwise
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
}


@dataclass(frozen=True)
class Look:
    """How a line is told from others: by colour, dashes and marker, each of which is enough alone."""

    colour: Colour
    """Red, green, blue in [0, 1]."""
    dashes: str | tuple[int, tuple[float, ...]]
    """Line style of matplotlib."""
    marker: str
    """Marker of matplotlib."""


def _rgb(colour: palette.Colour) -> Colour:
    red, green, blue = colour
    return red / 255, green / 255, blue / 255


LOOKS = (
    Look(_rgb(palette.BLUE), "-", "o"),
    Look(_rgb(palette.VERMILION), (0, (4, 1.5)), "s"),
    Look(_rgb(palette.PURPLE), (0, (1, 1)), "D"),
    Look(_rgb(palette.SKY_BLUE), (0, (8, 2)), "v"),
    Look(_rgb(palette.BLUISH_GREEN), (0, (6, 1.5, 1, 1.5)), "^"),
    Look(_rgb(palette.OUTLINE), (0, (2, 1, 1, 1)), "P"),
    Look(_rgb(palette.ORANGE), (0, (5, 1, 2, 1)), "X"),
)
"""In the colours of Okabe and Ito, but those too light for a line on white; one for each algorithm."""


@contextlib.contextmanager
def paper_style() -> Iterator[None]:
    """While active, matplotlib's defaults are the project's, whatever the user's own are; restored afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Writes a figure as PNG and as SVG, without a date; needs :func:`paper_style`.

    Args:
        figure: to be written.
        folder: made if it does not exist.
        name: of the files, without suffix.

    Returns:
        The two paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with written(png) as file:
        figure.savefig(file, format="png")
    with written(svg) as file:
        figure.savefig(file, format="svg", metadata={"Date": None})
    return png, svg
