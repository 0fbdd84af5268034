# SPDX-License-Identifier: LGPL-2.1-or-later
"""What libvirt's own tool shows of QMP events: the measure for what guestbusd sends."""
import dataclasses
import json
import re

from .process import Process
from .wait import wait_until

LINE = re.compile(r"event (\w+) at (\d+)\.(\d{6}) for domain '(.*)': (.*)")


@dataclasses.dataclass(frozen=True)
class MonitorEvent:
    name: str
    timestamp: int      # microseconds since the epoch
    domain: str
    details: str        # the JSON as it came, or "<null>"

    @property
    def data(self):
        return {} if self.details == "<null>" else json.loads(self.details)


class EventMonitor:
    """virsh qemu-monitor-event on all domains of a libvirtd, until it is closed."""

    def __init__(self, world, libvirtd):
        self.process = Process(world, world.unique("virsh-events"),
                               ["stdbuf", "-oL", "virsh", "-c", libvirtd.uri, "qemu-monitor-event", "--loop"])

    def events(self):
        """All events so far, in their order."""
        lines = self.process.log().split("\n")[:-1]
        return [MonitorEvent(name, int(seconds) * 1000000 + int(micros), domain, details)
                for name, seconds, micros, domain, details in
                (match.groups() for match in map(LINE.match, lines) if match)]

    def wait(self, name, count=1, timeout=30):
        """Wait until that many events of that name have come; the last of them."""
        return wait_until(lambda: [event for event in self.events() if event.name == name][count - 1:count],
                          timeout, lambda: f"{count} x {name} in virsh's log\n{self.process.log()}")[0]

    def close(self):
        self.process.stop()
