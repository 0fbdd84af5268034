# SPDX-License-Identifier: LGPL-2.1-or-later
"""The local libvirt in the service: its VMs come from guestbusd, which serves a real libvirtd. Only the server that is
reported to is the test Candlepin."""
import json

import pytest

from testbed.libvirtd import name_uuid
from testbed.reporter import MAPPING, PATH, service_reporter
from testbed.wait import FACTOR, wait_until

CONSUMER = "11111111-2222-3333-4444-555555555555"
LOCAL = PATH + "/local"


@pytest.fixture(scope="module")
def guestbusd(guestbusd_factory, test_libvirtd):
    return guestbusd_factory(sources={"local": test_libvirtd.test_uri})


@pytest.fixture
def reporter(world, guestbusd, fake_candlepin):
    opened = service_reporter(world, candlepin=fake_candlepin)
    certificate, key = fake_candlepin.authority.issue_consumer(CONSUMER, "acme")
    opened.mkdir("etc/pki/consumer")
    opened.write("etc/pki/consumer/cert.pem", certificate.read_text())
    opened.write("etc/pki/consumer/key.pem", key.read_text())
    opened.section("local", "type=libvirt", account=False)
    yield opened
    opened.close()


def reported(candlepin):
    """Guest to whether it is active, of the last report."""
    return {g["guestId"]: g["attributes"]["active"] for g in candlepin.consumers.get(CONSUMER, {}).get("guestIds", [])}


def test_guests_come_from_guestbusd(reporter, fake_candlepin, test_libvirtd, client):
    """The reporter's user is not in libvirt's group: it could not ask libvirtd itself."""
    reporter.start_service()
    fake_candlepin.wait_until(lambda: CONSUMER in fake_candlepin.consumers, "a report")
    uuids = [domain.UUIDString() for domain in test_libvirtd.connect().listAllDomains()]
    assert sorted(reported(fake_candlepin)) == sorted(uuids)
    host = client.get("/org/guestbus1/source/local", "org.guestbus1.Source", "HostName")
    assert fake_candlepin.consumers[CONSUMER]["hypervisorId"] == {"hypervisorId": host}
    client.wait_property(LOCAL, MAPPING, "SourceStatus", "success")
    assert client.get(LOCAL, MAPPING, "SourceConnection") == "guestbusd"
    association = json.loads(client.call("GetAssociation", "(a{sv})", {}, path=PATH, interface="org.guestbus1.Reporter"))
    assert sorted(g["guestId"] for g in association["hypervisors"][0]["guestIds"]) == sorted(uuids)


def test_changes_are_reported_at_once(reporter, fake_candlepin, test_libvirtd):
    reporter.start_service()
    fake_candlepin.wait_until(lambda: CONSUMER in fake_candlepin.consumers, "a report")
    uuid = name_uuid("comes")
    test_libvirtd.define_test_domain("comes")
    wait_until(lambda: reported(fake_candlepin).get(uuid) == "0", 5 * FACTOR, "it is reported as defined")
    test_libvirtd.connect().lookupByName("comes").create()
    wait_until(lambda: reported(fake_candlepin).get(uuid) == "1", 5 * FACTOR, "it is reported as running")
    test_libvirtd.remove_test_domain("comes")
    wait_until(lambda: uuid not in reported(fake_candlepin), 5 * FACTOR, "it is not reported any more")


def test_guestbusd_gone_takes_nothing_away(reporter, fake_candlepin, guestbusd, client):
    reporter.start_service()
    fake_candlepin.wait_until(lambda: CONSUMER in fake_candlepin.consumers, "a report")
    before, sends = reported(fake_candlepin), len(fake_candlepin.find("PUT", "/consumers/"))
    client.wait_property(LOCAL, MAPPING, "SourceStatus", "success")
    guestbusd.kill()
    reporter.wait_log("guestbusd does not run; what it said at")
    assert reported(fake_candlepin) == before
    guestbusd.start()
    client.wait_property(LOCAL, MAPPING, "SourceStatus", "success", 30)
    assert len(fake_candlepin.find("PUT", "/consumers/")) == sends, "nothing was new"


def test_libvirtd_gone_takes_nothing_away(reporter, fake_candlepin, test_libvirtd, client):
    reporter.start_service()
    fake_candlepin.wait_until(lambda: CONSUMER in fake_candlepin.consumers, "a report")
    before = reported(fake_candlepin)
    client.wait_property(LOCAL, MAPPING, "SourceStatus", "success")
    test_libvirtd.kill()
    try:
        client.wait_property(LOCAL, MAPPING, "SourceStatus", "failure", 60)
        assert "guestbusd is not connected" in client.get(LOCAL, MAPPING, "SourceMessage")
        assert reported(fake_candlepin) == before
    finally:
        test_libvirtd.start()
    client.wait_property(LOCAL, MAPPING, "SourceStatus", "success", 60)
