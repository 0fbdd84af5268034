# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reporter as its unit runs it: under its own user, with the copies of root's files that the unit makes, and with
a source and a server that hang beside sound ones. Sources are of the type fake, the server is the test Candlepin."""
import subprocess
import time

import pytest

from testbed.client import pump_until
from testbed.reporter import MAPPING, PATH, Reporter, host, service_reporter
from testbed.wait import FACTOR
from testbed.world import BUILD


@pytest.fixture(scope="module")
def guestbusd(guestbusd_factory):
    return guestbusd_factory()


def hand_over(machine, reporter):
    """What the unit's ExecStartPre= and ExecReload= do: from the machine's files to the reporter's."""
    subprocess.run(["/bin/sh", BUILD / "data/guestbus-reporter-files", reporter.root / "run", machine.root], check=True)


@pytest.fixture
def machine(world, fake_candlepin):
    """root's files, 0600."""
    return Reporter(world, fake_candlepin)


@pytest.fixture
def reporter(world, guestbusd, fake_candlepin, machine):
    opened = service_reporter(world)
    opened.world = world
    yield opened
    opened.close()


def start(reporter):
    return reporter.start_service(GUESTBUS_REPORTER_ROOT=str(reporter.root / "run/config"),
                                  STATE_DIRECTORY=str(reporter.root / "var/lib/guestbus-reporter"))


def wait_mappings(client, *names):
    pump_until(lambda: sorted(path for path in client.managed_objects() if path.startswith(PATH + "/")) ==
               sorted(f"{PATH}/{name}" for name in names), 20, f"mappings {names}")


def test_files_of_root(reporter, machine, client, fake_candlepin, world):
    shared = reporter.say("shared", host("h1"))
    machine.section("one", f"type=fake\nfile={shared}")
    # The CA is readable by everybody and not copied: it is where rhsm.conf says.
    rhsm = (machine.root / "etc/rhsm/rhsm.conf").read_text()
    authority = world.subdir(world.unique("ca"))
    (authority / "test.pem").write_text(fake_candlepin.authority.certificate.read_text())
    (authority / "test.pem").chmod(0o644)
    machine.write("etc/rhsm/rhsm.conf", rhsm + f"[rhsm]\nca_cert_dir = {authority}\n")
    hand_over(machine, reporter)
    start(reporter)
    wait_mappings(client, "one")
    fake_candlepin.wait_for("POST", "/hypervisors/")
    for path in (machine.root / "etc/virt-who.d/one.conf", machine.root / "etc/rhsm/rhsm.conf"):
        assert path.stat().st_mode & 0o777 == 0o600 and path.stat().st_uid == 0

    machine.section("two", f"type=fake\nfile={reporter.say('two', host('h2'))}")
    client.call("Reload", "(a{sv})", {}, path=PATH, interface="org.guestbus1.Reporter")
    wait_mappings(client, "one")
    hand_over(machine, reporter)
    client.call("Reload", "(a{sv})", {}, path=PATH, interface="org.guestbus1.Reporter")
    wait_mappings(client, "one", "two")
    machine.write("etc/virt-who.d/three.conf", "[three]\nnonsense\n")
    hand_over(machine, reporter)
    with pytest.raises(Exception, match=r"/etc/virt-who.d/three.conf:2"):
        client.call("Reload", "(a{sv})", {}, path=PATH, interface="org.guestbus1.Reporter")


def test_hung_source_and_hung_server(world, guestbusd, fake_candlepin, fake_hang, client):
    """Everything else goes on, and the end comes within 2 seconds."""
    reporter = service_reporter(world, candlepin=fake_candlepin)
    reporter.fake("sound", host("h1"))
    reporter.section("hung-source", f"type=libvirt\nserver=qemu+tcp://127.0.0.1:{fake_hang}/system")
    path = reporter.say("behind", host("h2"))
    reporter.section("hung-server", f"type=fake\nfile={path}\nrhsm_port={fake_hang}")
    reporter.start_service()
    try:
        wait_mappings(client, "sound", "hung_2dsource", "hung_2dserver")
        client.wait_property(f"{PATH}/sound", MAPPING, "LastJobStatus", "FINISHED", 30)
        (check_in,) = fake_candlepin.check_ins()
        assert [h["name"] for h in check_in.json["hypervisors"]] == ["h1.example"]
        reporter.say("sound", host("h1"), host("h3"))
        client.call("Report", "(a{sv})", {}, path=PATH, interface="org.guestbus1.Reporter")
        fake_candlepin.wait_for("POST", "/hypervisors/", count=2)
        client.wait_property(f"{PATH}/hung_2dsource", MAPPING, "SourceMessage", "no answer in time", 90)
        client.wait_property(f"{PATH}/hung_2dserver", MAPPING, "DestinationStatus", "failure", 90)
    finally:
        begun = time.monotonic()
        reporter.close()
    assert time.monotonic() - begun < 2 * FACTOR
