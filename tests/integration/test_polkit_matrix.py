# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every acting method of the running service x who calls it, with the real polkitd and the shipped rules.

The methods come from the service's own introspection, so a new one is in the matrix without a line here.
"""
import functools
import xml.etree.ElementTree as ET

import pytest
from gi.repository import GLib

from testbed import user
from testbed.client import BusError, GUEST, MANAGER, ROOT, SOURCE as SOURCE_INTERFACE, VM
from testbed.wait import wait_until
from testbed.world import SOURCE

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
INTERACTION = "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"
RATE_LIMITED = "org.guestbus1.Error.RateLimited"
EXAMPLES = SOURCE / "polkit" / "examples"
TRUE = GLib.Variant("b", True)

# What web1's operator may do, after the example rule.
WEB_METHODS = {(VM, "Start"), (VM, "Wakeup"), (VM, "Shutdown"), (VM, "Reboot"),
               (GUEST, "Shutdown"), (GUEST, "Reboot"), (GUEST, "CancelShutdown")}

# A value for each argument, good enough to get past the checks that come before the question.
VALUES = {"s": "x", "u": 0, "t": 32 << 20, "b": False, "a{sv}": {}}
NAMED_VALUES = {"mode": "", "device": "", "message": ""}

DISPLAY = "<devices><graphics type='vnc' port='5999' autoport='no'/><console type='pty'/></devices>"

REFUSE = """polkit.addRule(function(action, subject) {
    if (subject.user === "gbtest-refused" && action.id.indexOf("org.guestbus1.") === 0)
        return polkit.Result.NO;
});
"""


def example(name, placeholder, actual):
    text = (EXAMPLES / name).read_text()
    assert f'"{placeholder}"' in text
    return text.replace(f'"{placeholder}"', f'"{actual}"')


@pytest.fixture(scope="module")
def objects(world, guestbusd_factory, test_libvirtd):
    """name → path of what the calls go to: manager, source, web1 and db1 (running)."""
    world.polkit.add_rule("40-guestbus-operators.rules",
                          example("40-guestbus-operators.rules", "operators", "gbtest-operators"))
    world.polkit.add_rule("41-guestbus-web.rules", example("41-guestbus-web.rules", "alice", "gbtest-web"))
    world.polkit.add_rule("42-refuse.rules", REFUSE)
    for name in ("web1", "db1"):
        test_libvirtd.define_test_domain(name, more=DISPLAY, start=True)
    guestbusd_factory(sources={"local": test_libvirtd.test_uri})
    paths = {name: world.client.call("GetVM", "(s)", name) for name in ("web1", "db1")}
    return {"manager": ROOT, "source": f"{ROOT}/source/local", **paths}


def restore(world, objects):
    """What the calls of the test before have left is as at the beginning: connected, and both VMs running."""
    world.client.wait_property(objects["source"], SOURCE_INTERFACE, "Connected", True, 30)
    for name in ("web1", "db1"):
        state = world.client.get(objects[name], VM, "State")
        if state != "running":
            world.client.call("Resume" if state == "paused" else "Start", "(a{sv})", {}, path=objects[name],
                              interface=VM)


def arguments_of(method):
    return [arg for arg in method.iter("arg") if arg.get("direction") != "out"]


@functools.lru_cache(maxsize=None)
def members_of(world, path):
    """(interface, member, signature, values) of every method of ours at a path that takes options."""
    found = []
    for interface in ET.fromstring(world.client.introspect(path)).iter("interface"):
        if not interface.get("name").startswith("org.guestbus1."):
            continue
        for method in interface.iter("method"):
            arguments = arguments_of(method)
            types = [arg.get("type") for arg in arguments]
            if types[-1:] != ["a{sv}"]:
                continue
            values = [NAMED_VALUES.get(arg.get("name"), VALUES[arg.get("type")]) for arg in arguments]
            if (interface.get("name"), method.get("name")) == (VM, "GetXML"):
                values[-1] = {"secrets": TRUE}
            found.append((interface.get("name"), method.get("name"), f"({''.join(types)})", tuple(values)))
    return found


def described_methods():
    """What the interface XML has of it; the reporter's objects are not here without a reporter."""
    methods = set()
    for name in (MANAGER, SOURCE_INTERFACE, VM, GUEST):
        for method in ET.parse(SOURCE / "dbus" / f"{name}.xml").getroot().iter("method"):
            if [arg.get("type") for arg in arguments_of(method)][-1:] == ["a{sv}"]:
                methods.add((name, method.get("name")))
    assert len(methods) > 20
    return methods


def acting_calls(world, objects, vm="web1"):
    """Every acting method: (interface, member, signature, values, path). Those that need the VM running come
    first, Reconnect and Reload last."""
    calls = [(*member, path) for path in (objects[vm], objects["source"], objects["manager"])
             for member in members_of(world, path)]
    assert {(call[0], call[1]) for call in calls} >= described_methods()
    return sorted(calls, key=lambda call: not call[1].startswith("Open"))


def outcome(caller, call, interactive=False):
    """allowed, when the gate let the call pass, whatever came of it; else the gate's error and text."""
    interface, member, signature, values, path = call
    try:
        caller.call(member, signature, *values, path=path, interface=interface,
                    interactive=interactive)
    except BusError as error:
        if error.name in (ACCESS_DENIED, INTERACTION, RATE_LIMITED):
            return error.name, error.message
    return "allowed", ""


def outcomes(world, objects, caller, vm="web1", interactive=False):
    restore(world, objects)
    return {(call[0], call[1]): outcome(caller, call, interactive)
            for call in acting_calls(world, objects, vm)}


def unexpected(results, expected):
    """The methods whose outcome is not the expected one."""
    return {method: result for method, result in results.items() if result[0] != expected(method)}


@pytest.fixture
def caller_of(world):
    opened = []

    def make(name, *groups):
        opened.append(world.caller(user.ensure_user(name, ["guestbus", *groups])))
        return opened[-1]
    yield make
    for caller in opened:
        if caller.process.alive:
            caller.close()


# -- the matrix -------------------------------------------------------------------------------------

def test_root(world, objects):
    results = outcomes(world, objects, world.client)
    assert not unexpected(results, lambda method: "allowed")


def test_allowed_by_rule(world, objects, caller_of):
    results = outcomes(world, objects, caller_of("gbtest-operator", "gbtest-operators"))
    assert not unexpected(results, lambda method: "allowed")


def test_refused_by_rule(world, objects, caller_of):
    results = outcomes(world, objects, caller_of("gbtest-refused"), interactive=True)
    assert not unexpected(results, lambda method: ACCESS_DENIED)
    assert all("denied by polkit" in text for _, text in results.values())


def test_allowed_for_web_only(world, objects, caller_of):
    caller = caller_of("gbtest-web")
    web = outcomes(world, objects, caller, "web1")
    assert not unexpected(web, lambda method: "allowed" if method in WEB_METHODS else ACCESS_DENIED)
    other = outcomes(world, objects, caller, "db1", interactive=True)
    assert not unexpected(other, lambda method: ACCESS_DENIED)


def test_agent_approves(world, objects, caller_of):
    caller = caller_of("gbtest-guestbus")
    agent = world.agent(caller.pid, answer="yes")
    results = outcomes(world, objects, caller, interactive=True)
    assert not unexpected(results, lambda method: "allowed")
    questions = agent.questions()
    assert len(questions) == len(results)
    assert all("“web1”" in question["message"] for question in questions
               if question["action"].startswith(("org.guestbus1.vm.", "org.guestbus1.guest.")))
    agent.close()


def test_agent_dismisses(world, objects, caller_of):
    caller = caller_of("gbtest-guestbus")
    agent = world.agent(caller.pid, answer="cancel")
    results = outcomes(world, objects, caller, interactive=True)
    assert not unexpected(results, lambda method: ACCESS_DENIED)
    assert all("dismissed" in text for _, text in results.values())
    agent.close()


def test_question_not_allowed(world, objects, caller_of):
    caller = caller_of("gbtest-guestbus")
    agent = world.agent(caller.pid, answer="yes")
    results = outcomes(world, objects, caller)
    assert not unexpected(results, lambda method: INTERACTION)
    assert not agent.questions()
    agent.close()


def test_no_polkit(world, objects, caller_of):
    caller = caller_of("gbtest-operator", "gbtest-operators")
    world.polkit.stop()
    try:
        results = outcomes(world, objects, caller, interactive=True)
        assert not unexpected(results, lambda method: ACCESS_DENIED)
        assert all("polkit is not available" in text for _, text in results.values())
        assert not unexpected(outcomes(world, objects, world.client), lambda method: "allowed")
    finally:
        world.polkit.start()


def test_installed_rule_for_libvirt(world, objects):
    """vm.* is theirs, as it is with virsh; the inside of guests and the service are not."""
    caller = world.caller(user.libvirt_user())
    results = outcomes(world, objects, caller)
    shutdown = {(GUEST, member) for member in ("Shutdown", "Reboot", "CancelShutdown")}
    assert not unexpected(
        results, lambda method: "allowed" if method[0] == VM or method in shutdown else INTERACTION)
    caller.close()


# -- what is free -----------------------------------------------------------------------------------

def test_reading_is_free(world, objects, caller_of):
    restore(world, objects)
    caller = caller_of("gbtest-refused")
    assert {"web1", "db1"} <= {row[0] for row in caller.call("ListVMs")}
    assert caller.call("GetVM", "(s)", "web1") == objects["web1"]
    assert caller.get(objects["web1"], VM, "Name") == "web1"
    assert "<name>web1</name>" in caller.call("GetXML", "(a{sv})", {}, path=objects["web1"], interface=VM)


# -- crowds -----------------------------------------------------------------------------------------

def test_a_third_is_served(world, objects, caller_of):
    """200 acting calls of one user at once, 8 open questions of another, and a third."""
    restore(world, objects)
    asked = caller_of("gbtest-guestbus")
    agent = world.agent(asked.pid, delay=3600)
    for _ in range(8):
        asked.start("ForceOff", "(a{sv})", {}, path=objects["db1"], interface=VM, interactive=True)
    agent.wait("question", 8)
    crowd = [caller_of("gbtest-refused") for _ in range(2)]
    pendings = [caller.start("Pause", "(a{sv})", {}, path=objects["web1"], interface=VM)
                for caller in crowd for _ in range(100)]
    third = caller_of("gbtest-operator", "gbtest-operators")
    for enabled in (True, False, True):
        third.call("SetAutostart", "(ba{sv})", enabled, {}, path=objects["web1"], interface=VM)
    wait_until(lambda: all(pending.done for pending in pendings), 60, "answers to all")
    assert {pending.answer.get("error") for pending in pendings} <= {ACCESS_DENIED, RATE_LIMITED}
    assert len(agent.questions()) == 8
    asked.kill()
    agent.wait("withdrawn", 8)
    agent.close()


# -- outsiders --------------------------------------------------------------------------------------

def test_outsider_hears_nothing(world, objects, test_libvirtd, fresh_world):
    """From before the start until after the end: the bus keeps our signals from others only while we own our
    name, so there must be none without it."""
    outsider, member = (fresh_world.caller(who) for who in (user.plain_user(), user.guestbus_user()))
    restore(world, objects)
    for caller in (outsider, member):
        caller.record(None)
    daemon = fresh_world.guestbusd(sources={"local": test_libvirtd.test_uri})
    path = fresh_world.client.call("GetVM", "(s)", "db1")
    fresh_world.client.call("Pause", "(a{sv})", {}, path=path, interface=VM)
    with pytest.raises(BusError) as error:
        outsider.call("ListVMs")
    assert error.value.name == ACCESS_DENIED
    daemon.stop()
    for caller in (outsider, member):
        caller.call("GetId", dest="org.freedesktop.DBus", path="/org/freedesktop/DBus",
                    interface="org.freedesktop.DBus")
    assert [signal for signal in member.signals if signal.path == path]
    assert not [str(signal) for signal in outsider.signals if signal.path.startswith(ROOT)]
