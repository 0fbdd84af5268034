# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where org.guestbus1.QMP is, who hears it, and that it outlives the trouble around it."""
import pytest

from testbed import qmp_recipes
from testbed.client import QMP, ROOT, SOURCE, pump_until
from testbed.event_monitor import EventMonitor
from testbed.machine import Machine

CONFIG = """
[source local]
uri = {qemu}
[source readonly]
uri = {qemu}
read-only = yes
[source test]
uri = {test}
"""


@pytest.fixture(scope="module")
def machine(libvirtd):
    made = Machine(libvirtd, "qmp1").define()
    yield made
    made.destroy()


@pytest.fixture(scope="module")
def daemon(machine, libvirtd, test_libvirtd, guestbusd_factory):
    """guestbusd with a source of each kind: only the first has QMP events."""
    test_libvirtd.define_test_domain("vm0001")
    return guestbusd_factory(config=CONFIG.format(qemu=libvirtd.uri, test=test_libvirtd.test_uri))


def make_events(machine):
    if not machine.is_active():
        machine.start()
    qmp_recipes.stop_and_resume(machine)


def names(signals, path):
    return [signal.args[0] for signal in signals.matching("Event", path, QMP)]


def test_only_vms_of_read_write_qemu_sources_have_it(daemon, machine, client):
    """Also while they are off."""
    assert not machine.is_active()
    with_it = {label: set() for label in ("local", "readonly", "test")}
    for path, interfaces in client.managed_objects().items():
        if path.startswith(f"{ROOT}/vm/"):
            with_it[path.split("/")[4]].add(QMP in interfaces)
    assert with_it == {"local": {True}, "readonly": {False}, "test": {False}}
    assert "QMP" in client.get(f"{ROOT}/source/readonly", SOURCE, "LastError")
    assert client.get(machine.path, QMP, "Dropped") == 0


def test_events_come_once(daemon, machine, signals):
    """Though the same VM is on two sources."""
    machine.start()
    qmp_recipes.stop_and_resume(machine)
    pump_until(lambda: names(signals, machine.path)[-2:] == ["STOP", "RESUME"], 30, "STOP and RESUME")
    assert {signal.path for signal in signals.matching(interface=QMP)} == {machine.path}


def test_a_client_without_access_hears_nothing(world, daemon, machine, signals, plain_user, guestbus_user,
                                               libvirt_user):
    """Events carry addresses and login names: they are for root and the groups guestbus and libvirt."""
    callers = {user: world.caller(user) for user in (plain_user, guestbus_user, libvirt_user)}
    for caller in callers.values():
        caller.record()
    make_events(machine)
    for user in (guestbus_user, libvirt_user):
        def heard(caller=callers[user]):
            caller.read_answers()
            return [signal for signal in caller.signals if signal.interface == QMP]
        pump_until(heard, 30, f"events for {user}")
    # A round trip through the bus: what was sent to this one before is there by now.
    callers[plain_user].call("GetId", path="/org/freedesktop/DBus", interface="org.freedesktop.DBus",
                             dest="org.freedesktop.DBus")
    assert callers[plain_user].signals == []
    for caller in callers.values():
        caller.close()


def test_a_transient_machine_loses_no_event(world, daemon, machine, libvirtd, client, signals):
    """It sends its first events before libvirt tells that it exists."""
    monitor = EventMonitor(world, libvirtd)
    pump_until(lambda: make_events(machine) or monitor.events(), 30, "virsh listens")
    transient = Machine(libvirtd, "brief1")
    transient.connection.createXML(transient.xml())
    try:
        qmp_recipes.stop_and_resume(transient)
        pump_until(lambda: names(signals, transient.path)[-2:] == ["STOP", "RESUME"], 30, "STOP and RESUME")
        pump_until(lambda: len([event for event in monitor.events() if event.domain == "brief1"])
                   == len(names(signals, transient.path)), 30,
                   lambda: f"the same events: {names(signals, transient.path)}\n{monitor.process.log()}")
        assert names(signals, transient.path) == [event.name for event in monitor.events()
                                                  if event.domain == "brief1"]
        added = next(i for i, signal in enumerate(signals.all)
                     if signal.member == "InterfacesAdded" and signal.args[0] == transient.path)
        first = next(i for i, signal in enumerate(signals.all)
                     if signal.interface == QMP and signal.path == transient.path)
        assert added < first
    finally:
        transient.destroy()
        monitor.close()


def test_events_go_on_after_libvirtd_was_restarted(daemon, machine, libvirtd, client, signals):
    make_events(machine)
    libvirtd.kill()
    client.wait_property(f"{ROOT}/source/local", SOURCE, "Connected", False, timeout=60)
    assert client.get(machine.path, QMP, "Dropped") == 0
    libvirtd.start()
    client.wait_property(f"{ROOT}/source/local", SOURCE, "Connected", True, timeout=90)
    signals.clear()
    qmp_recipes.stop_and_resume(machine)
    pump_until(lambda: names(signals, machine.path) == ["STOP", "RESUME"], 30,
               lambda: f"STOP and RESUME once; {names(signals, machine.path)}")
