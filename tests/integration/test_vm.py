# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.guestbus1.VM on libvirt's test driver: methods, events behind our back, names, many sources."""
import pytest
from gi.repository import GLib

from testbed.client import BusError

VM = "org.guestbus1.VM"
ROOT = "/org/guestbus1"
ERROR = "org.guestbus1.Error."


@pytest.fixture(scope="module")
def daemon(guestbusd_factory, test_libvirtd):
    test_libvirtd.define_test_domains(3)
    return guestbusd_factory(sources={"test": test_libvirtd.test_uri})


def path_of(test_libvirtd, name, label="test"):
    uuid = test_libvirtd.virsh("domuuid", name, uri=test_libvirtd.test_uri).strip()
    return f"{ROOT}/vm/{label}/{uuid.replace('-', '_')}"


@pytest.fixture
def vm(daemon, client, test_libvirtd):
    """vm0000, running, as every test finds it."""
    path = path_of(test_libvirtd, "vm0000")
    state = client.get(path, VM, "State")
    if state == "shut-off":
        act(client, path, "Start")
    elif state == "paused":
        act(client, path, "Resume")
    return path


def act(client, path, method, signature="(a{sv})", *args, options=None):
    return client.call(method, signature, *args, options or {}, path=path, interface=VM)


def virsh(test_libvirtd, *words):
    return test_libvirtd.virsh(*words, uri=test_libvirtd.test_uri)


def error_of(call):
    with pytest.raises(BusError) as caught:
        call()
    return caught.value


STEPS = [
    ("Pause", "(a{sv})", (), {"State": "paused", "StateReason": "user"}),
    ("Resume", "(a{sv})", (), {"State": "running", "StateReason": "unpaused"}),
    ("SetMemory", "(ta{sv})", (32 << 20,), {"MemoryActual": 32 << 20}),
    ("SetAutostart", "(ba{sv})", (True,), {"Autostart": True}),
    ("SetAutostart", "(ba{sv})", (False,), {"Autostart": False}),
    ("ForceOff", "(a{sv})", (), {"State": "shut-off", "Id": -1}),
    ("Start", "(a{sv})", (), {"State": "running", "StateReason": "booted"}),
    ("Shutdown", "(sa{sv})", ("",), {"State": "shut-off", "StateReason": "shutdown"}),
    ("Start", "(a{sv})", (), {"State": "running"}),
    ("Save", "(a{sv})", (), {"State": "shut-off", "StateReason": "saved"}),
    ("Start", "(a{sv})", (), {"State": "running"}),
]


def test_each_method_changes_the_property_before_its_reply(vm, client, signals):
    for method, signature, args, expected in STEPS:
        signals.clear()
        act(client, vm, method, signature, *args)
        told = {}
        for changed, _ in signals.changes(vm, VM):
            told.update(changed)
        properties = client.get_all(vm, VM)
        assert {name: properties[name] for name in expected} == expected, method
        assert {name: told.get(name) for name in expected if name in ("State", "Autostart", "Id")} == \
            {name: value for name, value in expected.items() if name in ("State", "Autostart", "Id")}, method


def test_reset_and_reboot(vm, client):
    act(client, vm, "Reboot", "(sa{sv})", "")
    assert client.get(vm, VM, "State") == "running"
    act(client, vm, "Reset")
    assert client.get(vm, VM, "State") == "running"


def test_an_option_that_the_driver_lacks(vm, client):
    act(client, vm, "ForceOff")
    caught = error_of(lambda: act(client, vm, "Start", options={"paused": _bool(True)}))
    assert caught.name == ERROR + "NotSupported"


def _bool(value):
    return GLib.Variant("b", value)


def _string(value):
    return GLib.Variant("s", value)


@pytest.mark.parametrize("method, signature, args, error", [
    ("Start", "(a{sv})", (), "AlreadyRunning"),
    ("Wakeup", "(a{sv})", (), "NotSupported"),
    ("Shutdown", "(sa{sv})", ("hard",), "InvalidArgument"),
    ("Shutdown", "(sa{sv})", ("agent",), "AgentNotConnected"),
    ("SetMemory", "(ta{sv})", (0,), "InvalidArgument"),
    ("SetMemory", "(ta{sv})", (1025,), "InvalidArgument"),
    ("OpenGraphics", "(ua{sv})", (7,), "InvalidArgument"),
    ("OpenConsole", "(sa{sv})", ("",), "NotSupported"),
])
def test_typed_errors_of_a_running_vm(vm, client, method, signature, args, error):
    assert error_of(lambda: act(client, vm, method, signature, *args)).name == ERROR + error


@pytest.mark.parametrize("method, signature, args", [
    ("Pause", "(a{sv})", ()), ("Resume", "(a{sv})", ()), ("ForceOff", "(a{sv})", ()), ("Reset", "(a{sv})", ()),
    ("Shutdown", "(sa{sv})", ("",)), ("Reboot", "(sa{sv})", ("",)), ("Save", "(a{sv})", ()),
    ("OpenGraphics", "(ua{sv})", (0,)), ("OpenConsole", "(sa{sv})", ("",)),
])
def test_not_running(vm, client, method, signature, args):
    act(client, vm, "ForceOff")
    caught = error_of(lambda: act(client, vm, method, signature, *args))
    assert caught.name == ERROR + "NotRunning", caught
    assert "vm0000" in str(caught)


def test_unknown_option_and_wrong_type(vm, client):
    assert error_of(lambda: act(client, vm, "Start", options={"pawsed": _bool(True)})).name == ERROR + "InvalidArgument"
    assert error_of(lambda: act(client, vm, "Start", options={"paused": _string("yes")})).name == ERROR + "InvalidArgument"
    assert error_of(lambda: client.call("Start", "(s)", "x", path=vm, interface=VM)).name == \
        "org.freedesktop.DBus.Error.InvalidArgs"
    assert client.get(vm, VM, "State") == "running"


def test_unknown_paths(daemon, client):
    nobody = f"{ROOT}/vm/test/00000000_0000_0000_0000_000000000000"
    assert error_of(lambda: client.get_all(nobody, VM)).name == "org.freedesktop.DBus.Error.UnknownObject"
    assert error_of(lambda: act(client, nobody, "Start")).name == "org.freedesktop.DBus.Error.UnknownObject"
    assert error_of(lambda: client.call("GetVM", "(s)", "nobody")).name == ERROR + "NoSuchVM"


def test_get_xml(vm, client):
    assert "<name>vm0000</name>" in act(client, vm, "GetXML")
    inactive = act(client, vm, "GetXML", options={"inactive": _bool(True)})
    assert "<domain type='test'>" in inactive


def test_lookup_by_name_and_uuid(vm, client):
    uuid = client.get(vm, VM, "UUID")
    assert client.call("GetVM", "(s)", "vm0000") == vm
    assert client.call("GetVM", "(s)", uuid) == vm
    assert client.call("GetVM", "(s)", uuid.upper()) == vm
    assert ("vm0000", uuid, "test", "running", vm) in client.call("ListVMs")


def test_changes_behind_our_back_come_by_events(vm, client, signals, test_libvirtd):
    for words, expected in [(("suspend",), "paused"), (("resume",), "running"), (("destroy",), "shut-off"),
                            (("start",), "running"), (("shutdown",), "shut-off"), (("start",), "running")]:
        signals.clear()
        virsh(test_libvirtd, words[0], "vm0000")
        signals.wait_changed(vm, VM, State=expected)
        assert client.get(vm, VM, "State") == expected


def test_what_has_no_event_is_read_after_the_next_lifecycle_event(vm, client, signals, test_libvirtd):
    virsh(test_libvirtd, "autostart", "vm0000")
    virsh(test_libvirtd, "suspend", "vm0000")
    signals.wait_changed(vm, VM, Autostart=True)
    virsh(test_libvirtd, "autostart", "--disable", "vm0000")
    virsh(test_libvirtd, "resume", "vm0000")
    signals.wait_changed(vm, VM, Autostart=False)


def test_one_signal_for_one_event(vm, signals, client, test_libvirtd):
    virsh(test_libvirtd, "suspend", "vm0000")
    changed = signals.wait_changed(vm, VM, State="paused")
    assert set(changed) == {"State", "StateReason", "StateSince"}
    client.get(vm, VM, "State")
    states = [c for c, _ in signals.changes(vm, VM) if "State" in c]
    assert len(states) == 1


def test_nothing_is_signalled_when_nothing_changed(vm, client, signals):
    act(client, vm, "SetAutostart", "(ba{sv})", False)
    signals.clear()
    act(client, vm, "SetAutostart", "(ba{sv})", False)
    client.get(vm, VM, "State")
    assert signals.changes(vm, VM) == []


def test_define_and_undefine(daemon, client, signals, test_libvirtd):
    count = client.get(ROOT, "org.guestbus1.Manager", "VMCount")
    test_libvirtd.define_test_domain("newcomer")
    path = path_of(test_libvirtd, "newcomer")
    added = signals.wait("InterfacesAdded", where=lambda p, _: p == path).args[1]
    assert added[VM]["Name"] == "newcomer"
    assert added[VM]["State"] == "shut-off"
    assert client.get(ROOT, "org.guestbus1.Manager", "VMCount") == count + 1
    assert len(signals.matching("InterfacesAdded", where=lambda p, _: p == path)) == 1
    virsh(test_libvirtd, "undefine", "newcomer")
    removed = signals.wait("InterfacesRemoved", where=lambda p, _: p == path).args[1]
    assert VM in removed
    assert error_of(lambda: client.get_all(path, VM)).name == "org.freedesktop.DBus.Error.UnknownObject"


def test_undefined_while_it_runs_stays_until_it_stops(daemon, client, signals, test_libvirtd):
    test_libvirtd.define_test_domain("passing", start=True)
    path = path_of(test_libvirtd, "passing")
    client.wait_property(path, VM, "State", "running")
    virsh(test_libvirtd, "undefine", "passing")
    signals.wait_changed(path, VM, Persistent=False)
    virsh(test_libvirtd, "destroy", "passing")
    signals.wait("InterfacesRemoved", where=lambda p, _: p == path)


def test_a_rename_is_one_change_of_one_object(daemon, client, signals, test_libvirtd):
    test_libvirtd.define_test_domain("oldname")
    path = path_of(test_libvirtd, "oldname")
    signals.wait("InterfacesAdded", where=lambda p, _: p == path)
    virsh(test_libvirtd, "domrename", "oldname", "newname")
    signals.wait_changed(path, VM, Name="newname")
    assert client.call("GetVM", "(s)", "newname") == path
    assert [c for c, _ in signals.changes(path, VM)] == [{"Name": "newname"}]
    assert signals.matching("InterfacesRemoved", where=lambda p, _: p == path) == []
    virsh(test_libvirtd, "undefine", "newname")
    signals.wait("InterfacesRemoved", where=lambda p, _: p == path)


ODD_NAMES = ["with 'quotes' \"both\"", "back\\slash", "ünï-cödé-名前", "semi;colon $(x) `y`", "%s%n%d"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names(daemon, client, signals, test_libvirtd, name):
    domain = test_libvirtd.define_test_domain(name)
    signals.wait("InterfacesAdded", where=lambda _, interfaces: interfaces.get(VM, {}).get("Name") == name)
    path = client.call("GetVM", "(s)", name)
    assert client.get(path, VM, "Name") == name
    virsh(test_libvirtd, "undefine", client.get(path, VM, "UUID"))
    signals.wait("InterfacesRemoved", where=lambda p, _: p == path)
    del domain


def test_long_texts_are_cut_at_a_character_and_say_so(daemon, client, signals, test_libvirtd):
    title, description = "ä" * 2000, "語" * 2000
    test_libvirtd.define_test_domain(
        "wordy", more=f"<title>{title}</title><description>{description}</description>")
    path = path_of(test_libvirtd, "wordy")
    signals.wait("InterfacesAdded", where=lambda p, _: p == path)
    properties = client.get_all(path, VM)
    assert properties["Truncated"] is True
    assert properties["Title"] == "ä" * 127
    assert properties["Description"] == "語" * 341
    assert client.call("GetVM", "(s)", "wordy") == path
    virsh(test_libvirtd, "undefine", "wordy")
    signals.wait("InterfacesRemoved", where=lambda p, _: p == path)


def test_title_and_metadata_follow(vm, client, signals, test_libvirtd):
    virsh(test_libvirtd, "desc", "vm0000", "--title", "--config", "--live", "The first")
    signals.wait_changed(vm, VM, Title="The first")
    virsh(test_libvirtd, "metadata", "vm0000", "http://libosinfo.org/xmlns/libvirt/domain/1.0",
          "--key", "libosinfo", "--live", "--config", "--set",
          "<libosinfo><os id='http://debian.org/debian/12'/></libosinfo>")
    signals.wait_changed(vm, VM, OSID="http://debian.org/debian/12")
