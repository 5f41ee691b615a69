"""Imports what serving needs and no more: without this, a third of the memory and of the start is never used."""

import importlib
import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec
from importlib.metadata import version
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
    """Make the next imports of aiohttp and structlog lighter.

    aiohttp's package loads its client, which reads the system's certificate authorities at once. structlog's package
    loads rich, if it is there, to show tracebacks in colors.
    """
    if "structlog" not in sys.modules and "rich" not in sys.modules:
        sys.modules["rich"] = None  # type: ignore[assignment]  # the import system's way to say that it isn't there
        try:
            importlib.import_module("structlog")
        finally:
            del sys.modules["rich"]
    spec = find_spec("aiohttp") if "aiohttp" not in sys.modules else None
    if isinstance(spec, ModuleSpec) and spec.loader:
        package = module_from_spec(spec)
        package.__class__ = _Package
        package.__version__ = version(spec.name)  # type: ignore[attr-defined]  # which aiohttp's modules read
        sys.modules[spec.name] = package
