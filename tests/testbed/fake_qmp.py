# SPDX-License-Identifier: LGPL-2.1-or-later
"""Events that no real QEMU sends, put into a real guestbusd where libvirt would call it."""
import socket

LIBRARY = "tests/testbed/fake-qmp-monitor.so"


class FakeQmp:
    """Makes a guestbusd believe that its source has QMP events. Give its env to the Guestbusd."""

    def __init__(self, world, user):
        self.path = world.subdir(world.unique("fake-qmp"), 0o755, user) / "socket"
        self.env = {"LD_PRELOAD": str(world.executable(LIBRARY)), "FAKE_QMP_SOCKET": str(self.path)}
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
