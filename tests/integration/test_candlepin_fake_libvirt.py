# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbus-report from its configuration to a (fake) entitlement server: real libvirtds, real time, real ends."""
import json
import signal
import uuid

import pytest
from testbed.candlepin import Answer, Candlepin
from testbed.reporter import PASSWORD, Reporter, guest, host

# How soon a change must be in a report.
SOON = 5


@pytest.fixture
def reporter(workplace, fake_candlepin):
    opened = Reporter(workplace, fake_candlepin)
    yield opened
    opened.close()


def wait_accepted(candlepin, condition, timeout=30):
    """Until what the server has of its owner is as it should be, and no job is open."""
    candlepin.wait_until(lambda: condition(candlepin.owners["acme"])
                         and all(j.state in ("FINISHED", "FAILED", "CANCELED") for j in candlepin.jobs.values()),
                         f"accepted report; the server has {candlepin.owners['acme']}", timeout)


def guests_of(hosts):
    return {g for h in hosts.values() for g in h["guests"]}


# -- what hangs --------------------------------------------------------------------------------------

def test_hung_server_delays_only_itself(reporter, workplace, authority, fake_candlepin):
    with Candlepin(workplace.dir, authority=authority) as hung:
        hung.add_owner("acme", {"reporter": PASSWORD})
        hung.script(None, "", Answer(delay=600))
        path = reporter.say("slow", host("h1", guest("g1")))
        reporter.section("slow", f"type=fake\nfile={path}\nrhsm_port={hung.port}")
        reporter.fake("fine", host("h2", guest("g2")))
        reporter.start()
        wait_accepted(fake_candlepin, lambda hosts: set(hosts) == {"h2"})
        hung.wait_for("GET", "/status")
        reporter.process.signal(signal.SIGTERM)
        assert reporter.process.wait(2) == 0


def test_hung_name_server_does_not_stop_the_loop(reporter, workplace, fake_candlepin):
    """In a network of its own whose name server never answers."""
    (workplace.dir / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
    reporter.fake("a", host("h1", guest("g1")))
    path = reporter.say("b", host("h2", guest("g2")))
    reporter.section("b", f"type=fake\nfile={path}\nrhsm_hostname=candlepin.example")
    script = ("ip link set lo up; mount --bind \"$1\" /etc/resolv.conf; shift; "
              "/usr/bin/python3 -c 'import socket, time; s = socket.socket(type=socket.SOCK_DGRAM); "
              "s.bind((\"127.0.0.1\", 53)); time.sleep(1000)' & exec \"$@\"")
    plain = reporter.argv
    reporter.argv = lambda *args: ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--", "sh", "-c",
                                   script, "sh", workplace.dir / "resolv.conf", *plain(*args)]
    result = reporter.run("-s", "-j", timeout=20)
    reporter.argv = plain
    assert result.returncode == 3
    problems = {c["name"]: c["destination"]["message"] for c in json.loads(result.stdout)["configurations"]}
    assert "cannot connect to localhost" in problems["a"]
    assert "in time" in problems["b"] or "not known" in problems["b"]


# -- two users of one owner -------------------------------------------------------------------------

def test_users_of_one_owner_take_turns(reporter, fake_candlepin):
    """Foreman writes an account into each file: two reports of one owner, of which the server takes one at a time."""
    fake_candlepin.users["second"] = (PASSWORD, "acme")
    reporter.fake("a", host("h1", guest("g1")))
    path = reporter.say("b", host("h2", guest("g2")))
    reporter.section("b", f"type=fake\nfile={path}\nowner=acme\nrhsm_username=second\nrhsm_password={PASSWORD}",
                     account=False)
    result = reporter.run("-o")
    assert result.returncode == 0, result.stderr
    assert set(fake_candlepin.owners["acme"]) == {"h1", "h2"}
    assert all(j.state == "FINISHED" or "blocked" in j.result_data for j in fake_candlepin.jobs.values())
    checked = len(fake_candlepin.check_ins())
    assert reporter.run("-o").returncode == 0
    assert len(fake_candlepin.check_ins()) == checked


# -- real libvirtds ---------------------------------------------------------------------------------

DOMAIN = """<domain type='{kind}'><name>{name}</name><uuid>{uuid}</uuid><memory>8192</memory><vcpu>1</vcpu>
<os><type arch='{arch}'>hvm</type></os></domain>"""


@pytest.fixture
def two_libvirtds(workplace, reporter):
    """The test driver's and QEMU's, as sources of one owner. The test driver has no UUID of its host."""
    test, qemu = workplace.libvirtd(), workplace.libvirtd(qemu=True)
    keeper = test.connect()  # the test driver forgets everything with its last client
    reporter.section("test", f"type=libvirt\nserver={test.test_uri}\nhypervisor_id=hostname")
    reporter.section("qemu", f"type=libvirt\nserver={qemu.uri}")
    yield test, qemu
    keeper.close()
    for daemon in (test, qemu):
        if daemon.process.alive:
            daemon.stop()


def define(workplace, libvirtd, kind, name):
    number = str(uuid.uuid4())
    path = workplace.dir / f"{name}.xml"
    path.write_text(DOMAIN.format(kind=kind, name=name, uuid=number, arch="i686" if kind == "test" else "x86_64"))
    libvirtd.virsh("define", str(path))
    return number


def states(candlepin):
    """guest -> whether it is active, of the last report."""
    return {g["guestId"]: g["attributes"]["active"] for h in candlepin.check_ins()[-1].json["hypervisors"]
            for g in h["guestIds"]}


def test_changes_of_two_libvirtds(workplace, two_libvirtds, reporter, fake_candlepin):
    test, qemu = two_libvirtds
    reporter.start()
    wait_accepted(fake_candlepin, lambda hosts: len(hosts) == 2)
    # Both in one report, though not in the first one where a libvirtd is slow to connect.
    assert len(fake_candlepin.check_ins()[-1].json["hypervisors"]) == 2

    def soon(condition, what):
        """In a report in time, and then quiet: the next change is to be measured alone."""
        fake_candlepin.wait_until(condition, what, SOON)
        wait_accepted(fake_candlepin, lambda hosts: True)

    first = define(workplace, qemu, "qemu", "q1")
    soon(lambda: first in states(fake_candlepin), "defined guest of QEMU")
    second = define(workplace, test, "test", "t1")
    soon(lambda: states(fake_candlepin).get(second) == "0", "defined guest of the test driver")
    test.virsh("start", "t1")
    soon(lambda: states(fake_candlepin).get(second) == "1", "started guest")
    test.virsh("destroy", "t1")
    soon(lambda: states(fake_candlepin).get(second) == "0", "stopped guest")
    qemu.virsh("undefine", "q1")
    soon(lambda: first not in states(fake_candlepin), "undefined guest")
    assert second in states(fake_candlepin)


def status(reporter, *args):
    result = reporter.run("-s", "-j", *args)
    return result.returncode, {c["name"]: c for c in json.loads(result.stdout)["configurations"]}


def test_libvirtd_down(workplace, two_libvirtds, reporter, fake_candlepin):
    test, qemu = two_libvirtds
    number = define(workplace, qemu, "qemu", "q2")
    reporter.start()
    wait_accepted(fake_candlepin, lambda hosts: number in guests_of(hosts))
    hosts = len(fake_candlepin.owners["acme"])
    qemu.kill()
    other = define(workplace, test, "test", "t2")
    wait_accepted(fake_candlepin, lambda hosts: other in guests_of(hosts))
    assert number in guests_of(fake_candlepin.owners["acme"])  # left alone
    assert len(fake_candlepin.owners["acme"]) == hosts
    code, configurations = status(reporter)
    assert code == 3
    assert configurations["test"]["source"]["status"] == "success"
    assert configurations["qemu"]["source"]["status"] == "failure"
    assert configurations["qemu"]["source"]["message"]
    reporter.stop()
    # The other way round, in a single run.
    result = reporter.run("-o")
    assert result.returncode == 3 and "qemu" in result.stderr


def test_hung_source_delays_only_itself(two_libvirtds, reporter, fake_candlepin, workplace):
    test, qemu = two_libvirtds
    qemu.process.freeze()
    try:
        reporter.start()
        wait_accepted(fake_candlepin, lambda hosts: len(hosts) == 1)
        number = define(workplace, test, "test", "t3")
        wait_accepted(fake_candlepin, lambda hosts: number in guests_of(hosts))
        code, configurations = status(reporter)
        assert code == 3 and configurations["qemu"]["source"]["status"] == "failure"
        reporter.process.signal(signal.SIGTERM)
        assert reporter.process.wait(2) == 0
    finally:
        qemu.process.thaw()
