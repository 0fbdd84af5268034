# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client that reconnects VNC in a loop makes thousands of events a second, and QEMU tells of each."""
import re
from pathlib import Path

import pytest

from testbed import qmp_recipes
from testbed.client import QMP, pump_until
from testbed.event_monitor import EventMonitor
from testbed.vnc_client import storm

CONNECTIONS = 2000
STORMS = 3
BURST = 1000
NOTICE = "GUESTBUS_EVENTS_DROPPED"
# More than malloc's own ups and downs, less than the events of one storm would take.
GROWTH_MAX_KIB = 1024


def status_kib(pid, field):
    return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))[1])


def is_sanitized(pid):
    """A sanitizer reserves terabytes, and keeps what was freed: then memory is not the service's own."""
    return status_kib(pid, "VmSize") > 1 << 30


class Watch:
    """One machine's events as virsh shows them and as they come over the bus."""

    def __init__(self, machine, monitor, signals, client):
        self.machine, self.monitor, self.signals, self.client = machine, monitor, signals, client

    def shown(self):
        return [(event.name, event.timestamp) for event in self.monitor.events()
                if event.domain == self.machine.name]

    def sent(self):
        return [signal.args[:2] for signal in self.signals.matching("Event", self.machine.path, QMP)
                if signal.args[0] != NOTICE]

    def notices(self):
        return sum(signal.args[2]["count"] for signal in
                   self.signals.matching("Event", self.machine.path, QMP, lambda name, *_: name == NOTICE))

    def dropped(self):
        return self.client.get(self.machine.path, QMP, "Dropped")


@pytest.fixture(scope="module")
def machines(machine_factory):
    return [machine_factory(name, graphics=("vnc",)) for name in ("stormy", "calm")]


@pytest.fixture(scope="module")
def daemon(machines, guestbusd_factory):
    return guestbusd_factory(sources={"local": machines[0].libvirtd.uri})


@pytest.fixture
def watches(world, machines, daemon, client, signals):
    """Both machines, from a moment on at which virsh and guestbusd have heard the same."""
    monitor = EventMonitor(world, machines[0].libvirtd)
    made = [Watch(machine, monitor, signals, client) for machine in machines]
    for watch in made:
        def heard(watch=watch):
            qmp_recipes.stop_and_resume(watch.machine)
            return watch.shown() and watch.sent()
        pump_until(heard, 60, "a first event in both")
    yield made
    monitor.close()


def test_storm_of_vnc_connections(watches, daemon):
    stormy, calm = watches
    memory = []
    for number in range(STORMS):
        storm(qmp_recipes.display_port(stormy.machine, "vnc"), CONNECTIONS)
        qmp_recipes.stop_and_resume(calm.machine)
        pump_until(lambda number=number: [name for name, _ in stormy.shown()].count("VNC_DISCONNECTED")
                   >= CONNECTIONS * (number + 1), 120, "all events in virsh's output")
        pump_until(lambda number=number: stormy.notices() and stormy.notices() == stormy.dropped(), 60, "the notice")
        memory.append(status_kib(daemon.pid, "RssAnon"))

    # What came is what was shown, in its order, without what was dropped. guestbusd listened first.
    shown = stormy.shown()
    known = set(shown)
    sent = [event for event in stormy.sent() if event in known]
    assert len(sent) >= BURST
    assert len(sent) + stormy.dropped() == len(shown)
    remaining = iter(shown)
    assert all(event in remaining for event in sent)

    assert calm.dropped() == 0
    assert calm.sent()[-2 * STORMS:] == calm.shown()[-2 * STORMS:]
    assert is_sanitized(daemon.pid) or memory[-1] - memory[0] < GROWTH_MAX_KIB, memory
