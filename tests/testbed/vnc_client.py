# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VNC client that goes as far into the RFB handshake (RFC 6143) as a test wants it to.

    with VncClient(port) as vnc:    # VNC_CONNECTED
        vnc.initialize()            # VNC_INITIALIZED
                                    # VNC_DISCONNECTED
"""
import socket
import struct

VERSION = b"RFB 003.008\n"
NO_AUTHENTICATION = 1
SHARED = 1
# width, height, pixel format, length of the name
SERVER_INIT = struct.Struct(">HH16sI")


def receive(connection, count):
    """Exactly that many bytes."""
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError("the server closed the connection")
        data += part
    return data


class VncClient:
    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), 30)
        self.port = self.socket.getsockname()[1]

    def greet(self):
        """Wait for the server's version. QEMU queues one connection only: who leaves sooner, and comes again,
        waits for TCP to try a second time."""
        receive(self.socket, len(VERSION))

    def initialize(self):
        """Authenticate (with none) and open the session; returns the desktop's name."""
        self.greet()
        self.socket.sendall(VERSION)
        types = receive(self.socket, receive(self.socket, 1)[0])
        if NO_AUTHENTICATION not in types:
            raise AssertionError(f"the server wants one of {list(types)}")
        self.socket.sendall(bytes([NO_AUTHENTICATION]))
        if receive(self.socket, 4) != bytes(4):
            raise AssertionError("the server refuses")
        self.socket.sendall(bytes([SHARED]))
        *_, length = SERVER_INIT.unpack(receive(self.socket, SERVER_INIT.size))
        return receive(self.socket, length).decode()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def storm(port, connections):
    """Come and go, that many times, as fast as QEMU takes it."""
    for _ in range(connections):
        with VncClient(port) as client:
            client.greet()
