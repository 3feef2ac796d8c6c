"""Look at the code of a compiled strategy: what it reads without having asked, and what it may not write.

Compiled code cannot tell at run time that its own orders are empty because nobody asked for them, or that an
index leads into another field. Its source can. Followed are the four arguments, names they are given, and the
functions they are handed to; what cannot be followed is not complained about.
"""

from __future__ import annotations

import ast
import inspect
import random
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from simlab.agents.strategy import Needs, Parameter
from simlab.errors import StrategyError, did_you_mean

__all__ = ["CodeRules", "check_code", "definition", "global_draws"]

_ARGUMENTS = ("view", "me", "rng", "orders")


@dataclass(frozen=True)
class CodeRules:
    """What the records that a compiled strategy gets allow.

    `fields` gives the fields of each, by the name of the argument; `sizes` the length of each array field of
    `view` and `me`; `asked_for` the part of `Needs` without which a field is empty; `written` the fields that
    may be written, all others not. Functions of the modules `api` are not followed: they are the door.
    """

    fields: dict[str, tuple[str, ...]]
    sizes: dict[str, int]
    asked_for: dict[str, str]
    written: frozenset[str]
    api: tuple[str, ...] = ("simlab.agents.compiled", "simlab.core")


def definition(function: Callable[..., Any]) -> tuple[str, int]:
    """Return the file and line of a function's or class's ``def``, below its decorators."""
    code = getattr(function, "__code__", None)
    try:
        file = inspect.getsourcefile(function) or ""
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        return (code.co_filename, code.co_firstlineno) if code is not None else ("", 0)
    begins = ("def ", "async def ", "class ")
    at = next((n for n, line in enumerate(lines) if line.lstrip().startswith(begins)), 0)
    return file, max(first, 1) + at


def check_code(
    function: Callable[..., None],
    name: str,
    parameters: tuple[Parameter, ...],
    needs: Needs,
    rules: CodeRules,
) -> None:
    """Raise StrategyError where a compiled strategy reads or writes what it cannot.

    Raises
    ------
    StrategyError
        With the strategy, the file and the line.
    """
    for use in _uses(function, rules):
        complaint = _complaint(use, parameters, needs, rules)
        if complaint:
            raise StrategyError(f"strategy {name!r} {complaint} ({use.file}, line {use.line})")


@lru_cache(maxsize=256)
def global_draws(function: Callable[..., None]) -> tuple[str, int] | None:
    """Return the file and line where a function, or one that it calls, draws from a global generator."""
    for inner in _reached(function):
        tree = _tree(inner)
        for node in ast.walk(tree.body) if tree is not None else ():
            if isinstance(node, ast.Call) and _is_global_draw(_value_of(node.func, inner)):
                return tree.place(node)  # type: ignore[union-attr]
    return None


@dataclass(frozen=True)
class _Tree:
    """The source of one function."""

    body: ast.FunctionDef
    file: str
    first: int

    def place(self, node: Any) -> tuple[str, int]:
        return self.file, self.first + node.lineno - 1


@dataclass(frozen=True)
class _Use:
    """One use of a field of view, me, rng or orders; `index` is a constant one, None for none or unknown."""

    record: str
    field: str
    written: bool
    index: int | None
    file: str
    line: int


def _complaint(use: _Use, parameters: tuple[Parameter, ...], needs: Needs, rules: CodeRules) -> str | None:
    what = f"{use.record}.{use.field}"
    if use.field not in rules.fields[use.record]:
        return f"uses {what}, which there is not{did_you_mean(use.field, rules.fields[use.record])}"
    if use.written and use.field not in rules.written:
        record = {"view": "the view", "me": "`me` beyond its memory"}.get(use.record, f"`{use.record}`")
        return f"writes to {record}: {what} is not its own; only me.memory may be written"
    if use.record == "orders" and use.field == "messages":
        return (
            "takes orders.messages into its own hands; send with limit, market, cancel, replace, cancel_all"
        )
    need = rules.asked_for.get(use.field)
    if need and not getattr(needs, need):
        value = "depth=n" if need == "depth" else f"{need}=True"
        return f"reads {what}, which is empty without asking; declare it with needs=Needs({value})"
    size = rules.sizes.get(use.field)
    if size is None or use.index is None:
        return None
    if use.field == "parameters":
        if use.index >= len(parameters):
            return f"reads {what}[{use.index}] of {len(parameters)} declared parameters"
    elif not -size <= use.index < size:
        return f"uses {what}[{use.index}] of {size}"
    elif need == "depth" and use.index >= needs.depth:
        return f"reads {what}[{use.index}], but declares only needs=Needs(depth={needs.depth})"
    return None


def _tree(function: FunctionType) -> _Tree | None:
    try:
        lines, first = inspect.getsourcelines(function)
        module = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, TypeError, SyntaxError):
        return None
    found = module.body[0] if module.body else None
    if not isinstance(found, ast.FunctionDef):
        return None
    return _Tree(found, function.__code__.co_filename, max(first, 1))


def _uses(function: Callable[..., None], rules: CodeRules) -> Iterator[_Use]:
    """Yield what a strategy does with its arguments, here and in the functions that it hands them to."""
    names = inspect.signature(function).parameters
    waiting = [(_plain(function), tuple(zip(names, _ARGUMENTS, strict=False)))]
    seen = set()
    while waiting:
        inner, roles = waiting.pop()
        if inner is None or (inner, roles) in seen:
            continue
        seen.add((inner, roles))
        tree = _tree(inner)
        if tree is None:
            continue
        known = _with_aliases(tree.body, dict(roles))
        yield from _own_uses(tree, inner, known)
        for node in ast.walk(tree.body):
            if isinstance(node, ast.Call):
                called = _plain(_value_of(node.func, inner))
                handed = _handed(node, called, known) if called is not None else ()
                if handed and not called.__module__.startswith(rules.api):  # type: ignore[union-attr]
                    waiting.append((called, handed))


def _with_aliases(body: ast.AST, known: dict[str, str]) -> dict[str, str]:
    """Add names that are given to an argument, as in ``m = me``; leave out those given to anything else."""
    assigned = [node for node in ast.walk(body) if isinstance(node, ast.Assign)]
    for node in assigned:
        target, value = node.targets[0], node.value
        if isinstance(target, ast.Name):
            role = known.get(value.id) if isinstance(value, ast.Name) else None
            if role is not None and target.id not in known:
                known[target.id] = role
            elif known.get(target.id, role) != role:
                known.pop(target.id, None)
    return known


def _own_uses(tree: _Tree, function: FunctionType, known: dict[str, str]) -> Iterator[_Use]:
    indexed: dict[ast.AST, tuple[bool, int | None]] = {}
    for node in ast.walk(tree.body):
        if isinstance(node, ast.Subscript):
            indexed[node.value] = (not isinstance(node.ctx, ast.Load), _constant(node.slice, function))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            written, index = indexed.get(node, (False, None))
            written = written or not isinstance(node.ctx, ast.Load)
            yield _Use(known[node.value.id], node.attr, written, index, *tree.place(node))


def _handed(node: ast.Call, called: FunctionType, known: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return which parameters of a called function get which of the arguments."""
    names = list(inspect.signature(called).parameters)
    given = [*zip(names, node.args, strict=False), *((it.arg, it.value) for it in node.keywords)]
    return tuple(
        (name, known[value.id])
        for name, value in given
        if name is not None and isinstance(value, ast.Name) and value.id in known
    )


def _constant(node: ast.AST, function: FunctionType) -> int | None:
    """Return what an index is, if it is a whole number that does not change."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _constant(node.operand, function)
        return None if inner is None else -inner
    value = node.value if isinstance(node, ast.Constant) else _value_of(node, function)
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _value_of(node: ast.AST, function: FunctionType) -> Any:
    """Return what a global name, or an attribute of one, stands for; None when it is local or unknown."""
    if isinstance(node, ast.Attribute):
        return getattr(_value_of(node.value, function), node.attr, None)
    if not isinstance(node, ast.Name):
        return None
    code = function.__code__
    if node.id in code.co_freevars and function.__closure__ is not None:
        try:
            return function.__closure__[code.co_freevars.index(node.id)].cell_contents
        except ValueError:
            return None
    if node.id in code.co_varnames or node.id in code.co_cellvars:
        return None
    return function.__globals__.get(node.id)


def _plain(called: Any) -> FunctionType | None:
    """Return the Python function behind a compiled one, or None."""
    inner = getattr(called, "py_func", called)
    return inner if isinstance(inner, FunctionType) else None


def _reached(function: Callable[..., None]) -> Iterator[FunctionType]:
    """Yield a function and those it calls, however indirectly, except NumPy's and the standard library's."""
    waiting, seen = [_plain(function)], set()
    while waiting:
        inner = waiting.pop()
        if inner is None or inner in seen or inner.__module__.startswith(("numpy", "random", "simlab.core")):
            continue
        seen.add(inner)
        yield inner
        tree = _tree(inner)
        if tree is not None:
            calls = [node for node in ast.walk(tree.body) if isinstance(node, ast.Call)]
            waiting += [_plain(_value_of(node.func, inner)) for node in calls]


def _is_global_draw(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    if owner is None or isinstance(owner, ModuleType):
        return False
    return isinstance(owner, np.random.RandomState) or (
        isinstance(owner, random.Random) and owner is random._inst  # type: ignore[attr-defined]
    )
