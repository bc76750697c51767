"""The door to numba: functions that are compiled to machine code when their module is imported.

Import such modules only where batches are decoded: numba takes most of a second to load, and what
is not in its cache some seconds more to compile. The cache lies beside the module, or where
NUMBA_CACHE_DIR says, or else in the user's cache folder; without any of them it is done without.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from llvmlite import ir
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def compiled(signature: str) -> Callable[[F], F]:
    """Compile a function for one signature, in numba's words; indices are not checked."""

    def compile_one(function: F) -> F:
        try:
            made: Any = numba.njit(signature, cache=True, nogil=True)(function)
        except RuntimeError:  # no folder for the cache can be written
            made = numba.njit(signature, nogil=True)(function)
        return cast(F, made)

    return compile_one


def helper(function: F) -> F:
    """Let a function be compiled into those that call it, which stand in the same module.

    The cache notices no change of another one.
    """
    made: F = numba.njit(function, inline="always")
    return made


def _loads(kind: Any, wide: ir.Type) -> Any:
    """Return a function (bytes, place) that reads a number there, little-endian, unaligned."""

    @intrinsic
    def load(_context: Any, data: Any, at: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [arguments[1]])
            return builder.load(builder.bitcast(place, wide.as_pointer()), align=1)

        return kind(data, at), generate

    return load


load_byte = _loads(numba.uint8, ir.IntType(8))
load_word = _loads(numba.uint64, ir.IntType(64))
load_double = _loads(numba.float64, ir.DoubleType())
load_float = _loads(numba.float32, ir.FloatType())


def _stores(wide: ir.Type) -> Any:
    """Return a function (bytes, place, number) that writes there, little-endian, unaligned."""

    @intrinsic
    def store(_context: Any, data: Any, at: Any, number: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, arguments[0])
            place = builder.gep(array.data, [arguments[1]])
            builder.store(arguments[2], builder.bitcast(place, wide.as_pointer()), align=1)
            return context.get_dummy_value()

        return numba.void(data, at, number), generate

    return store


store_word = _stores(ir.IntType(64))
