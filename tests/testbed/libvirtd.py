# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private, real libvirtd. It serves qemu:///system and libvirt's test driver over its socket.

Its fixed directories are private ones, bound over the real ones in a mount namespace that only it and
its guests see; clients reach it through the socket's path in the URI.
"""
import dataclasses
import os
import random
import signal
import subprocess
import uuid
import zlib
from xml.sax.saxutils import escape

import libvirt

from .guest_image import cache_dir
from .process import Process
from .user import ensure_group, qemu_user
from .wait import wait_until

# Errors are exceptions here; libvirt's own printing of them would only hide what a test says.
libvirt.registerErrorHandler(lambda _context, _error: None, None)

QEMU_CONF = """
security_driver = "none"
security_default_confined = 0
# files instead of virtlogd, which would be one daemon more
stdio_handler = "file"
cgroup_controllers = [ ]
namespaces = [ ]
remember_owner = 0
max_core = 0
dump_guest_core = 0
user = "root"
group = "root"
remote_display_port_min = {first_port}
remote_display_port_max = {last_port}
"""

# Two libvirtds would give the same port to a guest each, before one of them has taken it: each has a range of
# its own by chance, below the ports that the kernel hands out.
DISPLAY_PORTS = range(5900, 32700, 50)

# Below what the kernel gives to clients (32768 and up).
FIRST_PORT, PORTS, PORT_RANGES = 5900, 20, 1300

DAEMON_CONF = """
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "{group}"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "{mode:04o}"
log_outputs = "3:stderr"
max_clients = 500
max_anonymous_clients = 500
"""

ENTER = """
root=$1 cache=$2; shift 2
for pair in etc:/etc/libvirt run:/run/libvirt lib:/var/lib/libvirt log:/var/log/libvirt; do
    mkdir -p "${pair#*:}" && mount --bind "$root/${pair%%:*}" "${pair#*:}" || exit 1
done
# where libvirtd locks serial consoles; made at boot, where there is one
mkdir -p /run/lock || exit 1
mkdir -p /var/cache/libvirt && mount --bind "$cache" /var/cache/libvirt || exit 1
[ -z "$OWN_NETWORK" ] || ip link set lo up || exit 1
exec libvirtd --config /etc/libvirt/libvirtd.conf --pid-file /run/libvirt/libvirtd.pid
"""

# Open forwarding: libvirt then touches no firewall, which a bare machine has not got.
DHCP_NETWORK = """
<network><name>{name}</name><forward mode='open'/><bridge name='{name}' stp='off' delay='0'/>
<ip address='192.0.2.1' netmask='255.255.255.0'>
<dhcp><range start='192.0.2.100' end='192.0.2.200'/></dhcp></ip></network>
"""

def name_uuid(name):
    """The same name has the same UUID in every run."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"guestbus-testbed:{name}"))


@dataclasses.dataclass
class DriverDomain:
    """A domain of the test driver; more is XML that goes into its definition."""
    name: str
    uuid: str = ""
    more: str = ""
    start: bool = False

    def __post_init__(self):
        self.uuid = self.uuid or name_uuid(self.name)

    def xml(self):
        return (f"<domain type='test'><name>{escape(self.name)}</name><uuid>{self.uuid}</uuid>"
                f"<memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type>hvm</type></os>{self.more}</domain>")


class Libvirtd:
    """One libvirtd.

    test_domains (name: DriverDomain) is what the test driver has after each start; what the driver itself
    brings, a running domain called test, comes on top.

    qemu: load the QEMU driver; without it the daemon starts faster and serves only test:///default.
    network: give it a network namespace of its own, for virtual networks with DHCP.
    group, mode: owner and mode of the read-write socket.
    """

    def __init__(self, world, qemu=False, network=False, group="libvirt", mode=0o770):
        self.world = world
        self.name = world.unique("libvirtd")
        self.dir = world.subdir(self.name)
        self.qemu, self.network = qemu, network
        for name in ("etc/qemu", "run", "lib", "log/qemu", "drivers", "channels"):
            (self.dir / name).mkdir(parents=True)
        ensure_group(group)
        if qemu:
            qemu_user()
        first_port = random.choice(DISPLAY_PORTS)
        last_port = first_port + DISPLAY_PORTS.step - 1
        (self.dir / "etc/qemu.conf").write_text(
            QEMU_CONF.format(first_port=first_port, last_port=last_port), encoding="ascii")
        (self.dir / "etc/libvirtd.conf").write_text(DAEMON_CONF.format(group=group, mode=mode),
                                                    encoding="ascii")
        for folder in ("qemu", "network"):
            world.janitor_line(f"pidfiles {self.dir}/run/{folder}/*.pid")
        self.socket = self.dir / "run/libvirt-sock"
        self.process = None
        # The test driver forgets everything when its last client leaves: this is one that stays.
        self._holder = None
        self.test_domains = {}

    @property
    def uri(self):
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def test_uri(self):
        return f"test+unix:///default?socket={self.socket}"

    def start(self):
        cache = cache_dir() / "libvirt"
        cache.mkdir(parents=True, exist_ok=True)
        env = {}
        if not self.qemu:
            env["LIBVIRT_DRIVER_DIR"] = str(self.dir / "drivers")
        if self.network:
            env["OWN_NETWORK"] = "1"
        self.process = Process(
            self.world, self.name,
            ["unshare", "--mount", "--propagation", "private", *(["--net"] if self.network else []), "--",
             "/bin/sh", "-c", ENTER, "sh", self.dir, cache], env=env)
        wait_until(self._answers, 30, lambda: f"{self.name} answers\n{self.log()}")
        for domain in self.test_domains.values():
            self._create_test_domain(domain)

    def _answers(self):
        if not self.process.alive:
            raise AssertionError(f"{self.name} ended\n{self.log()}")
        try:
            self.connect(self.uri if self.qemu else self.test_uri).close()
            return True
        except libvirt.libvirtError:
            return False

    def log(self):
        return self.process.log()

    def connect(self, uri=None):
        """A connection of python-libvirt, as the user who runs the tests."""
        return libvirt.open(uri or (self.uri if self.qemu else self.test_uri))

    def virsh(self, *args, uri=None, check=True):
        """virsh's output; a user of libvirt who knows nothing of guestbus."""
        result = subprocess.run(
            ["virsh", "-q", "-c", uri or (self.uri if self.qemu else self.test_uri), *args],
            check=False, capture_output=True, text=True, timeout=60)
        if check and result.returncode != 0:
            raise AssertionError(f"virsh {' '.join(args)}: {result.stderr}")
        return result.stdout

    # -- bad days -------------------------------------------------------------------------------

    def stop(self):
        """End the daemon; QEMU guests go on, test domains are gone."""
        self._holder = None
        self.process.stop(30)

    def kill(self):
        self._holder = None
        self.process.kill()

    def restart(self):
        if self.process.alive:
            self.stop()
        self.start()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    # -- the test driver ------------------------------------------------------------------------

    @property
    def holder(self):
        if self._holder is None:
            self._holder = self.connect(self.test_uri)
        return self._holder

    def define_test_domain(self, name, uuid_text="", more="", start=False):
        """A domain of test:///default, there again after each restart; returns its UUID."""
        domain = DriverDomain(name, uuid_text, more, start)
        self._create_test_domain(domain)
        self.test_domains[name] = domain
        return domain.uuid

    def define_test_domains(self, count, prefix="vm", start=True):
        """prefix0000, prefix0001, ...; returns the UUIDs in that order."""
        return [self.define_test_domain(f"{prefix}{number:04d}", start=start) for number in range(count)]

    def remove_test_domain(self, name):
        domain = self.holder.lookupByUUIDString(self.test_domains.pop(name).uuid)
        if domain.isActive():
            domain.destroy()
        domain.undefine()

    def _create_test_domain(self, definition):
        domain = self.holder.defineXML(definition.xml())
        if definition.start:
            domain.create()

    # -- networks -------------------------------------------------------------------------------

    def start_dhcp_network(self, name="gbnet"):
        """A network whose DHCP server hands out leases that libvirt can list."""
        assert self.network, "only a libvirtd with a network namespace of its own"
        connection = self.connect()
        connection.networkCreateXML(DHCP_NETWORK.format(name=name))
        connection.close()
        return name

    # -- the end --------------------------------------------------------------------------------

    def close(self):
        self._holder = None
        if self.qemu and self.process.alive:
            self.process.signal(signal.SIGCONT)
            connection = self.connect()
            for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE):
                try:
                    domain.destroy()
                except libvirt.libvirtError:
                    pass        # it ended by itself meanwhile
            connection.close()
        if self.process.alive:
            self.process.stop(30)


def can_run():
    """Why a libvirtd cannot run here, or None."""
    if os.geteuid() != 0:
        return "a private libvirtd needs root (mount namespace)"
    if not any(os.access(f"{path}/libvirtd", os.X_OK) for path in ("/usr/sbin", "/usr/bin")):
        return "libvirtd is not installed"
    return None
