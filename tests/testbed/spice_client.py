# SPDX-License-Identifier: LGPL-2.1-or-later
"""A SPICE client that links to the main channel, as the protocol's description lays it down.

    with SpiceClient(port) as spice:    # SPICE_CONNECTED
        spice.link()                    # SPICE_INITIALIZED
                                        # SPICE_DISCONNECTED
"""
import hashlib
import os
import socket
import struct

from .vnc_client import receive

MAGIC = b"REDQ"
MAJOR, MINOR = 2, 2
MAIN_CHANNEL = 1
# We say which authentication we want, and understand short message headers.
CAPABILITIES = 1 << 0 | 1 << 3
TICKET_AUTHENTICATION = 1
MAIN_INIT = 103

# magic, major, minor, size of the message
LINK_HEADER = struct.Struct("<4sIII")
# connection id, channel type and id, numbers and offset of capability words, one word
LINK_MESSAGE = struct.Struct("<IBBIIII")
# error, public key (DER); more follows
LINK_REPLY = struct.Struct("<I162s")
MESSAGE_HEADER = struct.Struct("<HI")

HASH_SIZE = 20      # SHA-1, which the protocol is bound to
KEY_SIZE = 128      # an RSA key of 1024 bits


def mask(seed, length):
    """MGF1 of RFC 8017."""
    blocks = (hashlib.sha1(seed + struct.pack(">I", i)).digest() for i in range(length // HASH_SIZE + 1))
    return b"".join(blocks)[:length]


def mix(left, right):
    return bytes(a ^ b for a, b in zip(left, right))


def encrypt(key, text):
    """RSAES-OAEP of RFC 8017 with the key of a DER SubjectPublicKeyInfo."""
    start = key.index(b"\x02\x81\x81\x00") + 4      # the modulus: an INTEGER of 129 bytes
    modulus = int.from_bytes(key[start:start + KEY_SIZE], "big")
    length = key[start + KEY_SIZE + 1]
    exponent = int.from_bytes(key[start + KEY_SIZE + 2:start + KEY_SIZE + 2 + length], "big")
    padding = bytes(KEY_SIZE - len(text) - 2 * HASH_SIZE - 2)
    block = hashlib.sha1(b"").digest() + padding + b"\x01" + text
    seed = os.urandom(HASH_SIZE)
    block = mix(block, mask(seed, len(block)))
    seed = mix(seed, mask(block, HASH_SIZE))
    number = int.from_bytes(b"\0" + seed + block, "big")
    return pow(number, exponent, modulus).to_bytes(KEY_SIZE, "big")


class SpiceClient:
    def __init__(self, port, host="127.0.0.1"):
        self.socket = socket.create_connection((host, port), 30)
        self.port = self.socket.getsockname()[1]

    def link(self, password=""):
        """Authenticate and open the main channel; returns the session's id, unsigned."""
        message = LINK_MESSAGE.pack(0, MAIN_CHANNEL, 0, 1, 0, LINK_MESSAGE.size - 4, CAPABILITIES)
        self.socket.sendall(LINK_HEADER.pack(MAGIC, MAJOR, MINOR, len(message)) + message)
        magic, _, _, size = LINK_HEADER.unpack(receive(self.socket, LINK_HEADER.size))
        error, key = LINK_REPLY.unpack_from(receive(self.socket, size))
        if magic != MAGIC or error:
            raise AssertionError(f"the server refuses the link: {error}")
        self.socket.sendall(struct.pack("<I", TICKET_AUTHENTICATION))
        self.socket.sendall(encrypt(key, password.encode() + b"\0"))
        if receive(self.socket, 4) != bytes(4):
            raise AssertionError("the server refuses the password")
        return self._session()

    def _session(self):
        while True:
            kind, size = MESSAGE_HEADER.unpack(receive(self.socket, MESSAGE_HEADER.size))
            body = receive(self.socket, size)
            if kind == MAIN_INIT:
                return struct.unpack_from("<I", body)[0]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
