# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events that no real QEMU sends, put into a real guestbusd where libvirt would call it."""
import re
import socket
import subprocess

LIBRARY = "tests/testbed/fake-qmp-monitor.so"


def preload(library):
    """The library, after the sanitizer's runtime where it was built with one: that must come first."""
    listing = subprocess.run(["ldd", library], check=True, capture_output=True, text=True).stdout
    return ":".join([*re.findall(r"=> (/\S*/lib[at]san\S*)", listing), str(library)])


class FakeQmp:
    """Makes a guestbusd believe that its source has QMP events. Give its env to the Guestbusd."""

    def __init__(self, world, user):
        self.path = world.subdir(world.unique("fake-qmp"), 0o755, user) / "socket"
        self.env = {"LD_PRELOAD": preload(world.executable(LIBRARY)), "FAKE_QMP_SOCKET": str(self.path)}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def send(self, uuid, name, details=None, seconds=1700000000, micros=0):
        """One event; details is JSON text, str or bytes."""
        fields = [uuid.encode(), name.encode(), str(seconds).encode(), str(micros).encode()]
        if details is not None:
            fields.append(details.encode() if isinstance(details, str) else details)
        self.socket.sendto(b"\t".join(fields), str(self.path))

    def close(self):
        self.socket.close()
