# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbusctl, as people and scripts use it: what it prints, does and exits with."""
import json
import os
import signal
import subprocess

import pytest

from testbed.client import VM, source_path, vm_path
from testbed.ctl import FAILED, NOT_AUTHORIZED, NOT_FOUND, OK, UNREACHABLE, USAGE, Ctl, Watch
from testbed.libvirtd import name_uuid
from testbed.reporter import guest, host, service_reporter
from testbed.wait import FACTOR, wait_until

# A name that a terminal would show reversed. Control characters do not come through libvirt or guestbusd.
EVIL, EVIL_SHOWN = "evil\u202eexe", r"evil\u202eexe"


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
    assert "no source" in ctl.run("sources", "nowhere", status=NOT_FOUND).stderr


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
