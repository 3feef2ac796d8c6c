"""Work out an arithmetic expression without `eval`: its syntax tree is walked, and all in it is bounded.

Example
-------
>>> calculate("(10010 - 9990) / 2"), calculate("max(3, sqrt(16))")
(10.0, 4.0)
>>> calculate("9 ** 99")
Traceback (most recent call last):
simlab.agents.llm.calculator.CalculatorError: a value is no number from -1e+18 to 1e+18
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

__all__ = ["MAX_EXPRESSION", "CalculatorError", "calculate"]

MAX_EXPRESSION = 200
"""Characters of an expression."""

_MOST = 1e18
_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "exp": math.exp,
    "log": math.log,
    "max": max,
    "min": min,
    "round": round,
    "sqrt": math.sqrt,
}


class CalculatorError(Exception):
    """Say why an expression has no value."""


def calculate(expression: str) -> float:
    """Return the value of an expression.

    Raises
    ------
    CalculatorError
    """
    if len(expression) > MAX_EXPRESSION:
        raise CalculatorError(f"the expression is longer than {MAX_EXPRESSION} characters")
    try:
        return float(_value(ast.parse(expression.strip(), mode="eval").body))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CalculatorError("this is no arithmetic expression, or has no value") from None
    except (ArithmeticError, TypeError) as error:
        raise CalculatorError(str(error)) from None


def _value(node: ast.AST) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return _bounded(node.value)
    if isinstance(node, ast.UnaryOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_value(node.operand))
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        # in floats, so that no power of whole numbers fills the memory
        return _bounded(_OPERATIONS[type(node.op)](float(_value(node.left)), float(_value(node.right))))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        function = _FUNCTIONS.get(node.func.id)
        if function is not None:
            return _bounded(function(*map(_value, node.args)))
    raise CalculatorError(f"only numbers, + - * / // % **, brackets and {', '.join(_FUNCTIONS)} are known")


def _bounded(value: Any) -> float:
    if isinstance(value, complex) or not abs(value) <= _MOST:
        raise CalculatorError(f"a value is no number from -{_MOST:g} to {_MOST:g}")
    return value
