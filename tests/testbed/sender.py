# SPDX-License-Identifier: LGPL-2.1-or-later
"""The sending half of the reporter alone: tests/integration/sender-driver.c, fed with made-up sources."""
import json
import os
import shlex
import subprocess
import threading

from .daemon import SANITIZERS
from .process import Process
from .wait import wait_until


def host(name, *guests, state=1, system=None, **facts):
    """A host as virt-who's fake type reads it."""
    if system:
        facts["dmi.system.uuid"] = system
    return {"hypervisorId": {"hypervisorId": name}, "name": name + ".example", "facts": facts,
            "guestIds": [{"guestId": guest, "state": state} for guest in guests]}


class Sender:
    """One run of the driver. `options` are its NAME=VALUE arguments, `_` for `-`; True for those without a value."""

    def __init__(self, world, sources=("esx1",), **options):
        self.world = world
        self.sources = list(sources)
        words = [f"{name.replace('_', '-')}={'' if value is True else value}" for name, value in options.items()]
        self.events = []
        self.changed = threading.Condition()
        self.files = 0
        env = {name: os.environ[name] for name in SANITIZERS if name in os.environ}
        # What the environment says of proxies is for the configuration to read.
        env["https_proxy"] = "http://127.0.0.1:1"
        self.process = Process(world, world.unique("sender"),
                               [*shlex.split(os.environ.get("GUESTBUS_WRAPPER", "")),
                                world.executable("tests/integration/sender-driver"), *words, *self.sources],
                               env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with self.process.popen.stdout as lines:
            for line in lines:
                with self.changed:
                    self.events.append(json.loads(line))

    def tell(self, *words):
        self.process.popen.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.popen.stdin.flush()

    def take(self, source, *hosts, verb="take"):
        self.files += 1
        path = self.world.dir / f"{self.process.name}-{self.files}.json"
        path.write_text(json.dumps({"hypervisors": list(hosts)}))
        self.tell(verb, source, path)

    def guests(self, source, *guests):
        self.take(source, host("self", *guests), verb="guests")

    def find(self, event, text=""):
        with self.changed:
            return [e for e in self.events if e["event"] == event and text in json.dumps(e)]

    def wait_for(self, event, text="", count=1, timeout=30):
        """The count-th such event."""
        wait_until(lambda: len(self.find(event, text)) >= count, timeout,
                   lambda: f"{count} x {event} {text!r}; events: {json.dumps(self.events, indent=1)}")
        return self.find(event, text)[count - 1]

    def wait_settled(self, timeout=30):
        """Nothing is left to do after what was told last; returns the problem, or None."""
        wait_until(lambda: self.events and self.events[-1]["event"] == "settled", timeout,
                   lambda: f"settled; events: {json.dumps(self.events, indent=1)}")
        return self.events[-1].get("problem")

    def output(self):
        return json.dumps(self.events) + self.process.log()

    def kill(self):
        self.process.kill()
        self.reader.join()

    def close(self):
        if self.process.alive:
            status = self.process.stop()
            assert status == 0, f"the driver ended with {status}\n{self.process.log()}"
        self.reader.join()
        self.process.popen.stdin.close()
