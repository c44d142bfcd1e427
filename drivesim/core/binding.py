"""Functions that a batch loop calls without having been compiled for them: generators, encoders."""

from typing import Any

import numba
from numba import types
from numba.extending import intrinsic


class Binding:
    """A place in a batch loop for a function that the loop is not compiled for: a generator, an encoder.

    The loop takes the function's address from its frame and calls `binding.call(address, ...)`, with numba's own
    calling convention. So one compiled loop serves all scenarios and observations, and each of these compiles alone.

    Args:
        returns: numba's type of what it returns.
        *arguments: types of this module or of numba.
    """

    def __init__(self, returns: Any, *arguments: Any) -> None:
        self.returns = returns
        self.arguments = arguments
        self.call = self._caller()

    def signature(self, *arguments: Any) -> Any:
        """Numba's signature of what is bound, with `arguments`, the binding's unless its blocks hold other elements."""
        return self.returns(*(arguments or self.arguments))

    def address_of(self, function: Any, *arguments: Any) -> Any:
        """The address of a kernel, compiled for `arguments` (the binding's, unless its blocks hold other elements).

        In the plain interpreter, the function itself.
        """
        if numba.config.DISABLE_JIT:
            return function
        sig = self.signature(*arguments)
        function.compile(sig)
        compiled = function.overloads[sig.args]
        return compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)

    def _caller(self) -> Any:
        if numba.config.DISABLE_JIT:
            return lambda function, *args: function(*args)
        returns, arguments = self.returns, self.arguments

        def generate(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            values = [
                context.cast(builder, value, given, wanted)
                for value, given, wanted in zip(args[1:], sig.args[1:], arguments, strict=True)
            ]
            kind = context.call_conv.get_function_type(returns, arguments)
            function = builder.inttoptr(args[0], kind.as_pointer())
            _, result = context.call_conv.call_function(builder, function, returns, arguments, values)
            return result

        if len(arguments) == 4:

            @intrinsic  # type: ignore[untyped-decorator]
            def call(typing_context: Any, address: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
                return returns(types.int64, a, b, c, d), generate

        else:
            assert len(arguments) == 6

            @intrinsic  # type: ignore[untyped-decorator]
            def call(typing_context: Any, address: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
                return returns(types.int64, a, b, c, d, e, f), generate

        return call
