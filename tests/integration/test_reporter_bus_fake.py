# SPDX-License-Identifier: LGPL-2.1-or-later
"""The reporter's process on the bus and guestbusd's view of it: real bus, polkitd and guestbusd; sources of the type
fake, and the test Candlepin."""
import json
import time
from pathlib import Path
from signal import SIGHUP

import pytest
from gi.repository import GLib

from testbed import reporter as reporting
from testbed.candlepin import Answer
from testbed.client import ERROR, MANAGER, OBJECT_MANAGER, PROPERTIES, ROOT, BusError, pump_until
from testbed.reporter import MAPPING, PATH, guest, host, service_reporter
from testbed.wait import FACTOR

ONE = PATH + "/one"
REPORTER = reporting.INTERFACE


@pytest.fixture(scope="module")
def guestbusd(guestbusd_factory):
    return guestbusd_factory()


@pytest.fixture
def reporter(world, guestbusd, fake_candlepin):
    opened = service_reporter(world, candlepin=fake_candlepin)
    opened.fake("one", host("h1", guest("a")))
    yield opened
    opened.close()
    wait_gone(world.client)


def reporter_paths(client):
    return sorted(path for path in client.managed_objects() if path.startswith(PATH))


def wait_paths(client, *paths, timeout=20):
    pump_until(lambda: reporter_paths(client) == sorted(paths), timeout,
               lambda: f"{paths}, last {reporter_paths(client)}")


def wait_gone(client):
    wait_paths(client)


def call(client, member, options=None, interactive=False, **more):
    return client.call(member, "(a{sv})", options or {}, path=PATH, interface=REPORTER, **more)


def text(value):
    return GLib.Variant("s", value)


# -- what is shown

def test_objects_come_and_go_with_the_reporter(reporter, client, signals):
    assert reporter_paths(client) == []
    with pytest.raises(BusError) as caught:
        client.get_all(PATH, REPORTER)
    assert caught.value.name.endswith(("UnknownObject", "UnknownInterface"))
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    signals.wait("InterfacesAdded", ROOT, where=lambda path, interfaces: path == ONE and MAPPING in interfaces)
    reporter.stop()
    wait_gone(client)
    signals.wait("InterfacesRemoved", ROOT, where=lambda path, interfaces: path == ONE and MAPPING in interfaces)
    signals.wait("InterfacesRemoved", ROOT, where=lambda path, interfaces: path == PATH and REPORTER in interfaces)


def test_properties(reporter, client, fake_candlepin):
    reporter.general("[global]\ninterval=120\nreporter_id=me\n")
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    client.wait_property(ONE, MAPPING, "LastJobStatus", "FINISHED", 30)
    assert client.get_all(PATH, REPORTER) == {"Interval": 120, "ReporterID": "me", "Mappings": [ONE]}
    values = client.get_all(ONE, MAPPING)
    now = time.time() * 1e6
    assert abs(values.pop("LastRetrieve") - now) < 120e6 * FACTOR
    assert abs(values.pop("LastSend") - now) < 120e6 * FACTOR
    assert values == {"Name": "one", "SourceConnection": "", "SourceStatus": "success", "SourceMessage": "",
                      "DestinationConnection": "localhost", "DestinationStatus": "success",
                      "DestinationMessage": "", "LastJobStatus": "FINISHED", "Hypervisors": 1, "Guests": 1}


def test_the_mirror_says_what_the_reporter_says(reporter, client):
    reporter.fake("odd näme/2", host("h2"), file="odd")
    reporter.start_service()
    pump_until(lambda: len(reporter_paths(client)) == 3, 20, "three objects")
    client.wait_property(ONE, MAPPING, "LastJobStatus", "FINISHED", 30)

    def same():
        theirs = client.call("GetManagedObjects", path=PATH, interface=OBJECT_MANAGER, dest=reporting.NAME)
        ours = {path: value for path, value in client.managed_objects().items() if path.startswith(PATH)}

        def own(objects):
            return {path: {name: values for name, values in interfaces.items() if name.startswith("org.guestbus1")}
                    for path, interfaces in objects.items()}
        return own(theirs) == own(ours)
    pump_until(same, 10, "both say the same")


def test_signals(reporter, client, signals, fake_candlepin):
    reporter.start_service()
    signals.wait("Sent", ONE, MAPPING, timeout=30)
    assert signals.matching("Sent", ONE)[0].args[0] in fake_candlepin.jobs
    client.wait_property(ONE, MAPPING, "LastJobStatus", "FINISHED", 30)
    fake_candlepin.script("POST", "/hypervisors/", Answer(404, json.dumps({"displayMessage": "no such owner"})))
    signals.clear()
    assert call(client, "Report") == [ONE]
    failed = signals.wait("Failed", ONE, MAPPING, timeout=30)
    assert failed.args[0] == "send" and "no such owner" in failed.args[1]
    client.wait_property(ONE, MAPPING, "DestinationStatus", "failure")
    assert "no such owner" in client.get(ONE, MAPPING, "DestinationMessage")


def test_nothing_is_signalled_without_a_change(reporter, client, signals):
    reporter.start_service()
    client.wait_property(ONE, MAPPING, "LastJobStatus", "FINISHED", 30)
    for signal in signals.matching("PropertiesChanged", ONE):
        assert signal.args[1], "an empty PropertiesChanged"


# -- methods

def test_get_association(reporter, client):
    reporter.fake("two", host("h2"))
    reporter.start_service()
    wait_paths(client, PATH, ONE, PATH + "/two")
    everything = json.loads(call(client, "GetAssociation"))
    assert [h["name"] for h in everything["hypervisors"]] == ["h1.example", "h2.example"]
    one = call(client, "GetAssociation", {"mapping": text("one")})
    assert [h["name"] for h in json.loads(one)["hypervisors"]] == ["h1.example"]
    assert one == reporter.run("-p", "-c", reporter.root / "etc/virt-who.d/one.conf").stdout


def test_association_with_a_failed_source_is_an_error(reporter, client):
    reporter.section("bad", "type=fake\nfile=/does/not/exist")
    reporter.start_service()
    wait_paths(client, PATH, ONE, PATH + "/bad")
    with pytest.raises(BusError) as caught:
        call(client, "GetAssociation")
    assert caught.value.name == ERROR + "SourceDisconnected" and "bad: " in caught.value.message
    assert json.loads(call(client, "GetAssociation", {"mapping": text("one")}))["hypervisors"]


def test_test_connections(reporter, client):
    reporter.section("bad", "type=fake\nfile=/does/not/exist")
    reporter.start_service()
    wait_paths(client, PATH, ONE, PATH + "/bad")
    found = {c["name"]: c for c in json.loads(call(client, "TestConnections"))["configurations"]}
    assert found["one"]["source"]["status"] == found["one"]["destination"]["status"] == "success"
    assert found["bad"]["source"]["status"] == "failure"


def test_bad_arguments(reporter, client):
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    for member, options in (("Report", {"mapping": text("none")}), ("Report", {"fast": text("x")}),
                            ("GetAssociation", {"mapping": text("none")}), ("TestConnections", {"x": text("y")}),
                            ("Reload", {"mapping": text("one")})):
        with pytest.raises(BusError) as caught:
            call(client, member, options)
        assert caught.value.name == ERROR + "InvalidArgument"


def test_reload(reporter, client, signals):
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    reporter.fake("two", host("h2"))
    call(client, "Reload")
    wait_paths(client, PATH, ONE, PATH + "/two")
    signals.wait_changed(PATH, REPORTER, Mappings=[ONE, PATH + "/two"])
    (reporter.root / "etc/virt-who.d/one.conf").unlink()
    call(client, "Reload")
    wait_paths(client, PATH, PATH + "/two")
    reporter.write("etc/virt-who.d/two.conf", "[two]\nnonsense\n")
    with pytest.raises(BusError) as caught:
        call(client, "Reload")
    assert caught.value.name == ERROR + "InvalidArgument"
    assert "/etc/virt-who.d/two.conf:2" in caught.value.message
    wait_paths(client, PATH, PATH + "/two")


def test_broken_configuration_at_the_start(reporter, client):
    """It stays, shows nothing, and reports once it is repaired."""
    reporter.write("etc/virt-who.d/one.conf", "nonsense\n")
    reporter.start_service()
    wait_paths(client, PATH)
    assert "/etc/virt-who.d/one.conf:1" in reporter.log()
    reporter.fake("one", host("h1"))
    call(client, "Reload")
    wait_paths(client, PATH, ONE)


def test_polkit_decides(reporter, client, world, guestbus_user):
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    caller = world.caller(guestbus_user)
    for member in ("Report", "GetAssociation", "TestConnections", "Reload"):
        with pytest.raises(BusError) as caught:
            caller.call(member, "(a{sv})", {}, path=PATH, interface=REPORTER)
        assert caught.value.name.endswith(("InteractiveAuthorizationRequired", "AccessDenied"))
    assert caller.call("Get", "(ss)", MAPPING, "Name", path=ONE, interface=PROPERTIES) == "one"


def test_nobody_reaches_the_reporter_itself(reporter, world, client, guestbus_user, plain_user):
    reporter.start_service()
    for user in (guestbus_user, plain_user):
        with pytest.raises(BusError) as caught:
            world.caller(user).call("Report", "(a{sv})", {}, path=PATH, interface=REPORTER, dest=reporting.NAME)
        assert caught.value.name == "org.freedesktop.DBus.Error.AccessDenied"
        with pytest.raises(BusError) as caught:
            world.caller(user).call("RequestName", "(su)", reporting.NAME, 0, path="/org/freedesktop/DBus",
                                    interface="org.freedesktop.DBus", dest="org.freedesktop.DBus")
        assert caught.value.name == "org.freedesktop.DBus.Error.AccessDenied"


# -- bad days

def test_killed_reporter(reporter, client, guestbusd):
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    reporter.process.kill()
    wait_gone(client)
    assert client.call("ListVMs", path=ROOT, interface=MANAGER) is not None
    reporter.start_service()
    wait_paths(client, PATH, ONE)


def test_frozen_reporter_does_not_hold_up_guestbusd(reporter, client):
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    reporter.process.freeze()
    try:
        pending = client.start("GetAssociation", "(a{sv})", {}, path=PATH, interface=REPORTER)
        for _ in range(5):
            assert client.call("ListVMs", path=ROOT, interface=MANAGER) is not None
            assert client.get(ONE, MAPPING, "Name") == "one"
        with pytest.raises(BusError) as caught:
            pending.result()
        assert caught.value.name == ERROR + "Timeout"
    finally:
        reporter.process.thaw()
    assert json.loads(call(client, "GetAssociation"))["hypervisors"]


def test_reporter_dies_while_it_is_asked(reporter, client):
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    reporter.process.freeze()
    pending = client.start("TestConnections", "(a{sv})", {}, path=PATH, interface=REPORTER)
    assert client.call("ListVMs", path=ROOT, interface=MANAGER) is not None
    reporter.process.kill()
    with pytest.raises(BusError):
        pending.result()
    wait_gone(client)


def test_guestbusd_killed_alone(reporter, client, guestbusd, fake_candlepin):
    """Reporting goes on, and the next guestbusd shows the same again."""
    reporter.start_service()
    wait_paths(client, PATH, ONE)
    fake_candlepin.wait_for("POST", "/hypervisors/")
    client.wait_property(ONE, MAPPING, "LastJobStatus", "FINISHED", 30)
    guestbusd.kill()
    reporter.say("one", host("h1", guest("a"), guest("b")))
    reporter.process.signal(SIGHUP)
    fake_candlepin.wait_for("POST", "/hypervisors/", count=2)
    assert reporter.process.alive
    guestbusd.start()
    wait_paths(client, PATH, ONE)
    client.wait_property(ONE, MAPPING, "Guests", 2)


def test_own_user_and_no_secrets(reporter, client, world):
    """Nothing of the account is on the bus, in the log, in the state or in the arguments."""
    reporter.start_service()
    client.wait_property(ONE, MAPPING, "LastJobStatus", "FINISHED", 30)
    status = Path(f"/proc/{reporter.process.pid}/status").read_text()
    assert f"Uid:\t{reporter.user.uid}\t" in status
    everything = json.dumps(client.managed_objects()) + reporter.log() + call(client, "TestConnections")
    everything += (reporter.root / "var/lib/guestbus-reporter/state.json").read_text()
    everything += Path(f"/proc/{reporter.process.pid}/cmdline").read_text()
    assert reporting.PASSWORD not in everything
