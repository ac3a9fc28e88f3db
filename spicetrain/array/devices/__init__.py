"""The devices by name: the `form` of a technology's [memristor]. One is one file here, or a user's own, registered."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny, ValidationInfo

from spicetrain.array.device import Device
from spicetrain.array.devices.ohmic import Ohmic
from spicetrain.array.devices.poole_frenkel import PooleFrenkel
from spicetrain.array.devices.power import Power
from spicetrain.array.devices.sinh import Sinh
from spicetrain.array.devices.table import Table
from spicetrain.errors import nearest
from spicetrain.registry import Registry
from spicetrain.schema import parse_nested

DEVICES: Registry[type[Device]] = Registry(
    "device", {"ohmic": Ohmic, "sinh": Sinh, "power": Power, "poole-frenkel": PooleFrenkel, "table": Table}
)


def parse_device(table: Any, info: ValidationInfo) -> Any:
    """The device that a [memristor] table describes; ValueError when no form of that name is known."""
    if not isinstance(table, dict):
        return table
    form = table.get("form", "ohmic")
    if form not in DEVICES:
        raise ValueError(f"unknown form {form!r} of device.{nearest(str(form), DEVICES)}")
    return parse_nested(DEVICES[form], table, info)


AnyDevice = Annotated[SerializeAsAny[Device], BeforeValidator(parse_device)]
"""The type of a definition's field that holds a device of any form."""
