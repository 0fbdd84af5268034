# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real HTTP proxy (tinyproxy), with or without a password."""
import socket

from .process import Process
from .wait import wait_until


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_open(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port)).close()
        return True
    except OSError:
        return False


class Tinyproxy:
    def __init__(self, world, user=None, password=None, address="127.0.0.1"):
        self.port = free_port()
        self.log = world.dir / (world.unique("tinyproxy") + ".log")
        config = self.log.with_suffix(".conf")
        lines = [f"Port {self.port}", f"Listen {address}", "Timeout 60", "LogLevel Connect", f"Allow {address}",
                 "ViaProxyName \"tinyproxy\""]
        if user:
            lines.append(f"BasicAuth {user} {password}")
        config.write_text("\n".join(lines) + "\n")
        self.process = Process(world, self.log.stem, ["tinyproxy", "-d", "-c", config], log=self.log)
        wait_until(lambda: is_open(self.port, address), what="tinyproxy listening")

    def tunnels(self):
        """What it was asked to connect to."""
        return [line.rpartition("CONNECT ")[2].split()[0] for line in self.process.log().splitlines()
                if "CONNECT " in line and "Request" in line]

    def close(self):
        if self.process.alive:
            self.process.stop()
