"""Load a learnt policy: an object with ``predict(observation)`` from a Python file, or an ONNX file.

ONNX Runtime (the extra ``rl``) is imported on use only.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.errors import StrategyError, did_you_mean

__all__ = ["MOST_BYTES", "Policy", "load_policy"]

MOST_BYTES = 256 << 20
"""The largest file that is read."""

_Predict = Callable[[NDArray[np.float32]], Any]


class Policy:
    """A policy that was loaded.

    Attributes
    ----------
    path : Path
    versions : dict
        The hash of the file, and the version of what runs it.
    """

    def __init__(self, path: Path, predict: _Predict, *, together: bool, versions: dict[str, str]) -> None:
        self.path, self.versions = path, versions
        self._predict, self._together = predict, together

    def actions(self, observations: NDArray[np.float32]) -> list[Any]:
        """Return an action for each row of observations, ``(n, 18) float32``, as the policy gives it.

        Raises
        ------
        StrategyError
            When it does not give one for each.
        """
        if not self._together:
            return [_action(self._predict(row)) for row in observations]
        found = np.asarray(_action(self._predict(observations)))
        if found.ndim == 0 or len(found) != len(observations):
            raise StrategyError(
                f"{self.path}: predict() answered {len(observations)} observations with an array of shape"
                f" {found.shape}; give an action a row"
            )
        return list(found)


def _action(answer: Any) -> Any:
    """Return the action of an answer, which may be followed by a policy's own state."""
    return answer[0] if isinstance(answer, tuple) else answer


def load_policy(path: Path, attribute: str = "policy", *, together: bool = False) -> Policy:
    """Load a policy.

    Parameters
    ----------
    path : Path
        An ONNX file, whose first input is observations ``(n, 18) float32`` and whose first output actions; or
        a Python file.
    attribute : str
        In a Python file: an object with ``predict(observation)``, or what makes one when it is called without
        arguments. ``predict`` gets ``(18,) float32`` and answers with an action, which a second value may
        follow, as those of Stable-Baselines3 do.
    together : bool
        ``predict`` gets all agents' observations at once, ``(n, 18)``, and answers with an action a row. An
        ONNX file is always asked so, unless it takes one row only.

    Raises
    ------
    StrategyError
        When it cannot be loaded, or is no policy.
    """
    if not path.is_file():
        raise StrategyError(f"{path}: there is no such file; name an ONNX file or a Python file")
    if path.stat().st_size > MOST_BYTES:
        raise StrategyError(f"{path} is larger than {MOST_BYTES >> 20} MiB, the most that is read")
    content = path.read_bytes()
    versions = {"policy": hashlib.sha256(content).hexdigest()}
    if path.suffix == ".onnx":
        return _from_onnx(path, content, versions)
    if path.suffix != ".py":
        raise StrategyError(f"{path}: a policy is a file .onnx or .py, not {path.suffix or 'without ending'}")
    return Policy(path, _from_python(path, attribute), together=together, versions=versions)


def _from_onnx(path: Path, content: bytes, versions: dict[str, str]) -> Policy:
    try:
        import onnxruntime
    except ImportError as error:
        raise StrategyError(
            f'{path}: onnxruntime cannot be imported ({error}): pip install "simlab[rl]"'
        ) from error
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1  # so that sums are made in one order
    settings.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # its errors share no class
        raise StrategyError(f"{path} is no ONNX file that can be run: {error}") from error
    first, output = session.get_inputs()[0], session.get_outputs()[0].name
    shape = first.shape
    if len(session.get_inputs()) > 1 or len(shape) != 2 or first.type != "tensor(float)":
        raise StrategyError(
            f"{path} takes {[(it.name, it.type, it.shape) for it in session.get_inputs()]}; one input of"
            " observations, (n, 18) float, is what a policy takes"
        )

    def predict(rows: NDArray[np.float32]) -> Any:
        return session.run([output], {first.name: rows})[0]

    def predict_one(row: NDArray[np.float32]) -> Any:
        return predict(row[None])[0]

    alone = isinstance(shape[0], int)
    versions["onnxruntime"] = str(onnxruntime.__version__)
    return Policy(path, predict_one if alone else predict, together=not alone, versions=versions)


def _from_python(path: Path, attribute: str) -> _Predict:
    spec = importlib.util.spec_from_file_location(f"simlab_policy_{path.stem}", path)
    assert spec is not None  # it is a file .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        if not hasattr(module, attribute):
            hint = did_you_mean(attribute, [name for name in vars(module) if not name.startswith("_")])
            raise StrategyError(f"{path} has no {attribute!r}{hint}; name it in the option attribute")
        found = getattr(module, attribute)
        if not hasattr(found, "predict") or isinstance(found, type):
            found = found()
    except StrategyError:
        raise
    except Exception as error:  # a policy's own code may raise anything
        raise StrategyError(f"{path}: loading failed: {type(error).__name__}: {error}") from error
    predict = getattr(found, "predict", None)
    if not callable(predict):
        raise StrategyError(f"{path}: {attribute!r} has no method predict(observation)")
    return predict  # type: ignore[no-any-return]
