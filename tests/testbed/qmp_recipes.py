# SPDX-License-Identifier: LGPL-2.1-or-later
"""How to make a real QEMU send each event. A recipe returns when the cause is there; the event may follow."""
import re

import libvirt
import libvirt_qemu

from . import quorum
from .machine import Machine
from .quorum import Quorum
from .spice_client import SpiceClient
from .vnc_client import VncClient
from .wait import wait_until

SECOND_NIC = "52:54:00:00:00:77"
DIMM = """<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"""
NIC = f"""<interface type='user'><mac address='{SECOND_NIC}'/><model type='virtio'/><rom enabled='no'/></interface>"""


def make_machine(libvirtd, name, **options):
    """A machine, not yet defined, that every recipe works on."""
    return Machine(libvirtd, name, hotplug=True, vcpus=2, graphics=("vnc", "spice"), disk=True,
                   extra_devices=NIC, extra_qemu=Quorum(libvirtd.dir).arguments(), **options)


def hmp(machine, line):
    return libvirt_qemu.qemuMonitorCommand(machine.domain, line,
                                           libvirt_qemu.VIR_DOMAIN_QEMU_MONITOR_COMMAND_HMP)


def qmp(machine, command):
    return libvirt_qemu.qemuMonitorCommand(machine.domain, f'{{"execute":"{command}"}}', 0)


def display_port(machine, kind):
    return int(re.search(rf"<graphics type='{kind}' port='(\d+)'", machine.domain.XMLDesc())[1])


# -- the twelve that have a signal of their own ------------------------------------------------------

def acpi_device_ost(machine):
    machine.domain.attachDeviceFlags(DIMM, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def balloon_change(machine):
    """The guest gives back 8 MiB, and gets them again."""
    before = machine.domain.info()[2]
    machine.domain.setMemoryFlags(before - 8192, libvirt.VIR_DOMAIN_AFFECT_LIVE)
    wait_until(lambda: machine.domain.info()[2] == before - 8192, 30, "the balloon")
    machine.domain.setMemoryFlags(before, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def guest_panicked(machine):
    """The guest is dead afterwards."""
    machine.exec_background("echo c > /proc/sysrq-trigger")


def nic_rx_filter_changed(machine):
    """QEMU tells of one change only, until somebody has looked at the filter."""
    qmp(machine, "query-rx-filter")
    machine.exec("ip link set eth0 down; ip link set eth0 address 52:54:00:aa:bb:cc; ip link set eth0 up")


def quorum_failure(machine):
    hmp(machine, quorum.read_command(quorum.ALL_DIFFER))


def quorum_report_bad(machine):
    """A copy with other data, then one that cannot be read."""
    hmp(machine, quorum.read_command(quorum.ONE_DIFFERS))
    hmp(machine, quorum.read_command(quorum.ONE_FAILS))


def spice(machine):
    with SpiceClient(display_port(machine, "spice")) as client:
        client.link()


def vnc(machine):
    with VncClient(display_port(machine, "vnc")) as client:
        client.initialize()


# -- others, which come as Event alone ---------------------------------------------------------------

def stop_and_resume(machine):
    machine.domain.suspend()
    machine.domain.resume()


def start_and_reset(machine):
    """For a machine that is off."""
    machine.start().wait_ready()
    machine.domain.reset()
    machine.wait_ready()


def rtc_change(machine):
    machine.exec("date -s '2030-01-01 00:00:00' >/dev/null; hwclock -w -u")


def device_deleted(machine):
    machine.domain.detachDeviceFlags(NIC, libvirt.VIR_DOMAIN_AFFECT_LIVE)


def block_job_completed(machine):
    copy = machine.disk_path.with_suffix(".copy")
    copy.unlink(missing_ok=True)
    machine.libvirtd.virsh("blockcopy", machine.name, "vda", "--dest", str(copy), "--transient-job", "--wait",
                           "--finish")


def vserport_change(machine):
    """A program in the guest opens the oVirt agent's port and leaves."""
    machine.exec(f"exec 3<>/dev/virtio-ports/{machine.options.ovirt}")


def powerdown_and_shutdown(machine):
    """The guest is off afterwards."""
    machine.domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)
    machine.wait_state(active=False)
