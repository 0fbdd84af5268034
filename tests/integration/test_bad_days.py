# SPDX-License-Identifier: LGPL-2.1-or-later
"""Faults around the service: it goes on, answers who is not concerned, and then tells the truth."""
import pytest

from testbed.client import ERROR, ROOT, MANAGER, SOURCE, VM, BusError, Client, source_path, vm_path
from testbed.libvirtd import DriverDomain
from testbed.wait import wait_until

ACCESS_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
UNKNOWN_OBJECT = "org.freedesktop.DBus.Error.UnknownObject"

# A libvirtd that stopped answering is noticed by keepalive, 3 x 10 s and at most 45, with room.
KEEPALIVE = 60


# -- libvirtd ---------------------------------------------------------------------------------------

def test_libvirtd_absent_at_start(fresh_world):
    late, there = fresh_world.libvirtd(), fresh_world.libvirtd()
    late.stop()
    fresh_world.guestbusd(sources={"late": late.test_uri, "there": there.test_uri})
    client = fresh_world.client
    signals = client.record()

    assert client.get(source_path("late"), SOURCE, "Connected") is False
    assert client.get(source_path("late"), SOURCE, "LastError") != ""
    assert [vm[2] for vm in client.call("ListVMs")] == ["there"]

    late.test_domains["arrived"] = arrived = DriverDomain("arrived")
    late.start()
    signals.wait("InterfacesAdded", where=lambda path, _: path == vm_path("late", arrived.uuid), timeout=60)
    client.wait_property(source_path("late"), SOURCE, "Connected", True)
    assert client.get(source_path("late"), SOURCE, "LastError") == ""
    assert client.get(vm_path("late", arrived.uuid), VM, "State") == "shut-off"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_libvirtd_goes_and_comes_back(sources, client, signals, end):
    faulty = sources.faulty
    before = sources.states("faulty")
    getattr(faulty, end)()
    sources.wait_connected(False)
    assert client.get(source_path("faulty"), SOURCE, "LastError") != ""
    assert sources.states("faulty") == before, "VMs stay visible with their last state"
    with pytest.raises(BusError) as error:
        client.call("Pause", "(a{sv})", {}, path=sources.path("faulty0000"), interface=VM)
    assert error.value.name == ERROR + "SourceDisconnected"
    sources.check_sound_is_served()

    signals.clear()
    faulty.test_domains["faulty0001"].start = False
    try:
        faulty.start()
        sources.wait_connected(True)
        client.wait_property(sources.path("faulty0001"), VM, "State", "shut-off")
    finally:
        faulty.test_domains["faulty0001"].start = True
    faulty.holder.lookupByName("faulty0001").create()
    client.wait_property(sources.path("faulty0001"), VM, "State", "running")

    others = {sources.path("faulty0000"), sources.path("faulty0002")}
    states = [str(signal) for signal in signals.matching("PropertiesChanged")
              if signal.path in others and "State" in signal.args[1]]
    assert not states, "what did not change is not signalled"
    assert not signals.matching("InterfacesAdded") and not signals.matching("InterfacesRemoved")


def test_changes_made_while_libvirtd_was_away(sources, client, signals):
    domains = sources.faulty.test_domains
    sources.faulty.kill()
    sources.wait_connected(False)
    gone = domains.pop("faulty0002")
    domains["newcomer"] = new = DriverDomain("newcomer")
    try:
        sources.faulty.start()
        signals.wait("InterfacesRemoved", where=lambda path, _: path == sources.path(gone.name), timeout=60)
        signals.wait("InterfacesAdded", where=lambda path, _: path == vm_path("faulty", new.uuid))
        assert set(sources.states("faulty")) == {"test", "faulty0000", "faulty0001", "newcomer"}
        with pytest.raises(BusError) as error:
            client.get_all(sources.path(gone.name), VM)
        assert error.value.name == UNKNOWN_OBJECT
    finally:
        sources.faulty.remove_test_domain("newcomer")
        sources.faulty.define_test_domain(gone.name, start=True)


def test_libvirtd_stopped(sources, client):
    path = sources.path("faulty0000")
    sources.faulty.freeze()
    stuck = client.start("Pause", "(a{sv})", {}, path=path, interface=VM)
    # Several calls in flight on the dying connection: what libvirt's own keepalive does not survive.
    others = [client.start(method, "(a{sv})", {}, path=sources.path(name), interface=VM)
              for name in ("faulty0001", "faulty0002") for method in ("Resume", "Reset")]
    # Order, not time: the sound source answers any number of calls before the stuck one has its answer.
    for _ in range(20):
        sources.check_sound_is_served()
    assert client.get(path, VM, "State") == "running"
    assert not stuck.done
    with pytest.raises(BusError) as error:
        stuck.result()
    assert error.value.name in (ERROR + "Timeout", ERROR + "SourceDisconnected")
    for other in others:
        with pytest.raises(BusError):
            other.result()
    sources.wait_connected(False, KEEPALIVE)
    sources.check_sound_is_served()

    sources.faulty.thaw()
    sources.wait_connected(True)
    # The request may have been in libvirtd's socket: whether it was carried out, libvirt knows.
    domain = sources.faulty.holder.lookupByName("faulty0000")
    wait_until(lambda: client.get(path, VM, "State") == {1: "running", 3: "paused"}[domain.state()[0]], 20,
               "the bus says what libvirt says")
    if domain.state()[0] == 3:
        domain.resume()
        client.wait_property(path, VM, "State", "running")


# -- the bus ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("end", ["stop", "kill"])
def test_bus_gone(fresh_world, end):
    libvirtd = fresh_world.libvirtd()
    daemon = fresh_world.guestbusd(sources={"local": libvirtd.test_uri}, log_level="notice")
    before = daemon.log()
    getattr(fresh_world.bus, end)()
    assert daemon.wait_end() == 1
    lines = [line for line in daemon.log()[len(before):].splitlines() if line.strip()]
    assert len(lines) == 1 and "bus" in lines[0].lower()


def test_name_taken(world, sources, client):
    second = world.guestbusd(start=False, sources={"x": "test:///default"}, expect_failure=True)
    second.start(wait=False)
    assert second.wait_end() == 1
    assert "org.guestbus1" in second.log()
    assert client.call("ListVMs")


# -- polkitd ----------------------------------------------------------------------------------------

@pytest.fixture
def member(world, sources, libvirt_user):
    """A caller whom the installed rule allows to act on VMs."""
    caller = world.caller(libvirt_user)
    yield caller
    caller.close()


@pytest.fixture
def asker(world, sources, guestbus_user):
    """A caller for whom polkit asks an administrator."""
    caller = world.caller(guestbus_user)
    yield caller
    caller.close()


def test_polkitd_absent(sources, polkit, client, member):
    path = sources.path("sound0001")
    polkit.stop()
    try:
        with pytest.raises(BusError) as error:
            member.call("Pause", "(a{sv})", {}, path=path, interface=VM)
        assert error.value.name == ACCESS_DENIED
        assert member.get(path, VM, "State") == "running", "reading needs no polkit"
        sources.check_sound_is_served()     # by root, who still may
    finally:
        polkit.start()
    member.call("Pause", "(a{sv})", {}, path=path, interface=VM)
    member.call("Resume", "(a{sv})", {}, path=path, interface=VM)
    assert client.get(path, VM, "State") == "running"


def test_polkitd_killed_with_a_question_open(sources, world, polkit, client, asker):
    path = sources.path("sound0001")
    agent = world.agent(asker.pid, delay=3600)
    call = asker.start("Pause", "(a{sv})", {}, path=path, interface=VM, interactive=True, timeout=120)
    agent.wait("question")
    polkit.kill()
    try:
        with pytest.raises(BusError) as error:
            call.result()
        assert error.value.name == ACCESS_DENIED
        assert client.get(path, VM, "State") == "running"
    finally:
        agent.close()
        polkit.start()
    agent = world.agent(asker.pid, answer="yes")
    asker.call("Pause", "(a{sv})", {}, path=path, interface=VM, interactive=True)
    asker.call("Resume", "(a{sv})", {}, path=path, interface=VM, interactive=True)
    agent.close()


def test_caller_leaves_while_polkit_asks(sources, world, client, asker):
    path = sources.path("sound0001")
    agent = world.agent(asker.pid, delay=3600)
    asker.start("Pause", "(a{sv})", {}, path=path, interface=VM, interactive=True)
    agent.wait("question")
    asker.kill()
    agent.wait("withdrawn")
    agent.close()
    sources.check_sound_is_served()
    assert client.get(path, VM, "State") == "running"


def test_caller_leaves_while_libvirt_works(sources, client, world):
    path = sources.path("faulty0000")
    sources.faulty.freeze()
    leaving = Client(world.bus)
    leaving.start("Pause", "(a{sv})", {}, path=path, interface=VM)
    # The call is at the service when a later one on the same connection was answered.
    leaving.get(path, VM, "State")
    leaving.close()
    sources.check_sound_is_served()
    sources.faulty.thaw()
    client.wait_property(path, VM, "State", "paused")
    client.call("Resume", "(a{sv})", {}, path=path, interface=VM)


# -- crowds -----------------------------------------------------------------------------------------

def test_200_callers_at_once(sources, client, world):
    clients = [Client(world.bus) for _ in range(200)]
    path = sources.path("sound0000")
    try:
        reads = [caller.start("ListVMs") for caller in clients]
        acts = [caller.start("SetMemory", "(ta{sv})", 32 << 20, {}, path=path, interface=VM)
                for caller in clients]
        for read in reads:
            assert len(read.result()) == sources.VMS
        for act in acts:
            act.result(60)
    finally:
        for caller in clients:
            caller.close()
    assert client.get(path, VM, "MemoryActual") == 32 << 20


def test_events_later_than_answers(sources):
    """libvirtd's events come from another thread than its answers: none may undo what was answered."""
    for _ in range(300):
        sources.check_sound_is_served()


def test_undefined_while_it_is_read(sources, client):
    def read(path):
        return client.start("GetAll", "(s)", VM, path=path, interface="org.freedesktop.DBus.Properties")

    for number in range(10):
        name = f"brief{number}"
        path = vm_path("sound", sources.sound.define_test_domain(name))
        client.wait_property(ROOT, MANAGER, "VMCount", sources.VMS + 1)
        pending = [read(path) for _ in range(20)]
        sources.sound.remove_test_domain(name)
        pending += [read(path) for _ in range(20)]
        for call in pending:
            try:
                assert call.result()["Name"] == name
            except BusError as error:
                assert error.name == UNKNOWN_OBJECT
        client.wait_property(ROOT, MANAGER, "VMCount", sources.VMS)
        assert path not in client.managed_objects()
