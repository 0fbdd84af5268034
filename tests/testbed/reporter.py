# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbus-report with files of its own: as a program that is run and ends, and as the service under its own user."""
import json
import os
import pty
import shlex
import subprocess
import threading

from .daemon import SANITIZERS, Notifications
from .process import Process
from .user import reporter_user
from .wait import FACTOR, wait_until

NAME = "org.guestbus1.Reporter"
PATH = "/org/guestbus1/reporter"
INTERFACE = NAME
MAPPING = NAME + ".Mapping"
PASSWORD = "hunter2-secret"


def guest(uuid, state=1):
    return {"guestId": uuid, "state": state}


def host(name, *guests, **facts):
    return {"hypervisorId": {"hypervisorId": name}, "name": name + ".example", "guestIds": list(guests), "facts": facts}


class Reporter:
    """A root directory with configuration in it. `candlepin`: where sections report to, unless they say else."""

    def __init__(self, world, candlepin=None, authority=None, user=None):
        self.world = world
        self.user = user
        self.candlepin = candlepin
        self.name = world.unique("reporter")
        self.root = world.subdir(self.name, 0o755, user)
        for directory in ("etc/virt-who.d", "etc/rhsm", "var/lib/guestbus-reporter", "data"):
            self.mkdir(directory)
        self.process = self.notifications = None
        if candlepin:
            self.write("etc/rhsm/rhsm.conf", f"[server]\nhostname = localhost\nport = {candlepin.port}\n"
                                             f"prefix = {candlepin.prefix}\n")
            authority = authority or candlepin.authority
        if authority:
            self.mkdir("etc/rhsm/ca")
            self.write("etc/rhsm/ca/test.pem", authority.certificate.read_text(), 0o644)

    # -- files

    def mkdir(self, path):
        (self.root / path).mkdir(parents=True, exist_ok=True)
        directory = self.root / path
        while directory != self.root:
            self._own(directory)
            directory = directory.parent

    def _own(self, path):
        if self.user is not None and os.geteuid() == 0:
            os.chown(path, self.user.uid, self.user.gid)

    def write(self, path, text, mode=0o600):
        """Replaces the file as a whole: the reporter may be reading it."""
        target = self.root / path
        new = target.with_name("." + target.name)
        new.write_text(text, encoding="utf-8")
        new.chmod(mode)
        self._own(new)
        new.rename(target)
        return target

    def section(self, name, text, file=None, account=True):
        """A drop-in with one section. account: with the user that the test Candlepin has."""
        more = f"owner=acme\nrhsm_username=reporter\nrhsm_password={PASSWORD}\n" if account else ""
        return self.write(f"etc/virt-who.d/{file or name}.conf", f"[{name}]\n{text}\n{more}")

    def fake(self, name, *hosts, is_hypervisor=True, **options):
        """A section of type fake, and what it says."""
        path = self.say(options.get("file") or name, *hosts)
        return self.section(name, f"type=fake\nfile={path}\nis_hypervisor={str(is_hypervisor).lower()}", **options)

    def say(self, name, *hosts):
        return self.write(f"data/{name}.json", json.dumps({"hypervisors": list(hosts)}))

    def general(self, text):
        return self.write("etc/virt-who.conf", text)

    # -- running it

    def environment(self, **more):
        env = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "GUESTBUS_REPORTER_ROOT": str(self.root)}
        for name in SANITIZERS:
            if name in os.environ:
                env[name] = os.environ[name]
        return {**env, **more}

    def argv(self, *args):
        return [*shlex.split(os.environ.get("GUESTBUS_WRAPPER", "")),
                str(self.world.executable("cli/report/guestbus-report")), *map(str, args)]

    def run(self, *args, stdin="", timeout=90, **env):
        """Run it to its end; returns status, stdout and stderr as subprocess has them."""
        return subprocess.run(self.argv(*args), input=stdin, capture_output=True, text=True, check=False,
                              env=self.environment(**env), timeout=timeout * FACTOR)

    def run_on_terminal(self, *args, **env):
        """The same with stdout and stderr on a terminal: (status, what the terminal got)."""
        main, side = pty.openpty()
        output = bytearray()

        def read():
            while True:
                try:
                    chunk = os.read(main, 65536)
                except OSError:
                    return
                output.extend(chunk)
        with subprocess.Popen(self.argv(*args), stdin=subprocess.DEVNULL, stdout=side, stderr=side,
                              env=self.environment(**env)) as process:
            os.close(side)
            reader = threading.Thread(target=read)
            reader.start()
            status = process.wait(90 * FACTOR)
            reader.join()
        os.close(main)
        return status, output.decode()

    def start(self, *args, wait=None, **env):
        """Start one that stays; the caller waits for what it does."""
        notify = self.root / "notify"
        notify.unlink(missing_ok=True)
        self.notifications = Notifications(notify)
        self.process = Process(self.world, self.name, self.argv(*args), user=self.user,
                               env=self.environment(NOTIFY_SOCKET=str(notify), **env))
        if wait:
            wait_until(wait, 30, lambda: f"{self.name} is ready\n{self.log()}")
        return self

    def start_service(self, **env):
        """guestbus-reporter.service: on the bus, ready."""
        def ready():
            if not self.process.alive:
                raise AssertionError(f"{self.name} ended with {self.process.popen.returncode}\n{self.log()}")
            return self.notifications.seen("READY=1") and self.world.bus.has_owner(NAME)
        return self.start("--service", wait=ready, DBUS_SYSTEM_BUS_ADDRESS=self.world.bus.address, **env)

    def log(self):
        return self.process.log() if self.process else ""

    def wait_log(self, text, timeout=30):
        wait_until(lambda: text in self.log(), timeout, lambda: f"{text!r} in the log\n{self.log()}")

    def stop(self):
        status = self.process.stop(30)
        assert status == 0, f"{self.name} ended with {status}\n{self.log()}"

    def close(self):
        try:
            if self.process and self.process.alive:
                self.stop()
        finally:
            if self.notifications:
                self.notifications.close()


def service_reporter(world, **options):
    """One that runs under the reporter's own user, as the unit has it."""
    return Reporter(world, user=reporter_user() if os.geteuid() == 0 else None, **options)
