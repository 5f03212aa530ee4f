#!/usr/bin/env python3
"""org.anybind.Manager1 as a service of another time might be: it has the name, and of the methods only Version's property and Status."""

import asyncio

from dbus_next.aio import MessageBus
from dbus_next.constants import BusType, PropertyAccess
from dbus_next.service import ServiceInterface, dbus_property, method


class Old(ServiceInterface):
    @method()
    def Status(self) -> "s":  # noqa: F821
        return "{}"

    @dbus_property(access=PropertyAccess.READ)
    def Version(self) -> "s":  # noqa: F821
        return "0.0.1"


async def main() -> None:
    bus = await MessageBus(bus_type=BusType.SYSTEM).connect()
    bus.export("/org/anybind/Manager1", Old("org.anybind.Manager1"))
    await bus.request_name("org.anybind.Manager1")
    await bus.wait_for_disconnect()


asyncio.run(main())
