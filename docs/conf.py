"""How Sphinx builds the documentation; `make docs` does it."""

import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # so that the packages documented are those of this checkout

from sphinx.application import Sphinx  # noqa: E402

from drivesim import __version__  # noqa: E402

project = "drivesim"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["_build"]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

default_role = "code"  # single backticks in docstrings
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
maximum_signature_line_length = 100
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = f"drivesim {release}"
html_static_path = ["_static"]
html_css_files = ["drivesim.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
copybutton_exclude = ".linenos, .gp, .go"

LITERAL_OR_UNPACKED = re.compile(r"(`+[^`]*`+)|(?:(?<=, )|(?<=:param ))(\*+)(?=\w+[),:])")


def escape_unpacked(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Lets `(N, *obs_shape)` and `**level` stand for themselves in a docstring, where stars begin an emphasis."""
    for number, line in enumerate(lines):
        lines[number] = LITERAL_OR_UNPACKED.sub(lambda match: match[1] or match[2].replace("*", r"\*"), line)


def setup(app: Sphinx) -> None:
    """Registers what is done beside the settings above."""
    app.connect("autodoc-process-docstring", escape_unpacked)
