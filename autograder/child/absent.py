"""Stand-ins for missing packages: an answer that imports one but never needs it still runs."""

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType, ModuleType
from typing import Any

PARTIAL = ("ddpm_core",)


class Absence:
    """The stand-ins of one cell. While the cell is loaded, using one has no effect; later it is an error."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.loading = True

    def stand_in(self, error: ImportError) -> bool:
        """Put a stand-in in place of the module that was not found; False if that cannot help."""
        name = missing(error)
        if not name or name in self.names:
            return False
        self.names.append(name)
        sys.modules[name] = AbsentModule(name, self)
        return True

    def use(self, name: str) -> Any:
        if not self.loading:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return Absent(name, self)


def missing(error: ImportError) -> str | None:
    """Return the name of the missing module, or of what is missing from a package that is only partly here.

    None if the error has another cause.
    """
    package = sys.modules.get(error.name or "")
    if package is None:
        return error.name if isinstance(error, ModuleNotFoundError) else None
    name = re.match(r"cannot import name '(\w+)' from", str(error))
    partial = hasattr(package, "__path__") and (getattr(package, "__file__", None) is None or error.name in PARTIAL)
    return f"{error.name}.{name[1]}" if name and partial else None


@contextmanager
def absence() -> Iterator[Absence]:
    """Yield the stand-ins of one cell; on exit, the cell counts as loaded."""
    there = Absence()
    try:
        yield there
    finally:
        there.loading = False


class Absent:
    """Any object of such a package. As a decorator, such as a type checker's, it leaves a function as it is."""

    def __init__(self, name: str, absence: Absence):
        self._name, self._absence = name, absence

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        found = self._absence.use(self._name)
        return args[0] if len(args) == 1 and isinstance(args[0], FunctionType | type) else found

    def __mro_entries__(self, bases: tuple) -> tuple:
        raise ModuleNotFoundError(f"No module named '{self._name}'", name=self._name)

    def __getitem__(self, key: Any) -> Any:
        return self._absence.use(self._name)

    __or__ = __ror__ = __getitem__  # as in an annotation

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._absence.use(self._name)


class AbsentModule(ModuleType):
    def __init__(self, name: str, absence: Absence):
        super().__init__(name)
        self.__path__: list[str] = []  # makes it a package, so that its submodules are looked for, and not found
        self._absence = absence

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return Absent(self.__name__, self._absence)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Absent(self.__name__, self._absence)


def forget() -> None:
    """Remove all stand-ins from sys.modules."""
    for name in [name for name, module in sys.modules.items() if isinstance(module, AbsentModule)]:
        del sys.modules[name]
