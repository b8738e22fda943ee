"""`import lancedb`, without the half of it that an index on a disk never uses.

LanceDB imports a generated client for REST catalogs (`lance_namespace_urllib3_client`: 160 pydantic models
and 9 interfaces) to have its classes at hand in annotations and for connections over HTTP. That is 0.6 s of the
1.2 s of processor time of `import lancedb`, in every command. Here its classes are stand-ins while LanceDB is
imported; the first use of one imports the client and reaches the real class: nothing is lost, only late.

Does not belong here: anything that LanceDB itself does. Rejected: an empty module in the client's place (an error
of the catalogs' users would be ours), and only LanceDB's native module (its Python part is its public face).

Source: `python -X importtime -c "import lancedb"`, LanceDB 0.40.0.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, TypeVar, Union

from code_index.core.lazy_imports import importing

_Method = TypeVar("_Method", bound=Callable[..., Any])

_CLIENT = "lance_namespace_urllib3_client"
_lock = threading.Lock()


def load_lancedb() -> ModuleType:
    """Import the package `lancedb`; where it or the client is imported already, nothing is put off.

    Safe in threads: each waits until the package is whole, also where another thread imports it by itself.
    """
    with _lock:
        if not sys.modules.keys().isdisjoint({"lancedb", "lance_namespace", _CLIENT}):
            return importlib.import_module("lancedb")
        with _putting_off(_CLIENT), _overrides_unchecked():
            return importlib.import_module("lancedb")


@contextmanager
def _putting_off(package: str) -> Iterator[None]:
    """Let imports of the package's modules return stand-ins while the block runs."""
    finder = _Finder(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in finder.given:
            sys.modules.pop(name, None)


@contextmanager
def _overrides_unchecked() -> Iterator[None]:
    """Let `overrides.override` only mark a method while the block runs, as that of `typing` does.

    Until Python 3.12 has the latter, LanceDB takes the former, which disassembles each class as often as it has methods:
    0.13 of the 0.53 s that were left of its import.
    """
    if sys.version_info >= (3, 12):
        yield
        return
    overrides: Any = importlib.import_module("overrides")
    checking = overrides.override
    overrides.override = _marked
    try:
        yield
    finally:
        overrides.override = checking


def _marked(method: _Method) -> _Method:
    method.__override__ = True  # type: ignore[attr-defined]
    return method


class _Finder(MetaPathFinder, Loader):
    """Finder of the modules of one package, as modules of stand-ins."""

    def __init__(self, package: str) -> None:
        self._package = package
        self.given: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        del path, target
        if fullname != self._package and not fullname.startswith(f"{self._package}."):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """See `Loader`."""
        self.given.append(spec.name)
        return _StandInModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """See `Loader`; there is nothing to execute."""


class _StandInModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn(self.__name__, name)


class StandIn:
    """Stand-in for a class: a call, a subclass, an attribute or an `isinstance` reaches that class."""

    def __init__(self, module: str, name: str) -> None:
        self._place = (module, name)

    def _real(self) -> Any:
        module, name = self._place
        with importing:
            return getattr(importlib.import_module(module), name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Make an instance of the class."""
        return self._real()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # `typing` and `inspect` look for special names of what they are handed: no reason to import.
        if name == "__name__":
            return self._place[1]
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._real())

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass, self._real())

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._real(),)

    def __or__(self, other: Any) -> Any:
        return Union[self, other]  # noqa: UP007 - a type checker has nothing to see here

    def __ror__(self, other: Any) -> Any:
        return Union[other, self]  # noqa: UP007

    def __repr__(self) -> str:
        return f"<{'.'.join(self._place)}, not imported yet>"
