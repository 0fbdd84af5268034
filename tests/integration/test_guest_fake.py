# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.guestbus1.Guest with agents that no real guest would have: mute ones by the dozen, and hostile ones.

libvirtd and its QEMU driver are real; what stands in QEMU's place, and plays the agent, is fake_qemu.py.
"""
import os
import re
from pathlib import Path

import pytest

from testbed.client import ERROR, GUEST, MANAGER, VM, BusError
from testbed.daemon import SANITIZERS
from testbed.fake_machine import SANE, FakeMachine, destroy_all

CONFIG = """
[service]
users-interval = 1
system-interval = {system}
filesystems-interval = {system}
agent-timeout = {timeout}
[source local]
uri = {uri}
"""

MUTE_VMS = 50
# libvirtd's limit for what one agent may answer at once; its connection to an agent that says more is broken.
AGENT_LINE_MAX = 10 << 20
# One guest's words are not kept. A sanitizer keeps what was freed for a while, and would hide it.
MEMORY_MAX = (1024 if any(name in os.environ for name in SANITIZERS) else 32) << 20
THREADS_MAX = 16


@pytest.fixture(scope="module")
def daemon(guestbusd_factory, libvirtd):
    return guestbusd_factory(config=CONFIG.format(uri=libvirtd.uri, system=1, timeout=5))


@pytest.fixture(scope="module")
def fake_factory(libvirtd, daemon):
    machines = []

    def make(name, **options):
        machines.append(FakeMachine(libvirtd, name, **options))
        return machines[-1]
    yield make
    destroy_all(machines)


@pytest.fixture(scope="module")
def good(fake_factory, client):
    """A VM with a sane agent, whose answers must not suffer from what others do."""
    machine = fake_factory("good").start()
    client.wait_property(machine.path, GUEST, "Responsive", True)
    return machine


@pytest.fixture(scope="module")
def hostile(fake_factory, client):
    machine = fake_factory("hostile").start()
    client.wait_property(machine.path, GUEST, "IPAddresses", ["192.0.2.7"])
    return machine


def anonymous_memory(daemon):
    text = Path(f"/proc/{daemon.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"RssAnon:\s+(\d+) kB", text).group(1)) * 1024


def threads(daemon):
    return len(list(Path(f"/proc/{daemon.pid}/task").iterdir()))


def refresh(client, machine):
    return client.call("Refresh", "(a{sv})", {}, path=machine.path, interface=GUEST)


def error_of(call):
    with pytest.raises(BusError) as caught:
        call()
    return caught.value.name


def configure(client, daemon, libvirtd, system=1, timeout=5):
    """For the VMs that start from now on."""
    daemon.write_config(CONFIG.format(uri=libvirtd.uri, system=system, timeout=timeout))
    client.call("Reload", "(a{sv})", {}, interface=MANAGER)


def sane_again(machine):
    for command, answer in SANE.items():
        machine.says(command, answer)


def still_good(good, daemon, signals):
    signals.clear()
    signals.wait("Heartbeat", good.path, count=2, timeout=20)
    assert anonymous_memory(daemon) < MEMORY_MAX
    assert daemon.process.alive


# -- what is sane -----------------------------------------------------------------------------------

def test_fake_agent_is_understood(good, client):
    values = client.wait_property(good.path, GUEST, "OSName", "Fake 1.0") and client.get_all(good.path, GUEST)
    assert values["HostName"] == "fake" and values["OSVersion"] == "1.0.0-fake"
    assert values["Users"] == [("alice", "", 1700000000500000)]
    assert values["IPAddresses"] == ["192.0.2.7"]


def test_fake_command_that_is_switched_off_costs_itself(hostile, good, client):
    hostile.refuses("guest-get-users", "Command guest-get-users has been disabled")
    hostile.says("guest-get-host-name", {"host-name": "without-users"})
    refresh(client, hostile)
    values = client.get_all(hostile.path, GUEST)
    assert values["HostName"] == "without-users" and values["Responsive"] is True
    sane_again(hostile)


# -- what is hostile --------------------------------------------------------------------------------

WRONG_TYPES = {
    "guest-get-host-name": [{"host-name": 7}, {"host-name": None}, {"host-name": ["x"]}, [], "x", None, {}],
    "guest-get-users": [{"user": "x"}, [7], [{"user": 7}], [{"user": "x", "login-time": "now"}], "x", None],
    "guest-get-osinfo": [{"id": 7, "pretty-name": [], "kernel-release": {}}, [], 7, None],
    "guest-get-timezone": [{"zone": 7, "offset": "east"}, {"offset": 1e300}, [], None],
    "guest-network-get-interfaces": [
        {"name": "eth0"}, [{"name": 7}], [{"name": "e", "ip-addresses": 7}], [[]], None,
        [{"name": "e", "ip-addresses": [{"ip-address": 7, "prefix": "x"}]}]],
    "guest-get-fsinfo": [[{"mountpoint": 7, "name": [], "type": {}, "disk": 7}], [7], {}, None],
}


@pytest.mark.parametrize("command", WRONG_TYPES)
def test_fake_agent_with_wrong_types(command, hostile, good, daemon, client, signals):
    for answer in WRONG_TYPES[command]:
        hostile.says(command, answer)
        refresh(client, hostile)
    values = client.get_all(hostile.path, GUEST)
    assert values["Responsive"] is True
    # What it says sanely is understood all the same.
    hostile.says("guest-get-host-name", {"host-name": f"after-{command}"})
    refresh(client, hostile)
    assert client.get(hostile.path, GUEST, "HostName") == f"after-{command}"
    sane_again(hostile)
    still_good(good, daemon, signals)


def test_fake_agent_with_control_characters(hostile, good, daemon, client, signals):
    hostile.says("guest-get-host-name", {"host-name": "a\x01\x1b[31m\x7f\ufffe\nb"})
    hostile.says("guest-get-users", [{"user": "\u0080\ud7ff", "login-time": 1}])
    refresh(client, hostile)
    values = client.get_all(hostile.path, GUEST)
    assert values["HostName"] == "a\ufffd\ufffd[31m\ufffd\ufffd\nb"
    assert values["Users"][0][0] == "\ufffd\ud7ff"
    hostile.refuses("guest-get-users", "no\x1b[31m\nforged line")
    refresh(client, hostile)
    assert "\x1b" not in daemon.log() and "\nforged" not in daemon.log()
    sane_again(hostile)
    still_good(good, daemon, signals)


def test_fake_agent_with_megabytes_of_text(hostile, good, daemon, client, signals):
    # libvirt hands on four megabytes, but takes seconds to read them; ten it does not take, see below
    huge = "x" * (1 << 20)
    hostile.says("guest-get-host-name", {"host-name": huge})
    hostile.says("guest-get-users", [{"user": huge, "login-time": 1}])
    hostile.says("guest-get-osinfo", {"id": huge, "pretty-name": huge, "machine": huge})
    refresh(client, hostile)
    values = client.get_all(hostile.path, GUEST)
    assert values["HostName"] == "x" * 255 and values["Truncated"] is True
    sane_again(hostile)
    refresh(client, hostile)
    assert client.get(hostile.path, GUEST, "Truncated") is False
    still_good(good, daemon, signals)


def test_fake_agent_with_a_hundred_thousand_interfaces(hostile, good, daemon, client, signals):
    hostile.says("guest-network-get-interfaces", [{"name": f"v{number}"} for number in range(100000)])
    refresh(client, hostile)        # more than libvirt hands on: the last known stay
    assert client.get(hostile.path, GUEST, "IPAddresses") == ["192.0.2.7"]
    many = [{"name": f"v{number}", "ip-addresses": [
        {"ip-address-type": "ipv4", "ip-address": f"192.0.2.{number % 250 + 1}", "prefix": 24}
        for number in range(64)]} for number in range(2000)]
    hostile.says("guest-network-get-interfaces", many)
    refresh(client, hostile)
    values = client.get_all(hostile.path, GUEST)
    assert len(values["Interfaces"]) <= 32 and values["Truncated"] is True
    assert all(len(interface[2]) <= 16 for interface in values["Interfaces"])
    sane_again(hostile)
    still_good(good, daemon, signals)


def test_fake_agent_with_deep_nesting(hostile, good, daemon, client, signals):
    hostile.says_bytes("guest-get-users", b'{"return": ' + b"[" * 1000 + b"]" * 1000 + b"}")
    refresh(client, hostile)
    assert client.get(hostile.path, GUEST, "Responsive") is True
    sane_again(hostile)
    still_good(good, daemon, signals)


@pytest.mark.parametrize("name, line", [
    ("no-json", b"]]]]{{{{ this is no JSON"),
    ("overlong", b'{"return": "' + b"y" * (AGENT_LINE_MAX + 1000) + b'"}'),
], ids=["no-json", "overlong"])
def test_fake_agent_that_breaks_its_channel(name, line, fake_factory, good, daemon, client, signals):
    """libvirtd gives such an agent up; the VM has no answers any more, and nobody else notices."""
    machine = fake_factory(name).start()
    client.wait_property(machine.path, GUEST, "HostName", "fake")
    machine.says_bytes("guest-get-users", line)
    client.wait_property(machine.path, GUEST, "Responsive", False, timeout=60)
    assert client.get(machine.path, GUEST, "HostName") == "fake"
    still_good(good, daemon, signals)


# -- what takes its time ----------------------------------------------------------------------------

def test_fake_address_is_asked_for_quickly(fake_factory, daemon, libvirtd, client):
    """Nothing else is asked within the period of two minutes."""
    configure(client, daemon, libvirtd, system=120)
    machine = fake_factory("booting")
    nic = "<interface type='user'><mac address='52:54:00:00:00:01'/></interface></devices>"
    machine.domain = machine.connection.defineXML(machine.domain.XMLDesc(2).replace("</devices>", nic))
    machine.says("guest-network-get-interfaces", [{"name": "lo", "ip-addresses": [
        {"ip-address-type": "ipv4", "ip-address": "127.0.0.1", "prefix": 8}]}])
    machine.start()
    client.wait_property(machine.path, GUEST, "HostName", "fake")
    assert client.get(machine.path, GUEST, "IPAddresses") == []
    machine.says("guest-network-get-interfaces", SANE["guest-network-get-interfaces"])
    client.wait_property(machine.path, GUEST, "IPAddresses", ["192.0.2.7"], timeout=30)
    configure(client, daemon, libvirtd)


def test_fake_agent_that_knows_no_shutdown(fake_factory, client, signals):
    """An agent's refusal is the answer where the agent was insisted on, else the power button is pressed."""
    machine = fake_factory("refusing").start()
    client.wait_property(machine.path, GUEST, "Responsive", True)
    assert error_of(lambda: client.call("Shutdown", "(sa{sv})", "agent", {}, path=machine.path,
                                        interface=VM)) == ERROR + "GuestRefused"
    assert machine.domain.isActive()
    client.call("Shutdown", "(sa{sv})", "", {}, path=machine.path, interface=VM)
    signals.wait_changed(machine.path, VM, State="shut-off", timeout=30)


def test_fifty_fake_mute_agents_hold_up_nobody(fake_factory, good, daemon, libvirtd, client, signals):
    configure(client, daemon, libvirtd, timeout=1)
    machines = [fake_factory(f"mute{number}", mute=True) for number in range(MUTE_VMS)]
    for machine in machines:
        machine.start()
    for machine in machines:
        client.wait_property(machine.path, GUEST, "Agents", ["qemu-ga"], timeout=60)
    # Another VM is polled all the while, and it is acted upon.
    still_good(good, daemon, signals)
    refresh(client, good)
    for method, state in (("Pause", "paused"), ("Resume", "running")):
        client.call(method, "(a{sv})", {}, path=good.path, interface=VM)
        assert client.get(good.path, VM, "State") == state
    # Who insists on a mute one is told so in time, and holds up nobody either.
    calls = [client.start("Refresh", "(a{sv})", {}, path=machine.path, interface=GUEST)
             for machine in machines[:6]]
    still_good(good, daemon, signals)
    for call in calls:
        assert error_of(call.result) in (ERROR + "AgentUnresponsive", ERROR + "Timeout")
    assert threads(daemon) <= THREADS_MAX
    assert not any(client.get(machine.path, GUEST, "Responsive") for machine in machines)
    # One of them wakes up, and who asks for it is served first.
    machines[0].mute(False)
    refresh(client, machines[0])
    assert client.get(machines[0].path, GUEST, "Responsive") is True
    complaints = re.findall(r"does not answer.*\[local/(mute\d+)\]", daemon.log())
    assert len(complaints) == len(set(complaints))        # each was said once
    still_good(good, daemon, signals)


def test_fake_agents_found_at_a_start(good, hostile, daemon, client):
    """What runs when the service starts is asked without an event."""
    daemon.restart()
    for machine in (good, hostile):
        client.wait_property(machine.path, GUEST, "Responsive", True, timeout=60)
        assert client.get(machine.path, GUEST, "Users") == [("alice", "", 1700000000500000)]
