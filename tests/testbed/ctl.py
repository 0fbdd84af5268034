# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbusctl in a world: run to its end, on a terminal, or watching events."""
import json
import signal
import subprocess

from .process import Process
from .terminal import Terminal
from .wait import FACTOR, wait_until

# Exit status, as guestbusctl(1) has it.
OK, FAILED, USAGE, NOT_FOUND, NOT_AUTHORIZED, UNREACHABLE = range(6)


class Ctl:
    """Runs guestbusctl in a world; the result has returncode, stdout and stderr."""

    def __init__(self, world):
        self.world = world
        self.program = world.executable("cli/guestbusctl/guestbusctl")
        self.env = {"DBUS_SYSTEM_BUS_ADDRESS": world.bus.address, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

    def run(self, *words, user=None, status=OK, text=None, env=None):
        identity = {"user": user.uid, "group": user.gid, "extra_groups": user.groups} if user else {}
        source = {"input": text} if text is not None else {"stdin": subprocess.DEVNULL}
        result = subprocess.run([self.program, *words], env={**self.env, **(env or {})}, capture_output=True,
                                text=True, timeout=60 * FACTOR, check=False, cwd="/", **source, **identity)
        assert result.returncode == status, f"{result.stdout}{result.stderr}"
        return result

    def json(self, *words, **options):
        return json.loads(self.run("--json=short", *words, **options).stdout)

    def start(self, *words, **options):
        return Process(self.world, self.world.unique("ctl"), [self.program, *words],
                       env={**self.env, **options.pop("env", {})}, **options)

    def terminal(self, *words, **options):
        return Terminal(self.world, [self.program, *words], env={**self.env, **options.pop("env", {})}, **options)


class Watch:
    """A running "guestbusctl events", watching since the constructor returned."""

    def __init__(self, ctl, *words, **options):
        self.process = ctl.start("events", *words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                 **options)
        self.log_path = self.process.log_path
        wait_until(lambda: "Watching" in self.process.log(), what=self.process.log)

    def wait_line(self, text):
        """The next line with this text; what does not come fails by the deadline of the whole run."""
        for line in self.process.popen.stdout:
            if text in line:
                return line
        raise AssertionError(f"the events ended without {text!r}: {self.process.log()}")

    def end(self, number=signal.SIGINT):
        self.process.signal(number)
        rest = self.process.popen.stdout.read()
        return self.process.wait(), rest
