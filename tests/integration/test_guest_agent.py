# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.guestbus1.Guest from a real guest with the real qemu-ga, from its balloon, and from a DHCP lease.

Three guests boot side by side, once for the module: web1 is looked at and tormented, idle1 is left alone,
lease1 has no agent. All periods are scaled down.
"""
import os
import re
import time
import tty

import pytest

from testbed.client import ERROR, GUEST, SOURCE, VM, BusError, pump_until
from testbed.machine import Machine
from testbed.wait import wait_until

CONFIG = """
[service]
users-interval = 1
system-interval = 2
filesystems-interval = 3
memory-stats-period = 1
agent-timeout = 1
[source local]
uri = {uri}
[source readonly]
uri = {uri}
read-only = yes
"""

# How long an idle guest is watched; ten minutes are tools/soak's.
IDLE_SECONDS = float(os.environ.get("GUESTBUS_IDLE_SECONDS", "60"))

RESTART_AGENT = "qemu-ga -d -m virtio-serial -p /dev/virtio-ports/org.qemu.guest_agent.0 -t /run"


class Idle:
    """A guest that nobody touches, and all that was signalled of it since it had settled."""

    def __init__(self, machine, client):
        self.machine = machine
        self.signals = client.record()
        self.since = time.monotonic()


@pytest.fixture(scope="module")
def netd(world):
    """libvirtd with a network of its own, whose DHCP server hands out leases."""
    libvirtd = world.libvirtd(qemu=True, network=True)
    libvirtd.start_dhcp_network()
    return libvirtd


@pytest.fixture(scope="module")
def daemon(guestbusd_factory, netd):
    return guestbusd_factory(config=CONFIG.format(uri=netd.uri))


@pytest.fixture(scope="module")
def guests(daemon, netd):
    """Started at once, for two emulated processors boot two guests as fast as one."""
    web1 = Machine(netd, "web1", disk=True, console=True)
    idle1 = Machine(netd, "idle1", disk=True)
    lease1 = Machine(netd, "lease1", network="gbnet", address="dhcp", agent=False, ovirt=None)
    # Without a period of its own its balloon reports nothing until somebody sets one.
    text = idle1.xml().replace("<stats period='1'/>", "")
    idle1.xml = lambda: text
    for machine in (web1, idle1, lease1):
        machine.define().start()
    web1.wait_ready()
    idle1.wait_ready()
    yield web1, idle1, lease1
    for machine in (web1, idle1, lease1):
        machine.destroy()


def settled(client, path, **expected):
    """Wait until everything that is asked for now and then has been told."""
    client.wait_property(path, GUEST, "Responsive", True, timeout=60)
    client.wait_property(path, GUEST, "IPAddresses", lambda addresses: len(addresses) == 2, timeout=60)
    client.wait_property(path, GUEST, "TotalMemory", lambda bytes_: bytes_ > 0, timeout=60)
    client.wait_property(path, GUEST, "Filesystems", lambda mounts: len(mounts) == 1, timeout=60)
    client.wait_property(path, GUEST, "Users", lambda users: len(users) == 1, timeout=60)
    for name, value in expected.items():
        client.wait_property(path, GUEST, name, value, timeout=60)


@pytest.fixture(scope="module")
def idle(guests, client):
    settled(client, guests[1].path)
    return Idle(guests[1], client)


@pytest.fixture(scope="module")
def web1_up(guests, idle, client):
    settled(client, guests[0].path)
    return guests[0]


@pytest.fixture
def web1(web1_up, client):
    """web1 as every test finds it: its agent answers."""
    client.wait_property(web1_up.path, GUEST, "Responsive", True, timeout=90)
    return web1_up


class Console:
    """The guest's shell on its serial port, which needs no agent. QEMU looks once a second whether anybody
    has opened its end, so it stays open."""

    def __init__(self, machine):
        (path,) = set(re.findall(r"<source path='(/dev/pts/\d+)'/>", machine.domain.XMLDesc()))
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)

    def type(self, command):
        os.write(self.fd, f"{command}\r".encode())

    def close(self):
        os.close(self.fd)


@pytest.fixture(scope="module")
def console(guests):
    opened = Console(guests[0])
    yield opened
    opened.close()


def guest_call(client, path, member, signature="(a{sv})", *args):
    return client.call(member, signature, *args, {}, path=path, interface=GUEST)


def error_of(call):
    with pytest.raises(BusError) as caught:
        call()
    return caught.value.name


# -- what a guest says ------------------------------------------------------------------------------

def test_values_are_the_guests_own(web1, client):
    values = client.get_all(web1.path, GUEST)
    inside = {name: web1.exec(command).strip() for name, command in {
        "HostName": "hostname", "KernelRelease": "uname -r", "OSVersion": "uname -r",
        "Architecture": "uname -m", "OSName": ". /etc/os-release; echo $PRETTY_NAME"}.items()}
    assert {name: values[name] for name in inside} == inside
    assert values["OSType"] == "linux"
    assert values["Agents"] == ["qemu-ga"] and values["Responsive"] is True
    assert values["Timezone"] == ("UTC", 0)
    assert values["FQDN"] == "" and values["Truncated"] is False


def test_addresses_are_the_guests_own(web1, client):
    values = client.get_all(web1.path, GUEST)
    inside = re.findall(r"inet6? (\S+)/(\d+)", web1.exec("ip addr show dev eth0"))
    ((name, mac, addresses),) = values["Interfaces"]
    assert (name, mac) == ("eth0", web1.mac)
    assert sorted(addresses) == sorted((address, int(prefix)) for address, prefix in inside)
    assert values["IPv4Addresses"] == [web1.address]
    assert values["IPAddresses"][0] == web1.address
    assert not [address for address in values["IPAddresses"] if address.startswith(("fe80", "127.", "::1"))]


def test_memory_is_the_guests_own(web1, client):
    inside = dict(re.findall(r"(\w+): +(\d+) kB", web1.exec("cat /proc/meminfo")))
    assert client.get(web1.path, GUEST, "TotalMemory") == int(inside["MemTotal"]) * 1024
    available = int(inside["MemAvailable"]) * 1024
    # It moves all the time, and more so while a command runs.
    assert abs(client.get(web1.path, GUEST, "AvailableMemory") - available) < 16 << 20


def test_users_and_filesystems_are_the_guests_own(web1, client):
    ((name, domain, login),) = client.get(web1.path, GUEST, "Users")
    assert (name, domain) == ("alice", "")
    assert abs(login / 1e6 - float(web1.exec("date +%s"))) < 3600
    assert client.get(web1.path, GUEST, "ActiveUser") == "alice"
    ((mount_point, device, kind, total, used),) = client.get(web1.path, GUEST, "Filesystems")
    line = web1.exec("grep /data /proc/mounts").split()
    blocks = web1.exec("stat -f -c '%S %b %f' /data").split()
    assert (mount_point, f"/dev/{device}", kind) == (line[1], line[0], line[2])
    # qemu-ga counts what root alone may use as neither free nor used
    assert 0 < total <= int(blocks[0]) * int(blocks[1])
    assert used == int(blocks[0]) * (int(blocks[1]) - int(blocks[2]))


def test_origins_say_where_from_and_when(web1, client):
    origins = client.get(web1.path, GUEST, "Origins")
    assert {origins[name][0] for name in ("HostName", "Users", "IPAddresses", "Filesystems")} == {"qemu-ga"}
    assert origins["AvailableMemory"][0] == origins["TotalMemory"][0] == "balloon"
    now = time.time() * 1e6
    assert all(now - 60e6 < when <= now for _, when in origins.values())


def test_heartbeats_carry_the_memory(web1, client, signals):
    heartbeat = signals.wait("Heartbeat", web1.path, count=2)
    assert 0 < heartbeat.args[0] <= client.get(web1.path, GUEST, "TotalMemory")
    before = client.get(web1.path, GUEST, "LastSeen")
    signals.clear()
    signals.wait("Heartbeat", web1.path)
    assert client.get(web1.path, GUEST, "LastSeen") > before


def test_balloon_without_a_period_gets_one(guests, client):
    idle1 = guests[1]
    assert "<stats period='1'/>" in idle1.domain.XMLDesc()
    assert "<stats" not in idle1.domain.XMLDesc(2)        # the definition is the owner's
    assert client.get(idle1.path, GUEST, "AvailableMemory") > 0


# -- what changes inside ----------------------------------------------------------------------------

def test_host_name_changes(web1, client, signals):
    web1.exec("hostname web2.example.com")
    signals.wait_changed(web1.path, GUEST, HostName="web2.example.com", FQDN="web2.example.com")
    web1.exec("hostname web1")
    signals.wait_changed(web1.path, GUEST, HostName="web1", FQDN="")
    assert client.get(web1.path, GUEST, "HostName") == "web1"


def test_address_changes(web1, client, signals):
    known = client.get(web1.path, GUEST, "IPv4Addresses")
    web1.exec("ip addr add 198.51.100.7/25 dev eth0")
    changed = signals.wait_changed(web1.path, GUEST, IPv4Addresses=[*known, "198.51.100.7"])
    assert ("198.51.100.7", 25) in changed["Interfaces"][0][2] and "IPAddresses" in changed
    web1.exec("ip addr del 198.51.100.7/25 dev eth0")
    signals.wait_changed(web1.path, GUEST, IPv4Addresses=known)


def test_users_come_and_go(web1, client, signals):
    web1.exec("gb-login bob")
    signals.wait("SessionLogon", web1.path, where=lambda user: user == "bob")
    assert {user[0] for user in client.get(web1.path, GUEST, "Users")} == {"alice", "bob"}
    web1.exec("gb-login -d alice")
    signals.wait("SessionLogoff", web1.path, where=lambda user: user == "alice")
    signals.wait("UserInfo", web1.path, where=lambda user: user == "bob")
    assert [user[0] for user in client.get(web1.path, GUEST, "Users")] == ["bob"]
    assert client.get(web1.path, GUEST, "ActiveUser") == "bob"
    web1.exec("gb-login -d bob; gb-login alice")
    signals.wait_changed(web1.path, GUEST, ActiveUser="alice")


def test_refresh_returns_when_all_is_new(web1, client, signals):
    web1.exec("hostname fresh")
    guest_call(client, web1.path, "Refresh")
    assert client.get(web1.path, GUEST, "HostName") == "fresh"
    assert signals.changes(web1.path, GUEST)[-1][0]["HostName"] == "fresh"        # and said so before
    web1.exec("hostname web1")
    guest_call(client, web1.path, "Refresh")


# -- agents that fail -------------------------------------------------------------------------------

def complaints(daemon, machine):
    return len(re.findall(rf"does not answer.*\[local/{machine.name}\]", daemon.log()))


def test_stopped_agent_is_mute_and_comes_back(web1, console, daemon, client, signals):
    before = client.get_all(web1.path, GUEST)
    complained = complaints(daemon, web1)
    web1.exec_background("sleep 0.2; kill -STOP $(pidof qemu-ga)")
    signals.wait_changed(web1.path, GUEST, Responsive=False, timeout=60)
    assert error_of(lambda: guest_call(client, web1.path, "Refresh")) == ERROR + "AgentUnresponsive"
    assert error_of(lambda: client.call("Shutdown", "(sa{sv})", "agent", {}, path=web1.path,
                                        interface=VM)) == ERROR + "AgentUnresponsive"
    after = client.get_all(web1.path, GUEST)
    for name in ("Agents", "HostName", "OSName", "IPAddresses", "Users"):
        assert after[name] == before[name]
    assert after["Origins"]["HostName"][1] < time.time() * 1e6 - 1e6        # its age shows
    assert complaints(daemon, web1) == complained + 1
    signals.clear()
    console.type("kill -CONT $(pidof qemu-ga)")
    signals.wait_changed(web1.path, GUEST, Responsive=True, timeout=90)
    signals.wait("Heartbeat", web1.path)
    # What was asked of the mute agent did not reach it afterwards.
    assert web1.is_active()


def test_killed_agent_is_gone_and_comes_back(web1, console, client, signals):
    host_name = client.get(web1.path, GUEST, "HostName")
    web1.exec_background("sleep 0.2; kill $(pidof qemu-ga)")
    signals.wait_changed(web1.path, GUEST, Agents=[], timeout=30)
    client.wait_property(web1.path, GUEST, "Responsive", False)
    assert error_of(lambda: guest_call(client, web1.path, "Refresh")) == ERROR + "AgentNotConnected"
    assert error_of(lambda: client.call("Reboot", "(sa{sv})", "agent", {}, path=web1.path,
                                        interface=VM)) == ERROR + "AgentNotConnected"
    assert client.get(web1.path, GUEST, "HostName") == host_name
    console.type(RESTART_AGENT)
    signals.wait_changed(web1.path, GUEST, Agents=["qemu-ga"], timeout=30)
    client.wait_property(web1.path, GUEST, "Responsive", True, timeout=30)


def test_frozen_filesystems_are_no_failure(web1, daemon, client, signals):
    before = client.get_all(web1.path, GUEST)
    log = len(daemon.log())
    web1.agent("guest-fsfreeze-freeze")
    try:
        signals.clear()
        signals.wait("Heartbeat", web1.path, count=4)        # even a refusal is a sign of life
        assert error_of(lambda: guest_call(client, web1.path, "Refresh")) == ERROR + "GuestRefused"
        after = client.get_all(web1.path, GUEST)
    finally:
        web1.agent("guest-fsfreeze-thaw")
    assert after["Responsive"] is True
    moving = ("LastSeen", "AvailableMemory", "Origins")
    assert {name: after[name] for name in before if name not in moving} == \
        {name: before[name] for name in before if name not in moving}
    assert not signals.changes(web1.path, GUEST)
    assert "not answer" not in daemon.log()[log:]


def test_paused_guest_is_not_asked(web1, client, signals):
    web1.libvirtd.virsh("suspend", web1.name)
    signals.wait_changed(web1.path, VM, State="paused")
    signals.clear()
    # One that is asked would show in the answers of another: idle1 is asked four times meanwhile.
    signals.wait("Heartbeat", where=lambda memory: memory > 0, count=4)
    assert not signals.matching("Heartbeat", web1.path)
    assert error_of(lambda: guest_call(client, web1.path, "Refresh")) == ERROR + "AgentUnresponsive"
    assert client.get(web1.path, GUEST, "Responsive") is True
    web1.libvirtd.virsh("resume", web1.name)
    signals.wait("Heartbeat", web1.path)


# -- what the host knows ----------------------------------------------------------------------------

def test_lease_is_known_without_an_agent(guests, netd, daemon, client):
    lease1 = guests[2]
    (address,) = client.wait_property(lease1.path, GUEST, "IPAddresses", lambda found: found, timeout=90)
    assert f"{address}/24" in netd.virsh("net-dhcp-leases", "gbnet")
    assert client.get(lease1.path, GUEST, "Agents") == []
    assert client.get(lease1.path, GUEST, "Origins")["IPAddresses"][0] == "lease"
    ((_, mac, _),) = client.get(lease1.path, GUEST, "Interfaces")
    assert mac == lease1.mac
    # The host's ARP table is read as well; where libvirt cannot, that is said once for each source.
    assert len(re.findall(r"ARP table.*\[local\]", daemon.log())) <= 1


def test_memory_is_known_without_an_agent(guests, client):
    assert client.wait_property(guests[2].path, GUEST, "AvailableMemory", lambda found: found, timeout=90)


def test_read_only_source_has_no_agents(guests, client):
    web1, _, lease1 = guests
    other = {machine: machine.path.replace("/local/", "/readonly/") for machine in guests}
    assert "read-only" in client.get("/org/guestbus1/source/readonly", SOURCE, "LastError")
    values = client.get_all(other[web1], GUEST)
    assert values["Agents"] == [] and values["Responsive"] is False and values["HostName"] == ""
    assert error_of(lambda: guest_call(client, other[web1], "Refresh")) == ERROR + "NotSupported"
    # Leases and balloons are the host's to tell.
    client.wait_property(other[lease1], GUEST, "IPAddresses", lambda found: found, timeout=90)
    client.wait_property(other[web1], GUEST, "TotalMemory", lambda found: found, timeout=90)


# -- reboot, quiet, shutdown ------------------------------------------------------------------------

def test_reboot_by_the_agent(web1, client, signals):
    boot = web1.exec("cat /proc/sys/kernel/random/boot_id")
    guest_call(client, web1.path, "Reboot", "(usa{sv})", 0, "")
    signals.wait("PowerDown", web1.path, timeout=30)
    signals.wait("PowerUp", web1.path, timeout=60)
    settled(client, web1.path)
    web1.wait_ready()
    assert web1.exec("cat /proc/sys/kernel/random/boot_id") != boot
    signals.wait("SessionLogon", web1.path, where=lambda user: user == "alice", timeout=30)


def test_idle_guest_is_quiet(idle, client):
    """Memory moves, time goes on, answers come: none of it is a change."""
    path = idle.machine.path
    pump_until(lambda: time.monotonic() > idle.since + IDLE_SECONDS, IDLE_SECONDS + 10, "the idle time")
    assert len(idle.signals.matching("Heartbeat", path)) > IDLE_SECONDS / 3
    assert not idle.signals.changes(path)


def test_libvirtd_restart_is_survived(web1, daemon, client):
    web1.libvirtd.restart()
    client.wait_property("/org/guestbus1/source/local", SOURCE, "Connected", True, timeout=60)
    client.wait_property(web1.path, GUEST, "Responsive", True, timeout=60)
    assert client.get(web1.path, GUEST, "Agents") == ["qemu-ga"]


def test_shutdown_by_the_agent(web1, client, signals):
    guest_call(client, web1.path, "Shutdown", "(usa{sv})", 0, "")
    signals.wait_changed(web1.path, VM, State="shut-off", timeout=60)
    values = client.get_all(web1.path, GUEST)
    assert values["Agents"] == [] and values["Responsive"] is False
    assert values["IPAddresses"] == [] and values["Users"] == []
    assert values["HostName"] == "web1"        # what the machine is it is still
    assert error_of(lambda: guest_call(client, web1.path, "Refresh")) == ERROR + "NotRunning"


def test_power_button_without_an_agent(guests, client, signals):
    """Shutdown uses the power button where no agent answers."""
    idle1 = guests[1]
    idle1.exec_background("sleep 0.2; kill $(pidof qemu-ga)")
    client.wait_property(idle1.path, GUEST, "Agents", [], timeout=30)
    client.call("Shutdown", "(sa{sv})", "", {}, path=idle1.path, interface=VM)
    signals.wait_changed(idle1.path, VM, State="shut-off", timeout=60)
    wait_until(lambda: not idle1.is_active(), 30, "idle1 is off")
