# SPDX-License-Identifier: LGPL-2.1-or-later
"""The testbed itself: the other tests mean nothing if its parts do not do what they say."""
import os
import subprocess
import sys

import pytest
from gi.repository import GLib

from testbed.client import BusError
from testbed.machine import Machine
from testbed.process import start_time
from testbed.user import service_user
from testbed.wait import wait_until
from testbed.world import World

ACTION = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE policyconfig PUBLIC "-//freedesktop//DTD PolicyKit Policy Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/PolicyKit/1/policyconfig.dtd">
<policyconfig><action id="org.example.test.reset">
<description>reset</description><message>Authentication is required to reset a VM</message>
<defaults><allow_any>auth_admin</allow_any><allow_inactive>no</allow_inactive><allow_active>yes</allow_active>
</defaults></action></policyconfig>"""

RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "org.example.test.reset" && action.lookup("name") == "web1")
        return polkit.Result.YES;
});"""


@pytest.fixture(scope="module")
def action(polkit, tmp_path_factory):
    path = tmp_path_factory.mktemp("action") / "org.example.test.policy"
    path.write_text(ACTION)
    polkit.install_action(path)
    return "org.example.test.reset"


def check(client, caller, action, details=None, interactive=False):
    """polkitd's answer as root sees it: (authorized, challenge, details)."""
    return client.call("CheckAuthorization", "((sa{sv})sa{ss}us)",
                       ("system-bus-name", {"name": GLib.Variant("s", caller.unique_name)}), action,
                       details or {}, int(interactive), "", dest="org.freedesktop.PolicyKit1",
                       path="/org/freedesktop/PolicyKit1/Authority",
                       interface="org.freedesktop.PolicyKit1.Authority")


@pytest.fixture(scope="module")
def caller(world, guestbus_user):
    return world.caller(guestbus_user)


def test_polkit_asks(client, caller, action):
    assert check(client, caller, action)[:2] == (False, True)


@pytest.mark.parametrize("answer, authorized", [("yes", True), ("no", False), ("cancel", False)])
def test_polkit_agent_answers(world, client, caller, action, answer, authorized):
    agent = world.agent(caller.pid, answer=answer)
    result = check(client, caller, action, interactive=True)
    assert result[0] is authorized
    assert ("polkit.dismissed" in result[2]) == (answer == "cancel")
    assert agent.questions()[0]["action"] == action
    agent.close()


def test_polkit_rules_come_and_go(polkit, client, caller, action):
    polkit.add_rule("10-test.rules", RULE)
    assert check(client, caller, action, {"name": "web1"})[0] is True
    assert check(client, caller, action, {"name": "db1"})[0] is False
    polkit.remove_rule("10-test.rules")
    assert check(client, caller, action, {"name": "web1"})[0] is False


def test_pretended_sessions_are_local(world, client, action, plain_user):
    active = world.caller(plain_user, session=world.polkit.sessions.open(plain_user, active=True))
    assert check(client, active, action)[0] is True
    inactive = world.caller(plain_user, session=world.polkit.sessions.open(plain_user, active=False))
    assert check(client, inactive, action)[:2] == (False, False)


def test_polkitd_killed_and_started(fresh_world):
    def ask():
        return fresh_world.client.get_all("/org/freedesktop/PolicyKit1/Authority",
                                          "org.freedesktop.PolicyKit1.Authority",
                                          dest="org.freedesktop.PolicyKit1")
    fresh_world.polkit.kill()
    with pytest.raises(BusError) as error:
        ask()
    assert error.value.name in ("org.freedesktop.DBus.Error.ServiceUnknown",
                                "org.freedesktop.DBus.Error.NameHasNoOwner")
    fresh_world.polkit.start()
    assert ask()["BackendName"]


def test_stock_bus_policy_denies_names(world, plain_user):
    with pytest.raises(BusError) as error:
        world.caller(plain_user).call("RequestName", "(su)", "org.example.Mine", 0,
                                      dest="org.freedesktop.DBus", path="/org/freedesktop/DBus",
                                      interface="org.freedesktop.DBus")
    assert error.value.name == "org.freedesktop.DBus.Error.AccessDenied"


def test_test_domains_outlive_a_kill(test_libvirtd):
    identity = test_libvirtd.define_test_domain("a <b> & \"c\"", start=True)
    test_libvirtd.kill()
    test_libvirtd.start()
    domain = test_libvirtd.holder.lookupByUUIDString(identity)
    assert domain.name() == "a <b> & \"c\"" and domain.isActive()


def test_libvirtds_have_their_own_domains(world, test_libvirtd):
    other = world.libvirtd()
    other.define_test_domain("only-there")
    assert "only-there" in other.virsh("list", "--all")
    assert "only-there" not in test_libvirtd.virsh("list", "--all")


def test_socket_is_for_group_libvirt(test_libvirtd, plain_user):
    for user, status in ((service_user(), 0), (plain_user, 1)):
        result = subprocess.run(["virsh", "-c", test_libvirtd.test_uri, "list"], user=user.uid,
                                group=user.gid, extra_groups=user.groups, env={"PATH": os.environ["PATH"]},
                                capture_output=True, check=False)
        assert result.returncode == status, result.stderr


def test_guest_boots_and_its_agent_answers(machine):
    assert machine.agent("guest-get-host-name")["host-name"] == "web1"
    assert [user["user"] for user in machine.agent("guest-get-users")] == ["alice"]
    machine.exec("gb-login bob; gb-login -d alice")
    assert [user["user"] for user in machine.agent("guest-get-users")] == ["bob"]
    assert machine.address in machine.libvirtd.virsh("domifaddr", "web1", "--source", "agent")


def test_guest_outlives_libvirtd(machine):
    machine.libvirtd.kill()
    machine.libvirtd.start()
    machine.wait_agent()


def test_frozen_agent_is_silent(machine):
    machine.freeze_agent()
    assert not machine.agent_answers()
    machine.destroy()
    machine.start().wait_ready()


def test_guest_hears_the_power_button(machine):
    machine.domain.shutdownFlags(1)
    machine.wait_state(active=False)
    machine.start().wait_ready()


def test_guest_gets_a_lease(world):
    libvirtd = world.libvirtd(qemu=True, network=True)
    network = libvirtd.start_dhcp_network()
    guest = Machine(libvirtd, "leased", network=network, address="dhcp").up()
    for source in ("lease", "agent"):
        wait_until(lambda: "192.0.2." in libvirtd.virsh("domifaddr", "leased", "--source", source), 30,
                   f"the address in libvirt's answer from {source}")
    guest.destroy()
    libvirtd.close()


def test_nothing_stays_when_the_run_is_killed(tmp_path):
    """SIGKILL for the owner of a world: the janitor ends its parts and removes its directory."""
    script = tmp_path / "owner.py"
    script.write_text(f"""
import sys, signal
sys.path.insert(0, {str(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))!r})
from testbed.world import World
world = World(); world.bus.start(); world.polkit.start(); lv = world.libvirtd()
print(world.dir, world.bus.process.pid, world.polkit.process.pid, lv.process.pid, flush=True)
signal.pause()
""")
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as owner:
        directory, *pids = owner.stdout.readline().split()
        started = {int(pid): start_time(int(pid)) for pid in pids}
        assert len(started) == 3 and all(started.values())
        owner.kill()
    wait_until(lambda: not os.path.exists(directory), 20, "the directory is gone")
    assert all(start_time(pid) != start for pid, start in started.items())


def test_two_worlds_do_not_meet():
    with World() as one, World() as two:
        one.bus.start()
        two.bus.start()
        name = one.client.unique_name
        assert one.bus.has_owner(name)
        two.bus.kill()
        assert one.bus.has_owner(name)
