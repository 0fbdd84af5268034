# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel and initramfs of the tiny guest, made from Debian packages and kept in a cache.

Nothing is installed: packages are downloaded with apt-get download and unpacked with dpkg -x.
The cache is ${XDG_CACHE_HOME:-/var/cache}/guestbus-testbed (~/.cache for who is not root).
"""
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

GUEST = Path(__file__).with_name("guest")
PACKAGES = ("busybox-static", "qemu-guest-agent", "libglib2.0-0", "libnuma1", "libudev1", "liburing2",
            "libpcre2-8-0")
MODULES = ("virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_balloon "
           "virtio_mem virtio_console failover net_failover virtio_net virtio_blk pvpanic pvpanic-mmio "
           "pvpanic-pci button evdev af_packet").split()
LIBRARIES = "lib/x86_64-linux-gnu"


def cache_dir():
    home = "/var/cache" if os.geteuid() == 0 else os.path.expanduser("~/.cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or home) / "guestbus-testbed"


def run(*argv, **options):
    result = subprocess.run([str(word) for word in argv], check=False, capture_output=True, text=True,
                            **options)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {result.stderr.strip()}")
    return result.stdout


class GuestImage:
    """kernel and initrd are paths once ensure() has returned; busybox is a static one for the host."""

    def __init__(self):
        self.dir = cache_dir()
        recipe = hashlib.sha256()
        for path in (*sorted(GUEST.iterdir()), Path(__file__)):
            recipe.update(path.read_bytes())
        # A changed recipe is another image: two checkouts on one machine do not fight over a name.
        self.initrd = self.dir / f"initrd-{recipe.hexdigest()[:12]}"
        self.kernel = self.dir / "vmlinux"
        self.debs = self.dir / "debs"
        self.unpacked = self.dir / "unpacked"
        self.busybox = self.unpacked / "user/bin/busybox"

    def ensure(self):
        """Build what is missing; several test runs at once build it once."""
        self.debs.mkdir(parents=True, exist_ok=True)
        with open(self.dir / "lock", "a", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.initrd.exists() or not self.kernel.exists():
                kernel_package = self._kernel_package()
                self._download([kernel_package, *PACKAGES])
                self._unpack(kernel_package)
                self._make_kernel(kernel_package)
                self._make_initrd(kernel_package)
        return self

    # -- packages -------------------------------------------------------------------------------

    def _deb(self, package):
        return max(self.debs.glob(f"{package}_*.deb"), default=None)

    def _kernel_package(self):
        names = sorted(path.name.split("_")[0] for path in self.debs.glob("linux-image-[0-9]*.deb"))
        if names:
            return names[-1]
        found = re.search(r"Depends: (linux-image-[0-9]\S+)",
                          run("apt-cache", "depends", "linux-image-cloud-amd64"))
        if not found:
            raise RuntimeError("apt knows no linux-image-cloud-amd64: run apt-get update")
        return found.group(1)

    def _download(self, packages):
        missing = [package for package in packages if not self._deb(package)]
        if missing:
            # one call for all: apt needs more than a second to start
            run("apt-get", "download", "-qq", *missing, cwd=self.debs)

    def _unpack(self, kernel_package):
        for target, packages in (("user", PACKAGES), ("kernel", (kernel_package,))):
            path = self.unpacked / target
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
            for package in packages:
                run("dpkg", "-x", self._deb(package), path)

    # -- the kernel -----------------------------------------------------------------------------

    def _make_kernel(self, kernel_package):
        """The plain ELF kernel, which QEMU boots through PVH: nothing to unpack in the slow guest."""
        (image,) = (self.unpacked / "kernel/boot").glob("vmlinuz-*")
        data = image.read_bytes()
        # Documentation/x86/boot.rst: setup_sects at 0x1f1, payload offset and length at 0x248
        setup = ((data[0x1f1] or 4) + 1) * 512
        offset, length = struct.unpack_from("<II", data, 0x248)
        payload = data[setup + offset:setup + offset + length]
        if payload[:4] != b"\x02\x21\x4c\x18":
            raise RuntimeError(f"{kernel_package}: the payload is not legacy LZ4")
        with tempfile.TemporaryDirectory(dir=self.dir) as work:
            packed, plain = Path(work, "vmlinux.lz4"), Path(work, "vmlinux")
            packed.write_bytes(payload[:-4])        # the last four bytes are the unpacked size
            run("lz4", "-dqf", packed, plain)
            run("strip", "-s", plain)
            plain.rename(self.kernel)

    # -- the initramfs --------------------------------------------------------------------------

    def _make_initrd(self, kernel_package):
        with tempfile.TemporaryDirectory(dir=self.dir) as work:
            root = Path(work, "root")
            self._make_tree(root)
            self._add_agent(root)
            self._add_modules(root)
            names = run("find", ".", cwd=root)
            archive = Path(work, "initrd")
            with open(archive, "wb") as file:
                # not packed: unpacking costs the emulated CPU more than reading
                subprocess.run([self.busybox, "cpio", "-o", "-H", "newc"], cwd=root, check=True,
                               input="\n".join(sorted(names.split())).encode(), stdout=file,
                               stderr=subprocess.DEVNULL)
            archive.rename(self.initrd)

    def _make_tree(self, root):
        for name in ("bin sbin m proc sys dev etc/acpi/PWRF run tmp lib64 usr root data "
                     f"{LIBRARIES} etc/udhcpc").split():
            (root / name).mkdir(parents=True, exist_ok=True)
        (root / "usr/bin").symlink_to("../bin")
        (root / "usr/sbin").symlink_to("../sbin")
        (root / "var").mkdir()
        (root / "var/run").symlink_to("../run")
        shutil.copy(self.busybox, root / "bin/busybox")
        for applet in run(self.busybox, "--list").split():
            with contextlib.suppress(FileExistsError):
                (root / "bin" / applet).symlink_to("busybox")
        for name, target in (("init", "init"), ("login", "bin/gb-login"), ("shutdown", "sbin/shutdown"),
                             ("udhcpc", "etc/udhcpc/default.script"),
                             ("power-button", "etc/acpi/PWRF/00000080")):
            # copied over a link to busybox it would end up in busybox
            (root / target).unlink(missing_ok=True)
            shutil.copy(GUEST / name, root / target)
            (root / target).chmod(0o755)
        for name in ("passwd", "group", "os-release"):
            shutil.copy(GUEST / name, root / "etc" / name)

    def _add_agent(self, root):
        user = self.unpacked / "user"
        agent = user / "usr/sbin/qemu-ga"
        run("strip", "-o", root / "sbin/qemu-ga", agent)
        paths = f"{user}/usr/{LIBRARIES}:{user}/{LIBRARIES}"
        listing = run("ldd", agent, env={**os.environ, "LD_LIBRARY_PATH": paths})
        for library in re.findall(r"=> (/\S+)", listing):
            run("strip", "-o", root / LIBRARIES / Path(library).name, os.path.realpath(library))
        for loader in re.findall(r"^\s*(/lib64/\S+)", listing, re.MULTILINE):
            shutil.copy(loader, root / "lib64")

    def _add_modules(self, root):
        (source,) = (self.unpacked / "kernel/lib/modules").iterdir()
        target = root / "lib/modules" / source.name
        target.mkdir(parents=True)
        for module in MODULES:
            for path in source.rglob(f"{module}.ko"):
                # without debug information and signature: checking one costs time
                run("strip", "--strip-debug", "-o", target / path.name, path)
        run(self.busybox, "depmod", "-b", root, source.name)
        for name in ("modules.alias", "modules.symbols"):
            (target / name).unlink(missing_ok=True)
