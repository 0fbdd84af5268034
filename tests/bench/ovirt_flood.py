#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""One guest floods its oVirt channel; how long do another guest's heartbeats and a bus caller take meanwhile?

    tests/bench/ovirt_flood.py [--rounds 50]

Prints the same figures without and with the flood, in one run; asserts nothing about them.
"""
import argparse
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed.client import GUEST  # noqa: E402
from testbed.machine import Machine  # noqa: E402
from testbed.ovirt_agent import OvirtAgent, message  # noqa: E402
from testbed.world import World, end_on_signals  # noqa: E402


def say(what, seconds):
    ordered = sorted(seconds)
    print(f"  {what:<44} median {statistics.median(ordered) * 1000:8.2f} ms   "
          f"90 % {ordered[len(ordered) * 9 // 10] * 1000:8.2f} ms   most {ordered[-1] * 1000:8.2f} ms", flush=True)


def measure(client, calm, path, rounds):
    """(heartbeat from the guest's script to a bus client, one GetAll), each in seconds. The first contains the way into the
    guest, which is the same in both measurements."""
    signals = client.record()
    beats, calls = [], []
    for number in range(1, rounds + 1):
        began = time.monotonic()
        calm.say(message("heartbeat", **{"free-ram": str(number)}))
        signals.wait("Heartbeat", path, count=number, timeout=60)
        beats.append(time.monotonic() - began)
        began = time.monotonic()
        client.get_all(path, GUEST)
        calls.append(time.monotonic() - began)
    signals.close()
    return beats, calls


def main():
    end_on_signals()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    with World() as world:
        world.bus.start()
        world.polkit.start()
        world.install_guestbus_files()
        libvirtd = world.libvirtd(qemu=True)
        loud_machine, calm_machine = (Machine(libvirtd, name).up() for name in ("loud", "calm"))
        loud, calm = OvirtAgent(loud_machine).start(), OvirtAgent(calm_machine).start()
        daemon = world.guestbusd(sources={"local": libvirtd.uri})
        for name in ("loud", "calm"):
            daemon.wait_log(f"oVirt channel .* is open.*{name}", timeout=30)
        calm.say(message("heartbeat", **{"free-ram": "1"}))
        world.client.wait_property(calm_machine.path, GUEST, "Responsive", True, timeout=30)
        for flooding in (False, True):
            if flooding:
                loud.flood(message("heartbeat", **{"free-ram": "1"}), "garbage " * 20)
                daemon.wait_log("floods its oVirt channel", timeout=60)
            print("while another guest floods" if flooding else "in peace")
            beats, calls = measure(world.client, calm, calm_machine.path, options.rounds)
            say("heartbeat, from the guest's script to a client", beats)
            say("GetAll of org.guestbus1.Guest", calls)
        loud.stop_flooding()


if __name__ == "__main__":
    main()
