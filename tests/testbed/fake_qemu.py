#!/usr/bin/python3 -SE
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stands in for QEMU where a test needs many guests, or one whose agent says what no real agent would.

libvirtd starts it as the emulator of a domain. It speaks as much QMP as libvirt asks for, opens the agent's
port at once, and plays the agent from files in DIRECTORY/NAME, where DIRECTORY is its own and NAME is the
domain's:

    COMMAND     what to answer to that agent command: bytes, sent as they are, and a line feed
    mute        while it exists nothing is answered

What has no file gets the error that qemu-ga gives for a command that it does not know.
"""
import json
import os
import re
import selectors
import socket
import sys
import time

REAL = "/usr/bin/qemu-system-x86_64"
CPU = {"props": {"core-id": 0, "thread-id": 0, "socket-id": 0}, "qom-path": "/machine/unattached/device[0]"}


def fd_of(chardev):
    """libvirt opens the sockets and hands over listening descriptors."""
    for word in sys.argv:
        found = re.match(rf"socket,id={chardev},fd=(\d+)", word)
        if found:
            return socket.socket(fileno=int(found.group(1)))
    return None


class Lines:
    """A listening socket with at most one client, of which lines are handled."""

    def __init__(self, selector, listener, on_connect, on_line):
        self.selector, self.listener = selector, listener
        self.on_connect, self.on_line = on_connect, on_line
        self.client, self.buffer = None, b""
        selector.register(listener, selectors.EVENT_READ, self.accept)

    def accept(self):
        client, _ = self.listener.accept()
        if self.client:
            self.drop()
        self.client, self.buffer = client, b""
        self.selector.register(client, selectors.EVENT_READ, self.read)
        self.on_connect()

    def drop(self):
        self.selector.unregister(self.client)
        self.client.close()
        self.client = None

    def read(self):
        try:
            data = self.client.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.drop()
            return
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            if self.client and line.strip(b"\xff \r"):
                self.on_line(json.loads(line.strip(b"\xff \r")))

    def send(self, data):
        try:
            if self.client:
                self.client.sendall(data)
        except OSError:
            pass        # it left meanwhile


class Guest:
    def __init__(self, name, directory):
        self.directory = os.path.join(directory, name)
        self.running = False
        self.selector = selectors.DefaultSelector()
        self.monitor = Lines(self.selector, fd_of("charmonitor"), self.greet, self.on_command)
        agent = fd_of("charchannel0")
        self.agent = Lines(self.selector, agent, lambda: None, self.on_agent_command) if agent else None

    def run(self):
        while True:
            for key, _ in self.selector.select():
                key.data()

    # -- the monitor ----------------------------------------------------------------------------

    def greet(self):
        version = {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": ""}
        self.tell({"QMP": {"version": version, "capabilities": ["oob"]}})

    def tell(self, message):
        self.monitor.send(json.dumps(message).encode() + b"\r\n")

    def event(self, name, **data):
        now = time.time()
        self.tell({"timestamp": {"seconds": int(now), "microseconds": int(now % 1 * 1e6)}, "event": name,
                   **({"data": data} if data else {})})

    def on_command(self, message):
        name = message["execute"]
        handler = getattr(self, name.replace("-", "_"), None)
        # Without an answer of its own a query finds nothing, and an action works.
        answer = handler() if handler else [] if name.startswith(("query-", "qom-list")) else {}
        self.tell({"return": answer, "id": message.get("id")})
        after = getattr(self, f"after_{name.replace('-', '_')}", None)
        if after:
            after()

    def query_status(self):
        return {"running": self.running, "singlestep": False,
                "status": "running" if self.running else "paused"}

    @staticmethod
    def query_hotpluggable_cpus():
        return [{**CPU, "vcpus-count": 1, "type": "qemu64-x86_64-cpu"}]

    @staticmethod
    def query_cpus_fast():
        return [{**CPU, "thread-id": os.getpid(), "cpu-index": 0, "target": "x86_64"}]

    @staticmethod
    def query_chardev():
        return [{"frontend-open": False, "filename": "", "label": "charchannel0"}]

    @staticmethod
    def qom_get():
        return []       # unavailable-features of the processor

    def after_cont(self):
        self.running = True
        self.event("RESUME")
        self.event("VSERPORT_CHANGE", open=True, id="channel0")

    def after_stop(self):
        self.running = False
        self.event("STOP")

    def after_system_powerdown(self):
        self.event("POWERDOWN")
        self.event("SHUTDOWN", guest=True, reason="guest-shutdown")

    @staticmethod
    def after_quit():
        sys.exit()

    # -- the agent ------------------------------------------------------------------------------

    def on_agent_command(self, message):
        name = message["execute"]
        if os.path.exists(os.path.join(self.directory, "mute")):
            return
        if name in ("guest-sync", "guest-sync-delimited"):
            self.agent.send(json.dumps({"return": message["arguments"]["id"]}).encode() + b"\n")
            return
        try:
            with open(os.path.join(self.directory, name), "rb") as file:
                self.agent.send(file.read() + b"\n")
        except FileNotFoundError:
            self.agent.send(json.dumps({"error": {
                "class": "CommandNotFound",
                "desc": f"The command {name} has not been found"}}).encode() + b"\n")


def main():
    name = re.search(r"guest=([\w-]+)", " ".join(sys.argv))
    if not name or "none," in " ".join(sys.argv).partition("-machine ")[2][:5]:
        # libvirtd asks what this QEMU can do: the real one knows.
        os.execv(REAL, [REAL, *sys.argv[1:]])
    Guest(name.group(1), os.path.dirname(os.path.abspath(sys.argv[0]))).run()


main()
