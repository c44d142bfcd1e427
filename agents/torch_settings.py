"""Torch's global settings while agents work: their own, whatever the caller's are."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

__all__ = ["own_torch_settings"]


@contextlib.contextmanager
def own_torch_settings() -> Iterator[None]:
    """While active, new tensors are float32 on the processor and gradients are recorded; restored afterwards."""
    dtype = torch.get_default_dtype()
    with contextlib.ExitStack() as stack:
        torch.set_default_dtype(torch.float32)
        stack.callback(torch.set_default_dtype, dtype)
        if torch.get_default_device().type != "cpu":  # the context takes time in every call of torch
            stack.enter_context(torch.device("cpu"))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        yield
