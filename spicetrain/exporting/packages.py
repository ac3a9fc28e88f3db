"""Packages that only an export format needs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from spicetrain.errors import ConfigurationError


def package_of(extra: str, module: str | None = None) -> Any:
    """The package of the extra's name, or a module of it. ConfigurationError when it, or what it needs, is not
    installed."""
    try:
        return import_module(module or extra)
    except ImportError as error:
        raise ConfigurationError(
            f"`--to {extra}` needs the package {extra!r}, which cannot be imported ({error}). It is an extra: `pip "
            f"install spicetrain[{extra}]`."
        ) from error
