# SPDX-License-Identifier: LGPL-2.1-or-later
"""An authentication agent for tests: it answers polkit's questions by itself, without a password.

It must run as root, because polkitd takes the answer only from uid 0, and it serves one process.
Run as a program it prints one JSON line for each thing that happens.
"""
import argparse
import json
import os
import sys

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    __package__ = "testbed"  # pylint: disable=redefined-builtin

from gi.repository import Gio, GLib  # noqa: E402

from .process import Process, start_time  # noqa: E402
from .wait import wait_until  # noqa: E402

POLKIT = "org.freedesktop.PolicyKit1"
AUTHORITY = ("/org/freedesktop/PolicyKit1/Authority", POLKIT + ".Authority")
PATH = "/org/guestbus/TestAgent"
INTERFACE = """<node><interface name="org.freedesktop.PolicyKit1.AuthenticationAgent">
<method name="BeginAuthentication">
  <arg type="s" direction="in"/><arg type="s" direction="in"/><arg type="s" direction="in"/>
  <arg type="a{ss}" direction="in"/><arg type="s" direction="in"/><arg type="a(sa{sv})" direction="in"/>
</method>
<method name="CancelAuthentication"><arg type="s" direction="in"/></method>
</interface></node>"""


class Agent:
    """Our end. events is what the agent saw: question, answered, withdrawn."""

    def __init__(self, world, pid, answer="yes", delay=0):
        argv = [sys.executable, __file__, "--pid", pid, "--answer", answer, "--delay", delay]
        self.process = Process(world, world.unique("agent"), argv,
                               env={"DBUS_SYSTEM_BUS_ADDRESS": world.bus.address,
                                    "PYTHONDONTWRITEBYTECODE": "1"})
        self.wait("ready")

    @property
    def events(self):
        lines = self.process.log().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def questions(self):
        return [event for event in self.events if event["event"] == "question"]

    def wait(self, event, count=1, timeout=20):
        wait_until(lambda: sum(seen["event"] == event for seen in self.events) >= count, timeout,
                   lambda: f"{count} x {event} of the agent\n{self.process.log()}")

    def close(self):
        if self.process.alive:
            self.process.stop()


class Answerer:
    """The process that polkitd talks to."""

    def __init__(self, options):
        self.options = options
        flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                 | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        self.connection = Gio.DBusConnection.new_for_address_sync(
            os.environ["DBUS_SYSTEM_BUS_ADDRESS"], flags, None, None)
        interface = Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0]
        self.connection.register_object(PATH, interface, self.on_call, None, None)
        self.open = {}
        subject = ("unix-process", {"pid": GLib.Variant("u", options.pid),
                                    "start-time": GLib.Variant("t", start_time(options.pid))})
        self.authority("RegisterAuthenticationAgent", GLib.Variant("((sa{sv})ss)", (subject, "C", PATH)))
        self.say("ready")

    @staticmethod
    def say(event, **more):
        print(json.dumps({"event": event, **more}), flush=True)

    def authority(self, member, arguments):
        self.connection.call_sync(POLKIT, *AUTHORITY, member, arguments, None, Gio.DBusCallFlags.NONE,
                                  10000, None)

    def on_call(self, _connection, _sender, _path, _interface, member, arguments, invocation):
        if member == "CancelAuthentication":
            self.say("withdrawn")
            question = self.open.pop(arguments.unpack()[0], None)
            if question:
                question.return_dbus_error(POLKIT + ".Error.Cancelled", "withdrawn")
            invocation.return_value(None)
            return
        action, message, _icon, details, cookie, identities = arguments.unpack()
        self.say("question", action=action, message=message, details=details)
        self.open[cookie] = invocation
        identity = arguments.get_child_value(5).get_child_value(0) if identities else None
        GLib.timeout_add(int(self.options.delay * 1000), self.answer, cookie, identity)

    def answer(self, cookie, identity):
        invocation = self.open.pop(cookie, None)
        if invocation is None:
            return False
        if self.options.answer == "yes":
            self.authority("AuthenticationAgentResponse2", GLib.Variant.new_tuple(
                GLib.Variant("u", 0), GLib.Variant("s", cookie), identity))
        if self.options.answer == "cancel":
            invocation.return_dbus_error(POLKIT + ".Error.Cancelled", "dismissed")
        else:
            # With no answer given before, this is what somebody does who has no password.
            invocation.return_value(None)
        self.say("answered", answer=self.options.answer)
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pid", type=int, required=True)
    parser.add_argument("--answer", choices=("yes", "no", "cancel"), default="yes")
    parser.add_argument("--delay", type=float, default=0, help="seconds until the answer")
    answerer = Answerer(parser.parse_args())
    assert answerer.connection
    GLib.MainLoop().run()


if __name__ == "__main__":
    main()
