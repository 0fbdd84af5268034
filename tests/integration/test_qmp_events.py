# SPDX-License-Identifier: LGPL-2.1-or-later
"""QMP events of a real QEMU on the bus, next to what virsh qemu-monitor-event shows in the same run."""
import pytest

from testbed import qmp_recipes
from testbed.client import QMP, VM, pump_until
from testbed.event_monitor import EventMonitor

# The typed signals once more, written down independently of the service's table.
TYPED = {
    "ACPI_DEVICE_OST": ("AcpiDeviceOst", lambda data: (data["info"],)),
    "BALLOON_CHANGE": ("BalloonChange", lambda data: (data["actual"],)),
    "GUEST_PANICKED": ("GuestPanicked", lambda data: (data["action"], data.get("info", {}))),
    "NIC_RX_FILTER_CHANGED": ("NicRxFilterChanged", lambda data: (data.get("name", ""), data["path"])),
    "QUORUM_FAILURE": ("QuorumFailure",
                       lambda data: (data["reference"], data["sector-num"], data["sectors-count"])),
    "QUORUM_REPORT_BAD": ("QuorumReportBad",
                          lambda data: (data["node-name"], data["type"], data["sector-num"],
                                        data["sectors-count"], data.get("error", ""))),
    "SPICE_CONNECTED": ("SpiceConnected", lambda data: (data["server"], data["client"])),
    "SPICE_INITIALIZED": ("SpiceInitialized", lambda data: (data["server"], data["client"])),
    "SPICE_DISCONNECTED": ("SpiceDisconnected", lambda data: (data["server"], data["client"])),
    "VNC_CONNECTED": ("VncConnected", lambda data: (data["server"], data["client"])),
    "VNC_INITIALIZED": ("VncInitialized", lambda data: (data["server"], data["client"])),
    "VNC_DISCONNECTED": ("VncDisconnected", lambda data: (data["server"], data["client"])),
}

# In this order, for some leave the guest in another shape: a recipe and the events that it must make.
RECIPES = [
    (qmp_recipes.stop_and_resume, ["STOP", "RESUME"]),
    (qmp_recipes.balloon_change, ["BALLOON_CHANGE"]),
    (qmp_recipes.acpi_device_ost, ["ACPI_DEVICE_OST"]),
    (qmp_recipes.nic_rx_filter_changed, ["NIC_RX_FILTER_CHANGED"]),
    (qmp_recipes.quorum_failure, ["QUORUM_FAILURE"]),
    (qmp_recipes.quorum_report_bad, ["QUORUM_REPORT_BAD", "QUORUM_REPORT_BAD"]),
    (qmp_recipes.vnc, ["VNC_CONNECTED", "VNC_INITIALIZED", "VNC_DISCONNECTED"]),
    (qmp_recipes.spice, ["SPICE_CONNECTED", "SPICE_INITIALIZED", "SPICE_DISCONNECTED"]),
    (qmp_recipes.vserport_change, ["VSERPORT_CHANGE", "VSERPORT_CHANGE"]),
    (qmp_recipes.rtc_change, ["RTC_CHANGE"]),
    (qmp_recipes.block_job_completed, ["BLOCK_JOB_READY", "BLOCK_JOB_COMPLETED"]),
    (qmp_recipes.device_deleted, ["DEVICE_DELETED", "DEVICE_DELETED"]),
    (qmp_recipes.powerdown_and_shutdown, ["POWERDOWN", "SHUTDOWN"]),
    (qmp_recipes.start_and_reset, ["RESUME", "RESET"]),
    (qmp_recipes.guest_panicked, ["GUEST_PANICKED", "STOP"]),
]


def exactly(left, right):
    """Equal in value and type; 1, True and 1.0 are three things."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(exactly(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(exactly, left, right))
    return left == right


class Comparison:
    """What virsh shows and what guestbusd sends of one machine, from the same moment on."""

    def __init__(self, world, machine, client):
        self.machine = machine
        self.monitor = EventMonitor(world, machine.libvirtd)
        self.signals = client.record()
        self.begin = 0
        pump_until(self._both_heard, 60, "a first event in both")
        self.begin = max(self.shown()[0].timestamp, self.sent()[0][1][1])

    def _both_heard(self):
        qmp_recipes.stop_and_resume(self.machine)
        return self.shown() and self.sent()

    def shown(self):
        return [event for event in self.monitor.events()
                if event.domain == self.machine.name and event.timestamp >= self.begin]

    def expected(self):
        """The signals that should come from what was shown: (member, arguments)."""
        for event in self.shown():
            yield "Event", (event.name, event.timestamp, event.data)
            if event.name in TYPED:
                member, arguments = TYPED[event.name]
                yield member, (event.timestamp, *arguments(event.data))

    def sent(self):
        """The signals that came: (member, arguments)."""
        return [(signal.member, signal.args)
                for signal in self.signals.matching(path=self.machine.path, interface=QMP)
                if signal.args[signal.member == "Event"] >= self.begin]

    def count(self, name):
        return [event.name for event in self.shown()].count(name)

    def check(self):
        """Wait until as much has come as was shown, and compare it, in order."""
        pump_until(lambda: len(self.sent()) == len(list(self.expected())), 30,
                   lambda: f"as many signals as events; sent:\n{self.sent()}\nshown:\n{self.shown()}")
        for sent, expected in zip(self.sent(), self.expected()):
            assert exactly(sent, expected)

    def close(self):
        self.signals.close()
        self.monitor.close()


@pytest.fixture(scope="module")
def eventful(libvirtd):
    machine = qmp_recipes.make_machine(libvirtd, "ev1").up()
    yield machine
    machine.destroy()


@pytest.fixture(scope="module")
def comparison(world, eventful, guestbusd_factory, client):
    guestbusd_factory(sources={"local": eventful.libvirtd.uri})
    made = Comparison(world, eventful, client)
    yield made
    made.close()


@pytest.mark.parametrize("recipe, names", RECIPES, ids=[recipe.__name__ for recipe, _ in RECIPES])
def test_event_is_what_virsh_shows(comparison, eventful, recipe, names):
    before = {name: comparison.count(name) for name in names}
    recipe(eventful)
    for name in set(names):
        pump_until(lambda name=name: comparison.count(name) >= before[name] + names.count(name), 60,
                   lambda name=name: f"{name} in virsh's output\n{comparison.monitor.process.log()}")
    comparison.check()


def test_the_model_says_the_same(comparison, eventful, client):
    """After all of these the guest has crashed, with as much memory as the balloon told last, or as libvirt says: it
    counts a module that went without a balloon event."""
    client.wait_property(eventful.path, VM, "StateReason", "panicked")
    client.wait_property(eventful.path, VM, "State", "crashed")
    actual = [event.data["actual"] for event in comparison.shown() if event.name == "BALLOON_CHANGE"][-1]
    client.wait_property(eventful.path, VM, "MemoryActual",
                         lambda now: now in (actual, eventful.domain.info()[2] * 1024))


def test_all_twelve_were_seen(comparison):
    """The tests above together: each typed signal came at least once."""
    members = {member for member, _ in comparison.sent()}
    assert {member for member, _ in TYPED.values()} <= members
