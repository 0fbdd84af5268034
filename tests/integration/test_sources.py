# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several sources in one service, and their coming and going with the configuration."""
import os
import re
import signal

import pytest

from testbed.client import BusError

VM = "org.guestbus1.VM"
SOURCE = "org.guestbus1.Source"
MANAGER = "org.guestbus1.Manager"
ROOT = "/org/guestbus1"
ERROR = "org.guestbus1.Error."


@pytest.fixture(scope="module", autouse=True)
def domains(test_libvirtd):
    test_libvirtd.define_test_domains(3)


def path_of(test_libvirtd, name, label):
    uuid = test_libvirtd.virsh("domuuid", name, uri=test_libvirtd.test_uri).strip()
    return f"{ROOT}/vm/{label}/{uuid.replace('-', '_')}"


def config(test_libvirtd, *labels):
    return "".join(f"[source {label}]\nuri = {test_libvirtd.test_uri}\n" for label in labels)


def test_one_uuid_on_two_sources(run_guestbusd, client, test_libvirtd):
    run_guestbusd(sources={"one": test_libvirtd.test_uri, "two": test_libvirtd.test_uri})
    objects = client.managed_objects()
    for label in ("one", "two"):
        assert objects[path_of(test_libvirtd, "vm0001", label)][VM]["Name"] == "vm0001"
        assert objects[f"{ROOT}/source/{label}"][SOURCE]["Connected"] is True
    with pytest.raises(BusError) as caught:
        client.call("GetVM", "(s)", "vm0001")
    assert caught.value.name == ERROR + "AmbiguousName"
    client.call("Pause", "(a{sv})", {}, path=path_of(test_libvirtd, "vm0001", "one"), interface=VM)
    client.wait_property(path_of(test_libvirtd, "vm0001", "two"), VM, "State", "paused")
    client.call("Resume", "(a{sv})", {}, path=path_of(test_libvirtd, "vm0001", "two"), interface=VM)


def test_reload_adds_removes_and_leaves_alone(run_guestbusd, client, signals, test_libvirtd):
    daemon = run_guestbusd(config=config(test_libvirtd, "kept", "leaving"))
    since = client.get(f"{ROOT}/source/kept", SOURCE, "Since")
    daemon.write_config(config(test_libvirtd, "kept", "coming"))
    client.call("Reload", "(a{sv})", {})
    signals.wait("InterfacesRemoved", where=lambda path, _: path == f"{ROOT}/source/leaving")
    client.wait_property(f"{ROOT}/source/coming", SOURCE, "Connected", True)
    assert client.get(f"{ROOT}/source/kept", SOURCE, "Since") == since
    assert client.get(ROOT, MANAGER, "Sources") == [f"{ROOT}/source/kept", f"{ROOT}/source/coming"]
    labels = {entry[2] for entry in client.call("ListVMs")}
    assert labels == {"kept", "coming"}


def test_sighup_does_the_same(run_guestbusd, client, test_libvirtd):
    daemon = run_guestbusd(config=config(test_libvirtd, "kept"))
    daemon.write_config(config(test_libvirtd, "kept", "coming"))
    os.kill(daemon.process.pid, signal.SIGHUP)
    client.wait_property(ROOT, MANAGER, "Sources", [f"{ROOT}/source/kept", f"{ROOT}/source/coming"])


def test_a_bad_file_changes_nothing_at_reload(run_guestbusd, client, test_libvirtd):
    daemon = run_guestbusd(config=config(test_libvirtd, "kept"))
    daemon.write_config(config(test_libvirtd, "other") + "[source third]\nurl = qemu:///system\n")
    with pytest.raises(BusError) as caught:
        client.call("Reload", "(a{sv})", {})
    assert caught.value.name == ERROR + "InvalidArgument"
    assert re.search(r"guestbus.conf:\d+: unknown key \"url\"", str(caught.value))
    assert client.get(ROOT, MANAGER, "Sources") == [f"{ROOT}/source/kept"]


def test_a_changed_source_is_connected_anew(run_guestbusd, client, test_libvirtd):
    daemon = run_guestbusd(config=config(test_libvirtd, "kept"))
    daemon.write_config(config(test_libvirtd, "kept") + "read-only = yes\n")
    client.call("Reload", "(a{sv})", {})
    client.wait_property(f"{ROOT}/source/kept", SOURCE, "ReadOnly", True)
    client.wait_property(f"{ROOT}/source/kept", SOURCE, "Connected", True)
    assert "read-only" in client.get(f"{ROOT}/source/kept", SOURCE, "LastError")
    path = path_of(test_libvirtd, "vm0002", "kept")
    client.wait_property(path, VM, "State", "running")
    with pytest.raises(BusError) as caught:
        client.call("Pause", "(a{sv})", {}, path=path, interface=VM)
    assert caught.value.name == ERROR + "NotSupported"


def test_the_embedded_test_driver(run_guestbusd, client):
    run_guestbusd(sources={"embedded": "test:///default"})
    (vm,) = client.call("ListVMs")
    assert vm[0] == "test" and vm[2] == "embedded" and vm[3] == "running"
    client.call("Pause", "(a{sv})", {}, path=vm[4], interface=VM)
    assert client.get(vm[4], VM, "State") == "paused"
    source = client.get_all(f"{ROOT}/source/embedded", SOURCE)
    assert source["Type"] == "TEST" and source["HostUUID"] == "" and source["Connected"] is True


def test_reconnect(run_guestbusd, client, signals, test_libvirtd):
    run_guestbusd(config=config(test_libvirtd, "kept"))
    source = f"{ROOT}/source/kept"
    since = client.get(source, SOURCE, "Since")
    client.call("Reconnect", "(a{sv})", {}, path=source, interface=SOURCE)
    client.wait_property(source, SOURCE, "Since", lambda now: now > since)
    client.wait_property(source, SOURCE, "Connected", True)


def test_a_password_in_the_uri_is_not_shown(run_guestbusd, client):
    daemon = run_guestbusd(sources={"far": "esx://root:s3cret@127.0.0.1:9/?no_verify=1"})
    assert client.get(f"{ROOT}/source/far", SOURCE, "URI") == "esx://root@127.0.0.1:9/?no_verify=1"
    client.wait_property(f"{ROOT}/source/far", SOURCE, "LastError", lambda text: text != "")
    assert "s3cret" not in client.get(f"{ROOT}/source/far", SOURCE, "LastError")
    assert "s3cret" not in daemon.log()
