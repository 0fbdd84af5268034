# SPDX-License-Identifier: LGPL-2.1-or-later
"""A source on another machine, over ssh, as the service's own user."""
import os
import re
import shutil

import pytest

from testbed import user
from testbed.client import BusError
from testbed.sshd import Sshd

VM = "org.guestbus1.VM"
SOURCE = "org.guestbus1.Source"
PATH = "/org/guestbus1/source/far"


@pytest.fixture(scope="module")
def far(world, test_libvirtd):
    """(environment for guestbusd, URI): root's libvirtd behind a sshd, with a key that guestbusd may read."""
    test_libvirtd.define_test_domains(3)
    server = Sshd(world)
    service = user.service_user()
    key = server.dir / "service_key"
    shutil.copy(server.dir / "user_key", key)
    os.chown(key, service.uid, service.gid)
    key.chmod(0o600)
    uri = f"test+ssh://{server.host}:{server.port}/default?socket={test_libvirtd.socket}" \
          f"&keyfile={key}&known_hosts={server.dir}/known_hosts"
    yield {"PATH": f"{server.local}:/usr/bin:/bin", "HOME": str(server.dir)}, uri
    server.close()


@pytest.fixture
def daemon(run_guestbusd, far, client):
    environment, uri = far
    daemon = run_guestbusd(sources={"far": uri}, env=environment)
    client.wait_property(PATH, SOURCE, "Connected", True, timeout=30)
    return daemon


def test_the_same_as_a_local_one(daemon, client, signals, test_libvirtd):
    vm = client.call("GetVM", "(s)", "vm0001")
    client.call("Pause", "(a{sv})", {}, path=vm, interface=VM)
    assert client.get(vm, VM, "State") == "paused"
    test_libvirtd.virsh("resume", "vm0001", uri=test_libvirtd.test_uri)
    signals.wait_changed(vm, VM, State="running")


def test_descriptors_do_not_travel(daemon, client):
    vm = client.call("GetVM", "(s)", "vm0001")
    with pytest.raises(BusError) as caught:
        client.call("OpenConsole", "(sa{sv})", "", {}, path=vm, interface=VM)
    assert caught.value.name == "org.guestbus1.Error.NotSupported"
    assert "-H" in str(caught.value)


def test_it_does_not_delay_the_bus_name(run_guestbusd, client, far):
    """The port answers nothing: the name is there at once, and Connected says no."""
    environment, uri = far
    run_guestbusd(sources={"far": re.sub(r":\d+/", ":1/", uri)}, env=environment)
    assert client.get("/org/guestbus1", "org.guestbus1.Manager", "Ready") is True
    client.wait_property(PATH, SOURCE, "LastError", lambda text: text != "", timeout=30)
    assert client.get(PATH, SOURCE, "Connected") is False
