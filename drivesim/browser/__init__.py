"""The simulator as one web page: drive, watch, race and draw in a browser, without a server.

The page holds the compiled kernels as WebAssembly, what Python knows of their memory (`manifest`), and scripts that are
to them what `drivesim.engine` is in Python: step by step and byte by byte the same.
"""
