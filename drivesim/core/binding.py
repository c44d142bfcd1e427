"""Functions that a batch loop calls without having been compiled for them: generators, encoders."""

from typing import Any

from drivesim.core import prebuilt
from drivesim.core.jit import INTERPRETED, intrinsic


def _call(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


class Binding:
    """A place in a batch loop for a function that the loop is not compiled for: a generator, an encoder.

    The loop takes the function's address from its frame and calls `binding.call(address, ...)`, with numba's own
    calling convention. So one compiled loop serves all scenarios and observations, and each of these compiles alone.

    Args:
        returns: `bool` or `int`.
        *arguments: types of `drivesim.core.memory`, of records, or `int`.
    """

    def __init__(self, returns: Any, *arguments: Any) -> None:
        self.returns = returns
        self.arguments = arguments
        self.call = intrinsic("caller", _call, returns, arguments)

    def address_of(self, kernel: Any, *arguments: Any) -> Any:
        """The address of a kernel for `arguments` (the binding's, unless its blocks hold other elements).

        In the plain interpreter, the function itself.
        """
        if INTERPRETED:
            return kernel
        made = prebuilt.address(kernel)
        if made:
            return made
        from drivesim.core.compiling import compiled_address

        return compiled_address(kernel, self.returns, arguments or self.arguments)
