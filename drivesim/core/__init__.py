"""The rules of the world, numbers in and numbers out: imports NumPy and numba only."""
