# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stoplight Prism between the reporter and its server: it compares both sides with Candlepin's OpenAPI file.

The file is not part of this project; GUESTBUS_CANDLEPIN_SPEC says where it is. Prism is installed with npm into the
testbed's cache when a test first needs it.
"""
import json
import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

from .process import Process
from .tinyproxy import free_port, is_open
from .wait import wait_until

VERSION = "5.14.2"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "/var/cache/guestbus-testbed"))


def install():
    """The path of the prism command."""
    directory = CACHE / f"prism-{VERSION}"
    command = directory / "node_modules/.bin/prism"
    if not command.exists():
        unfinished = directory.with_suffix(f".{os.getpid()}")
        unfinished.mkdir(parents=True)
        # Its packages' own scripts have no business on this machine.
        subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", unfinished,
                        f"@stoplight/prism-cli@{VERSION}"], check=True, capture_output=True)
        try:
            unfinished.rename(directory)
        except OSError:  # somebody else was first
            shutil.rmtree(unfinished)
    return command


class TlsRelay:
    """Speaks TLS for Prism, which cannot, and reads in its answers what it found wrong."""

    def __init__(self, certificate, target):
        self.target = target
        self.answers = bytearray()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.listener = context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True,
                                            do_handshake_on_connect=False)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=[client], daemon=True).start()

    def _relay(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            client.do_handshake()
            while True:
                ready = [client] if client.pending() else select.select([client, server], [], [])[0]
                for side in ready:
                    data = side.recv(65536)
                    if not data:
                        return
                    if side is server:
                        self.answers += data
                        client.sendall(data)
                    else:
                        server.sendall(data)

    def violations(self):
        found = []
        for line in bytes(self.answers).decode(errors="replace").split("\r\n"):
            name, _, value = line.partition(":")
            if name.lower() == "sl-violations":
                found += json.loads(value)
        return found

    def close(self):
        self.listener.close()


class Prism:
    """In front of `candlepin`; `port` speaks TLS with the same certificate."""

    def __init__(self, world, spec, candlepin):
        port = free_port()
        self.process = Process(
            world, world.unique("prism"),
            [install(), "proxy", "-h", "127.0.0.1", "-p", port, spec,
             f"https://localhost:{candlepin.port}{candlepin.prefix}"],
            env={"NODE_EXTRA_CA_CERTS": str(candlepin.authority.certificate), "HOME": str(world.dir)})
        wait_until(lambda: is_open(port), 60, "prism listening")
        self.relay = TlsRelay((candlepin.certificate, candlepin.key), port)
        self.port = self.relay.port

    def violations(self):
        return self.relay.violations()

    def close(self):
        self.relay.close()
        self.process.stop()
