"""Find a strategy by what a YAML file calls it: a name, ``package.module:Attr`` or ``file.py:Attr``.

A plug-in is an object of type `Strategy`, or a class or function that carries one in its attribute
`strategy`. Names come from the built-in library and from entry points of the group `simlab.strategies`.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from dataclasses import replace
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType

from simlab.agents.strategy import Strategy, as_strategy
from simlab.errors import PluginError, did_you_mean

__all__ = [
    "ENTRY_POINT_GROUP",
    "found_again",
    "known_strategies",
    "resolve",
    "source_file",
    "source_files",
    "strategies_in",
    "workspace_root",
]

ENTRY_POINT_GROUP = "simlab.strategies"
_DECLARE = "declare one with @compiled_strategy, @batch_strategy or @agent_strategy"
_LIST_THEM = "`simlab strategies` lists them all"

_OWN = Path(__file__).resolve().parent.parent

_loaded_files: dict[Path, tuple[str, ModuleType]] = {}


def resolve(strategy: str, *, folder: str | Path | None = None) -> Strategy:
    """Return the strategy that a YAML file names.

    Parameters
    ----------
    strategy : str
        ``noise`` (built in, or an entry point of the group `simlab.strategies`), ``mypackage.module:Attr``
        (importable), or ``path/to/file.py:Attr``.
    folder : path, optional
        The folder of the YAML file. A relative file is looked for there first and then in the workspace
        root: the nearest folder upwards that has a ``strategies`` folder or a ``pyproject.toml``.
        By default the current folder.

    Raises
    ------
    PluginError
        When there is no such strategy, two plug-ins claim the name, or the plug-in's code fails.

    Example
    -------
    >>> resolve("noise").name
    'noise'
    """
    place, colon, attribute = strategy.rpartition(":")
    if strategy.endswith(".py") or (colon and place.endswith(".py")):
        return _from_file(strategy, Path(folder) if folder is not None else Path.cwd())
    if colon:
        return _from_module(place, attribute, strategy)
    return _from_name(strategy)


def known_strategies() -> dict[str, Strategy]:
    """Return every strategy that has a name, built in or from an entry point, by name.

    Raises
    ------
    PluginError
        When two plug-ins claim one name, or an entry point cannot be loaded.

    Example
    -------
    >>> "noise" in known_strategies()
    True
    """
    return {name: _from_name(name) for name in sorted(_sources())}


def strategies_in(file: str | Path, *, folder: str | Path | None = None) -> dict[str, Strategy]:
    """Return the strategies of a file by what a YAML file calls them: ``path/to/file.py:Attr``.

    Those that it only imports are left out.

    Raises
    ------
    PluginError
        When there is no such file, its code fails, or it declares no strategy.
    """
    text = str(file)
    path = _find_file(text, text, Path(folder) if folder is not None else Path.cwd())
    module = _load_file(path, text)
    own = {
        f"{text}:{name}": _attribute(module, name, text, defined_in=str(path))
        for name in _offered(module)
        if _declared_in(module, name)
    }
    if not own:
        raise PluginError(f"{path} declares no strategy; {_DECLARE}")
    return own


def found_again(text: str, name: str, defined_in: str) -> Strategy:
    """Return the strategy that was pickled, by where its code is; in this process or another.

    Raises
    ------
    PluginError
        When it is not there any more.
    """
    return replace(resolve(text), name=name, defined_in=defined_in)


def workspace_root(folder: str | Path) -> Path | None:
    """Return `folder` or the nearest above it that has a ``strategies`` folder or a ``pyproject.toml``."""
    start = Path(folder).resolve()
    for candidate in (start, *start.parents):
        if (candidate / "strategies").is_dir() or (candidate / "pyproject.toml").is_file():
            return candidate
    return None


def source_file(strategy: Strategy) -> Path | None:
    """Return the file a strategy's code is in, or None when it was not loaded from one."""
    as_path = Path(strategy.defined_in)
    if as_path.suffix == ".py" and as_path.is_file():
        return as_path
    module = sys.modules.get(strategy.defined_in)
    origin = getattr(module, "__file__", None)
    return Path(origin) if origin else None


def source_files(strategy: Strategy) -> list[Path]:
    """Return the files outside simlab that a strategy's code is in: all of its package, where it is in one.

    Which of them were imported depends on what else the process did, so every Python file counts.
    """
    file = source_file(strategy)
    files = set() if file is None else {file}
    for place in {strategy.defined_in, getattr(strategy.code, "__module__", "")}:
        names = place.split(".")
        if names[0] == _OWN.name:
            continue
        for module in (sys.modules.get(".".join(names[: n + 1])) for n in range(len(names))):
            # A namespace package has no file of its own, and many owners
            origin = getattr(module, "__file__", None)
            if origin and getattr(module, "__path__", None):
                files |= set(Path(origin).parent.rglob("*.py"))
                break
            files |= {Path(origin)} if origin else set()
    return sorted(it for it in files if not it.is_relative_to(_OWN))


def _sources() -> dict[str, list[Strategy | EntryPoint]]:
    """Return what claims each name, without loading entry points."""
    from simlab.agents.library import STRATEGIES

    sources: dict[str, list[Strategy | EntryPoint]] = {name: [it] for name, it in STRATEGIES.items()}
    for point in _entry_points(tuple(sys.path)):
        sources.setdefault(point.name, []).append(point)
    return sources


@lru_cache(maxsize=8)
def _entry_points(path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Return the entry points that are found on `sys.path`; looking takes as long as a small run."""
    return tuple(entry_points(group=ENTRY_POINT_GROUP))


def _from_name(name: str) -> Strategy:
    sources = _sources()
    if name not in sources:
        hint = did_you_mean(name, sources, otherwise="")
        raise PluginError(f"unknown strategy {name!r}{hint}; {_LIST_THEM}")
    claims = sources[name]
    if len(claims) > 1:
        both = " and ".join(_describe(claim) for claim in claims)
        raise PluginError(
            f"strategy {name!r} is defined more than once: by {both}; uninstall one, or name the one you"
            " mean as module:Attr"
        )
    claim = claims[0]
    return claim if isinstance(claim, Strategy) else _from_entry_point(claim)


def _describe(claim: Strategy | EntryPoint) -> str:
    if isinstance(claim, Strategy):
        return f"simlab itself ({claim.defined_in})"
    package = f" of package {claim.dist.name}" if claim.dist else ""
    return f"the entry point {claim.value!r}{package}"


def _from_entry_point(point: EntryPoint) -> Strategy:
    place, _, attribute = point.value.partition(":")
    found = _from_module(place.strip(), attribute.strip(), point.value)
    return replace(found, name=point.name)


def _from_module(place: str, attribute: str, text: str) -> Strategy:
    try:
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not (place == error.name or place.startswith(error.name + ".")):
            raise PluginError(f"strategy {text!r}: {place} needs a missing module: {error}") from error
        raise PluginError(
            f"strategy {text!r}: there is no module {error.name!r}; install it, put its folder on"
            " PYTHONPATH, or name the file as path/to/file.py:Attr"
        ) from error
    except (Exception, SystemExit) as error:  # a plug-in's own code may raise anything
        where = _raised_in(error)
        raise PluginError(
            f"strategy {text!r}: importing {place} failed{where}: {_one_line(error)}"
        ) from error
    return _attribute(module, attribute, text, defined_in=place)


def _from_file(text: str, folder: Path) -> Strategy:
    place, attribute = (text, "") if text.endswith(".py") else text.rsplit(":", 1)
    path = _find_file(place, text, folder)
    return _attribute(_load_file(path, text), attribute, text, defined_in=str(path))


def _find_file(place: str, text: str, folder: Path) -> Path:
    root = workspace_root(folder)
    candidates = [(folder / place).resolve()]
    if root is not None and not Path(place).is_absolute():
        candidates.append((root / place).resolve())
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    siblings = sorted({it.name for candidate in candidates for it in candidate.parent.glob("*.py")})
    hint = did_you_mean(Path(place).name, siblings, otherwise="")
    looked = " and ".join(dict.fromkeys(str(candidate) for candidate in candidates))
    raise PluginError(f"strategy {text!r}: no such file{hint}; looked for {looked}")


def _load_file(path: Path, text: str) -> ModuleType:
    """Import a file under a name of its own; import it anew when its content has changed."""
    content = hashlib.sha256(path.read_bytes()).hexdigest()
    if path in _loaded_files and _loaded_files[path][0] == content:
        return _loaded_files[path][1]
    # The name must depend on the path alone: Numba files its cache under it.
    name = f"simlab_plugin_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"strategy {text!r}: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # a plug-in's own code may raise anything
        del sys.modules[name]
        line = _line_of(error, path)
        where = f"{path}, line {line}" if line else str(path)
        raise PluginError(f"strategy {text!r}: loading {where} failed: {_one_line(error)}") from error
    _loaded_files[path] = (content, module)
    return module


def _attribute(module: ModuleType, attribute: str, text: str, *, defined_in: str) -> Strategy:
    offered = _offered(module)
    if not attribute:
        place = text.rstrip(":")
        choices = "; choices: " + ", ".join(f"{place}:{name}" for name in offered)
        remedy = choices if offered else f", but it declares no strategy; {_DECLARE}"
        raise PluginError(f"strategy {text!r}: say which object is meant, as in {place}:Name{remedy}")
    if not hasattr(module, attribute):
        hint = did_you_mean(attribute, offered, otherwise="it has")
        raise PluginError(f"strategy {text!r}: {defined_in} has no {attribute!r}{hint}")
    found = as_strategy(getattr(module, attribute))
    if found is None:
        raise PluginError(
            f"strategy {text!r}: {attribute!r} is a {type(getattr(module, attribute)).__name__}, not a"
            f" strategy; {_DECLARE}"
        )
    if found.base is not None and found.base.defined_in == module.__name__:
        found = replace(found, base=replace(found.base, defined_in=defined_in))
    return replace(found, defined_in=defined_in)


def _declared_in(module: ModuleType, name: str) -> bool:
    """Return whether a module declares the strategy that it offers under a name, and does not import it."""
    found = as_strategy(getattr(module, name))
    if found is not None and found.base is not None:
        return found.defined_in == module.__name__
    return getattr(getattr(found, "code", None), "__module__", module.__name__) == module.__name__


def _offered(module: ModuleType) -> list[str]:
    return sorted(name for name, thing in vars(module).items() if as_strategy(thing) is not None)


def _line_of(error: BaseException, path: Path) -> int | None:
    """Return the line of `path` that an exception comes from."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.lineno for frame in reversed(frames) if frame.filename == str(path)), None)


def _raised_in(error: BaseException) -> str:
    """Say in which line of a plug-in's own files an exception came up."""
    if isinstance(error, SyntaxError):
        return f" in {error.filename}, line {error.lineno}"
    frames = [
        it
        for it in traceback.extract_tb(error.__traceback__)
        if not it.filename.startswith(("<frozen", str(_OWN)))
        and Path(it.filename) != Path(importlib.__file__)
    ]
    return f" in {frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def _one_line(error: BaseException) -> str:
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {reason}{_meant(error)}"


def _meant(error: BaseException) -> str:
    """Return the known name nearest to one that code asked a module, an object or its globals for in vain."""
    if isinstance(error, ImportError) and not isinstance(error, ModuleNotFoundError):
        asked = re.match(r"cannot import name '(\w+)'", str(error))
        return (
            did_you_mean(asked[1], _public(sys.modules.get(error.name or "")), otherwise="") if asked else ""
        )
    if isinstance(error, AttributeError) and error.name is not None:
        return did_you_mean(error.name, _public(error.obj), otherwise="")
    if isinstance(error, NameError) and error.name is not None and error.__traceback__ is not None:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        return did_you_mean(error.name, [*frame.f_locals, *frame.f_globals], otherwise="")
    return ""


def _public(thing: object) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]
