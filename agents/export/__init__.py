"""Deployment: a run's driver as an ONNX model and as one Python file that needs nothing but numpy.

====================== ==========================================================================
module                 what it does
====================== ==========================================================================
``export_run``         a run folder in, checked files and a report out
``tracing``            the network as a graph of operations, the same one for every form
``numpy_form``         that graph as lines of numpy, in a file that holds its weights
``numpy_operations``   the operations these lines call; copied into the file
``onnx_form``          that graph as an ONNX model
``page_form``          that graph as JSON, for a page in a browser
``rules_form``         a rule-based driver in such a form
``int8``               weights as 8-bit integers
``verification``       every form against the network, on observations of held-out levels
====================== ==========================================================================
"""
