"""The roads: one file, one scenario. A new one is a file here and a line in `registry.py`."""
