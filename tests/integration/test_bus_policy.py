# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who reaches the service at all: the bus policies on a real dbus-daemon."""

import pytest
from gi.repository import GLib

from gate import Gate
from testbed import user
from testbed.client import BusError, MANAGER, NAME, PROPERTIES, QMP, ROOT, VM
from testbed.process import Process
from testbed.wait import wait_until
from testbed.world import SOURCE

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
REPORTER = "org.guestbus1.Reporter"
LOG_CONTROL = ("/org/freedesktop/LogControl1", "org.freedesktop.LogControl1")
BUS = {"dest": "org.freedesktop.DBus", "path": "/org/freedesktop/DBus", "interface": "org.freedesktop.DBus"}
OWNER, DENIED = 1, "denied"
DEBUG = GLib.Variant("s", "debug")


@pytest.fixture(scope="module")
def gate(world):
    opened = Gate(world)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def outsider(world):
    return world.caller(user.plain_user())


@pytest.fixture(scope="module")
def reporter(world):
    return world.caller(user.reporter_user())


@pytest.fixture(scope="module", params=["guestbus_user", "libvirt_user"])
def member(request, world):
    return world.caller(getattr(user, request.param)())


@pytest.fixture
def desktop(world):
    """The desktop policy, enabled as its comment says: read after the package's own."""
    path = world.bus.dir / "system.conf"
    text = path.read_text()
    policy = SOURCE / "data" / "org.guestbus1-desktop.conf"
    copy = world.bus.dir / "enabled.conf"
    copy.write_text(policy.read_text())
    path.write_text(text.replace("</busconfig>", f"<include>{copy}</include></busconfig>"))
    world.bus.ask("ReloadConfig")
    yield
    path.write_text(text)
    world.bus.ask("ReloadConfig")


def rejected(caller, member, *args, **options):
    """True when the bus itself refused the call; an answer of the service is a failure of the test."""
    try:
        caller.call(member, *args, **options)
    except BusError as error:
        return error.name == ACCESS_DENIED and "Rejected send message" in error.message
    return False


def own(caller, name):
    try:
        return caller.call("RequestName", "(su)", name, 4, **BUS)
    except BusError as error:
        assert error.name == ACCESS_DENIED
        return DENIED


def heard(callers, gate):
    """The interfaces of three signals, as far as each of the callers gets them."""
    for caller in callers:
        caller.record(None)
        caller.signals.clear()
    for interface in (VM, QMP, PROPERTIES):
        gate.emit(interface, "Test")
    # The bus delivers in order: who got this answer has got all signals before it.
    for caller in callers:
        caller.call("GetId", **BUS)
    return [[signal.interface for signal in caller.signals if signal.path == ROOT] for caller in callers]


def test_members_may_call_and_listen(gate, member):
    assert member.call("Introspect", path=ROOT, interface="org.freedesktop.DBus.Introspectable")
    assert member.call("Books", path=ROOT, interface=MANAGER)
    assert heard([member], gate) == [[VM, QMP, PROPERTIES]]


def test_properties_are_set_by_root_only(gate, member, reporter, world):
    path, interface = LOG_CONTROL
    for caller in (member, reporter):
        assert rejected(caller, "Set", "(ssv)", interface, "LogLevel", DEBUG, path=path,
                        interface=PROPERTIES)
    with pytest.raises(BusError) as error:  # reaches the service, which has no such object here
        world.client.call("Set", "(ssv)", interface, "LogLevel", DEBUG, path=path, interface=PROPERTIES)
    assert error.value.name == "org.freedesktop.DBus.Error.UnknownObject"


def test_outsiders_may_not_call(gate, outsider):
    assert rejected(outsider, "Books", path=ROOT, interface=MANAGER)
    assert rejected(outsider, "GetManagedObjects", path=ROOT, interface="org.freedesktop.DBus.ObjectManager")
    assert rejected(outsider, "Introspect", path=ROOT, interface="org.freedesktop.DBus.Introspectable")
    assert rejected(outsider, "GetAll", "(s)", VM, path=ROOT, interface=PROPERTIES)
    assert rejected(outsider, "Ping", path=ROOT, interface="org.freedesktop.DBus.Peer")


def test_outsiders_hear_nothing(world, gate, outsider):
    member = world.caller(user.guestbus_user())
    assert heard([outsider, member], gate) == [[], [VM, QMP, PROPERTIES]]


def test_gdbus_monitor_of_an_outsider(world, gate):
    monitors = {}
    for who in (user.plain_user(), user.guestbus_user()):
        monitors[who.name] = Process(
            world, f"monitor-{who.name}", ["gdbus", "monitor", "--address", world.bus.address, "--dest", NAME],
            user=who)
    inside, outside = monitors[user.guestbus_user().name], monitors[user.plain_user().name]
    for monitor in monitors.values():
        wait_until(lambda m=monitor: "is owned by" in m.log(), what=lambda m=monitor: f"monitor runs\n{m.log()}")

    def inside_heard():
        gate.emit(VM, "Test")
        return f"{VM}.Test" in inside.log()
    wait_until(inside_heard, what="the member's monitor hears")
    assert f"{VM}.Test" not in outside.log()
    for monitor in monitors.values():
        monitor.stop()


def test_polkit_answers_the_service(world, gate):
    """The rules against outsiders do not keep polkitd from answering."""
    member = world.caller(user.guestbus_user())
    with pytest.raises(BusError) as error:
        member.call("Start", path=f"{ROOT}/vm/local/web1", interface=VM)
    assert error.value.name.endswith("InteractiveAuthorizationRequired")


def test_names_have_one_possible_owner_each(world, outsider, member, reporter):
    service = world.caller(user.service_user())
    for caller in (outsider, member, reporter):
        assert own(caller, NAME) == DENIED
    for caller in (outsider, member, service):
        assert own(caller, REPORTER) == DENIED
    assert own(reporter, REPORTER) == OWNER
    reporter.call("ReleaseName", "(s)", REPORTER, **BUS)


def test_only_the_service_and_root_talk_to_the_reporter(world, outsider, member, reporter):
    service = world.caller(user.service_user())
    assert own(reporter, REPORTER) == OWNER
    to = {"dest": REPORTER, "path": "/", "interface": "org.freedesktop.DBus.Peer"}
    for caller in (outsider, member):
        assert rejected(caller, "Ping", **to)
    service.call("Ping", **to)
    world.client.call("Ping", **to)
    reporter.call("ReleaseName", "(s)", REPORTER, **BUS)


def test_reporter_is_a_client_of_the_service(gate, reporter):
    assert reporter.call("Books", path=ROOT, interface=MANAGER)
    assert heard([reporter], gate) == [[VM, QMP, PROPERTIES]]


def test_desktop_policy_opens_reading(world, gate, desktop):
    outsider, member = world.caller(user.plain_user()), world.caller(user.guestbus_user())
    assert outsider.call("Books", path=ROOT, interface=MANAGER)
    assert outsider.call("Introspect", path=ROOT, interface="org.freedesktop.DBus.Introspectable")
    # QMP events carry addresses of people; they stay with the groups.
    assert heard([outsider, member], gate) == [[VM, PROPERTIES], [VM, QMP, PROPERTIES]]
    # Acting is polkit's to decide, setting properties root's.
    with pytest.raises(BusError) as error:
        outsider.call("Start", path=f"{ROOT}/vm/local/web1", interface=VM)
    assert error.value.name.endswith("InteractiveAuthorizationRequired")
    assert rejected(outsider, "Set", "(ssv)", LOG_CONTROL[1], "LogLevel", DEBUG, path=LOG_CONTROL[0],
                    interface=PROPERTIES)
    assert own(outsider, NAME) == DENIED
