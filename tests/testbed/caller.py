# SPDX-License-Identifier: LGPL-2.1-or-later
"""Calls made by another user: a small process of that user on the bus, told what to call.

Run as a program it is that process: one JSON request per line on its input, one answer per line on
its output, any number of calls in flight.
"""
import json
import os
import queue
import subprocess
import sys
import threading

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "testbed"  # pylint: disable=redefined-builtin

from gi.repository import Gio, GLib  # noqa: E402

from .client import BusError, CALL_TIMEOUT, MANAGER, NAME, ROOT, Signal, bus_error, plain  # noqa: E402
from .process import Process  # noqa: E402
from .user import User  # noqa: E402
from .wait import FACTOR, wait_until  # noqa: E402


class Pending:
    def __init__(self, caller, what):
        self.caller, self.what, self.answer = caller, what, None

    @property
    def done(self):
        self.caller.read_answers()
        return self.answer is not None

    def result(self, timeout=CALL_TIMEOUT):
        wait_until(lambda: self.done or not self.caller.process.alive, timeout + 5,
                   f"answer to {self.what} by {self.caller}")
        if self.answer is None:
            raise AssertionError(f"{self.caller} ended\n{self.caller.process.log()}")
        if "error" in self.answer:
            raise BusError(self.answer["error"], self.answer["message"])
        return self.answer["value"]


class Caller:
    """Our end: start() and call() as in Client, but by another user. Values come back as JSON has them."""

    def __init__(self, world, user, session=None):
        self.user = user
        self._pending = {}
        self._lines = queue.Queue()
        self.signals = []
        self.process = Process(
            world, world.unique(f"caller-{user.name}"), [sys.executable, __file__, user.name],
            env={"DBUS_SYSTEM_BUS_ADDRESS": world.bus.address, "PYTHONDONTWRITEBYTECODE": "1",
                 "GUESTBUS_TIMEOUT_FACTOR": str(FACTOR)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if session:
            session.move(self.process.pid)
        threading.Thread(target=self._read, daemon=True).start()
        self.unique_name = None
        wait_until(self._ready, what=lambda: f"{self} on the bus\n{self.process.log()}")

    def __str__(self):
        return f"caller {self.user.name} {self.unique_name}"

    @property
    def pid(self):
        return self.process.pid

    def _read(self):
        for line in self.process.popen.stdout:
            self._lines.put(json.loads(line))

    def _ready(self):
        if not self.process.alive:
            raise AssertionError(f"caller of {self.user.name} ended\n{self.process.log()}")
        self.read_answers()
        return self.unique_name

    def read_answers(self):
        while not self._lines.empty():
            line = self._lines.get()
            if "name" in line:
                self.unique_name = line["name"]
            elif "signal" in line:
                self.signals.append(Signal(*line["signal"]))
            elif "recording" in line:
                self._pending.pop(line["recording"]).answer = {"value": None}
            else:
                self._pending.pop(line["id"]).answer = line

    def _send(self, request, what):
        number = request["id"] = len(self._pending) and max(self._pending) + 1
        pending = self._pending[number] = Pending(self, what)
        self.process.popen.stdin.write(json.dumps(request) + "\n")
        self.process.popen.stdin.flush()
        return pending

    def start(self, member, signature=None, *args, path=ROOT, interface=MANAGER, dest=NAME,
              interactive=False, timeout=CALL_TIMEOUT):
        arguments = GLib.Variant(signature, args).print_(True) if signature else None
        return self._send({"member": member, "arguments": arguments, "path": path, "interface": interface,
                           "dest": dest, "interactive": interactive, "timeout": timeout * FACTOR},
                          f"{interface}.{member} on {path}")

    def call(self, member, signature=None, *args, **options):
        return self.start(member, signature, *args, **options).result(
            options.get("timeout", CALL_TIMEOUT) * FACTOR)

    def get(self, path, interface, name):
        return self.call("Get", "(ss)", interface, name, path=path,
                         interface="org.freedesktop.DBus.Properties")

    def record(self, sender=NAME):
        """From now on what this user receives of that sender is appended to .signals."""
        self._send({"record": sender}, "recording").result()

    def kill(self):
        """Leave the bus without a word."""
        self.process.kill()

    def close(self):
        self.process.popen.stdin.close()
        if self.process.alive:
            self.process.stop()


class Speaker:
    """The other end, on the bus."""

    def __init__(self):
        flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                 | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        self.connection = Gio.DBusConnection.new_for_address_sync(
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"], flags, None, None)
        self.say(name=self.connection.get_unique_name())
        self.loop = GLib.MainLoop()
        channel = GLib.IOChannel.unix_new(0)
        GLib.io_add_watch(channel, GLib.PRIORITY_DEFAULT, GLib.IOCondition.IN | GLib.IOCondition.HUP,
                          self.on_input)

    @staticmethod
    def say(**line):
        print(json.dumps(line), flush=True)

    def on_input(self, channel, _condition):
        line = channel.readline()
        if not line:
            self.loop.quit()
            return False
        request = json.loads(line)
        if "record" in request:
            self.record(request)
        else:
            self.call(request)
        return True

    def call(self, request):
        arguments = GLib.Variant.parse(None, request["arguments"]) if request["arguments"] else None
        flags = Gio.DBusCallFlags.NO_AUTO_START
        if request["interactive"]:
            flags |= Gio.DBusCallFlags.ALLOW_INTERACTIVE_AUTHORIZATION
        self.connection.call(request["dest"], request["path"], request["interface"], request["member"],
                             arguments, None, flags, int(request["timeout"] * 1000), None,
                             self.on_reply, request["id"])

    def on_reply(self, connection, task, number):
        try:
            self.say(id=number, value=plain(connection.call_finish(task)))
        except GLib.Error as error:
            error = bus_error(error)
            self.say(id=number, error=error.name, message=error.message)

    def record(self, request):
        def on_signal(_connection, _sender, path, interface, member, parameters):
            self.say(signal=[path, interface, member, parameters.unpack(), 0])
        self.connection.signal_subscribe(request["record"], None, None, None, None,
                                         Gio.DBusSignalFlags.NONE, on_signal)
        self.connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                                  "GetId", None, None, Gio.DBusCallFlags.NONE, -1, None)
        self.say(recording=request["id"])


def become(name):
    """Take the user's identity only now: the source tree may be where no other user can read."""
    user = User(name)
    if os.geteuid() == 0:
        os.setgroups(user.groups)
        os.setgid(user.gid)
        os.setuid(user.uid)


if __name__ == "__main__":
    become(sys.argv[1])
    Speaker().loop.run()
