# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names as people and hostile tools choose them; the UUID is what a VM is known by."""
import contextlib

import libvirt
import pytest

from testbed.client import ERROR, MANAGER, ROOT, VM, BusError, vm_path

# Caps of the API: bytes of a string, and of a description.
STRING, DESCRIPTION = 255, 1024


@contextlib.contextmanager
def domain(sources, signals, name, **options):
    """A domain of the sound source; gives its object's path once that is announced."""
    path = vm_path("sound", sources.sound.define_test_domain(name, **options))
    try:
        signals.wait("InterfacesAdded", where=lambda added, _: added == path)
        yield path
    finally:
        sources.sound.remove_test_domain(name)
    signals.wait("InterfacesRemoved", where=lambda removed, _: removed == path)


@pytest.mark.parametrize("name", [
    "with space", "quote'quote\"quote", "back\\slash", "<tag>&amp;", "%s%n", "äöü→漢字", "-dash",
    "a;b$(c)`d`", "..", "e\u0301 combining", "x" * STRING])
def test_odd_names(sources, client, signals, name):
    with domain(sources, signals, name) as path:
        assert client.get(path, VM, "Name") == name
        assert client.get(path, VM, "Truncated") is False
        assert client.call("GetVM", "(s)", name) == path
        assert name in sources.states("sound")


@pytest.mark.parametrize("name, published", [
    ("y" * 4096, "y" * STRING), ("→" * 1365, "→" * (STRING // 3)), ("a" + "ü" * 2047, "a" + "ü" * 127)])
def test_long_names_are_cut_between_characters(sources, client, signals, name, published):
    with domain(sources, signals, name) as path:
        assert client.get(path, VM, "Name") == published
        assert client.get(path, VM, "Truncated") is True


def test_names_that_libvirt_refuses(sources):
    """libvirt does not let these in, so they need no test of ours."""
    for name in ("a/b", "line\nbreak"):
        with pytest.raises(libvirt.libvirtError):
            sources.sound.define_test_domain(name)


def test_long_title_and_description_are_cut(sources, client, signals):
    more = f"<title>{'→' * 1400}</title><description>line one\nline two {'ü' * 2048}</description>"
    with domain(sources, signals, "wordy", more=more) as path:
        # Title and description come from the XML, which is read after the VM is announced.
        client.wait_property(path, VM, "Title", "→" * (STRING // 3))
        client.wait_property(path, VM, "Truncated", True)
        description = client.get(path, VM, "Description")
        assert description.startswith("line one\nline two ü")
        assert DESCRIPTION - 1 <= len(description.encode()) <= DESCRIPTION


def test_rename(sources, client, signals):
    with domain(sources, signals, "before") as path:
        signals.clear()
        sources.sound.holder.lookupByName("before").rename("after", 0)
        changed = signals.wait_changed(path, VM, Name="after")
        assert changed == {"Name": "after"}
        assert client.call("GetVM", "(s)", "after") == path
        with pytest.raises(BusError) as error:
            client.call("GetVM", "(s)", "before")
        assert error.value.name == ERROR + "NoSuchVM"
        # Events of one source come in order: after this one nothing of the rename is to come.
        sources.sound.holder.lookupByName("after").create()
        signals.wait_changed(path, VM, State="running")
        assert len([1 for change, _ in signals.changes(path, VM) if "Name" in change]) == 1
        assert not signals.matching("InterfacesRemoved") and not signals.matching("InterfacesAdded")


def test_one_uuid_on_two_sources(sources, client, signals):
    identity = sources.faulty.define_test_domain("migrating", start=True)
    paths = [vm_path("faulty", identity), vm_path("sound", identity)]
    try:
        with domain(sources, signals, "migrating", uuid_text=identity):
            client.wait_property(ROOT, MANAGER, "VMCount", sources.VMS + 2)
            assert set(paths) <= set(client.managed_objects())
            for text in ("migrating", identity):
                with pytest.raises(BusError) as error:
                    client.call("GetVM", "(s)", text)
                assert error.value.name == ERROR + "AmbiguousName"
            client.call("Pause", "(a{sv})", {}, path=paths[0], interface=VM)
            assert [client.get(path, VM, "State") for path in paths] == ["paused", "shut-off"]
    finally:
        sources.faulty.remove_test_domain("migrating")
    client.wait_property(ROOT, MANAGER, "VMCount", sources.VMS)


def test_a_uuid_wins_over_a_name_like_it(sources, client, signals):
    identity = sources.sound.test_domains["sound0001"].uuid
    with domain(sources, signals, identity):
        assert client.call("GetVM", "(s)", identity) == sources.path("sound0001")
