# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbusctl, as people and scripts use it: what it prints, does and exits with."""
import json
import os
import re
import signal
import subprocess

import pytest

from conftest import WORLDS, open_world
from testbed.client import VM, source_path, vm_path
from testbed.libvirtd import name_uuid
from testbed.machine import Machine
from testbed.process import Process
from testbed.reporter import guest, host, service_reporter
from testbed.sshd import Sshd
from testbed.terminal import Terminal
from testbed.wait import FACTOR, wait_until

OK, FAILED, USAGE, NOT_FOUND, NOT_AUTHORIZED, UNREACHABLE = range(6)

# A name that a terminal would show reversed. Control characters do not come through libvirt or guestbusd.
EVIL, EVIL_SHOWN = "evil\u202eexe", r"evil\u202eexe"


class Ctl:
    """Runs guestbusctl in a world; the result has returncode, stdout and stderr."""

    def __init__(self, world):
        self.world = world
        self.program = world.executable("cli/guestbusctl/guestbusctl")
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": world.bus.address, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def run(self, *words, user=None, status=OK, text=None, env=None):
        identity = {"user": user.uid, "group": user.gid, "extra_groups": user.groups} if user else {}
        source = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
        result = subprocess.run([self.program, *words], env={**self.env, **(env or {})}, capture_output=True,
                                text=True, timeout=60 * FACTOR, check=False, cwd="/", **source, **identity)
        assert result.returncode == status, f"{result.stdout}{result.stderr}"
        return result

    def json(self, *words, **options):
        return json.loads(self.run("--json=short", *words, **options).stdout)

    def start(self, *words, **options):
        return Process(self.world, self.world.unique("ctl"), [self.program, *words],
                       env={**self.env, **options.pop("env", {})}, **options)

    def terminal(self, *words, **options):
        return Terminal(self.world, [self.program, *words], env={**self.env, **options.pop("env", {})}, **options)


@pytest.fixture(scope="module")
def places(world, client, guestbusd_factory):
    """Two sources: "here" with web1, db1 and a hostile name, "there" with another web1."""
    here, there = world.libvirtd(), world.libvirtd()
    here.define_test_domain("web1", start=True, more="<title>The first &quot;web&quot;</title>")
    here.define_test_domain("db1")
    here.define_test_domain(EVIL, more="<description>two\nlines</description>")
    there.define_test_domain("web1")
    guestbusd_factory(sources={"here": here.test_uri, "there": there.test_uri})
    # Names and states are there from the beginning, figures and titles follow.
    for source, name in (("here", "web1"), ("here", "db1"), ("here", EVIL), ("there", "web1")):
        client.wait_property(vm_path(source, name_uuid(name)), VM, "MemoryActual", 64 << 20)
    client.wait_property(vm_path("here", name_uuid("web1")), VM, "Title", 'The first "web"')
    client.wait_property(vm_path("here", name_uuid(EVIL)), VM, "Description", "two\nlines")
    return {"here": here, "there": there}


@pytest.fixture(scope="module")
def ctl(world, places):
    return Ctl(world)


@pytest.fixture
def web1(places, client):
    """The path of here/web1, which runs again afterwards."""
    path = vm_path("here", name_uuid("web1"))
    yield path
    domain = places["here"].holder.lookupByName("web1")
    if not domain.isActive():
        domain.create()
    elif domain.info()[0] != 1:
        domain.resume()
    client.wait_property(path, VM, "State", "running")


@pytest.fixture
def no_service(fresh_world):
    """guestbusctl in a world without guestbusd."""
    return Ctl(fresh_world)


# -- looking ----------------------------------------------------------------------------------------

def test_list(ctl, places):
    lines = ctl.run("list").stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATE", "ADDRESS", "HOST", "NAME", "VCPUS", "MEMORY", "SOURCE"]
    rows = [line.split() for line in lines[1:-2]]
    assert [row[0] for row in rows] == ["db1", EVIL_SHOWN, "test", "test", "web1", "web1"]
    assert rows[-2] == ["web1", "running", "1", "64", "MiB", "here"]
    assert rows[-1] == ["web1", "shut-off", "1", "64", "MiB", "there"]
    assert lines[-1] == "6 VMs, 3 running."
    assert ctl.run().stdout == ctl.run("list").stdout


def test_list_by_pattern(ctl):
    assert len(ctl.run("list", "--no-legend", "web*").stdout.splitlines()) == 2
    assert len(ctl.run("--no-legend", "list", "web?", "db1").stdout.splitlines()) == 3
    assert "no VM" in ctl.run("list", "nothing*", status=NOT_FOUND).stderr


def test_list_as_json(ctl, web1):
    vms = {vm["path"]: vm for vm in ctl.json("list")}
    assert vms[web1]["VM"]["Name"] == "web1"
    assert vms[web1]["VM"]["MemoryActual"] == 64 << 20
    assert {vm["VM"]["Name"] for vm in vms.values()} == {"web1", "db1", "test", EVIL}
    assert len(ctl.run("--json=short", "list").stdout.splitlines()) == 1
    assert json.loads(ctl.run("--json=pretty", "list").stdout) == list(vms.values())
    assert ctl.run("--json=off", "list").stdout == ctl.run("list").stdout


@pytest.mark.parametrize("words", [["list"], ["show", EVIL], ["--json=short", "list"], ["--json=pretty", "show", EVIL],
                                   ["xml", EVIL]])
def test_nothing_that_moves_a_terminal_is_printed(ctl, words):
    text = ctl.run(*words).stdout
    assert "evil" in text
    assert not [c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or 0x202a <= ord(c) <= 0x202e)]


def test_show(ctl, web1):
    lines = [line.split(":", 1) for line in ctl.run("show", "here/web1").stdout.splitlines() if ":" in line]
    values = {key.strip(): value.strip() for key, value in lines}
    assert values["Name"] == "web1"
    assert values["Title"] == 'The first "web"'
    assert values["UUID"] == name_uuid("web1")
    assert values["Object"] == web1
    assert values["State"].startswith("running (")
    assert values["Memory"] == "64 MiB of at most 64 MiB"
    assert values["Autostart"] == "no"


def test_show_keeps_a_description_on_its_line(ctl):
    assert r"two\nlines" in ctl.run("show", EVIL).stdout


def test_show_as_json(ctl, web1):
    vm = ctl.json("show", web1)
    assert vm["path"] == web1
    assert vm["VM"]["State"] == "running"


def test_xml(ctl, places):
    xml = ctl.run("xml", "here/web1").stdout
    assert xml.startswith("<domain type='test'") and "<name>web1</name>" in xml
    assert xml.count("\n") > 5
    assert "<name>web1</name>" in ctl.run("xml", "--inactive", "here/web1").stdout


def test_sources(ctl, places):
    lines = ctl.run("sources").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["here", "connected"], ["there", "connected"]]
    (source,) = ctl.json("sources", "here")
    assert source["path"] == source_path("here")
    assert source["Source"]["URI"] == places["here"].test_uri


def test_disconnected_source_is_told(ctl, places, client):
    places["there"].stop()
    try:
        client.wait_property(source_path("there"), "org.guestbus1.Source", "Connected", False)
        listed = ctl.run("list", "web1").stdout
        assert "shut-off?" in listed
        assert "Source there is not connected: " in listed
        error = ctl.run("start", "there/web1", status=FAILED).stderr
        assert "'guestbusctl sources' says why" in error
    finally:
        places["there"].start()
    ctl.run("reconnect", "there")
    client.wait_property(source_path("there"), "org.guestbus1.Source", "Connected", True, timeout=60)


def test_lost_output_is_a_failure(ctl):
    for words in (["list"], ["--json=pretty", "list"]):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = subprocess.run([ctl.program, *words], env=ctl.env, stdout=full, stderr=subprocess.PIPE, text=True,
                                    check=False, timeout=60 * FACTOR)
        assert result.returncode == FAILED and "No space left" in result.stderr


# -- which VM is meant ------------------------------------------------------------------------------

def test_vm_by_name_uuid_source_and_path(ctl, web1):
    identity = name_uuid("web1")
    for name in ("here/web1", f"here/{identity}", f"here/{identity.upper()}", web1):
        assert ctl.json("show", name)["path"] == web1
    assert ctl.json("show", name_uuid("db1"))["VM"]["Name"] == "db1"
    assert ctl.json("show", "db1")["VM"]["UUID"] == name_uuid("db1")


@pytest.mark.parametrize("name", ["web1", name_uuid("web1")])
def test_ambiguous_name(ctl, name):
    error = ctl.run("show", name, status=NOT_FOUND).stderr
    assert "SOURCE/NAME" in error and len(error.splitlines()) == 1


@pytest.mark.parametrize("name", ["nothing", "here/nothing", "nowhere/web1", "", "/", vm_path("here", name_uuid("no"))])
def test_no_such_vm(ctl, name):
    for verb in ("show", "start", "xml"):
        error = ctl.run(verb, name, status=NOT_FOUND).stderr
        assert error.startswith("guestbusctl: ") and len(error.splitlines()) == 1
        assert "'guestbusctl list' shows what there is" in error


# -- acting -----------------------------------------------------------------------------------------

def test_actions(ctl, web1, client):
    """The new state is on the bus when guestbusctl ends, and nothing was printed."""
    for words, state in ((["pause"], "paused"), (["resume"], "running"), (["force-off"], "shut-off"),
                         (["start"], "running"), (["save"], "shut-off"), (["start"], "running"),
                         (["reboot"], "running"), (["reset"], "running")):
        result = ctl.run(words[0], "here/web1", *words[1:])
        assert result.stdout == result.stderr == ""
        assert client.get(web1, VM, "State") == state, words


def test_shutdown(ctl, web1, client):
    ctl.run("shutdown", "here/web1")
    client.wait_property(web1, VM, "State", "shut-off")


def test_set_memory(ctl, web1, client):
    ctl.run("set-memory", "here/web1", "32M")
    assert client.get(web1, VM, "MemoryActual") == 32 << 20
    assert "1 GiB" not in ctl.run("set-memory", "here/web1", "1G", status=FAILED).stdout
    ctl.run("set-memory", "here/web1", "64MiB")


def test_autostart(ctl, web1, client):
    for word, value in (("on", True), ("off", False)):
        ctl.run("autostart", "here/web1", word)
        assert client.get(web1, VM, "Autostart") is value


def test_failure_is_one_line(ctl, web1):
    error = ctl.run("start", "here/web1", status=FAILED).stderr
    assert error.startswith("guestbusctl: here/web1: ") and len(error.splitlines()) == 1


def test_several_vms_go_on_after_a_failure(ctl, web1, client):
    result = ctl.run("pause", "nothing", "here/web1", "db1", status=NOT_FOUND)
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["nothing", "db1"]
    assert client.get(web1, VM, "State") == "paused"


def test_reload(ctl):
    ctl.run("reload")


def test_reconnect_unknown_source(ctl):
    assert "nowhere" in ctl.run("reconnect", "nowhere", status=NOT_FOUND).stderr


# -- usage ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("words", [
    ["explode"], ["--explode"], ["start"], ["xml"], ["xml", "a", "b"], ["set-memory", "db1"], ["list", "--paused"],
    ["shutdown", "db1", "--mode=magic"], ["set-memory", "db1", "much"], ["autostart", "db1", "maybe"],
    ["--json=xml", "list"], ["--json"], ["guest-shutdown", "db1", "--delay=soon"], ["start", "db1", "--mode=agent"],
    ["report", "explode"], ["graphics", "db1", "first"], ["reload", "now"]])
def test_wrong_usage(ctl, words):
    result = ctl.run(*words, status=USAGE)
    assert result.stdout == "" and result.stderr != ""


def test_help_and_version_need_no_bus(ctl):
    env = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
    text = ctl.run("--help", env=env).stdout
    for verb in ("list", "guest-shutdown", "report", "--json", "Exit status"):
        assert verb in text
    assert max(map(len, text.splitlines())) <= 100
    assert ctl.run("--version", env=env).stdout.startswith("guestbusctl 1.")
    ctl.run("--explode", env=env, status=USAGE)


# -- who may ----------------------------------------------------------------------------------------

def test_no_bus(ctl):
    result = ctl.run("list", status=UNREACHABLE, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"})
    assert "system bus" in result.stderr and len(result.stderr.splitlines()) == 1


def test_no_service(no_service):
    for words in (["list"], ["pause", "a", "b"], ["events"], ["report"], ["reload"]):
        result = no_service.run(*words, status=UNREACHABLE)
        assert "systemctl status guestbusd" in result.stderr and len(result.stderr.splitlines()) == 1


def test_user_outside_the_groups(ctl, plain_user):
    for words in (["list"], ["pause", "db1"], ["events"]):
        result = ctl.run(*words, user=plain_user, status=NOT_AUTHORIZED)
        assert "groups guestbus and libvirt" in result.stderr
        assert "here" not in result.stdout


def test_user_allowed_by_rule(ctl, web1, libvirt_user, client):
    ctl.run("pause", "here/web1", user=libvirt_user)
    assert client.get(web1, VM, "State") == "paused"


def test_user_who_would_have_to_be_asked(ctl, web1, guestbus_user, client):
    """Without a terminal there is nobody to ask, and it says so at once."""
    assert "web1" in ctl.run("list", user=guestbus_user).stdout
    result = ctl.run("pause", "here/web1", user=guestbus_user, status=NOT_AUTHORIZED)
    assert "terminal" in result.stderr and len(result.stderr.splitlines()) == 1
    assert ctl.run("xml", "here/web1", user=guestbus_user).stdout
    ctl.run("xml", "--secrets", "here/web1", user=guestbus_user, status=NOT_AUTHORIZED)
    assert client.get(web1, VM, "State") == "running"


@pytest.mark.parametrize("answer, status, state", [("yes", OK, "paused"), ("no", NOT_AUTHORIZED, "running"),
                                                   ("cancel", NOT_AUTHORIZED, "running")])
def test_user_is_asked_on_a_terminal(ctl, world, web1, guestbus_user, client, answer, status, state):
    terminal = ctl.terminal("pause", "here/web1", user=guestbus_user, wait_go=True)
    agent = world.agent(terminal.pid, answer=answer)
    assert terminal.go().wait() == status, terminal.text
    assert client.get(web1, VM, "State") == state
    assert [question["action"] for question in agent.questions()] == ["org.guestbus1.vm.pause"]
    agent.close()
    terminal.close()


def test_no_ask_password(ctl, world, web1, guestbus_user):
    terminal = ctl.terminal("--no-ask-password", "pause", "here/web1", user=guestbus_user, wait_go=True)
    agent = world.agent(terminal.pid)
    assert terminal.go().wait() == NOT_AUTHORIZED
    assert agent.questions() == []
    agent.close()
    terminal.close()


# -- terminals --------------------------------------------------------------------------------------

def test_colours_only_on_a_terminal(ctl, web1):
    assert "\x1b" not in ctl.run("list", env={"TERM": "xterm"}).stdout
    for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        terminal = ctl.terminal("--no-pager", "list", env=env)
        assert terminal.wait() == OK
        assert "web1" in terminal.text
        assert ("\x1b[32mrunning" in terminal.text) is coloured, env
        terminal.close()


@pytest.mark.parametrize("options, paged", [([], True), (["--no-pager"], False)])
def test_pager(ctl, options, paged):
    terminal = ctl.terminal(*options, "list", env={"PAGER": "sed 's/^/page: /'"})
    assert terminal.wait() == OK
    assert ("page: " in terminal.text) is paged and "web1" in terminal.text
    terminal.close()


# -- events -----------------------------------------------------------------------------------------

class Watch:
    """A running "guestbusctl events", watching since the constructor returned."""

    def __init__(self, ctl, *words, **options):
        self.process = ctl.start("events", *words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                 **options)
        self.log_path = self.process.log_path
        wait_until(lambda: "Watching" in self.process.log(), what=self.process.log)

    def wait_line(self, text):
        """The next line with this text; what does not come fails by the deadline of the whole run."""
        for line in self.process.popen.stdout:
            if text in line:
                return line
        raise AssertionError(f"the events ended without {text!r}: {self.process.log()}")

    def end(self, number=signal.SIGINT):
        self.process.signal(number)
        rest = self.process.popen.stdout.read()
        return self.process.wait(), rest


@pytest.fixture
def watch(ctl):
    watches = []

    def make(*words, **options):
        watches.append(Watch(ctl, *words, **options))
        return watches[-1]
    yield make
    for one in watches:
        if one.process.alive:
            one.process.kill()


def test_events_in_words(ctl, watch, places, web1):
    events = watch()
    places["here"].virsh("suspend", "web1", uri=places["here"].test_uri)
    line = events.wait_line("web1")
    assert line.split("  ", 1)[1].startswith("web1: now paused (")
    places["here"].define_test_domain("brand-new")
    assert "brand-new: a new VM on here, shut-off" in events.wait_line("a new VM")
    places["here"].remove_test_domain("brand-new")
    assert "brand-new: is gone" in events.wait_line("is gone")
    ctl.run("autostart", "db1", "on")
    assert "db1: autostart: yes" in events.wait_line("db1")
    ctl.run("autostart", "db1", "off")
    assert events.end()[0] == OK


def test_events_as_json(watch, places, web1):
    events = watch("--json=short")
    places["here"].virsh("suspend", "web1", uri=places["here"].test_uri)
    event = json.loads(events.wait_line("State"))
    assert event["name"] == "web1" and event["source"] == "here" and event["path"] == web1
    assert event["event"] == "PropertiesChanged" and event["interface"] == "VM"
    assert event["changed"]["State"] == "paused"
    status, rest = events.end(signal.SIGTERM)
    assert status == OK
    assert all(json.loads(line) for line in rest.splitlines())


def test_events_of_some_vms(ctl, watch, places, web1):
    events = watch("db1")
    ctl.run("pause", "here/web1")
    ctl.run("autostart", "db1", "on")
    assert "db1" in events.process.popen.stdout.readline()
    ctl.run("autostart", "db1", "off")
    events.wait_line("autostart: no")
    assert "web1" not in events.end()[1]


def test_rename_is_told_with_the_name_before(watch, places):
    places["here"].define_test_domain("before")
    events = watch()
    places["here"].holder.lookupByName("before").rename("after")
    assert 'before: new name: "after"' in events.wait_line("new name")
    places["here"].holder.lookupByName("after").undefine()
    del places["here"].test_domains["before"]
    assert "after: is gone" in events.wait_line("is gone")


def test_events_outlive_the_service(fresh_world):
    libvirtd = fresh_world.libvirtd()
    daemon = fresh_world.guestbusd(sources={"here": libvirtd.test_uri})
    events = Watch(Ctl(fresh_world))
    daemon.kill()
    events.wait_line("guestbusd has stopped")
    libvirtd.define_test_domain("meanwhile", start=True)
    daemon.start()
    events.wait_line("guestbusd has started")
    libvirtd.virsh("suspend", "meanwhile", uri=libvirtd.test_uri)
    assert "meanwhile: now paused" in events.wait_line("now paused")
    libvirtd.virsh("suspend", "test", uri=libvirtd.test_uri)
    events.wait_line("now paused")
    assert events.end()[0] == OK


def test_events_end_with_the_bus(fresh_world):
    daemon = fresh_world.guestbusd(sources={"here": "test:///default"}, expect_failure=True)
    events = Watch(Ctl(fresh_world))
    fresh_world.bus.kill()
    assert events.process.wait() == UNREACHABLE
    assert "the connection to the bus ended" in events.process.log()
    daemon.wait_end()


def test_events_end_with_their_reader(watch, ctl, places, web1):
    events = watch()
    events.process.popen.stdout.close()
    ctl.run("pause", "here/web1")
    assert events.process.wait() in (OK, -signal.SIGPIPE)


# -- consoles and displays --------------------------------------------------------------------------

@pytest.fixture(scope="module")
def console_ctl(request):
    """guestbusctl and a booted guest with a shell on its serial port and a VNC display, in a world apart."""
    with open_world() as world:
        request.node.stash.setdefault(WORLDS, []).append(world)
        libvirtd = world.libvirtd(qemu=True)
        machine = Machine(libvirtd, "con1", console=True, graphics=("vnc",)).up()
        world.guestbusd(sources={"local": libvirtd.uri})
        world.client.wait_property(machine.path, VM, "Graphics", lambda displays: len(displays) == 1)
        yield Ctl(world)
        machine.destroy()


def test_console_on_a_terminal(console_ctl):
    terminal = console_ctl.terminal("console", "con1")
    terminal.wait_text("^]")
    wait_until(lambda: not terminal.echoes(), what="the terminal is raw")
    terminal.type("\necho $((6 * 7))-$(hostname)\n")
    terminal.wait_text("42-con1")
    terminal.type("\x1d")
    assert terminal.wait() == OK
    assert "Left." in terminal.text
    assert terminal.echoes()
    terminal.close()


def test_console_is_for_one(console_ctl):
    first = console_ctl.terminal("console", "con1")
    first.wait_text("^]")
    second = console_ctl.run("console", "con1", status=FAILED)
    assert len(second.stderr.splitlines()) == 1
    third = console_ctl.terminal("console", "--force", "con1")
    third.wait_text("^]")
    assert first.wait() == OK
    assert "The other side closed the console." in first.text and first.echoes()
    third.signal(signal.SIGTERM)
    assert third.wait() == OK and third.echoes()
    first.close()
    third.close()


def test_console_without_a_terminal(console_ctl):
    process = console_ctl.start("console", "con1", stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.popen.stdin.write("\necho $((6 * 7))-$(hostname)\n")
    process.popen.stdin.flush()
    assert any("42-con1" in line for line in process.popen.stdout)
    process.stop()


def test_graphics(console_ctl):
    """The display's server begins with its protocol's name, and gets what we send."""
    process = console_ctl.start("graphics", "con1", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.popen.stdout.read(12) == b"RFB 003.008\n"
    process.popen.stdin.write(b"RFB 003.008\n")
    process.popen.stdin.flush()
    assert process.popen.stdout.read(2) == b"\x01\x01"
    process.stop()
    console_ctl.run("graphics", "con1", "7", status=FAILED)


def test_graphics_is_nothing_for_a_terminal(console_ctl):
    terminal = console_ctl.terminal("graphics", "con1")
    assert terminal.wait() == USAGE
    terminal.close()


# -- inside of guests ------------------------------------------------------------------------------

def test_guest_is_in_the_list_and_its_page(console_ctl):
    """The address and the host name, and who said so how long ago."""
    wait_until(lambda: "con1" == console_ctl.json("show", "con1")["Guest"]["HostName"], 60, "the agent's answer")
    guest_says = console_ctl.json("show", "con1")["Guest"]
    (row,) = console_ctl.run("list", "--no-legend").stdout.splitlines()
    assert row.split()[:4] == ["con1", "running", guest_says["IPAddresses"][0], "con1"]
    page = console_ctl.run("show", "con1").stdout
    assert re.search(r"Host name: +con1 +qemu-ga, [0-9]+ (s|min) ago\n", page)
    assert re.search(r"Agents: +qemu-ga", page)
    assert "alice since 20" in page
    assert guest_says["Filesystems"] == [] or "File systems:" in page


def test_scheduled_shutdown(console_ctl):
    def scheduled():
        return console_ctl.json("show", "con1")["Guest"]["ScheduledShutdown"]
    console_ctl.run("guest-shutdown", "con1", "--delay=3000", "--message=Going home")
    assert scheduled()[0] == "shutdown" and scheduled()[1] > 0
    assert "Scheduled:  shutdown at " in console_ctl.run("show", "con1").stdout
    console_ctl.run("guest-reboot", "con1", "--delay=10", status=FAILED)
    console_ctl.run("cancel-shutdown", "con1")
    assert scheduled() == ["", 0]
    console_ctl.run("cancel-shutdown", "con1", status=FAILED)


def test_what_the_agent_cannot_do(console_ctl):
    for verb in ("lock", "logoff"):
        error = console_ctl.run(verb, "con1", status=FAILED).stderr
        assert error.startswith("guestbusctl: con1: ") and len(error.splitlines()) == 1


def test_login_reads_the_password_from_its_input(console_ctl):
    """No agent here can log in; the call is made, though, and the password shows up nowhere."""
    result = console_ctl.run("login", "con1", "bob", text="s3crét\nrest\n", status=FAILED)
    assert result.stderr.startswith("guestbusctl: con1: ") and "s3cr" not in result.stdout + result.stderr
    for text in ("", "\n"):
        assert "password" in console_ctl.run("login", "con1", "bob", text=text, status=USAGE).stderr
    assert "fewer arguments" in console_ctl.run("login", "con1", "bob", "s3cret", status=USAGE).stderr


def test_login_asks_on_a_terminal(console_ctl):
    terminal = console_ctl.terminal("login", "con1", "bob\x1b")
    terminal.wait_text(r"Password of bob\x1b in con1: ")
    assert not terminal.echoes()
    terminal.type("s3cret\n")
    assert terminal.wait() == FAILED
    assert "s3cret" not in terminal.text and terminal.echoes()
    terminal.close()


def test_login_can_be_interrupted(console_ctl):
    terminal = console_ctl.terminal("login", "con1", "bob")
    terminal.wait_text("Password")
    terminal.type("s3c\x03")
    assert terminal.wait() == USAGE
    assert terminal.echoes()
    terminal.close()


# -- QEMU's events ----------------------------------------------------------------------------------

def test_qmp_events(console_ctl):
    events = Watch(console_ctl, "--qmp=STOP,resume", "--json=short")
    words = Watch(console_ctl, "--qmp", "con1")
    console_ctl.run("pause", "con1")
    console_ctl.run("resume", "con1")
    stop = json.loads(events.process.popen.stdout.readline())
    resume = json.loads(events.process.popen.stdout.readline())
    assert [stop["event"], resume["event"]] == ["STOP", "RESUME"]
    assert stop["name"] == "con1" and stop["data"] == {} and 0 < stop["time"] <= resume["time"]
    assert "con1: STOP {}" in words.wait_line("STOP")
    assert "con1: RESUME {}" in words.wait_line("RESUME")
    assert events.end() == (OK, "")
    assert words.end()[0] == OK


# -- another machine --------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def ssh(console_ctl):
    server = Sshd(console_ctl.world)
    server.install(console_ctl.program)
    yield server
    server.close()


def test_remote(console_ctl, ssh):
    env = ssh.environment()
    assert console_ctl.run("list", env=env, status=UNREACHABLE)
    assert "con1" in console_ctl.run("-H", ssh.host, "list", env=env).stdout
    assert console_ctl.json("--host", ssh.host, "show", "con1", env=env)["VM"]["State"] == "running"
    console_ctl.run("-H", ssh.host, "pause", "con1", env=env)
    assert console_ctl.json("show", "con1")["VM"]["State"] == "paused"
    console_ctl.run("-H", ssh.host, "resume", "con1", env=env)
    assert "no such VM" in console_ctl.run("-H", ssh.host, "show", "x/y", env=env, status=NOT_FOUND).stderr


def test_remote_events(console_ctl, ssh):
    events = Watch(console_ctl, "-H", ssh.host, env=ssh.environment())
    console_ctl.run("pause", "con1")
    assert "con1: now paused" in events.wait_line("con1")
    console_ctl.run("resume", "con1")
    assert events.end()[0] == OK


def test_remote_console_runs_over_there(console_ctl, ssh):
    terminal = console_ctl.terminal("-H", ssh.host, "console", "--force", "con1", env=ssh.environment())
    terminal.wait_text("^]")
    terminal.type("\necho $((6 * 7))-$(hostname)\n")
    terminal.wait_text("42-con1")
    terminal.type("\x1d")
    assert terminal.wait() == OK
    terminal.close()


def test_remote_words_are_no_shell(console_ctl, ssh, tmp_path):
    """Names are quoted for the shell over there."""
    trap = tmp_path / "made"
    result = console_ctl.run("-H", ssh.host, "console", f"a'b; touch {trap}; $(touch {trap})", env=ssh.environment(),
                             status=NOT_FOUND)
    assert "touch" in result.stderr
    assert not trap.exists()


def test_unreachable_host(console_ctl, ssh):
    env = {**ssh.environment(), "PATH": "/nonexistent"}
    result = console_ctl.run("-H", "root@127.0.0.1", "list", env=env, status=UNREACHABLE)
    assert "127.0.0.1" in result.stderr and "ssh" in result.stderr


def test_options_of_start(console_ctl):
    """On a real QEMU, for the test driver knows none of them; last, as it ends the guest's run."""
    def state():
        return console_ctl.json("show", "con1")["VM"]["State"]
    console_ctl.run("save", "con1")
    wait_until(lambda: state() == "shut-off", 60, "con1 is saved")
    console_ctl.run("start", "--bypass-saved", "--paused", "con1")
    assert state() == "paused"
    console_ctl.run("resume", "con1")
    assert state() == "running"


# -- the reporter -----------------------------------------------------------------------------------

@pytest.mark.parametrize("what", [[], ["status"], ["send"], ["show"], ["reload"], ["status", "--test"]])
def test_no_reporter(ctl, what):
    result = ctl.run("report", *what, status=UNREACHABLE)
    assert result.stderr == "guestbusctl: no reporter is running; 'systemctl start guestbus-reporter' starts it\n"


@pytest.fixture
def fake_report(ctl, client, fake_candlepin):
    """A reporter with a source of type fake and an entitlement server that is one too."""
    reporter = service_reporter(ctl.world, candlepin=fake_candlepin)
    reporter.fake("one", host("h1", guest("A"), guest("B")), host("h2"))
    reporter.start_service()
    wait_until(lambda: any("org.guestbus1.Reporter.Mapping" in interfaces
                           for interfaces in client.managed_objects().values()), 20, "the mapping on the bus")
    yield reporter
    reporter.close()


def test_fake_report_status(ctl, fake_report):
    def row():
        lines = ctl.run("report").stdout.splitlines()
        return next(line for line in lines if line.startswith("one "))
    wait_until(lambda: row().split()[1] == "2/2" and "success" in row() and "never" not in row(), 30, row)
    (mapping,) = ctl.json("report", "status", "one")
    assert mapping["Name"] == "one" and mapping["Hypervisors"] == 2 and mapping["LastSend"] > 0
    assert "no such mapping" in ctl.run("report", "status", "two", status=NOT_FOUND).stderr


def test_fake_report_show_and_test(ctl, fake_report):
    document = json.loads(ctl.run("report", "show").stdout)
    assert [entry["hypervisorId"]["hypervisorId"] for entry in document["hypervisors"]] == ["h1", "h2"]
    assert ctl.json("report", "show", "one") == document
    assert "success" in ctl.run("report", "status", "--test").stdout
    assert ctl.run("report", "show", "two", status=FAILED).stderr


def test_fake_report_send(ctl, fake_report, fake_candlepin, watch):
    events = watch()
    assert ctl.run("report", "send").stdout.startswith("1 queued;")
    assert "one: " in events.wait_line("a report was accepted")
    ctl.run("report", "reload")


def test_fake_report_needs_authorization(ctl, fake_report, libvirt_user):
    """The reporter's actions are not libvirt's: its group has to be asked."""
    for what in ("show", "send", "reload"):
        ctl.run("report", what, user=libvirt_user, status=NOT_AUTHORIZED)
    ctl.run("report", "--json=short", "status", user=libvirt_user)


# -- completion -------------------------------------------------------------------------------------

def complete(ctl, *words, env=None):
    """What bash offers for the last of these words."""
    script = """
        source "$0"
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
        _guestbusctl
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = os.path.join(os.path.dirname(__file__), "../../data/completions/guestbusctl.bash")
    result = subprocess.run(["bash", "-c", script, path, "guestbusctl", *words], check=True, capture_output=True,
                            text=True, timeout=60, env={**ctl.env, "PATH": f"{ctl.program.parent}:/usr/bin:/bin",
                                                        **(env or {})})
    assert result.stderr == ""
    return set(result.stdout.split("\n")) - {""}


def test_completion(ctl, places):
    places["here"].define_test_domain("with blank")
    try:
        wait_until(lambda: "with blank" in ctl.run("list").stdout, what="the VM is listed")
        # What would have to be escaped is not offered.
        assert complete(ctl, "start", "") == {"web1", "db1", "test", r"with\ blank"}
        assert complete(ctl, "start", "w") == {"web1", r"with\ blank"}
    finally:
        places["here"].remove_test_domain("with blank")
    assert complete(ctl, "sta") == {"start"}
    assert complete(ctl, "--no-pager", "sh") == {"show", "shutdown"}
    assert complete(ctl, "-H", "host", "reco") == {"reconnect"}
    assert complete(ctl, "reconnect", "") == {"here", "there"}
    assert complete(ctl, "autostart", "db1", "") == {"on", "off"}
    assert complete(ctl, "autostart", "d") == {"db1"}
    assert complete(ctl, "shutdown", "--mo") == {"--mode"}
    assert complete(ctl, "shutdown", "--mode", "=", "a") == {"agent", "acpi"}
    assert complete(ctl, "report", "s") == {"status", "send", "show"}
    assert complete(ctl, "xml", "db1", "") == set()


def test_completion_without_the_service_is_silent(no_service):
    assert complete(no_service, "start", "") == set()


def test_every_verb_is_completed_and_documented(ctl):
    helped = {line.split()[0] for line in ctl.run("--help").stdout.splitlines()
              if line.startswith("  ") and line[2:3].isalpha()}
    root = os.path.join(os.path.dirname(__file__), "../..")
    assert complete(ctl, "") == helped
    for name in ("data/completions/_guestbusctl", "docs/guestbusctl.1.in"):
        with open(os.path.join(root, name), encoding="utf-8") as file:
            text = file.read().replace("\\-", "-")
        assert not [verb for verb in helped if verb not in text], name
