"""Records whose fields the plain interpreter reads ten times as fast as NumPy's own; imported before drivesim.

NumPy looks for a field in Python, and only after an AttributeError: four fifths of the time of kernels that are not
compiled. Here each name of a field becomes a property when it is first read; what kernels do with it is the same.
"""

from __future__ import annotations

import os
from operator import itemgetter
from typing import Any

import numpy as np


class QuickRecord(np.record):
    """A record of structured types; what NumPy itself calls by a field's name stays what it is, as in np.record."""

    __getattribute__ = np.void.__getattribute__
    __getitem__ = np.void.__getitem__

    def __getattr__(self, name: str) -> Any:
        """Called for names that there are not yet."""
        if name not in (self.dtype.names or ()):
            raise AttributeError(name)
        setattr(QuickRecord, name, property(itemgetter(name)))
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


if "NUMBA_DISABLE_JIT" in os.environ:
    np.record = QuickRecord  # type: ignore[assignment,misc]
