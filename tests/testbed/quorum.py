# SPDX-License-Identifier: LGPL-2.1-or-later
"""A disk of three copies that disagree in places, so that reading it makes quorum events."""
import json

SIZE = 1 << 20
SECTOR = 512

# Sectors to read, and what it is there.
ONE_DIFFERS = 8
ALL_DIFFER = 128
ONE_FAILS = 256


class Quorum:
    """The copies are q0's children qa, qb and qc; qc is the bad one."""

    def __init__(self, directory):
        self.files = {name: directory / f"quorum-{name}" for name in "abc"}
        for name, path in self.files.items():
            content = bytearray(SIZE)
            content[ALL_DIFFER * SECTOR] = ord(name)
            if name == "c":
                content[ONE_DIFFERS * SECTOR] = ord(name)
            path.write_bytes(content)

    def arguments(self):
        """QEMU's, for MachineOptions.extra_qemu. libvirt itself knows no quorum."""
        node = {"driver": "quorum", "node-name": "q0", "vote-threshold": 2,
                "children": [self._child("a"), self._child("b"), self._child("c", self._failing)]}
        return ("-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=q0,id=qdisk,bus=pcie.0,addr=0x10")

    def _child(self, name, wrap=lambda node: node):
        return {"driver": "raw", "node-name": f"q{name}",
                "file": wrap({"driver": "file", "filename": str(self.files[name])})}

    @staticmethod
    def _failing(node):
        return {"driver": "blkdebug", "image": node,
                "inject-error": [{"event": "none", "iotype": "read", "sector": ONE_FAILS, "errno": 5}]}


def read_command(sector):
    """For the human monitor: QEMU reads one sector of the disk."""
    return f'qemu-io q0 "read {sector * SECTOR} {SECTOR}"'
