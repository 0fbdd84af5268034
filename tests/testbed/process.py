# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes that the testbed started. Nothing else is ever signalled.

A process is known by its pid and its kernel start time, so a pid that was used again is never hit.
"""
import os
import signal
import subprocess
from pathlib import Path

from .wait import wait_until


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on, or None. The name may hold spaces and brackets."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def start_time(pid):
    """Start time in clock ticks since boot; None for a process that is gone or a zombie."""
    fields = stat_fields(pid)
    if not fields or fields[0] in "ZX":
        return None
    return int(fields[19])


def send_signal(pid, started, number):
    """Signal the process only if it is still the one that started then. False if it is gone."""
    try:
        fd = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return False
    try:
        # The descriptor pins the process, so the check cannot be overtaken by a reuse of the pid.
        if start_time(pid) != started:
            return False
        signal.pidfd_send_signal(fd, number)
        return True
    except ProcessLookupError:
        return False
    finally:
        os.close(fd)


class Process:
    """One child, with its output in a log file, optionally under another user."""

    def __init__(self, world, name, argv, *, env=None, user=None, log=None, **popen):
        self.name = name
        self.log_path = Path(log or world.dir / f"{name}.log")
        identity = {}
        if user is not None and os.geteuid() == 0:
            identity = {"user": user.uid, "group": user.gid, "extra_groups": user.groups}
        environment = {"PATH": "/usr/local/sbin:/usr/sbin:/usr/local/bin:/usr/bin:/sbin:/bin",
                       "LANG": "C.UTF-8", **(env or {})}
        with open(self.log_path, "ab") as log_file:
            popen = {"stdin": subprocess.DEVNULL, "stdout": log_file, "stderr": log_file, **popen}
            self.popen = subprocess.Popen([str(word) for word in argv], env=environment, cwd="/",
                                          start_new_session=True, **identity, **popen)
        self.pid = self.popen.pid
        self.started = start_time(self.pid)
        world.track(self.pid, self.started)

    @property
    def alive(self):
        return self.popen.poll() is None

    def log(self):
        try:
            return self.log_path.read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def signal(self, number):
        if self.alive:
            self.popen.send_signal(number)

    def wait(self, timeout=10):
        """The exit status, negative for a signal."""
        wait_until(lambda: not self.alive, timeout, f"end of {self.name}")
        return self.popen.returncode

    def stop(self, timeout=10):
        """Ask it to end, insist when it does not; returns the exit status."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            return self.wait(timeout)
        except AssertionError:
            self.kill()
            raise AssertionError(f"{self.name} did not end on SIGTERM\n{self.log()}") from None

    def kill(self):
        self.signal(signal.SIGKILL)
        return self.wait()

    def freeze(self):
        """SIGSTOP, and return when it has stopped."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: (stat_fields(self.pid) or "X")[0] in "TX", what=f"{self.name} stopped")

    def thaw(self):
        self.signal(signal.SIGCONT)
