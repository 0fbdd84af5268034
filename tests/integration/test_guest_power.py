# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shutdown and reboot from the inside: now, later, over a restart of the service, and not at all."""
import time

import pytest
from gi.repository import GLib

from testbed.client import GUEST, VM, BusError
from testbed.ovirt_agent import OvirtAgent
from testbed.wait import wait_until

ERROR = "org.guestbus1.Error."
HOUR = 3600


@pytest.fixture(scope="module")
def machine(machine_factory):
    return machine_factory("power1")


@pytest.fixture
def daemon(run_guestbusd, machine, client):
    daemon = run_guestbusd(sources={"local": machine.libvirtd.uri})
    client.wait_property(machine.path, GUEST, "Responsive", True, timeout=30)
    return daemon


def act(client, machine, method, signature="(a{sv})", *args):
    return client.call(method, signature, *args, {}, path=machine.path, interface=GUEST)


def later(client, machine, method, delay, message="Bye"):
    return act(client, machine, method, "(usa{sv})", delay, message)


def scheduled(client, machine):
    return client.get(machine.path, GUEST, "ScheduledShutdown")


def refused(name, call, *args):
    with pytest.raises(BusError) as caught:
        call(*args)
    assert caught.value.name == ERROR + name, caught.value


def test_scheduled_and_cancelled(daemon, machine, client, signals):
    before = time.time()
    later(client, machine, "Shutdown", HOUR)
    # The signal was there before the reply.
    (changed, _invalidated), = [change for change in signals.changes(machine.path, GUEST)
                                if "ScheduledShutdown" in change[0]]
    verb, when = changed["ScheduledShutdown"]
    assert verb == "shutdown" and before + HOUR <= when / 1e6 <= time.time() + HOUR
    assert scheduled(client, machine) == (verb, when)
    refused("Busy", later, client, machine, "Reboot", HOUR)
    daemon.restart()
    assert scheduled(client, machine) == (verb, when)
    act(client, machine, "CancelShutdown")
    assert scheduled(client, machine) == ("", 0)
    refused("InvalidArgument", act, client, machine, "CancelShutdown")
    daemon.restart()
    assert scheduled(client, machine) == ("", 0)


def test_damaged_file(daemon, machine, client):
    later(client, machine, "Reboot", HOUR)
    daemon.stop()
    (daemon.state_dir / "scheduled-shutdowns.json").write_text("[{\"source\": ")
    daemon.start()
    daemon.wait_log("was damaged")
    assert scheduled(client, machine) == ("", 0)
    assert (daemon.state_dir / "scheduled-shutdowns.json.damaged").exists()
    later(client, machine, "Reboot", HOUR)
    act(client, machine, "CancelShutdown")


def test_due_with_an_agent_that_shows_the_message(daemon, machine, client):
    agent = OvirtAgent(machine).start()
    agent.beat(0.5)
    client.wait_property(machine.path, GUEST, "AvailableMemory", 40 << 20)
    later(client, machine, "Reboot", 1, "Back soon")
    agent.wait_heard('{"timeout": 0, "message": "Back soon", "reboot": "True", "__name__": "shutdown"}\n')
    client.wait_property(machine.path, GUEST, "ScheduledShutdown", ("", 0))
    agent.stop()


def test_arguments(daemon, machine, client):
    refused("InvalidArgument", later, client, machine, "Shutdown", 0, "x" * 1025)
    with pytest.raises(BusError) as caught:
        client.call("Shutdown", "(usa{sv})", 0, "", {"guest-delays": variant(True)}, path=machine.path, interface=GUEST)
    assert caught.value.name == ERROR + "InvalidArgument"


def variant(value):
    return GLib.Variant("b", value)


def test_reboot(daemon, machine, client, signals):
    later(client, machine, "Reboot", 0)
    signals.wait("PowerDown", machine.path, timeout=60)
    signals.wait("PowerUp", machine.path, timeout=120)
    assert client.get(machine.path, VM, "State") == "running"
    machine.wait_ready()


def test_due_while_the_service_was_away(daemon, machine, client):
    later(client, machine, "Shutdown", 2)
    due = scheduled(client, machine)[1]
    daemon.stop()
    wait_until(lambda: time.time() * 1e6 > due, 10, "the time of the shutdown")
    assert machine.is_active()
    daemon.start()
    client.wait_property(machine.path, VM, "State", "shut-off", timeout=90)
    assert scheduled(client, machine) == ("", 0)
    refused("NotRunning", later, client, machine, "Shutdown", 0)
