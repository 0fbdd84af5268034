# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.guestbus1.VM on a real QEMU guest: every method, its display, its console."""
import os
import select
import time

import pytest
from gi.repository import GLib

from testbed.client import GUEST, BusError

VM = "org.guestbus1.VM"
ERROR = "org.guestbus1.Error."
MIB = 1 << 20


@pytest.fixture(scope="module")
def machine(machine_factory):
    return machine_factory("web1", console=True, graphics=("vnc",))


@pytest.fixture(scope="module")
def daemon(guestbusd_factory, machine):
    return guestbusd_factory(sources={"local": machine.libvirtd.uri})


@pytest.fixture
def vm(daemon, machine, client):
    client.wait_property(machine.path, VM, "State", "running")
    return machine.path


def act(client, path, method, signature="(a{sv})", *args, options=None):
    return client.call(method, signature, *args, options or {}, path=path, interface=VM)


def test_what_is_published(vm, client, machine):
    client.wait_property(vm, VM, "Graphics", lambda graphics: len(graphics) == 1)
    properties = client.get_all(vm, VM)
    assert properties["Name"] == "web1"
    assert properties["UUID"] == machine.uuid
    assert properties["Id"] == machine.domain.ID()
    assert properties["VCPUs"] == 1
    assert properties["MemoryMaximum"] == 128 * MIB
    assert properties["Persistent"] is True
    graphics = properties["Graphics"][0]
    assert graphics["type"] == "vnc" and graphics["address"] == "127.0.0.1" and graphics["port"] >= 5900


def test_pause_and_resume(vm, client, signals):
    act(client, vm, "Pause")
    assert client.get(vm, VM, "State") == "paused"
    signals.wait_changed(vm, VM, State="paused")
    act(client, vm, "Resume")
    assert client.get(vm, VM, "State") == "running"


def test_balloon(vm, client, signals):
    act(client, vm, "SetMemory", "(ta{sv})", 112 * MIB)
    signals.wait_changed(vm, VM, MemoryActual=112 * MIB, timeout=30)
    act(client, vm, "SetMemory", "(ta{sv})", 128 * MIB)
    client.wait_property(vm, VM, "MemoryActual", 128 * MIB, timeout=30)


def test_autostart(vm, client):
    act(client, vm, "SetAutostart", "(ba{sv})", True)
    assert client.get(vm, VM, "Autostart") is True
    act(client, vm, "SetAutostart", "(ba{sv})", False)
    assert client.get(vm, VM, "Autostart") is False


def read_until(fd, wanted, timeout=20):
    seen, end = b"", time.monotonic() + timeout
    while wanted not in seen:
        readable, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        assert readable, seen
        chunk = os.read(fd, 4096)
        assert chunk, seen
        seen += chunk
    return seen


def test_graphics_descriptor_speaks_rfb(vm, client):
    fd = client.call_fd("OpenGraphics", "(ua{sv})", 0, {}, path=vm, interface=VM)
    try:
        assert read_until(fd, b"RFB 003.")
    finally:
        os.close(fd)


def open_console(client, vm, device="", **options):
    return client.call_fd("OpenConsole", "(sa{sv})", device, options, path=vm, interface=VM)


def wait_closed(fd, timeout=20):
    end = time.monotonic() + timeout
    while True:
        readable, _, _ = select.select([fd], [], [], max(0, end - time.monotonic()))
        assert readable, "the console stays open"
        if not os.read(fd, 4096):
            return


def test_console_carries_both_ways(vm, client):
    fd = open_console(client, vm)
    try:
        os.write(fd, b"\necho con$((40 + 2))sole\n")
        read_until(fd, b"con42sole")
    finally:
        os.close(fd)


def test_console_second_opener_is_busy_unless_forced(vm, client):
    # The first one's end reaches libvirt a moment after the descriptor was closed, so forcing is right here.
    first = open_console(client, vm, force=GLib.Variant("b", True))
    with pytest.raises(BusError) as caught:
        open_console(client, vm)
    assert caught.value.name == ERROR + "Busy"
    second = open_console(client, vm, force=GLib.Variant("b", True))
    wait_closed(first)
    os.write(second, b"\necho again$((1 + 1))\n")
    read_until(second, b"again2")
    os.close(first)
    os.close(second)


def test_console_moves_more_than_its_buffer(vm, client):
    fd = open_console(client, vm, force=GLib.Variant("b", True))
    try:
        os.write(fd, b"\ndd if=/dev/zero bs=1024 count=200 2>/dev/null | tr '\\0' x; echo; echo the-e''nd\n")
        time.sleep(1)  # nobody reads: both buffers fill, and nothing may be lost
        seen = read_until(fd, b"the-end", timeout=60)
        assert seen.count(b"x") >= 200 * 1024
    finally:
        os.close(fd)


def test_closing_our_end_gives_the_place_back(vm, client, machine):
    for _ in range(20):  # more than a user may have open at once
        os.close(open_console(client, vm, force=GLib.Variant("b", True)))


def test_console_of_an_unknown_device(vm, client):
    with pytest.raises(BusError) as caught:
        open_console(client, vm, "serial99")
    assert caught.value.name == ERROR + "InvalidArgument"


def test_save_and_restore(vm, client, machine, signals):
    machine.wait_agent()
    act(client, vm, "Save")
    client.wait_property(vm, VM, "State", "shut-off", timeout=60)
    assert client.get(vm, VM, "StateReason") == "saved"
    act(client, vm, "Start")
    client.wait_property(vm, VM, "State", "running", timeout=60)
    # Its system slept: it neither went down nor came up.
    client.wait_property(vm, GUEST, "Agents", ["qemu-ga"], timeout=60)
    client.wait_property(vm, GUEST, "Responsive", True, timeout=60)
    assert signals.matching("PowerDown", vm) == [] and signals.matching("PowerUp", vm) == []


def test_reset_reboot_shutdown_and_force_off(vm, client, machine, signals):
    machine.wait_agent()
    act(client, vm, "Reset")
    machine.wait_ready()
    act(client, vm, "Shutdown", "(sa{sv})", "acpi")
    client.wait_property(vm, VM, "State", "shut-off", timeout=60)
    assert client.get(vm, VM, "StateReason") == "shutdown"
    assert client.get(vm, VM, "Id") == -1
    client.wait_property(vm, VM, "Graphics", lambda graphics: all("port" not in one for one in graphics))
    act(client, vm, "Start")
    fd = open_console(client, vm)
    act(client, vm, "ForceOff")
    assert client.get(vm, VM, "State") == "shut-off"
    wait_closed(fd)
    os.close(fd)
