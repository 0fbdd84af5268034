#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""QMP events: how much later than at a plain libvirt client they are on the bus, and how many a second arrive.

  latency     STOP and RESUME of a real QEMU, seen by one process at libvirt and at guestbusd in the same run
  real storm  VNC connections as fast as QEMU takes them, with guestbusd's rate limit out of the way
  injected    events put in where libvirt calls, faster and faster until the first one is lost
"""
import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed import qmp_recipes  # noqa: E402
from testbed.client import QMP  # noqa: E402
from testbed.fake_qmp import FakeQmp  # noqa: E402
from testbed.machine import Machine  # noqa: E402
from testbed.user import service_user  # noqa: E402
from testbed.vnc_client import storm  # noqa: E402
from testbed.world import BUILD, World, end_on_signals  # noqa: E402

LISTENER = BUILD / "tests/bench/qmp-listener"
UNLIMITED = "[service]\nqmp-event-rate = 100000\nqmp-event-burst = 1000000\n"
NOTICE = "GUESTBUS_EVENTS_DROPPED"
RATE_FIRST = 4000
# The number of an event is in its microseconds.
EVENTS_MAX = 900000
TICK = 0.005
QUIET = 1.0


class Listener:
    """qmp-listener; arrivals are (name, timestamp) → time in seconds."""

    def __init__(self, world, uri, uuid):
        self.process = subprocess.Popen([LISTENER, uri, uuid], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={"DBUS_SYSTEM_BUS_ADDRESS": world.bus.address})
        assert self.process.stdout.readline() == "ready\n"
        self.libvirt, self.bus = {}, {}

    def finish(self):
        time.sleep(QUIET)
        output, _ = self.process.communicate()
        for line in output.splitlines():
            where, name, timestamp, arrival = line.split()
            if name == NOTICE:
                continue
            {"libvirt": self.libvirt, "bus": self.bus}[where][name, int(timestamp)] = int(arrival) / 1e9
        return self


def per_second(arrivals):
    times = sorted(arrivals.values())
    return (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 and times[-1] > times[0] else 0.0


def milliseconds(values, quantile):
    return statistics.quantiles(values, n=1000)[round(quantile * 1000) - 1] * 1000


def latency(world, machine, pairs):
    daemon = world.guestbusd(sources={"local": machine.libvirtd.uri}, log_level="warning")
    listener = Listener(world, machine.libvirtd.uri, machine.uuid)
    for _ in range(pairs):
        qmp_recipes.stop_and_resume(machine)
        time.sleep(TICK)
    listener.finish()
    daemon.close()
    later = [listener.bus[key] - listener.libvirt[key] for key in listener.libvirt if key in listener.bus]
    print(f"latency      {len(later)} events, bus after libvirt: median {milliseconds(later, .5):.3f} ms, "
          f"90 % {milliseconds(later, .9):.3f} ms, 99 % {milliseconds(later, .99):.3f} ms; "
          f"lost {len(listener.libvirt) - len(later)}")


def real_storm(world, machine, connections):
    daemon = world.guestbusd(sources={"local": machine.libvirtd.uri}, config=UNLIMITED, log_level="warning")
    listener = Listener(world, machine.libvirtd.uri, machine.uuid)
    port = qmp_recipes.display_port(machine, "vnc")
    storm(port, connections)
    listener.finish()
    dropped = world.client.get(machine.path, QMP, "Dropped")
    daemon.close()
    at_libvirt, at_bus = per_second(listener.libvirt), per_second(listener.bus)
    print(f"real storm   {2 * connections} events made; libvirt's client {len(listener.libvirt)} "
          f"({at_libvirt:.0f}/s), bus {len(listener.bus)} ({at_bus:.0f}/s), dropped {dropped}; "
          f"bus/libvirt {len(listener.bus) / len(listener.libvirt):.4f} of the events, "
          f"{at_bus / at_libvirt:.3f} of the speed")
    return at_libvirt


def inject(fake, uuid, rate, seconds):
    """Paced; returns the number sent and the speed that it really was."""
    total, sent, begin = int(rate * seconds), 0, time.monotonic()
    while sent < total:
        due = min(total, int((time.monotonic() - begin + TICK) * rate))
        for number in range(sent, due):
            fake.send(uuid, "VNC_CONNECTED", '{"server":{"auth":"none","family":"ipv4","service":"5900",'
                      '"host":"127.0.0.1","websocket":false},"client":{"family":"ipv4","service":"55274",'
                      '"host":"127.0.0.1","websocket":false}}', seconds=1, micros=number)
        sent = due
        time.sleep(TICK)
    return sent, sent / (time.monotonic() - begin)


def injected(world, libvirtd, seconds, at_libvirt):
    fake = FakeQmp(world, service_user())
    uuid = libvirtd.define_test_domain("injected")
    path = f"/org/guestbus1/vm/local/{uuid.replace('-', '_')}"
    daemon = world.guestbusd(sources={"local": libvirtd.test_uri}, env=fake.env, config=UNLIMITED,
                             log_level="warning")
    rate, speed, before, lost = RATE_FIRST, 0.0, 0, 0
    while not lost:
        listener = Listener(world, "-", uuid)
        sent, made = inject(fake, uuid, rate, min(seconds, EVENTS_MAX / rate))
        listener.finish()
        dropped = world.client.get(path, QMP, "Dropped")
        lost = sent - len(listener.bus)
        print(f"injected     {made:.0f}/s, {sent} sent, {len(listener.bus)} on the bus, lost {lost}, "
              f"Dropped {dropped - before}")
        if not lost and made < 1.1 * speed:
            break
        if not lost:
            speed = made
        rate, before = rate * 2, dropped
    print(f"             without a loss {speed:.0f}/s, {speed / at_libvirt:.1f} times what libvirt delivered of the real "
          "storm; " + ("the last line is the first loss" if lost else "it cannot be made faster here"))
    daemon.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500, help="STOP and RESUME that often")
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=2)
    options = parser.parse_args()
    end_on_signals()
    with World() as world:
        world.bus.start()
        world.polkit.start()
        world.install_guestbus_files()
        libvirtd = world.libvirtd(qemu=True)
        machine = Machine(libvirtd, "bench1", graphics=("vnc",))
        try:
            machine.up()
            latency(world, machine, options.pairs)
            at_libvirt = real_storm(world, machine, options.connections)
        finally:
            machine.destroy()
        injected(world, world.libvirtd(), options.seconds, at_libvirt)


if __name__ == "__main__":
    main()
