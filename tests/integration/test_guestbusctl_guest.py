# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbusctl with a real guest: consoles, displays, what is inside, QEMU's events; over ssh."""
import json
import re
import signal
import subprocess

import pytest

from conftest import WORLDS, open_world
from testbed.client import VM
from testbed.ctl import FAILED, NOT_FOUND, OK, UNREACHABLE, USAGE, Ctl, Watch
from testbed.machine import Machine
from testbed.sshd import Sshd
from testbed.wait import wait_until


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
