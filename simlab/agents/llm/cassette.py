"""Keep every request and its answer in one SQLite file, so that a run can be repeated without a model.

An entry is found by the hash of the request (model, parameters, messages) and by its occurrence: who asked,
in which step, and the how many-th call of the decision it was. So the order in which answers arrive does
not matter, and a run that was stopped finds its entries when it goes on. What failed is kept like what did
not. No time of day is.

Modes: ``record`` asks and keeps, and replaces an entry that is there, while others stay; ``replay`` only
reads, and a request that is not there is an error; ``auto`` reads what is there and asks for the rest.

Several processes may read a file, and several may write it: each sees what the others have kept, and of
two that keep the same entry the later one stays.
"""

from __future__ import annotations

import difflib
import json
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from simlab.agents.llm.exchange import Answer, Request
from simlab.errors import LlmError

__all__ = ["Cassette", "require_file"]

_VERSION = 1
_TABLE = """
CREATE TABLE IF NOT EXISTS exchanges (
    hash TEXT NOT NULL, asker TEXT NOT NULL, occasion TEXT NOT NULL, request BLOB NOT NULL, answer BLOB NOT
    NULL, PRIMARY KEY (hash, asker, occasion)
) WITHOUT ROWID
"""
_LOOKED_AT = 200
"""Entries that are compared with a request that is not there."""
_SHOWN_LINES = 12
_SHOWN_LETTERS = 200
_SENTENCE_END = re.compile(r"(?<=[.!?]) |\n")


class Cassette:
    """One open file.

    Parameters
    ----------
    path : Path
    mode : str
        ``record``, ``replay`` or ``auto``.

    Raises
    ------
    LlmError
        When the file cannot be opened, is none, or was written by a newer simlab.
    """

    def __init__(self, path: Path, mode: str) -> None:
        self.path, self.mode = path, mode
        self._kept = 0
        self._db = self._opened()

    def find(self, request: Request, text: str) -> Answer | None:
        """Return the answer that is kept, or None; in mode ``record`` always None.

        Raises
        ------
        LlmError
            In mode ``replay``, when there is none.
        """
        if self.mode == "record":
            return None
        hashed = Request.hash_of(text)
        with self._told():
            row = self._db.execute(
                "SELECT answer FROM exchanges WHERE hash = ? AND asker = ? AND occasion = ?",
                (hashed, request.asker, request.occasion),
            ).fetchone()
            if row is not None:
                return Answer.from_json(_unpacked(row[0]), hashed)
        if self.mode == "replay":
            raise LlmError(self._miss(request, text))
        return None

    def keep(self, request: Request, text: str, answer: Answer) -> None:
        """Keep an exchange; one with the same key is replaced."""
        row = (
            Request.hash_of(text),
            request.asker,
            request.occasion,
            _packed(text),
            _packed(answer.to_json()),
        )
        with self._told():
            if not self._kept:
                self._begin_writing()
        with self._told(), self._db:
            self._db.execute("INSERT OR REPLACE INTO exchanges VALUES (?, ?, ?, ?, ?)", row)
        self._kept += 1

    def __len__(self) -> int:
        with self._told():
            return int(self._db.execute("SELECT count(*) FROM exchanges").fetchone()[0])

    def close(self) -> None:
        """Close the file; what was written beside it while it was open is put into it.

        A file that was written is laid out anew, so that it is as small as can be, and the same whatever the
        order in which its entries came.
        """
        if self.mode != "replay":
            with suppress(sqlite3.Error):  # another process still has it open, and will do it
                self._db.execute("PRAGMA journal_mode = DELETE")
                if self._kept:
                    self._db.execute("VACUUM")
        self._db.close()

    def _opened(self) -> sqlite3.Connection:
        if self.mode == "replay":
            require_file(self.path)
        try:
            if self.mode == "replay":
                db = sqlite3.connect(
                    f"{self.path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False
                )
            else:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                db = sqlite3.connect(self.path, timeout=30.0, check_same_thread=False)
            try:
                self._prepare(db)
            except BaseException:
                db.close()
                raise
        except (sqlite3.Error, OSError) as error:
            raise LlmError(f"the cassette {self.path} cannot be opened: {error}; {_REMEDY}") from error
        return db

    def _prepare(self, db: sqlite3.Connection) -> None:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if version > _VERSION:
            raise LlmError(
                f"the cassette {self.path} was written by a newer simlab (layout {version}, this one reads up"
                f" to {_VERSION}); update simlab"
            )
        if tables and "exchanges" not in tables:
            raise LlmError(f"{self.path} is a database, but no cassette; {_REMEDY}")
        if not tables and self.mode != "replay":
            db.execute(_TABLE)
            db.execute(f"PRAGMA user_version = {_VERSION}")
        if self.mode == "record":  # whether it can be written is known before a model is asked
            db.execute("BEGIN IMMEDIATE")
            db.rollback()
        db.execute("SELECT count(*) FROM exchanges").fetchone()

    def _begin_writing(self) -> None:
        """Let others read meanwhile, and an entry be kept without waiting for the disk.

        Not before the first entry: a file that lacks nothing stays as it is, byte by byte.
        """
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, zlib.error, ValueError, TypeError, KeyError) as error:
            raise LlmError(f"the cassette {self.path} cannot be used: {error}; {_REMEDY}") from error

    def _miss(self, request: Request, text: str) -> str:
        head = f"the cassette {self.path} has no answer for {request.asker}, {_when(request.occasion)}"
        nearest = self._nearest(request, text)
        if nearest is None:
            return f"{head}: it is empty; record it with llm.cassette.mode: record"
        asker, occasion, kept = nearest
        lines = list(
            difflib.unified_diff(_lines(kept), _lines(text), "recorded", "asked now", n=0, lineterm="")
        )
        shown = "\n    ".join(it[:_SHOWN_LETTERS] for it in lines[:_SHOWN_LINES])
        more = f"\n    ... {len(lines) - _SHOWN_LINES} lines more" if len(lines) > _SHOWN_LINES else ""
        what = "is the same, on another occasion" if kept == text else f"differs:\n    {shown}{more}"
        return (
            f"{head}; the nearest recorded request ({asker}, {_when(occasion)}) {what}\n"
            "  run the configuration that was recorded, or let the rest be asked with llm.cassette.mode: auto"
        )

    def _nearest(self, request: Request, text: str) -> tuple[str, str, str] | None:
        """Return asker, occasion and text of the entry most like a request."""
        with self._told(), closing(self._db.cursor()) as cursor:
            rows = cursor.execute(
                "SELECT asker, occasion, request FROM exchanges"
                " ORDER BY (asker = ? AND occasion = ?) DESC, (asker = ?) DESC, (occasion = ?) DESC LIMIT ?",
                (request.asker, request.occasion, request.asker, request.occasion, _LOOKED_AT),
            ).fetchall()
        if not rows:
            return None
        own = [it for it in rows if it[:2] == (request.asker, request.occasion)]
        with self._told():
            told = [(asker, occasion, _unpacked(kept)) for asker, occasion, kept in own or rows]
        matcher = difflib.SequenceMatcher(autojunk=True)
        matcher.set_seq2(text)

        def likeness(row: tuple[str, str, str]) -> float:
            matcher.set_seq1(row[2])
            return matcher.quick_ratio()

        return max(told, key=likeness)


def require_file(path: Path) -> None:
    """Raise an error where there is no file to replay.

    Raises
    ------
    LlmError
    """
    if not path.is_file():
        raise LlmError(
            f"there is no cassette {path}; record it with llm.cassette.mode: record, or correct the path"
        )


_REMEDY = "give another path, or remove the file and record it anew"


def _packed(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 9)


def _unpacked(data: bytes) -> str:
    return zlib.decompress(data).decode("utf-8", "surrogatepass")


def _when(occasion: str) -> str:
    step, _, call = occasion.partition("/")
    return f"step {step}, call {call}" if call else occasion


def _lines(text: str) -> list[str]:
    """Return a request's text as short lines that a person can compare."""
    content: dict[str, Any] = json.loads(text)
    lines = []
    for name, value in content.items():
        if name != "messages":
            lines += f"{name}: {json.dumps(value, indent=1, ensure_ascii=False)}".splitlines()
    for message in content["messages"]:
        said = str(message.get("content") or "")
        lines += [f"{message['role']}: {line}" for line in _SENTENCE_END.split(said) if line]
        beside = {name: value for name, value in message.items() if name not in ("role", "content")}
        lines += json.dumps(beside, indent=1, ensure_ascii=False).splitlines() if beside else []
    return lines
