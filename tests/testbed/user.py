# SPDX-License-Identifier: LGPL-2.1-or-later
"""Users and groups of the tests, made on the machine when they are missing and left there.

polkitd and dbus-daemon ask the machine's own user database, so these cannot be private.
"""
import fcntl
import grp
import os
import pwd
import subprocess

SERVICE = "guestbusd"
REPORTER = "guestbus-reporter"


class User:
    def __init__(self, name):
        entry = pwd.getpwnam(name)
        self.name, self.uid, self.gid = name, entry.pw_uid, entry.pw_gid

    @property
    def groups(self):
        return os.getgrouplist(self.name, self.gid)

    def __repr__(self):
        return f"User({self.name})"


def current_user():
    return User(pwd.getpwuid(os.geteuid()).pw_name)


def group_exists(name):
    try:
        grp.getgrnam(name)
        return True
    except KeyError:
        return False


def ensure_group(name):
    if not group_exists(name):
        subprocess.run(["groupadd", "--system", name], check=True)


def ensure_user(name, groups=()):
    """The user, a member of at least these groups; made when missing (that needs root)."""
    # useradd gives up when another one holds its lock: worlds starting at the same time wait here.
    with open("/tmp/.guestbus-users.lock", "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for group in groups:
            ensure_group(group)
        try:
            user = User(name)
        except KeyError:
            same_group = ["--gid", name] if group_exists(name) else ["--user-group"]
            subprocess.run(["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin",
                            *same_group, name], check=True)
            user = User(name)
        missing = [group for group in groups if grp.getgrnam(group).gr_gid not in user.groups]
        if missing:
            subprocess.run(["usermod", "--append", "--groups", ",".join(missing), name], check=True)
    return user


def service_user():
    """guestbusd runs as this one; libvirt's group lets it use libvirtd's socket."""
    ensure_group("guestbus")
    return ensure_user(SERVICE, ["libvirt"])


def qemu_user():
    """The compiled-in user of libvirt's QEMU driver: it looks this one up even when told another."""
    return ensure_user("libvirt-qemu")


def reporter_user():
    return ensure_user(REPORTER)


def plain_user(name="gbtest-plain"):
    """A local user whom the bus policy gives nothing."""
    return ensure_user(name)


def libvirt_user(name="gbtest-libvirt"):
    """A member of libvirt: the installed rule lets it act on VMs."""
    return ensure_user(name, ["libvirt"])


def guestbus_user(name="gbtest-guestbus"):
    """A member of guestbus: may talk to the service, and polkit decides each action."""
    return ensure_user(name, ["guestbus"])
