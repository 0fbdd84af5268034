# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the service says of itself is what the interface XML says, and common tools can use it."""
import os
import re
import subprocess
import sys

import pytest

from testbed import interface
from testbed.client import GUEST, MANAGER, NAME, OBJECT_MANAGER, QMP, ROOT, SOURCE, VM
from testbed.libvirtd import DriverDomain
from testbed.machine import Machine
from testbed.reporter import guest, host, service_reporter
from testbed.wait import wait_until

# The interfaces of a VM's object, and those of which every member is compared.
VM_INTERFACES = [VM, GUEST, QMP]
INTERFACES = [MANAGER, SOURCE, *VM_INTERFACES]
REPORTER = f"{NAME}.Reporter"
MAPPING = f"{NAME}.Reporter.Mapping"
LOG_CONTROL = "org.freedesktop.LogControl1"
STANDARD = {"org.freedesktop.DBus.Introspectable", "org.freedesktop.DBus.Peer", "org.freedesktop.DBus.Properties"}


@pytest.fixture(scope="module")
def paths(libvirtd, guestbusd_factory):
    """A guestbusd with a QEMU VM that is shut off, and where its interfaces are."""
    machine = Machine(libvirtd, "web1").define()
    guestbusd_factory(sources={"local": libvirtd.uri})
    yield {MANAGER: ROOT, SOURCE: f"{ROOT}/source/local", VM: machine.path, GUEST: machine.path, QMP: machine.path}
    machine.undefine()


@pytest.fixture(scope="module")
def tool(world, paths):
    """Run a program on the private bus; its output."""
    def run(*words, **options):
        return subprocess.run([str(word) for word in words], env={**os.environ, **bus_environment(world)}, timeout=60,
                              check=True, capture_output=True, text=True, **options).stdout
    return run


def bus_environment(world):
    return {"DBUS_SYSTEM_BUS_ADDRESS": world.bus.address, "LC_ALL": "C.UTF-8"}


# -- introspection ----------------------------------------------------------------------------------

@pytest.mark.parametrize("name", INTERFACES)
def test_interface_is_as_documented(client, paths, name):
    published = interface.published(client, paths[name])
    assert name in published
    assert published[name] == interface.documented(name)


def test_objects_have_no_other_interfaces(client, paths):
    expected = {
        ROOT: {MANAGER, OBJECT_MANAGER},
        paths[SOURCE]: {SOURCE},
        paths[VM]: set(VM_INTERFACES),
    }
    for path, names in expected.items():
        found = set(interface.published(client, path)) - STANDARD
        # sd-bus offers ObjectManager on every object below a manager.
        assert found - {OBJECT_MANAGER} == names - {OBJECT_MANAGER}, path
    assert OBJECT_MANAGER in interface.published(client, ROOT)
    assert LOG_CONTROL in interface.published(client, "/org/freedesktop/LogControl1")


def test_tree_leads_to_every_object(client, paths):
    assert f"{ROOT}/vm" in interface.children(client, ROOT) or paths[VM] in interface.children(client, ROOT)
    listed, found = [ROOT], set()
    while listed:
        path = listed.pop()
        found.add(path)
        listed += [child for child in interface.children(client, path) if child not in found]
    assert set(client.managed_objects()) <= found
    assert paths[VM] in found and paths[SOURCE] in found


@pytest.mark.parametrize("name", INTERFACES)
def test_values_have_the_documented_types(client, paths, name):
    """GetAll has every property but the explicit ones, which Get has, each of its type."""
    check_types(client, paths[name], name)


def check_types(client, path, name):
    properties = {key.split()[1]: value for key, value in interface.documented(name).items()
                  if key.startswith("property")}
    pending = client.start("GetAll", "(s)", name, path=path, interface="org.freedesktop.DBus.Properties")
    pending.result()
    values = pending.variant.get_child_value(0)
    found = {}
    for index in range(values.n_children()):
        entry = values.get_child_value(index)
        found[entry.get_child_value(0).unpack()] = entry.get_child_value(1).get_variant().get_type_string()
    assert found == {key: value["type"] for key, value in properties.items() if value["explicit"] == "false"}
    for key in properties.keys() - found.keys():
        pending = client.start("Get", "(ss)", name, key, path=path, interface="org.freedesktop.DBus.Properties")
        pending.result()
        assert pending.variant.get_child_value(0).get_variant().get_type_string() == properties[key]["type"]


def test_managed_objects_leave_out_what_is_large(client, paths):
    objects = client.managed_objects()
    for path, name in ((paths[name], name) for name in INTERFACES if name != MANAGER):
        expected = {key.split()[1] for key, value in interface.documented(name).items()
                    if key.startswith("property") and value["explicit"] == "false"}
        assert set(objects[path][name]) == expected


def test_added_interfaces_are_complete(client, signals, paths, libvirtd):
    """InterfacesAdded tells as much of a new VM as GetManagedObjects, but for what only invalidates."""
    machine = Machine(libvirtd, "new1").define()
    try:
        added = signals.wait("InterfacesAdded", where=lambda path, _: path == machine.path).args[1]
        for name in VM_INTERFACES:
            expected = {key.split()[1] for key, value in interface.documented(name).items()
                        if key.startswith("property") and value["emits"] != "invalidates"}
            assert set(added[name]) == expected
    finally:
        machine.undefine()
    removed = signals.wait("InterfacesRemoved", where=lambda path, _: path == machine.path).args[1]
    assert set(VM_INTERFACES) <= set(removed)


# -- the reporter -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def reporter_paths(world, client, paths):
    """A reporter with one mapping, whose server cannot be reached, as guestbusd shows it."""
    reporter = service_reporter(world)
    reporter.write("etc/rhsm/rhsm.conf", "[server]\nhostname = localhost\nport = 1\n")
    reporter.fake("one", host("h1", guest("A")))
    reporter.start_service()
    found = {}

    def shown():
        found.update({name: path for path, interfaces in client.managed_objects().items() for name in interfaces})
        return REPORTER in found and MAPPING in found
    wait_until(shown, 20, "the reporter's objects")
    yield found
    reporter.close()


@pytest.mark.parametrize("name", [REPORTER, MAPPING])
def test_reporter_is_as_documented(client, reporter_paths, name):
    published = interface.published(client, reporter_paths[name])
    assert set(published) - STANDARD - {OBJECT_MANAGER} == {name}
    assert published[name] == interface.documented(name)
    assert reporter_paths[REPORTER] == f"{ROOT}/reporter"
    assert reporter_paths[MAPPING].startswith(f"{ROOT}/reporter/")


@pytest.mark.parametrize("name", [REPORTER, MAPPING])
def test_values_of_the_reporter_have_the_documented_types(client, reporter_paths, name):
    check_types(client, reporter_paths[name], name)


def test_every_interface_is_compared():
    assert set(interface.all_names()) == {*INTERFACES, REPORTER, MAPPING}


# -- other people's tools ---------------------------------------------------------------------------

def test_busctl_tree(tool, paths):
    lines = tool("busctl", "--no-pager", "--list", "tree", NAME).split()
    assert {ROOT, paths[SOURCE], paths[VM]} <= set(lines)


def test_busctl_introspect(tool, paths):
    text = tool("busctl", "--no-pager", "introspect", NAME, paths[VM], VM)
    assert re.search(r'^\.Name +property +s +"web1" +emits-change$', text, re.M)
    assert re.search(r'^\.UUID +property +s +"[0-9a-f-]{36}" +const$', text, re.M)
    assert re.search(r"^\.Start +method +a\{sv\} +- +-$", text, re.M)
    assert re.search(r"^\.OpenConsole +method +sa\{sv\} +h +-$", text, re.M)


def test_busctl_reads_a_property(tool, paths):
    assert tool("busctl", "get-property", NAME, paths[VM], VM, "State") == 's "shut-off"\n'


def test_gdbus_introspect(tool, paths):
    text = tool("gdbus", "introspect", "--system", "--dest", NAME, "--object-path", paths[VM])
    assert "interface org.guestbus1.VM {" in text
    assert "readonly s Name = 'web1';" in text
    assert re.search(r"OpenGraphics\(in  u index,\n *in  a\{sv\} options,\n *out h fd\);", text)


def test_gdbus_monitor(fresh_world):
    """A start made behind our back, in gdbus's words; in another world, for in this one the name is taken."""
    libvirtd = fresh_world.libvirtd()
    libvirtd.test_domains["watched"] = DriverDomain("watched")
    libvirtd.restart()
    fresh_world.guestbusd(sources={"local": libvirtd.test_uri})
    with subprocess.Popen(["stdbuf", "-oL", "gdbus", "monitor", "--system", "--dest", NAME], text=True,
                          env={**os.environ, **bus_environment(fresh_world)}, stdout=subprocess.PIPE) as monitor:
        try:
            # The match is at the bus when it says whose name it follows.
            wait_until_line(monitor, "is owned by")
            libvirtd.virsh("start", "watched", uri=libvirtd.test_uri)
            line = wait_until_line(monitor, "'State': <'running'>")
        finally:
            monitor.terminate()
    assert "org.freedesktop.DBus.Properties.PropertiesChanged ('org.guestbus1.VM'" in line


def wait_until_line(process, text):
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"the output ended without {text!r}")


# -- ten lines of python ----------------------------------------------------------------------------

DASBUS = """
from dasbus.connection import SystemMessageBus

bus = SystemMessageBus()
manager = bus.get_proxy("org.guestbus1", "/org/guestbus1")
vm = bus.get_proxy("org.guestbus1", manager.GetVM("web1"))
print(manager.VMCount, vm.Name, vm.State)
for name, uuid, source, state, path in manager.ListVMs():
    print(name, source, state)
"""

PYTHON_DBUS = """
import dbus

bus = dbus.SystemBus()
manager = bus.get_object("org.guestbus1", "/org/guestbus1")
objects = manager.GetManagedObjects(dbus_interface="org.freedesktop.DBus.ObjectManager")
for path, interfaces in objects.items():
    if "org.guestbus1.VM" in interfaces:
        vm = interfaces["org.guestbus1.VM"]
        print(vm["Name"], vm["State"])
"""


def test_dasbus_client(tool, paths):
    assert tool(sys.executable, "-c", DASBUS) == "1 web1 shut-off\nweb1 local shut-off\n"


def test_python_dbus_client(tool, paths):
    assert tool(sys.executable, "-c", PYTHON_DBUS) == "web1 shut-off\n"
