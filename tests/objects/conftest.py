"""Object code of these sources, for all targets."""

from object_files import objects

__all__ = ["objects"]
