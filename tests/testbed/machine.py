# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tiny QEMU guest: one emulated CPU, 128 MiB, busybox and the real qemu-ga; boots in about 5 s."""
import base64
import dataclasses
import json
import time

import libvirt
import libvirt_qemu

from .guest_image import GuestImage, run
from .libvirtd import name_uuid
from .wait import wait_until

# Arguments that only save the emulated CPU time.
FAST = ("quiet panic=-1 mitigations=off cryptomgr.notests=1 lsm=capability audit=0 random.trust_cpu=on "
        "rcupdate.rcu_expedited=1 noreplace-smp 8250.nr_uarts=1 i8042.noaux i8042.nokbd "
        "initcall_blacklist=crypto_kdf108_init,init_kprobe_trace,init_blk_tracer,"
        "load_system_certificate_list")
OVIRT_CHANNEL = "ovirt-guest-agent.0"
# Each question costs the emulated CPU time that it needs to boot.
AGENT_POLL = 0.1
VDSM_CHANNEL = "com.redhat.rhevm.vdsm"

DOMAIN = """
<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <title>tiny guest {name}</title>
  {metadata}
  {max_memory}
  <memory unit='MiB'>{memory}</memory>
  <vcpu current='1'>{vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    {firmware}
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{cmdline}</cmdline>
  </os>
  <features><acpi/><tcg><tb-cache unit='MiB'>64</tb-cache></tcg></features>
  <cpu mode='custom' match='exact' check='none'><model fallback='allow'>Nehalem</model>{numa}</cpu>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>{on_crash}</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <controller type='usb' model='none'/>
    <controller type='sata' index='0'/>
    <controller type='virtio-serial' index='0'>{serial_slot}</controller>
    {devices}
    <memballoon model='virtio'><stats period='1'/>{balloon_slot}</memballoon>
    <panic model='isa'/>
  </devices>
  <qemu:commandline>{qemu_args}</qemu:commandline>
</domain>
"""


def slot(number):
    """A place on the root bus: every PCIe port costs boot time."""
    return f"<address type='pci' domain='0' bus='0' slot='{number}' function='0'/>"


@dataclasses.dataclass
class MachineOptions:
    """What a machine has.

    network: "user" (built into QEMU, fixed address), the name of a libvirt network, or None
    address: "dhcp" or ADDRESS/LENGTH; "" picks one from the name
    ovirt: name of the oVirt agent's channel, or None
    graphics: any of "vnc", "spice", "vnc-socket"
    disk: a small disk with a mounted file system
    console: a shell on a serial port
    hotplug: room for a memory module
    """
    memory: int = 128
    vcpus: int = 1
    users: tuple = ("alice",)
    network: str = "user"
    address: str = ""
    ovirt: str = OVIRT_CHANNEL
    agent: bool = True
    graphics: tuple = ()
    disk: bool = False
    console: bool = False
    hotplug: bool = False
    on_crash: str = "preserve"
    cmdline: str = ""
    metadata: str = ""
    extra_devices: str = ""
    extra_qemu: tuple = ()
    qboot: bool = True


class Machine:
    def __init__(self, libvirtd, name, **options):
        self.libvirtd, self.name = libvirtd, name
        self.options = MachineOptions(**options)
        self.uuid = name_uuid(name)
        number = int(self.uuid[:6], 16)
        self.mac = f"52:54:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
        self.address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{(number & 127) + 10}"
        self.disk_path = libvirtd.dir / f"{name}.img"
        self.connection = libvirtd.connect(libvirtd.uri)

    @property
    def domain(self):
        """Looked up each time: it stays right after libvirtd was restarted."""
        try:
            return self.connection.lookupByUUIDString(self.uuid)
        except libvirt.libvirtError:
            # That it is broken shows only when it is used.
            if self.connection.isAlive():
                raise
        self.connection = self.libvirtd.connect(self.libvirtd.uri)
        return self.connection.lookupByUUIDString(self.uuid)

    @property
    def path(self):
        """Of the VM's object when its source is called local."""
        return f"/org/guestbus1/vm/local/{self.uuid.replace('-', '_')}"

    # -- definition -----------------------------------------------------------------------------

    def xml(self):
        options, image = self.options, GuestImage()
        words = [FAST, f"gb.host={self.name}", f"gb.users={','.join(options.users)}"]
        if options.network:
            words.append(f"gb.ip={options.address or self.address + '/24'}")
        words += ["gb.disk=vda"] * options.disk + ["gb.noagent"] * (not options.agent)
        words += ["gb.console"] * options.console + [options.cmdline]
        memory = options.memory
        return DOMAIN.format(
            name=self.name, uuid=self.uuid, memory=memory, vcpus=options.vcpus,
            metadata=options.metadata and f"<metadata>{options.metadata}</metadata>",
            # qboot starts a fifth of a second sooner than SeaBIOS
            firmware="<loader type='rom'>/usr/share/qemu/qboot.rom</loader>" if options.qboot else "",
            kernel=image.kernel, initrd=image.initrd, cmdline=" ".join(words).strip(),
            max_memory="<maxMemory slots='4' unit='MiB'>2048</maxMemory>" if options.hotplug else "",
            numa=f"<numa><cell id='0' cpus='0-{options.vcpus - 1}' memory='{memory}' unit='MiB'/></numa>"
            if options.hotplug else "",
            on_crash=options.on_crash, serial_slot=slot(2), balloon_slot=slot(4),
            devices="\n    ".join(self._devices()),
            qemu_args="".join(f"<qemu:arg value='{word}'/>" for word in options.extra_qemu))

    def _devices(self):
        options = self.options
        if options.network:
            kind = "type='user'>" if options.network == "user" else \
                f"type='network'><source network='{options.network}'/>"
            yield (f"<interface {kind}<mac address='{self.mac}'/><model type='virtio'/>"
                   f"<rom enabled='no'/>{slot(3)}</interface>")
        yield ("<channel type='unix'><source mode='bind'/>"
               "<target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
        if options.ovirt:
            yield (f"<channel type='unix'><source mode='bind' path='{self.ovirt_socket}'/>"
                   f"<target type='virtio' name='{options.ovirt}'/></channel>")
        for kind in options.graphics:
            if kind == "vnc-socket":
                yield "<graphics type='vnc'><listen type='socket'/></graphics>"
            else:
                yield f"<graphics type='{kind}' autoport='yes' listen='127.0.0.1'/>"
        yield f"<video><model type='{'vga' if options.graphics else 'none'}'/></video>"
        if options.disk:
            yield (f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
                   f"<source file='{self.disk_path}'/><target dev='vda' bus='virtio'/>{slot(5)}</disk>")
        if options.console:
            yield "<serial type='pty'/><console type='pty'><target type='serial'/></console>"
        yield options.extra_devices

    @property
    def ovirt_socket(self):
        """The host's side of the oVirt agent's channel; QEMU listens there."""
        return self.libvirtd.dir / "channels" / self.name

    def define(self):
        image = GuestImage().ensure()
        if self.options.disk:
            with open(self.disk_path, "wb") as file:
                file.truncate(16 << 20)
            run(image.busybox, "mke2fs", "-F", "-L", "data", self.disk_path)
        self.connection.defineXML(self.xml())
        return self

    def undefine(self):
        self.domain.undefine()

    # -- running --------------------------------------------------------------------------------

    def start(self):
        self.domain.create()
        return self

    def up(self):
        """Define, start and wait until the guest's init is through."""
        return self.define().start().wait_ready()

    def is_active(self):
        return bool(self.domain.isActive())

    def wait_state(self, active, timeout=60):
        wait_until(lambda: self.is_active() == active, timeout,
                   f"{self.name} is {'running' if active else 'off'}")
        return self

    def agent(self, command, timeout=10, **arguments):
        """Ask qemu-ga through libvirt; returns its answer."""
        request = {"execute": command}
        if arguments:
            request["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        answer = libvirt_qemu.qemuAgentCommand(self.domain, json.dumps(request), timeout, 0)
        return json.loads(answer)["return"]

    def _agent_takes(self, command, **arguments):
        try:
            return self.agent(command, 1, **arguments) is not None
        except libvirt.libvirtError:
            return False

    def agent_answers(self):
        return self._agent_takes("guest-ping")

    def wait_agent(self, timeout=120):
        wait_until(self.agent_answers, timeout, f"qemu-ga of {self.name}", AGENT_POLL)
        return self

    def wait_ready(self, timeout=120):
        """Until network, logins and the power button work in the guest."""
        wait_until(lambda: self._agent_takes("guest-file-open", path="/run/ready"), timeout,
                   f"init of {self.name}", AGENT_POLL)
        return self

    def exec(self, command, timeout=30):
        """Run a shell command in the guest; returns its output, raises when it fails."""
        pid = self.agent("guest-exec", path="/bin/sh", arg=["-c", command], capture_output=True)["pid"]
        end = []

        def exited():
            end[:] = [self.agent("guest-exec-status", pid=pid)]
            return end[0]["exited"]
        wait_until(exited, timeout, f"{command} in {self.name}")
        out, err = (base64.b64decode(end[0].get(key, "")).decode(errors="replace")
                    for key in ("out-data", "err-data"))
        if end[0].get("exitcode") != 0:
            raise AssertionError(f"{command} in {self.name}: {out}{err}")
        return out

    def exec_background(self, command):
        """Start a shell command in the guest and do not wait: it may stop the agent itself."""
        self.agent("guest-exec", path="/bin/sh", arg=["-c", command])

    def freeze_agent(self):
        """SIGSTOP qemu-ga in the guest, after its answer to us is out; thaw_agent_after() undoes it."""
        self.exec_background("sleep 0.2; kill -STOP $(pidof qemu-ga)")
        deadline = time.monotonic() + 30
        while self.agent_answers() and time.monotonic() < deadline:
            pass

    def destroy(self):
        if self.is_active():
            self.domain.destroy()
        return self
