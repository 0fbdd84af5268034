# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private sshd on this machine, and an ssh that knows the way to it and nothing else."""
import os
import socket
import subprocess
from pathlib import Path

from .process import Process
from .wait import wait_until

SERVER = """
ListenAddress 127.0.0.1
Port {port}
HostKey {dir}/host_key
AuthorizedKeysFile {dir}/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
PrintMotd no
SetEnv PATH={dir}/remote:/usr/bin:/bin:/usr/sbin:/sbin DBUS_SYSTEM_BUS_ADDRESS={bus}
"""

CLIENT = """
Host *
  Port {port}
  IdentityFile {dir}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {dir}/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
"""

# The bridge of systemd 252 takes the bus from an option only, not from the environment.
BRIDGE = """#!/bin/sh
exec /usr/bin/systemd-stdio-bridge --bus-path="$DBUS_SYSTEM_BUS_ADDRESS"
"""


class Sshd:
    """The "other machine" has the world's bus; programs are looked for in .remote there.

    .local goes in front of PATH of who calls ssh. Only root can log in: the tests' users have no shell.
    """

    host = "root@127.0.0.1"

    def __init__(self, world):
        self.dir = world.subdir("sshd", 0o755)
        self.local, self.remote = self.dir / "local", self.dir / "remote"
        self.local.mkdir()
        self.remote.mkdir()
        self.port = free_port()
        for name in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.dir / name], check=True)
        (self.dir / "authorized_keys").write_text((self.dir / "user_key.pub").read_text())
        (self.dir / "known_hosts").write_text(
            f"[127.0.0.1]:{self.port} {(self.dir / 'host_key.pub').read_text()}")
        values = {"dir": self.dir, "port": self.port, "bus": world.bus.address}
        (self.dir / "sshd_config").write_text(SERVER.format(**values))
        (self.dir / "ssh_config").write_text(CLIENT.format(**values))
        self._program(self.local / "ssh", f'#!/bin/sh\nexec /usr/bin/ssh -F {self.dir}/ssh_config "$@"\n')
        self._program(self.remote / "systemd-stdio-bridge", BRIDGE)
        # sshd wants its empty directory, and Debian's service makes it at start.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.process = Process(world, "sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", self.dir / "sshd_config"])
        wait_until(self._answers, what=lambda: f"sshd answers\n{self.process.log()}")

    @staticmethod
    def _program(path, text):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def install(self, program):
        """Make a program available on the other machine."""
        (self.remote / Path(program).name).symlink_to(program)

    def environment(self):
        """For who uses ssh; without the bus, so that only the other machine's can be meant."""
        return {"PATH": f"{self.local}:/usr/bin:/bin", "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent",
                "HOME": os.environ.get("HOME", "/root")}

    def _answers(self):
        with socket.socket() as probe:
            return self.process.alive and probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self):
        if self.process.alive:
            self.process.stop()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
