"""Keep a trained model in a folder: the estimator, written by skops, and a card that says what it is.

Nothing is ever unpickled. The card holds the SHA-256 of the model's file and a digest of itself, so what was
changed since training is refused; so is a model of other features, or of another minor version of
scikit-learn, whose stored models need not mean the same.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.features import FEATURES_VERSION, FeatureSet
from simlab.agents.ml.libraries import library, single_threaded, versions
from simlab.agents.ml.trees import CHECKED_TYPES, check_trees
from simlab.errors import StrategyError

__all__ = ["CARD_FILE", "MODEL_FILE", "TrainedModel", "load_model", "save_model"]

MODEL_FILE = "model.skops"
CARD_FILE = "card.json"
FORMAT = 1
"""Version of the card's layout."""

_TRUSTED = (
    *CHECKED_TYPES,
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
)
"""Types that skops leaves to its caller: those that are looked into, and plain Python that holds numbers."""

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_LARGEST = 1 << 28
"""Bytes of a model's file, and of what is packed in it."""


@dataclass(frozen=True)
class TrainedModel:
    """A model that was loaded: what it takes, what it is, and what its card says.

    `task` is "classifier" or "regressor". `hashes` are the SHA-256 of its two files.
    """

    folder: Path
    features: FeatureSet
    task: str
    estimator: Any
    card: dict[str, Any]
    hashes: dict[str, str]

    def strengths(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how strongly a fall and a rise are forecast, ``(n, 2) float64``; see `strengths`."""
        return strengths(self.estimator, self.task, x)


def strengths(estimator: Any, task: str, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how strongly a fall and a rise are forecast from ``(n, k)`` features, ``(n, 2) float64``.

    Of a classifier these are probabilities (1 and 0 where it gives none), of a regressor the expected move,
    ticks, down and up.
    """
    with single_threaded():
        if task == "regressor":
            move = np.asarray(estimator.predict(x), np.float64)
            return np.stack([-move, move], axis=1)
        out, classes = np.zeros((len(x), 2)), np.asarray(estimator.classes_).tolist()
        if hasattr(estimator, "predict_proba"):
            found = estimator.predict_proba(x)
        else:
            found = np.asarray(estimator.predict(x))[:, None] == np.array(classes)[None, :]
    for column, direction in enumerate((-1, 1)):
        if direction in classes:
            out[:, column] = found[:, classes.index(direction)]
    return out


def save_model(folder: Path, estimator: Any, card: Mapping[str, Any]) -> dict[str, Any]:
    """Write an estimator and its card; return the card as written.

    The same estimator and card give the same bytes.

    Raises
    ------
    StrategyError
        When the estimator holds something that `load_model` would refuse.
    """
    content = _packed(estimator)
    _require_trusted(content, f"estimator {type(estimator).__name__}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).unlink(missing_ok=True)  # a folder without a card is no model, if this ends halfway
    (folder / MODEL_FILE).write_bytes(content)
    whole = {"format": FORMAT, **card, "model": {"file": MODEL_FILE, "sha256": _sha256(content)}}
    whole["digest"] = _digest(whole)
    (folder / CARD_FILE).write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return whole


def load_model(folder: str | Path) -> TrainedModel:
    """Load a model that `save_model` wrote.

    Raises
    ------
    StrategyError
        When there is none, it was changed, is of other features or versions, or holds what is not trusted.
    """
    folder = Path(folder)
    card_text, content = (_read(folder, name) for name in (CARD_FILE, MODEL_FILE))
    return _loaded(folder, card_text, content)


@lru_cache(maxsize=16)
def _loaded(folder: Path, card_text: bytes, content: bytes) -> TrainedModel:
    card = _checked_card(folder, card_text, content)
    features = FeatureSet(card["features"]["names"])
    _require_trusted(content, str(folder))
    estimator = library("skops.io").loads(content, trusted=list(_TRUSTED))
    if getattr(estimator, "n_features_in_", None) != len(features):
        raise StrategyError(
            f"{folder}: the model takes {getattr(estimator, 'n_features_in_', 'no')} features and its card"
            f" names {len(features)}; {_again(card)}"
        )
    try:
        check_trees(estimator, len(features))
    except StrategyError as error:
        raise StrategyError(f"{folder}: the model cannot be trusted: {error}") from None
    hashes = {"model": _sha256(content), "card": _sha256(card_text)}
    return TrainedModel(folder, features, card["task"], estimator, card, hashes)


def _checked_card(folder: Path, text: bytes, content: bytes) -> dict[str, Any]:
    try:
        card = json.loads(text)
        told = card["format"], card["digest"], card["model"]["sha256"], card["features"]["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise StrategyError(
            f"{folder / CARD_FILE} is no model card ({error}); train the model again"
        ) from None
    number, digest, sha256, features = told
    for what, found, wanted in (("card", number, FORMAT), ("features", features, FEATURES_VERSION)):
        if found != wanted:
            raise StrategyError(
                f"{folder}: its {what} are of version {found}, this simlab's of {wanted}; {_again(card)}"
            )
    if digest != _digest(card):
        raise StrategyError(f"{folder / CARD_FILE} was changed after training; {_again(card)}")
    if sha256 != _sha256(content):
        raise StrategyError(
            f"{folder / MODEL_FILE} is not the file that its card was written for (SHA-256"
            f" {_sha256(content)[:12]}..., not {sha256[:12]}...); {_again(card)}"
        )
    _require_version(folder, card)
    return card


def _require_version(folder: Path, card: dict[str, Any]) -> None:
    trained, here = card["versions"]["scikit-learn"], versions()["scikit-learn"]
    if trained.split(".")[:2] != here.split(".")[:2]:
        raise StrategyError(
            f"{folder}: the model was trained with scikit-learn {trained}, and {here} is installed, which"
            f' need not read it the same way; pip install "scikit-learn=={trained}", or {_again(card)}'
        )


def _again(card: dict[str, Any]) -> str:
    command = card.get("command")
    return f"train it again: {command}" if command else "train it again"


def _require_trusted(content: bytes, what: str) -> None:
    """Refuse what is not a skops file, or holds types that could do harm when they are loaded."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            size = sum(it.file_size for it in packed.infolist())
        types = library("skops.io").get_untrusted_types(data=content) if size <= _LARGEST else []
    except StrategyError:
        raise
    except Exception as error:  # a file that somebody else wrote may break skops in any way
        raise StrategyError(f"{what}: the model is no file that skops wrote ({error})") from None
    if size > _LARGEST:
        raise StrategyError(f"{what}: the model is of {size:,} bytes; the most is {_LARGEST:,}")
    untrusted = sorted(set(types) - set(_TRUSTED))
    if untrusted:
        raise StrategyError(
            f"{what}: the model holds types that are not trusted, which a file could use to do harm:"
            f" {', '.join(untrusted)}; choose another estimator"
        )


def _read(folder: Path, name: str) -> bytes:
    try:
        with (folder / name).open("rb") as file:
            return file.read(_LARGEST + 1)
    except OSError as error:
        why = f"{name} is missing" if isinstance(error, FileNotFoundError) else f"{name}: {error.strerror}"
        raise StrategyError(
            f"{folder}: there is no trained model ({why}); make one with `simlab train CONFIG RUN... --out"
            f" {folder}`"
        ) from None


def _packed(estimator: Any) -> bytes:
    """Return an estimator as skops writes it, without what differs between two times of writing.

    Those are the times themselves, and addresses in memory, by which skops names objects and files.
    """
    written = zipfile.ZipFile(io.BytesIO(library("skops.io").dumps(estimator)))
    schema = written.read("schema.json").decode()
    numbers: dict[str, str] = {}

    def renamed(found: re.Match[str]) -> str:
        return found[1] + numbers.setdefault(found[2], str(len(numbers) + 1)) + found[3]

    schema = re.sub(r'("__id__": )(\d+)()', renamed, schema)
    schema = re.sub(r'("file": ")(\d+)(\.[a-z]+")', renamed, schema)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        members = {
            renamed(re.fullmatch(r"()(\d+)(.*)", it) or _never(it)): written.read(it)
            for it in written.namelist()
            if it != "schema.json"
        }
        for name, content in [*sorted(members.items()), ("schema.json", schema.encode())]:
            packed.writestr(zipfile.ZipInfo(name, _LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _never(name: str) -> re.Match[str]:
    raise StrategyError(f"skops wrote a file {name!r} that simlab does not know; report it")


def _digest(card: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a card without its digest."""
    rest = {name: value for name, value in card.items() if name != "digest"}
    return _sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
