# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real polkitd on the private bus, with actions, rules and login sessions of its own.

polkitd's directories are compiled in, so it runs in a mount namespace where private ones are bound
over them. Everybody else on the machine keeps seeing the real ones.
"""
import os
import re
import shutil
from pathlib import Path

from .process import Process
from .session import Sessions
from .wait import wait_until

POLKITD = "/usr/lib/polkit-1/polkitd"
NAME = "org.freedesktop.PolicyKit1"

# Rules written by a packager for the whole machine stay out: answers must depend on the test alone.
# This one makes root the administrator whose password is asked for.
DEFAULT_RULES = ("/usr/share/polkit-1/rules.d/50-default.rules", "/etc/polkit-1/rules.d/50-default.rules")
OWN_ACTIONS = "/usr/share/polkit-1/actions/org.freedesktop.policykit.policy"

ENTER = """
mount --bind "$1/rules"      /etc/polkit-1/rules.d &&
mount --bind "$1/vendor"     /usr/share/polkit-1/rules.d &&
mount --bind "$1/actions"    /usr/share/polkit-1/actions || exit 1
mkdir -p /run/systemd && mount --bind "$1/systemd" /run/systemd || exit 1
exec "$2"
"""


class Polkit:
    def __init__(self, world):
        self.world = world
        self.dir = world.subdir("polkit")
        for name in ("rules", "vendor", "actions"):
            (self.dir / name).mkdir()
        self.sessions = Sessions(world, self.dir / "systemd")
        self.process = None
        if os.path.exists(OWN_ACTIONS):
            shutil.copy(OWN_ACTIONS, self.dir / "actions")
        for path in DEFAULT_RULES:
            if os.path.exists(path):
                shutil.copy(path, self.dir / "vendor")

    def start(self):
        self.process = Process(
            self.world, "polkitd",
            ["unshare", "--mount", "--propagation", "private", "--", "/bin/sh", "-c", ENTER, "sh",
             self.dir, POLKITD],
            env={"DBUS_SYSTEM_BUS_ADDRESS": self.world.bus.address})
        wait_until(self._answers, what=lambda: f"polkitd on the bus\n{self.process.log()}")

    def _answers(self):
        if not self.process.alive:
            raise AssertionError(f"polkitd ended\n{self.process.log()}")
        return self.world.bus.has_owner(NAME)

    @property
    def alive(self):
        return self.process is not None and self.process.alive

    def stop(self):
        self.process.stop()
        self._wait_gone()

    def kill(self):
        self.process.kill()
        self._wait_gone()

    def _wait_gone(self):
        wait_until(lambda: not self.world.bus.has_owner(NAME), what="polkitd's name is free")

    def freeze(self):
        """SIGSTOP: polkitd owns its name and answers nothing."""
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def install_action(self, path):
        """Add a .policy file and wait until polkitd knows its actions."""
        text = Path(path).read_text(encoding="utf-8")
        self._put("actions", Path(path).name, text)
        wanted = set(re.findall(r'<action id="([^"]+)"', text))
        if self.alive:
            wait_until(lambda: wanted <= self.known_actions(), what=f"actions of {path}")

    def known_actions(self):
        actions = self.world.client.call("EnumerateActions", "(s)", "C", dest=NAME,
                                         path="/org/freedesktop/PolicyKit1/Authority",
                                         interface=NAME + ".Authority")
        return {action[0] for action in actions}

    def install_rule(self, path):
        self.add_rule(Path(path).name, Path(path).read_text(encoding="utf-8"))

    def add_rule(self, name, text):
        """Add a rule (JavaScript text) and wait until polkitd has loaded it."""
        self._reloading(lambda: self._put("rules", name, text))

    def remove_rule(self, name):
        self._reloading((self.dir / "rules" / name).unlink)

    def _put(self, folder, name, text):
        # Complete when it appears: polkitd reads a file as soon as it sees the name.
        path = self.dir / f".{name}"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        path.rename(self.dir / folder / name)

    def _reloading(self, change):
        loads = self._loads()
        change()
        if self.alive:
            wait_until(lambda: self._loads() > loads, what=lambda: f"rules reloaded\n{self.process.log()}")

    def _loads(self):
        return self.process.log().count("Finished loading") if self.process else 0
