# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbusd under its own user, started and watched as a service manager would."""
import os
import re
import shlex
import shutil
import socket
import threading
from pathlib import Path

from .client import NAME
from .process import Process
from .user import current_user, service_user
from .wait import Timeout, wait_until

# Passed on from the environment of the test run, with the known faults of libraries taken out.
SANITIZERS = {"ASAN_OPTIONS": None, "UBSAN_OPTIONS": None, "LSAN_OPTIONS": "lsan.supp",
              "TSAN_OPTIONS": "tsan.supp"}
CONFIG = """# written by the testbed
"""


class Notifications:
    """The service manager's end of sd_notify(3); a thread reads, for a full queue blocks the sender."""

    def __init__(self, path):
        self.messages = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        os.chmod(path, 0o666)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        while True:
            try:
                message = self.socket.recv(65536)
            except OSError:
                return
            if not message:
                return
            self.messages += message.decode(errors="replace").split("\n")

    def seen(self, assignment):
        return assignment in self.messages

    def close(self):
        if self.socket.fileno() != -1:
            self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class Guestbusd:
    """One guestbusd.

    sources: {label: URI}, given with --source; config: text of guestbus.conf instead or besides.
    expect_failure: its exit status is the test's business and not checked at the end.
    """

    def __init__(self, world, sources=None, config="", args=(), env=None, user=None, log_level="debug",
                 expect_failure=False):
        self.world = world
        self.user = user or (service_user() if os.geteuid() == 0 else current_user())
        self.name = world.unique("guestbusd")
        self.dir = world.subdir(self.name, 0o755, self.user)
        self.sources, self.args, self.env = dict(sources or {}), list(args), dict(env or {})
        self.log_level = log_level
        self.expect_failure = expect_failure
        self.config_path = self.dir / "guestbus.conf"
        self.write_config(config)
        self.state_dir = world.subdir(f"{self.name}/state", 0o700, self.user)
        self.runtime_dir = world.subdir(f"{self.name}/run", 0o755, self.user)
        self.process = None
        self.notifications = None
        self._starts = 0
        self._asked_to_end = False

    def write_config(self, text):
        self.config_path.write_text(CONFIG + text, encoding="utf-8")
        self.config_path.chmod(0o644)

    def argv(self):
        sources = [word for label, uri in self.sources.items() for word in ("--source", f"{label}={uri}")]
        return [*shlex.split(os.environ.get("GUESTBUS_WRAPPER", "")), self.world.executable("service/guestbusd"),
                "--config", self.config_path, f"--log-level={self.log_level}", *sources, *self.args]

    def environment(self):
        env = {"DBUS_SYSTEM_BUS_ADDRESS": self.world.bus.address,
               "STATE_DIRECTORY": str(self.state_dir), "RUNTIME_DIRECTORY": str(self.runtime_dir),
               "NOTIFY_SOCKET": str(self.dir / "notify")}
        for name, suppressions in SANITIZERS.items():
            if suppressions:
                # a copy, for the service's user may not be able to read the source tree
                copy = shutil.copy(Path(__file__).with_name(suppressions), self.dir)
                env[name] = f"{os.environ.get(name, '')}:suppressions={copy}:print_suppressions=0"
            else:
                env[name] = os.environ.get(name, "")
            env[name] = f"{env[name]}:log_path={self.dir}/sanitizer".strip(":")
        return {**env, **self.env}

    def start(self, wait=True):
        """Start it; with wait, until it is READY and owns its name."""
        self._starts += 1
        self._asked_to_end = False
        notify = self.dir / "notify"
        notify.unlink(missing_ok=True)
        self.notifications = Notifications(notify)
        self.process = Process(self.world, self.name, self.argv(), env=self.environment(), user=self.user)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=30):
        wait_until(self._ready, timeout, lambda: f"{self.name} is READY\n{self.log()}")
        # On a slow machine it goes public before its sources answer. Tests mean to begin after that; where a
        # source is not to answer, they go on after a while.
        if "Not every local hypervisor" in self.log():
            try:
                wait_until(self._connected, 10)
            except Timeout:
                pass

    def _connected(self):
        lines = [line for line in self.log().splitlines() if "Connected to" in line]
        return all(any(line.endswith(f"[{label}]") for line in lines) for label in self.sources or ())

    def _ready(self):
        if not self.process.alive:
            raise AssertionError(f"{self.name} ended with {self.process.popen.returncode}\n{self.log()}")
        return self.notifications.seen("READY=1") and self.world.bus.has_owner(NAME)

    @property
    def status(self):
        """The last STATUS= it told the service manager."""
        texts = [line[7:] for line in self.notifications.messages if line.startswith("STATUS=")]
        return texts[-1] if texts else ""

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.process.log() if self.process else ""

    def wait_log(self, pattern, timeout=10):
        return wait_until(lambda: re.search(pattern, self.log()), timeout,
                          lambda: f"{pattern} in the log\n{self.log()}")

    def restart(self):
        self.stop()
        return self.start()

    def stop(self):
        """SIGTERM; anything but exit status 0 is an error, and so is a sanitizer's report."""
        self._asked_to_end = True
        status = self.process.stop(30)
        self._check(status)

    def kill(self):
        self.expect_failure = True
        self.process.kill()
        self.notifications.close()

    def wait_end(self, timeout=30):
        """For tests in which it ends by itself; returns its exit status."""
        status = self.process.wait(timeout)
        self.expect_failure = True
        self._check(status)
        return status

    def sanitizer_reports(self):
        return [path.read_text(errors="replace") for path in self.dir.glob("sanitizer.*")]

    def _check(self, status):
        reports = self.sanitizer_reports()
        if reports:
            raise AssertionError(f"{self.name}: sanitizer report\n" + "\n".join(reports))
        if status != 0 and not self.expect_failure:
            raise AssertionError(f"{self.name} ended with {status}\n{self.log()}")

    def close(self):
        if self.process is None:
            return
        try:
            if self.process.alive:
                self.stop()
            elif not self.expect_failure and not self._asked_to_end:
                raise AssertionError(f"{self.name} ended by itself with {self.process.popen.returncode}\n"
                                     f"{self.log()}")
        finally:
            self.notifications.close()
