"""Compile with Numba, keep the result on disk, and call compiled functions by address.

The folder bears a fingerprint of the sources compiled into one another (`simlab.core.cache`): one for
simlab's own loop, and inside it one for strategies and what calls them from above the loop, so that a new
strategy does not compile the loop again.
Setting ``NUMBA_CACHE_DIR`` overrides the folder and ``NUMBA_DISABLE_JIT=1`` runs everything as plain Python.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numba
import numpy as np
from numba.core import cgutils, types
from numba.extending import intrinsic

from simlab.core.cache import choose_folder, fingerprint

__all__ = ["JIT", "address_of", "call_decide", "caller", "jit", "jit_inline", "jit_inside", "multiply_high"]

JIT = not numba.config.DISABLE_JIT

_ROOT = Path(__file__).resolve().parent.parent
_LIBRARY = _ROOT / "agents" / "library"
_COMPILED_PACKAGES = ("core", "engine", "market", "agents", "kernel")


def _loop_files() -> list[Path]:
    files = (path for package in _COMPILED_PACKAGES for path in (_ROOT / package).rglob("*.py"))
    return [path for path in files if path.parent != _LIBRARY]


def _folders() -> tuple[str, str]:
    """Return the folders of the loop and of strategies; empty texts when compiled code cannot be kept."""
    folder = choose_folder(f"compiled-{fingerprint(_loop_files())}", numba.config.CACHE_DIR)
    if folder is None:
        return "", ""
    return str(folder), str(folder / f"strategies-{fingerprint(_LIBRARY.glob('*.py'))}")


_LOOP_FOLDER, _STRATEGY_FOLDER = _folders() if JIT else ("", "")
numba.config.CACHE_DIR = _LOOP_FOLDER
if not JIT:
    np.seterr(over="ignore")  # unsigned counters wrap by design


def jit(function: Any = None, *, signature: Any = None, **options: Any) -> Any:
    """Compile a function and let it run without the interpreter lock.

    It is compiled when first called, or at once for one explicit `signature`, and kept on disk if it comes
    from a file and a folder can be written. Compiled functions take no references to arrays and so cannot
    make new ones; pass ``_nrt=True`` to one that must.
    """
    if function is None:
        return lambda function: jit(function, signature=signature, **options)
    file = Path(function.__code__.co_filename)
    kept = bool(_LOOP_FOLDER) and file.is_file()
    fixed = {"cache": kept, "nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True, "_nrt": False}
    fixed["boundscheck"] = _ROOT not in file.parents  # an index of a stranger's may lead anywhere
    compiler = numba.njit(*(() if signature is None else (signature,)), **(fixed | options))
    if file.parent != _LIBRARY and any(_ROOT / package in file.parents for package in _COMPILED_PACKAGES):
        return _compiled_once(compiler(function))
    numba.config.CACHE_DIR = _STRATEGY_FOLDER  # Numba looks at it when the function is decorated
    try:
        return _compiled_once(compiler(function))
    finally:
        numba.config.CACHE_DIR = _LOOP_FOLDER


def _compiled_once(function: Any) -> Any:
    """Let compiled callers share one version of a function, whatever kind of whole number they pass.

    Numba compiles a function anew for a constant, for each other constant, for a member of an enum and for
    every width of integer: `emit` of the engine had twelve versions, which inlining makes needless.
    """
    if JIT:
        template_for = function.get_call_template
        function.get_call_template = lambda args, kws: template_for(
            tuple(map(_plain, args)), {name: _plain(it) for name, it in kws.items()}
        )
    return function


def _plain(kind: Any) -> Any:
    """Return int64 or uint64 for any type of whole number, and other types as they are."""
    kind = types.unliteral(kind)
    if isinstance(kind, types.IntEnumMember):
        kind = kind.dtype
    if isinstance(kind, types.Integer):
        return types.int64 if kind.signed else types.uint64
    return kind


def jit_inline(function: Any) -> Any:
    """Compile a function so that it is inlined wherever it is called: for the steps of hot loops."""
    return jit(function, forceinline=True)


def jit_inside(function: Any) -> Any:
    """Compile a function as a part of its only caller: for the rooms of a long loop.

    What `jit_inline` inlines is compiled on its own first, with all that is inlined into it, and optimised
    once more in its caller. This is not: a large function with one caller compiles in half the time, and one
    with two callers in twice the time.
    """
    return jit(function, inline="always")


def _high_word(typingctx: Any, a: Any, b: Any) -> tuple[Any, Callable[..., Any]]:
    """Return the upper 64 bits of the product of two uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        wide = cgutils.ir.IntType(128)
        left, right = (builder.zext(value, wide) for value in args)
        return builder.trunc(builder.lshr(builder.mul(left, right), wide(64)), cgutils.ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), codegen


def _high_word_in_python(a: Any, b: Any) -> np.uint64:
    return np.uint64(int(a) * int(b) >> 64)


multiply_high = intrinsic(_high_word) if JIT else _high_word_in_python

_python_functions: dict[int, Callable[..., None]] = {}


_addresses: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""Of functions, by their compiled library; LLVM takes 60 microseconds to find one."""


def address_of(function: Any, *parameters: Any) -> int:
    """Return the address of a function that was compiled for one explicit signature, or is for `parameters`.

    Without the JIT the address is a number under which what `caller` makes finds the Python function.
    """
    if not JIT:
        _python_functions[id(function)] = function
        return id(function)
    if parameters:
        function.compile(parameters)
    compiled = function.overloads[parameters or function.signatures[0]]
    library = compiled.library
    if library not in _addresses:
        _addresses[library] = library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return _addresses[library]


def caller(result: Any) -> Any:
    """Return ``call(address, *arguments)`` for compiled code, where the function there returns `result`.

    Exceptions propagate. What is called by its address is not compiled into the one that calls.
    """
    if not JIT:
        return lambda address, *arguments: _python_functions[address](*arguments)

    def call(typingctx: Any, address: Any, *arguments: Any) -> tuple[Any, Callable[..., Any]]:
        # what follows the address arrives as one tuple
        parameters = tuple(arguments[0]) if len(arguments) == 1 else arguments
        signature = result(types.int64, types.StarArgTuple(parameters))

        def codegen(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            values = cgutils.unpack_tuple(builder, given[1], len(parameters))
            function_type = context.call_conv.get_function_type(result, parameters)
            pointer = builder.inttoptr(given[0], function_type.as_pointer())
            status, found = context.call_conv.call_function(builder, pointer, result, parameters, values)
            with cgutils.if_unlikely(builder, status.is_error):
                context.call_conv.return_status_propagate(builder, status)
            return context.get_dummy_value() if result is types.void else found

        return signature, codegen

    return intrinsic(call)


call_decide = caller(types.void)
"""Call ``decide(view, me, rng, orders)`` at an address."""
