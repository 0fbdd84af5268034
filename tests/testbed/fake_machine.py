# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests without a machine: libvirtd's real QEMU driver, with fake_qemu.py in QEMU's place."""
import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .libvirtd import name_uuid

FAKE_DOMAIN = """
<domain type='qemu'><name>{name}</name><uuid>{uuid}</uuid>
<memory unit='MiB'>16</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<on_poweroff>destroy</on_poweroff>
<devices>
  <emulator>{emulator}</emulator>
  <controller type='usb' model='none'/>
  <controller type='virtio-serial' index='0'/>
  <channel type='unix'><source mode='bind'/>
  <target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  <video><model type='none'/></video><memballoon model='none'/>
</devices></domain>
"""

# What a sane agent says.
SANE = {
    "guest-get-host-name": {"host-name": "fake"},
    "guest-get-users": [{"user": "alice", "login-time": 1700000000.5}],
    "guest-get-timezone": {"zone": "UTC", "offset": 0},
    "guest-get-osinfo": {"id": "debian", "pretty-name": "Fake 1.0", "kernel-release": "1.0.0-fake",
                         "machine": "x86_64"},
    "guest-network-get-interfaces": [
        {"name": "eth0", "hardware-address": "52:54:00:00:00:01", "ip-addresses": [
            {"ip-address-type": "ipv4", "ip-address": "192.0.2.7", "prefix": 24}]}],
    "guest-get-fsinfo": [],
    "guest-get-disks": [],
}


class FakeMachine:
    def __init__(self, libvirtd, name, mute=False):
        self.libvirtd, self.name, self.uuid = libvirtd, name, name_uuid(name)
        self.path = f"/org/guestbus1/vm/local/{self.uuid.replace('-', '_')}"
        emulator = libvirtd.dir / "fake-qemu"
        if not emulator.exists():
            shutil.copy(Path(__file__).with_name("fake_qemu.py"), emulator)
            emulator.chmod(0o755)
        self.answers = libvirtd.dir / name
        self.answers.mkdir()
        for command, answer in SANE.items():
            self.says(command, answer)
        if mute:
            self.mute(True)
        self.connection = libvirtd.connect()
        self.domain = self.connection.defineXML(
            FAKE_DOMAIN.format(name=name, uuid=self.uuid, emulator=emulator))

    def says(self, command, answer):
        """From now on the agent answers this value."""
        self.says_bytes(command, json.dumps({"return": answer}).encode())

    def says_bytes(self, command, line):
        new = self.answers / ".new"
        new.write_bytes(line)
        new.rename(self.answers / command)

    def refuses(self, command, reason):
        self.says_bytes(command, json.dumps({"error": {"class": "CommandNotFound", "desc": reason}}).encode())

    def mute(self, on):
        if on:
            (self.answers / "mute").touch()
        else:
            (self.answers / "mute").unlink()

    def start(self):
        self.domain.create()
        return self



def destroy_all(machines):
    """libvirtd takes up to two seconds to bury each, and buries a few at once for each of its clients."""
    def destroy(machine):
        connection = machine.libvirtd.connect()
        domain = connection.lookupByUUIDString(machine.uuid)
        if domain.isActive():
            domain.destroy()
        connection.close()
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(destroy, machines))
