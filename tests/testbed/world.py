# SPDX-License-Identifier: LGPL-2.1-or-later
"""One private world: a directory, the parts that run in it, and the promise that all of it goes away.

    with World() as world:
        world.bus.start()
        world.polkit.start()
        daemon = world.guestbusd(sources={"local": "test:///default"})
        print(world.client.call("ListVMs", path="/org/guestbus1", interface="org.guestbus1.Manager"))
"""
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from functools import cached_property
from pathlib import Path

from .agent import Agent
from .bus import Bus
from .caller import Caller
from .client import Client
from .daemon import Guestbusd
from .libvirtd import Libvirtd
from .polkit import Polkit
from .user import reporter_user, service_user

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GUESTBUS_BUILD", SOURCE / "build")).resolve()


class World:
    def __init__(self):
        # Short, for a unix socket's path ends at 107 bytes; and passable, for each part has its user.
        self.dir = Path(tempfile.mkdtemp(prefix="gb.", dir="/tmp"))
        self.dir.chmod(0o755)
        self._janitor = subprocess.Popen(
            [sys.executable, "-S", str(Path(__file__).with_name("janitor.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, text=True)
        self.janitor_line(f"directory {self.dir}")
        self._parts = []
        self._names = {}
        self.bus = Bus(self)

    # -- what the parts use ---------------------------------------------------------------------

    def janitor_line(self, line):
        self._janitor.stdin.write(line + "\n")
        self._janitor.stdin.flush()

    def track(self, pid, started):
        if started is not None:
            self.janitor_line(f"process {pid} {started}")

    def subdir(self, name, mode=0o755, user=None):
        path = self.dir / name
        path.mkdir(exist_ok=True)
        path.chmod(mode)
        if user and os.geteuid() == 0:
            os.chown(path, user.uid, user.gid)
        return path

    def unique(self, name):
        """name, name2, name3, ... for parts of which a world can have several."""
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name}{count}"

    def _keep(self, part):
        self._parts.append(part)
        return part

    def executable(self, name):
        """A program of the build directory, copied to where every user may run it."""
        directory = self.subdir("bin")
        copy = directory / Path(name).name
        if not copy.exists():
            shutil.copy(BUILD / name, copy)
            copy.chmod(0o755)
        return copy

    def logs(self):
        """(name, text) of every log, for the report of a failed test."""
        for path in sorted(self.dir.glob("*.log")):
            if path.stat().st_size > 0:
                yield path.name, path.read_text(errors="replace")[-20000:]

    # -- the parts ------------------------------------------------------------------------------

    @cached_property
    def polkit(self):
        return Polkit(self)

    @cached_property
    def client(self):
        """A connection to the private bus as the user who runs the tests (root as a rule)."""
        return self._keep(Client(self.bus))

    def new_client(self):
        return self._keep(Client(self.bus))

    def caller(self, user, **options):
        """A process of that user that makes calls for us."""
        return self._keep(Caller(self, user, **options))

    def agent(self, pid, **options):
        """An authentication agent that answers polkit's questions about that process."""
        return self._keep(Agent(self, pid, **options))

    def libvirtd(self, **options):
        """A started libvirtd; any number of them, each with its own state."""
        daemon = self._keep(Libvirtd(self, **options))
        daemon.start()
        return daemon

    def guestbusd(self, start=True, **options):
        """A guestbusd, started and READY unless start is false."""
        daemon = self._keep(Guestbusd(self, **options))
        if start:
            daemon.start()
        return daemon

    def install_guestbus_files(self):
        """Put the project's bus policy, polkit actions and rules into this world, as installed."""
        if os.geteuid() == 0:
            # dbus-daemon refuses rules for users that do not exist
            service_user()
            reporter_user()
        for directory in ("data", "polkit", "dbus"):
            for root in (SOURCE / directory, BUILD / directory):
                for path in sorted(root.glob("org.guestbus1*.conf")):
                    # The policy that opens reading to all local users is installed, not enabled.
                    if "desktop" not in path.name:
                        self.bus.install_policy(path)
                for path in sorted(root.glob("org.guestbus1*.policy")):
                    self.polkit.install_action(path)
                for path in sorted(root.glob("*guestbus*.rules")):
                    self.polkit.install_rule(path)

    # -- the end --------------------------------------------------------------------------------

    def close(self):
        """Stop everything, newest first. Complaints of a part are raised when all is stopped."""
        failures = []
        for part in reversed(self._parts):
            try:
                part.close()
            except Exception as error:  # pylint: disable=broad-except
                failures.append(error)
        self._parts.clear()
        self._janitor.stdin.close()
        self._janitor.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
        if failures:
            raise failures[0]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        try:
            self.close()
        except Exception:  # pylint: disable=broad-except
            if kind is None:
                raise


def end_on_signals():
    """Make SIGTERM and SIGHUP end this program like Ctrl-C does: with its worlds closed."""
    def interrupt(number, frame):
        raise KeyboardInterrupt
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
