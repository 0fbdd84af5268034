# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private system bus: the machine's dbus-daemon and stock policy on a socket of its own."""
import os
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

from gi.repository import Gio, GLib

from .process import Process
from .wait import wait_until

STOCK_CONFIG = Path("/usr/share/dbus-1/system.conf")
STOCK_POLICY = Path("/usr/share/dbus-1/system.d")

# What ties the stock configuration to the machine's own bus, and what would start its services.
LEFT_OUT = {"fork", "pidfile", "syslog", "listen", "servicehelper", "standard_system_servicedirs",
            "include", "includedir"}


class Bus:
    def __init__(self, world):
        self.world = world
        self.dir = world.subdir("bus")
        self.policy_dir = self.dir / "system.d"
        self.policy_dir.mkdir()
        self.socket = self.dir / "socket"
        self.address = f"unix:path={self.socket}"
        self.process = None
        self._connection = None
        self._write_config()

    def _write_config(self):
        root = ET.parse(STOCK_CONFIG).getroot()
        for element in list(root):
            if element.tag in LEFT_OUT:
                root.remove(element)
            elif element.tag == "user" and os.geteuid() != 0:
                root.remove(element)
        ET.SubElement(root, "listen").text = self.address
        ET.SubElement(root, "includedir").text = str(self.policy_dir)
        ET.ElementTree(root).write(self.dir / "system.conf")
        # polkitd's own; the other files of the machine would only blur what our tests show
        polkit = STOCK_POLICY / "org.freedesktop.PolicyKit1.conf"
        if polkit.exists():
            shutil.copy(polkit, self.policy_dir)

    def start(self):
        self.socket.unlink(missing_ok=True)
        self.process = Process(self.world, "dbus-daemon", [
            "dbus-daemon", f"--config-file={self.dir}/system.conf", "--nofork", "--nopidfile",
            "--nosyslog"])
        wait_until(self._answers, what=lambda: f"the bus answers\n{self.process.log()}")

    def _answers(self):
        if not self.process.alive:
            raise AssertionError(f"dbus-daemon ended\n{self.process.log()}")
        try:
            self.connect().close_sync(None)
            return True
        except GLib.Error:
            return False

    def stop(self):
        """End the bus; everybody on it is disconnected."""
        self._forget_connection()
        self.process.stop()

    def kill(self):
        self._forget_connection()
        self.process.kill()

    def _forget_connection(self):
        if self._connection:
            self._connection.set_exit_on_close(False)
            self._connection = None

    def connect(self):
        """A new connection of our own, as the user who runs the tests."""
        flags = (Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT
                 | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION)
        connection = Gio.DBusConnection.new_for_address_sync(self.address, flags, None, None)
        connection.set_exit_on_close(False)
        return connection

    def ask(self, member, signature=None, *args):
        """Call a method of org.freedesktop.DBus on the bus driver."""
        if self._connection is None or self._connection.is_closed():
            self._connection = self.connect()
        parameters = GLib.Variant(signature, args) if signature else None
        return self._connection.call_sync("org.freedesktop.DBus", "/org/freedesktop/DBus",
                                          "org.freedesktop.DBus", member, parameters, None,
                                          Gio.DBusCallFlags.NONE, 5000, None).unpack()

    def has_owner(self, name):
        return self.ask("NameHasOwner", "(s)", name)[0]

    def pid_of(self, name):
        return self.ask("GetConnectionUnixProcessID", "(s)", name)[0]

    def install_policy(self, path, name=None):
        """Add a bus policy file and have the bus read it, if it runs."""
        shutil.copy(path, self.policy_dir / (name or Path(path).name))
        if self.process and self.process.alive:
            self.ask("ReloadConfig")

    def remove_policy(self, name):
        (self.policy_dir / name).unlink()
        if self.process and self.process.alive:
            self.ask("ReloadConfig")
