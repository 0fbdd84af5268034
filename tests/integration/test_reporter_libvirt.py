# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbus-report on real libvirtds. The server that it reports to is the test Candlepin, as one cannot be had here."""
import json
import xml.etree.ElementTree as ElementTree

import pytest

from testbed.libvirtd import name_uuid
from testbed.reporter import Reporter
from testbed.wait import FACTOR, wait_until

DOMAIN = """<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>32</memory>
<vcpu>1</vcpu><os><type>hvm</type></os></domain>"""


@pytest.fixture
def reporter(workplace, fake_candlepin):
    opened = Reporter(workplace, fake_candlepin)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def two_domains(libvirtd):
    connection = libvirtd.connect()
    for name in ("beta", "alpha"):
        connection.defineXML(DOMAIN.format(name=name, uuid=name_uuid(name)))
    yield sorted(name_uuid(name) for name in ("alpha", "beta"))
    for name in ("alpha", "beta"):
        connection.lookupByName(name).undefine()
    connection.close()


def printed(reporter, *args, **env):
    result = reporter.run("-p", *args, **env)
    assert (result.returncode, result.stderr) == (0, ""), result.stderr
    return json.loads(result.stdout)["hypervisors"]


# -- what is collected

def test_remote_qemu(reporter, libvirtd, two_domains):
    reporter.section("one", f"type=libvirt\nserver={libvirtd.uri}")
    connection = libvirtd.connect()
    host = ElementTree.fromstring(connection.getCapabilities()).find("host")
    (found,) = printed(reporter)
    assert found == {
        "hypervisorId": {"hypervisorId": host.findtext("uuid")}, "name": connection.getHostname(),
        "guestIds": [{"guestId": uuid, "state": 5, "attributes": {"virtWhoType": "libvirt", "active": 0}}
                     for uuid in two_domains],
        "facts": {"cpu.cpu_socket(s)": host.find("cpu/topology").get("sockets"), "hypervisor.type": "QEMU",
                  "hypervisor.version": connection.getVersion(), "dmi.system.uuid": host.findtext("uuid")}}
    assert list(found["facts"]) == ["cpu.cpu_socket(s)", "hypervisor.type", "hypervisor.version", "dmi.system.uuid"]


def test_remote_by_host_name(reporter, libvirtd):
    reporter.section("one", f"type=libvirt\nserver={libvirtd.uri}\nhypervisor_id=hostname")
    (found,) = printed(reporter)
    assert found["hypervisorId"]["hypervisorId"] == found["name"] == libvirtd.connect().getHostname()


def test_driver_without_host_uuid_and_keepalive(reporter):
    """test:///default in this very process has neither: virt-who gave up on both."""
    reporter.section("one", "type=libvirt\nserver=test:///default")
    (found,) = printed(reporter)
    assert found["hypervisorId"]["hypervisorId"] == found["name"]
    assert "dmi.system.uuid" not in found["facts"]
    assert [g["state"] for g in found["guestIds"]] == [1]


def test_local_mode(reporter, libvirtd, two_domains):
    reporter.section("one", "type=libvirt")
    (found,) = printed(reporter, LIBVIRT_DEFAULT_URI=libvirtd.uri)
    assert list(found) == ["guestIds"]
    assert [g["guestId"] for g in found["guestIds"]] == two_domains


def test_states(reporter, test_libvirtd):
    for name in ("running", "paused", "off"):
        test_libvirtd.define_test_domain(name, start=name != "off")
    connection = test_libvirtd.connect()
    connection.lookupByName("paused").suspend()
    reporter.section("one", f"type=libvirt\nserver={test_libvirtd.test_uri}")
    (found,) = printed(reporter)
    states = {g["guestId"]: (g["state"], g["attributes"]["active"]) for g in found["guestIds"]}
    assert states[name_uuid("running")] == (1, 1)
    assert states[name_uuid("paused")] == (3, 1)
    assert states[name_uuid("off")] == (5, 0)


def test_connection_in_status_has_no_password(reporter, libvirtd):
    reporter.section("one", f"type=libvirt\nserver={libvirtd.uri}")
    result = json.loads(reporter.run("-s", "-j").stdout)["configurations"][0]
    assert result["source"]["connection"] == libvirtd.uri
    assert result["source"]["status"] == "success"


def test_unreachable(reporter, workplace):
    reporter.section("one", f"type=libvirt\nserver=qemu+unix:///system?socket={workplace.dir}/none")
    result = reporter.run("-p")
    assert result.returncode == 3 and json.loads(result.stdout) == {"hypervisors": []}
    assert "libvirt cannot be reached" in result.stderr and "No such file" in result.stderr


# -- following it

def hosts_of(request):
    return {h["hypervisorId"]["hypervisorId"]: {g["guestId"]: g["attributes"]["active"] for g in h["guestIds"]}
            for h in request.json["hypervisors"]}


def wait_report(candlepin, condition, timeout=5):
    """A report that says so, within the 5 seconds that people are promised."""
    wait_until(lambda: any(condition(hosts_of(r)) for r in candlepin.check_ins()), timeout * FACTOR,
               lambda: f"a report; last: {[hosts_of(r) for r in candlepin.check_ins()][-1:]}")


def wait_quiet(candlepin):
    """No job is open: the next report is not held up by the one before."""
    wait_until(lambda: candlepin.jobs and all(j.state in ("FINISHED", "FAILED") for j in candlepin.jobs.values()), 30,
               "all jobs are over")


def test_changes_are_reported_at_once(reporter, fake_candlepin, libvirtd, test_libvirtd):
    """Two real libvirtds in one report; a VM defined, started, stopped and undefined, the interval an hour."""
    qemu, driver = libvirtd.connect(), test_libvirtd.connect()
    reporter.section("qemu", f"type=libvirt\nserver={libvirtd.uri}")
    reporter.section("driver", f"type=libvirt\nserver={test_libvirtd.test_uri}\nhypervisor_id=hostname")
    uuid = name_uuid("coming-and-going")
    reporter.start()
    wait_report(fake_candlepin, lambda hosts: len(hosts) == 2, 30)

    wait_quiet(fake_candlepin)
    test_libvirtd.define_test_domain("coming-and-going")
    wait_report(fake_candlepin, lambda hosts: any(guests.get(uuid) == "0" for guests in hosts.values()))
    wait_quiet(fake_candlepin)
    domain = driver.lookupByName("coming-and-going")
    domain.create()
    wait_report(fake_candlepin, lambda hosts: any(guests.get(uuid) == "1" for guests in hosts.values()))
    wait_quiet(fake_candlepin)
    before = len(fake_candlepin.check_ins())
    domain.destroy()
    wait_until(lambda: len(fake_candlepin.check_ins()) > before, 5 * FACTOR, "a report of the stop")
    assert any(guests.get(uuid) == "0" for guests in hosts_of(fake_candlepin.check_ins()[-1]).values())

    wait_quiet(fake_candlepin)
    qemu_domain = qemu.defineXML(DOMAIN.format(name="gamma", uuid=name_uuid("gamma")))
    wait_report(fake_candlepin, lambda hosts: any(name_uuid("gamma") in guests for guests in hosts.values()))
    wait_quiet(fake_candlepin)
    before = len(fake_candlepin.check_ins())
    qemu_domain.undefine()
    test_libvirtd.remove_test_domain("coming-and-going")
    wait_until(lambda: len(fake_candlepin.check_ins()) > before and not any(
        {uuid, name_uuid("gamma")} & set(guests) for guests in hosts_of(fake_candlepin.check_ins()[-1]).values()),
               10 * FACTOR, "a report without them")


def test_libvirtd_down_leaves_its_hosts_alone(reporter, fake_candlepin, world, libvirtd):
    """The others are reported, status says which is not and why, and it is there again when it is back."""
    other = world.libvirtd()
    reporter.section("down", f"type=libvirt\nserver={other.test_uri}\nhypervisor_id=hostname")
    reporter.section("up", f"type=libvirt\nserver={libvirtd.uri}")
    assert reporter.run("-o").returncode == 0
    assert len(fake_candlepin.owners["acme"]) == 2
    before = json.dumps(fake_candlepin.owners["acme"], sort_keys=True)
    other.stop()
    connection = libvirtd.connect()
    domain = connection.defineXML(DOMAIN.format(name="delta", uuid=name_uuid("delta")))
    try:
        result = reporter.run("-o")
        assert result.returncode == 3 and "down: libvirt cannot be reached" in result.stderr
        (sent,) = fake_candlepin.check_ins()[1:]
        assert [list(guests) for guests in hosts_of(sent).values() if name_uuid("delta") in guests]
        assert len(hosts_of(sent)) == 1
        assert len(json.loads(before)) == len(fake_candlepin.owners["acme"])
        status = json.loads(reporter.run("-s", "-j").stdout)["configurations"]
        assert [(c["name"], c["source"]["status"]) for c in status] == [("down", "failure"), ("up", "success")]
    finally:
        domain.undefine()
    other.start()
    assert reporter.run("-s").returncode == 0


def test_reconnects(reporter, fake_candlepin, world):
    daemon = world.libvirtd()
    reporter.section("one", f"type=libvirt\nserver={daemon.test_uri}")
    reporter.start()
    fake_candlepin.wait_for("POST", "/hypervisors/")
    daemon.restart()
    wait_quiet(fake_candlepin)
    # Back within the first retries; a change made in between is found.
    daemon.define_test_domain("after-restart")
    wait_until(lambda: any(name_uuid("after-restart") in guests for request in fake_candlepin.check_ins()
                           for guests in hosts_of(request).values()), 60, "a report after the restart")


def test_frozen_libvirtd_holds_up_nobody(reporter, fake_candlepin, world, libvirtd):
    frozen = world.libvirtd()
    reporter.section("frozen", f"type=libvirt\nserver={frozen.test_uri}")
    reporter.section("sound", f"type=libvirt\nserver={libvirtd.uri}")
    frozen.freeze()
    try:
        reporter.start()
        (check_in,) = fake_candlepin.wait_for("POST", "/hypervisors/", timeout=20)[:1]
        assert len(check_in.json["hypervisors"]) == 1
        reporter.stop()
    finally:
        frozen.thaw()
