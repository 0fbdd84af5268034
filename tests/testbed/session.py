# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pretended login sessions, so that polkit sees a caller as local, and active or not.

polkitd asks libsystemd, and that only reads files: /run/systemd/{sessions,users,seats} (private ones
in polkitd's namespace) and the control group of the caller. Without a session allow_any counts.
"""
import itertools
import os
from pathlib import Path


def cgroup2_root():
    for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines():
        _, path, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(path)
    raise RuntimeError("no cgroup2 mount, so no login session can be pretended")


class Session:
    """One session; enter() in a child before exec, or move(pid), puts a process into it."""

    def __init__(self, ident, scope):
        self.id = ident
        self.scope = scope

    def move(self, pid):
        (self.scope / "cgroup.procs").write_text(str(pid), encoding="ascii")

    def enter(self):
        self.move(os.getpid())


class Sessions:
    def __init__(self, world, directory):
        self.world = world
        self.dir = directory
        self._numbers = itertools.count(1)
        for name in ("seats", "sessions", "users", "machines"):
            (directory / name).mkdir(parents=True)

    def open(self, user, active=True):
        """A session of this user on seat0. Close the last one of a user before opening another."""
        # Control groups are the machine's: the id must be ours alone among all worlds.
        ident = f"gb{os.getpid()}x{next(self._numbers)}"
        state = "active" if active else "online"
        scope_name = f"session-{ident}.scope"
        self._write(f"sessions/{ident}", [
            f"UID={user.uid}", f"USER={user.name}", f"ACTIVE={int(active)}", "IS_DISPLAY=1",
            f"STATE={state}", "REMOTE=0", "TYPE=tty", "CLASS=user", "SEAT=seat0", f"SCOPE={scope_name}"])
        self._write(f"users/{user.uid}", [
            f"NAME={user.name}", f"STATE={state}", f"DISPLAY={ident}", f"SESSIONS={ident}",
            f"ONLINE_SESSIONS={ident}", f"ACTIVE_SESSIONS={ident if active else ''}", "SEATS=seat0",
            f"ACTIVE_SEATS={'seat0' if active else ''}", "ONLINE_SEATS=seat0"])
        path = cgroup2_root()
        for part in ("user.slice", f"user-{user.uid}.slice", scope_name):
            path /= part
            path.mkdir(exist_ok=True)
            self.world.janitor_line(f"empty {path}")
        return Session(ident, path)

    def _write(self, name, lines):
        (self.dir / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
