# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbusd with one source that has faults and one that must not notice."""
from .client import MANAGER, ROOT, SOURCE, VM, source_path, vm_path
from .libvirtd import name_uuid


class TwoSources:
    """guestbusd on two libvirtds of the test driver: faulty has the bad days, sound must not notice.

    faulty has the VMs faulty0000 to faulty0002, sound has sound0000 and sound0001, all running, and
    each has the test driver's own, called test.
    """
    VMS = 7

    def __init__(self, world, guestbusd_factory):
        self.client = world.client
        self.faulty, self.sound = world.libvirtd(), world.libvirtd()
        self.faulty.define_test_domains(3, "faulty")
        self.sound.define_test_domains(2, "sound")
        self.daemon = guestbusd_factory(sources={"faulty": self.faulty.test_uri,
                                                 "sound": self.sound.test_uri})

    def path(self, name):
        """Of the VM's object; names say whose they are."""
        return vm_path(name.rstrip("0123456789"), name_uuid(name))

    def states(self, label):
        """Name to state of a source's VMs as ListVMs has them."""
        return {name: state for name, _uuid, source, state, _path in self.client.call("ListVMs")
                if source == label}

    def wait_connected(self, connected, timeout=60):
        """Of the faulty one. Backoff grows to 60 s only in faults longer than those here."""
        self.client.wait_property(source_path("faulty"), SOURCE, "Connected", connected, timeout)

    def check_sound_is_served(self):
        """A method of the sound source works, and its result is on the bus when it returns."""
        path = self.path("sound0000")
        for method, state in (("Pause", "paused"), ("Resume", "running")):
            self.client.call(method, "(a{sv})", {}, path=path, interface=VM)
            assert self.client.get(path, VM, "State") == state

    def recover(self):
        self.faulty.thaw()
        if not self.faulty.process.alive:
            self.faulty.start()
        self.wait_connected(True)
        self.client.wait_property(ROOT, MANAGER, "VMCount", self.VMS)
