"""Things by name: methods, devices, datasets, systems. A new one is one file and one `register`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

from pydantic import AfterValidator

from spicetrain.errors import ConfigurationError, nearest

Thing = TypeVar("Thing")


class Registry(Generic[Thing]):
    """What goes by the name of `kind`; one may be given as "module:attribute", imported when it is first asked for."""

    def __init__(self, kind: str, things: Mapping[str, Thing | str] | None = None) -> None:
        self.kind, self._things = kind, dict(things or {})

    def register(self, name: str, thing: Thing | str) -> None:
        """Add one; ConfigurationError when the name is taken."""
        if name in self._things:
            raise ConfigurationError(f"There is a {self.kind} {name!r} already: choose another name.")
        self._things[name] = thing

    def remove(self, name: str) -> None:
        """Forget one that was registered."""
        del self._things[name]

    def __getitem__(self, name: str) -> Thing:
        """ConfigurationError, with the nearest name, when there is none."""
        self.require(name)
        thing = self._things[name]
        if isinstance(thing, str):
            module, _, attribute = thing.partition(":")
            thing = self._things[name] = getattr(import_module(module), attribute)
        return thing

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._things

    def __iter__(self) -> Iterator[str]:
        return iter(self._things)

    def __len__(self) -> int:
        return len(self._things)

    def require(self, name: str) -> str:
        """The name; ConfigurationError when nothing goes by it."""
        if name not in self._things:
            raise ConfigurationError(f"Unknown {self.kind} {name!r}.{nearest(str(name), self)}")
        return name

    def validator(self) -> AfterValidator:
        """For a definition's field that names one."""

        def known(name: str) -> str:
            if name not in self._things:
                raise ValueError(f"unknown {self.kind}.{nearest(name, self)}")
            return name

        return AfterValidator(known)
