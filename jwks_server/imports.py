"""Imports what serving needs and no more: without this, a third of the memory and of the start is never used."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from types import ModuleType


class _Package(ModuleType):
    """A package whose own names are loaded when the first of them is used; its modules can be imported before."""

    def __getattr__(self, name: str) -> object:
        spec = vars(self)["__spec__"]
        if not name.startswith("__"):
            with suppress(ModuleNotFoundError):
                return importlib.import_module(f"{spec.name}.{name}")
        self.__class__ = ModuleType  # type: ignore[assignment]  # from here on it is like any other
        spec.loader.exec_module(self)
        return getattr(self, name)


def lighten() -> None:
    """Make the next imports of aiohttp and structlog lighter, for the server.

    aiohttp's package loads its client, which reads the system's certificate authorities at once.
    """
    with without_rich():
        importlib.import_module("structlog")
    spec = find_spec("aiohttp") if "aiohttp" not in sys.modules else None
    if isinstance(spec, ModuleSpec) and spec.loader:
        from importlib.metadata import version  # noqa: PLC0415 - commands without aiohttp don't need it

        package = module_from_spec(spec)
        package.__class__ = _Package
        package.__version__ = version(spec.name)  # type: ignore[attr-defined]  # which aiohttp's modules read
        sys.modules[spec.name] = package


@contextmanager
def without_rich() -> Iterator[None]:
    """Import without rich: structlog's package loads it, if it is there, to show tracebacks in colors."""
    if "rich" in sys.modules:
        yield
        return
    sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's way to say that it isn't there
    try:
        yield
    finally:
        del sys.modules["rich"]
