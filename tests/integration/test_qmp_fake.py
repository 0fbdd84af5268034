# SPDX-License-Identifier: LGPL-2.1-or-later
"""What no real QEMU can be made to send: injected at libvirt's callback, then real all the way to a client."""
import json
import time

import pytest

from testbed.client import QMP, VM, pump_until
from testbed.fake_qmp import FakeQmp
from testbed.user import service_user

DEPTH_MAX = 16
TIMESTAMP = 1700000000 * 1000000


def nested(depth):
    """That many objects inside each other."""
    return {"a": nested(depth - 1)} if depth > 1 else {"b": 1}


class Setup:
    """A guestbusd on the test driver, with two VMs whose events a test writes."""

    def __init__(self, world, libvirtd, client, config=""):
        self.fake = FakeQmp(world, service_user())
        self.uuid, self.other_uuid = (libvirtd.define_test_domain(name) for name in ("stormy", "calm"))
        self.daemon = world.guestbusd(sources={"local": libvirtd.test_uri}, env=self.fake.env, config=config)
        self.client = client
        # A slow machine may be on the bus before its source is connected, and nobody hears events before that.
        client.wait_property("/org/guestbus1", "org.guestbus1.Manager", "Ready", True, timeout=30)
        self.signals = client.record()
        self.path, self.other_path = (f"/org/guestbus1/vm/local/{uuid.replace('-', '_')}"
                                      for uuid in (self.uuid, self.other_uuid))

    def send(self, name, data=None, **options):
        details = data if isinstance(data, (str, bytes, type(None))) else json.dumps(data)
        self.fake.send(self.uuid, name, details, **options)

    def wait(self, name, count=1, path=None):
        return self.signals.wait("Event", path or self.path, QMP, where=lambda *args: args[0] == name,
                                 count=count).args

    def dropped(self, path=None):
        return self.client.get(path or self.path, QMP, "Dropped")

    def wait_dropped(self, number):
        self.client.wait_property(self.path, QMP, "Dropped", number)

    def barrier(self):
        """When this event is there, all before it have been handled."""
        self.send("BARRIER")
        self.wait("BARRIER")
        self.signals.clear()

    def close(self):
        self.signals.close()
        self.daemon.close()
        self.fake.close()


@pytest.fixture
def setup(world, test_libvirtd, client):
    made = Setup(world, test_libvirtd, client)
    yield made
    made.close()


def test_fake_unknown_event_is_sent(setup):
    data = {"number": -7, "large": 2**64 - 1, "part": 0.5, "text": "ü", "yes": True, "list": [1, ["a", {}]],
            "object": {"empty": {}, "none": []}}
    setup.send("SOMETHING_NEW", data, micros=17)
    assert setup.wait("SOMETHING_NEW") == ("SOMETHING_NEW", TIMESTAMP + 17, data)
    assert [signal.member for signal in setup.signals.matching(path=setup.path, interface=QMP)] == ["Event"]


def test_fake_null_members_are_left_out(setup):
    setup.send("SOMETHING", {"a": None, "b": {"c": None}, "d": [None, 1]})
    assert setup.wait("SOMETHING")[2] == {"b": {}, "d": [1]}


def test_fake_missing_timestamp_is_the_time_of_receipt(setup):
    before = time.time() * 1000000
    setup.send("SOMETHING", seconds=-1)
    timestamp = setup.wait("SOMETHING")[1]
    assert before <= timestamp <= time.time() * 1000000


def test_fake_depth_16_arrives_and_17_is_dropped(setup):
    """dbus-daemon ends the connection of who sends 22; the service must outlive it."""
    for depth in (DEPTH_MAX, DEPTH_MAX + 1, 22, 500):
        setup.send(f"DEPTH_{depth}", nested(depth))
    setup.send("LISTS_16", '{"a":' + "[" * 15 + "]" * 15 + "}")
    setup.send("LISTS_17", '{"a":' + "[" * 16 + "]" * 16 + "}")
    setup.send("AFTER")
    setup.wait("AFTER")
    events = setup.signals.matching("Event", setup.path, QMP)
    assert [event.args[0] for event in events] == [f"DEPTH_{DEPTH_MAX}", "LISTS_16", "AFTER"]
    assert events[0].args[2] == nested(DEPTH_MAX)
    setup.wait_dropped(4)


def test_fake_bad_events_cost_only_themselves(setup):
    """One line in the log for each VM, however many there are."""
    bad = [b'{"a":"\xff"}', "[1]", '"text"', '{"a":', '{"a":NaN}', '{"a":1e999}', '{"a":18446744073709551616}',
           '{"a":"\\u0000"}', '{"a":"\\ufffe"}', '{"a":"' + "x" * 100000 + '"}']
    for number, details in enumerate(bad):
        setup.send("BAD", details)
        setup.send("GOOD", {"number": number})
    setup.wait("GOOD", count=len(bad))
    assert not setup.signals.matching("Event", setup.path, QMP, where=lambda name, *_: name == "BAD")
    setup.wait_dropped(len(bad))
    setup.daemon.wait_log("QMP event is not sent")
    assert setup.daemon.log().count("QMP event is not sent") == 1
    assert setup.wait("GUESTBUS_EVENTS_DROPPED")[2] == {"count": len(bad)}


def test_fake_damaged_data_gives_the_event_without_the_typed_signal(setup):
    setup.send("BALLOON_CHANGE", {"actual": "much"})
    setup.send("BALLOON_CHANGE", {"actual": 1 << 63})
    assert setup.wait("BALLOON_CHANGE", count=2)[2] == {"actual": 1 << 63}
    setup.signals.wait("BalloonChange", setup.path)
    assert [signal.args for signal in setup.signals.matching("BalloonChange")] == [(TIMESTAMP, 1 << 63)]


def test_fake_events_keep_the_model_fresh(setup):
    setup.send("BALLOON_CHANGE", {"actual": 12345678})
    setup.signals.wait_changed(setup.path, VM, MemoryActual=12345678)
    setup.send("GUEST_PANICKED", {"action": "pause"})
    setup.signals.wait_changed(setup.path, VM, StateReason="panicked")


def test_fake_reload_takes_a_new_rate_over(world, test_libvirtd, client):
    setup = Setup(world, test_libvirtd, client, "[service]\nqmp-event-rate = 1\nqmp-event-burst = 1\n")
    try:
        for _ in range(20):
            setup.send("FEW")
        assert setup.wait("GUESTBUS_EVENTS_DROPPED")[2]["count"] >= 15
        setup.signals.clear()
        setup.daemon.write_config("[service]\nqmp-event-rate = 1000\nqmp-event-burst = 1000\n")
        client.call("Reload", "(a{sv})", {})
        dropped = setup.dropped()
        # The bucket fills up at the new rate, so what comes right after may still be too much.
        pump_until(lambda: setup.send("MANY") or len(setup.signals.matching("Event", setup.path, QMP)) >= 50, 30,
                   "fifty events")
        assert setup.dropped() - dropped < 10
    finally:
        setup.close()


def test_fake_storm_of_one_machine(world, test_libvirtd, client):
    """Rate and burst are the configuration's; what passed and what was dropped add up; the other VM loses nothing."""
    setup = Setup(world, test_libvirtd, client, "[service]\nqmp-event-rate = 10\nqmp-event-burst = 50\n")
    try:
        for number in range(1000):
            setup.send("STORM", {"number": number})
            if number % 25 == 0:
                setup.fake.send(setup.other_uuid, "CALM", json.dumps({"number": number}))
        pump_until(lambda: len(setup.signals.matching("Event", setup.other_path, QMP)) == 40, 30, "40 calm events")
        notice = setup.wait("GUESTBUS_EVENTS_DROPPED")
        passed = [signal.args[2]["number"] for signal in setup.signals.matching("Event", setup.path, QMP)
                  if signal.args[0] == "STORM"]
        assert passed[:50] == list(range(50))
        assert passed == sorted(passed)
        assert len(passed) + setup.dropped() == 1000
        assert notice[2] == {"count": setup.dropped()}
        assert setup.dropped(setup.other_path) == 0
        calm = [signal.args[2]["number"] for signal in setup.signals.matching("Event", setup.other_path, QMP)]
        assert calm == list(range(0, 1000, 25))
    finally:
        setup.close()
