# SPDX-License-Identifier: LGPL-2.1-or-later
"""gate-service.c as a part of a world: a service under guestbusd's user and name, with only the gate behind it."""
from testbed import user
from testbed.client import MANAGER, NAME, ROOT
from testbed.process import Process
from testbed.wait import wait_until


class Gate:
    def __init__(self, world):
        self.world = world
        self.process = Process(world, world.unique("gate-service"),
                               [world.executable("tests/integration/gate-service")],
                               env={"DBUS_SYSTEM_BUS_ADDRESS": world.bus.address}, user=user.service_user())
        wait_until(lambda: world.bus.has_owner(NAME), what=lambda: f"the gate\n{self.process.log()}")

    def books(self):
        """(calls that wait, runs of handlers, calls that acted)"""
        return self.world.client.call("Books", path=ROOT, interface=MANAGER)

    def wait_pending(self, count):
        wait_until(lambda: self.books()[0] == count, what=lambda: f"{count} pending, books {self.books()}")

    def set(self, member, signature, value):
        self.world.client.call(member, signature, value, path=ROOT, interface=MANAGER)

    def emit(self, interface, member):
        """A signal from the root object, as the service would send it."""
        self.world.client.call("Emit", "(ss)", interface, member, path=ROOT, interface=MANAGER)

    def close(self):
        assert self.process.stop() == 0, self.process.log()
