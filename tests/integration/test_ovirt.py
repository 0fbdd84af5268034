# SPDX-License-Identifier: LGPL-2.1-or-later
"""The oVirt agent's channel: a real virtio-serial port, a script in the guest for the agent."""
import libvirt
import pytest
from gi.repository import Gio, GLib

from testbed.client import GUEST, BusError
from testbed.ovirt_agent import OvirtAgent, message
from testbed.wait import wait_until

ERROR = "org.guestbus1.Error."
REFRESH = '{"apiVersion": 3, "__name__": "refresh"}\n'
API_VERSION_3 = '{"apiVersion": 3, "__name__": "api-version"}\n'
BURST = [
    message("session-startup"),
    message("active-user", name="j\u00f6rg"),
    message("applications", applications=["bash-5.2.15-2+b8", "vim-9.0"]),
    message("host-name", name="inside"),
    message("os-version", version="6.1.0-56-cloud-amd64"),
    message("network-interfaces", interfaces=[
        {"name": "docker0", "hw": "02:42:00:00:00:01", "inet": ["172.17.0.1"], "inet6": []},
        {"name": "eth0", "hw": "{mac}", "inet": ["192.0.2.77"], "inet6": ["fe80::1", "2001:db8::77"]}]),
    message("disks-usage", disks=[{"path": "/", "fs": "ext4", "total": 1000000, "used": 400000}], mapping={}),
    message("fqdn", fqdn="inside.example.org"),
    message("timezone", zone="Europe/Berlin", offset=60),
    message("os-info", type="linux", distribution="Debian", version="12", codename="bookworm", arch="x86_64",
            kernel="6.1.0-56-cloud-amd64"),
]


@pytest.fixture(scope="module")
def machine(machine_factory):
    return machine_factory("ovirt1")


@pytest.fixture
def agent(machine):
    agent = OvirtAgent(machine).start()
    yield agent
    agent.stop()


@pytest.fixture
def start(run_guestbusd, machine):
    def run(**options):
        return run_guestbusd(sources={"local": machine.libvirtd.uri}, **options)
    return run


def burst(machine):
    return [line.replace("{mac}", machine.mac) for line in BURST]


def act(client, machine, method, signature="(a{sv})", *args, options=None):
    return client.call(method, signature, *args, options or {}, path=machine.path, interface=GUEST)


def wait(client, machine, name, value, timeout=20):
    return client.wait_property(machine.path, GUEST, name, value, timeout=timeout)


def has_agent(agents):
    return "ovirt" in agents


def refused(name, call, *args, **options):
    with pytest.raises(BusError) as caught:
        call(*args, **options)
    assert caught.value.name == ERROR + name, caught.value
    return caught.value.message


def is_refused(names, call, *args):
    try:
        call(*args)
    except BusError as error:
        assert error.name.removeprefix(ERROR) in names.split(), error
        return True
    return False


def test_agent_before_service(agent, start, client, machine):
    agent.beat()
    start()
    agent.wait_heard(REFRESH)
    agent.say(*burst(machine))
    wait(client, machine, "OSName", "Debian 12 (bookworm)")
    wait(client, machine, "Responsive", True)
    # Reported from the first heartbeat on: settled at once, and only once.
    agent.wait_heard(API_VERSION_3)
    assert agent.heard().count("api-version") == 1
    values = client.get_all(machine.path, GUEST)
    assert has_agent(values["Agents"])
    assert values["HostName"] == "inside" and values["FQDN"] == "inside.example.org"
    assert values["OSType"] == "linux" and values["OSVersion"] == values["KernelRelease"]
    assert values["Architecture"] == "x86_64"
    assert values["Timezone"] == ("Europe/Berlin", 3600)
    assert values["IPAddresses"] == ["192.0.2.77", "2001:db8::77", "172.17.0.1"]
    assert values["IPv4Addresses"] == ["192.0.2.77", "172.17.0.1"]
    assert values["Interfaces"][0] == ("eth0", machine.mac,
                                       [("192.0.2.77", 0), ("2001:db8::77", 0), ("fe80::1", 0)])
    assert values["AvailableMemory"] == 40 << 20 and values["TotalMemory"] == 96 << 20
    assert values["ActiveUser"] == "j\u00f6rg"
    assert values["Origins"]["HostName"][0] == "ovirt"
    assert "Applications" not in values
    assert client.get(machine.path, GUEST, "Applications") == ["bash-5.2.15-2+b8", "vim-9.0"]
    assert client.get(machine.path, GUEST, "Filesystems") == [("/", "", "ext4", 1000000, 400000)]


def test_notifications(agent, start, client, machine, signals):
    agent.beat()
    start()
    wait(client, machine, "Responsive", True)
    signals.wait("Heartbeat", machine.path, where=lambda memory: memory == 40 << 20)
    agent.say(message("active-user", name="alice"), message("session-logon"), message("session-lock"),
              message("session-unlock"), message("session-logoff"), message("active-user", name="None"))
    signals.wait("UserInfo", machine.path, where=lambda user: user == "")
    told = [(s.member, s.args) for s in signals.matching(path=machine.path, interface=GUEST)
            if s.member.startswith("Session") or s.member == "UserInfo"]
    assert told == [("UserInfo", ("alice",)), ("SessionLogon", ("alice",)), ("SessionLock", ()),
                    ("SessionUnlock", ()), ("SessionLogoff", ("alice",)), ("UserInfo", ("",))]
    wait(client, machine, "SessionState", "logged-off")
    agent.say(message("uninstalled"), "")
    signals.wait("AgentUninstalled", machine.path)


def test_actions_byte_for_byte(agent, start, client, machine):
    agent.beat()
    daemon = start()
    wait(client, machine, "Responsive", True)
    agent.wait_heard(API_VERSION_3)
    agent.forget()
    act(client, machine, "LockScreen")
    act(client, machine, "Login", "(ssa{sv})", "user@example.com", "s3cr\u00e9t")
    act(client, machine, "Logoff")
    act(client, machine, "Reboot", "(usa{sv})", 90, "Going \u00fcp", options={"guest-delay": variant(True)})
    act(client, machine, "Shutdown", "(usa{sv})", 0, "Going down")
    expected = ('{"__name__": "lock-screen"}\n'
                '{"username": "user@example.com", "password": "s3cr\\u00e9t", "__name__": "login"}\n'
                '{"__name__": "log-off"}\n'
                '{"timeout": 90, "message": "Going \\u00fcp", "reboot": "True", "__name__": "shutdown"}\n'
                '{"timeout": 0, "message": "Going down", "reboot": "False", "__name__": "shutdown"}\n')
    assert agent.wait_heard(expected) == expected
    assert "s3cr" not in daemon.log()


def variant(value):
    return GLib.Variant("b", value)


def test_agent_after_service(agent, start, client, machine, signals):
    agent.stop()
    start().wait_log("oVirt channel .* is open")
    refused("AgentUnresponsive", act, client, machine, "LockScreen")
    signals.clear()
    agent.start()
    agent.wait_heard(REFRESH)   # it waited in the channel
    # Its own start, and the answer to the request, which cannot be told apart: one PowerUp.
    agent.say(message("session-startup"), message("session-startup"), message("host-name", name="late"))
    wait(client, machine, "HostName", "late")
    assert len(signals.matching("PowerUp", machine.path)) == 1
    assert has_agent(client.get(machine.path, GUEST, "Agents"))


def test_nothing_is_sent_to_an_agent_that_fell_silent(agent, start, client, machine):
    agent.beat(0.5)
    start()
    wait(client, machine, "Responsive", True)
    agent.wait_heard(API_VERSION_3)
    agent.stop_beating()
    wait_until(lambda: is_refused("AgentUnresponsive", act, client, machine, "LockScreen"), 40,
               "no action is sent any more", 1)
    assert has_agent(client.get(machine.path, GUEST, "Agents"))
    agent.forget()
    for method, signature, args in (("LockScreen", "(a{sv})", ()), ("Logoff", "(a{sv})", ()),
                                    ("Login", "(ssa{sv})", ("alice", "stale-secret"))):
        refused("AgentUnresponsive", act, client, machine, method, signature, *args)
    assert agent.heard() == ""
    agent.beat(0.5)
    wait_until(lambda: not is_refused("AgentUnresponsive", act, client, machine, "LockScreen"), 20,
               "actions are sent again", 0.5)
    assert agent.wait_heard("lock-screen").startswith('{"__name__": "lock-screen"}\n')


def test_bad_lines_cost_themselves_only(agent, start, client, machine):
    start()
    bad = [b"", b"[]", b'"s"', b'{"a":1}', b'{"__name__":"applications","applications":5}',
           b'{"__name__":"network-interfaces","interfaces":["x"]}', b'{"__name__":"host-name"}',
           b'{"__name__":5}', b'{"__name__":"nonsense"}', b"\xff\xfe\x01 garbage", b"[" * 600]
    for number, line in enumerate(bad):
        agent.say(line, message("host-name", name=f"good{number}"))
        wait(client, machine, "HostName", f"good{number}")
    # 2 MiB without an end, then the end and a good line.
    machine.exec("(head -c 2097152 /dev/zero | tr '\\0' x; echo) >/run/ovirt/say", timeout=60)
    agent.say(message("host-name", name="after"))
    wait(client, machine, "HostName", "after", timeout=60)


def test_service_restart(agent, start, client, machine, signals):
    agent.beat()
    daemon = start()
    wait(client, machine, "Responsive", True)
    agent.forget()
    daemon.restart()
    agent.wait_heard(REFRESH)
    agent.say(*burst(machine))
    wait(client, machine, "HostName", "inside")
    wait(client, machine, "Responsive", True)
    assert not signals.matching("PowerUp", machine.path) and not signals.matching("PowerDown", machine.path)


def test_guest_reboot(agent, start, client, machine, signals):
    agent.beat()
    start()
    wait(client, machine, "Responsive", True)
    agent.say(*burst(machine))
    wait(client, machine, "ActiveUser", "j\u00f6rg")
    agent.say(message("session-shutdown"))
    signals.wait("PowerDown", machine.path)
    machine.domain.reset()
    wait(client, machine, "ActiveUser", "")
    # What the machine is stays: in the words of the agent that is still there, if there is one.
    assert client.get(machine.path, GUEST, "HostName") in ("inside", machine.name)
    refused("AgentUnresponsive", act, client, machine, "LockScreen")
    machine.wait_ready()
    agent.start()
    agent.say(message("session-startup"), message("host-name", name="again"))
    wait(client, machine, "HostName", "again")
    # qemu-ga started as well: one boot is one PowerUp.
    assert len(signals.matching("PowerUp", machine.path)) == 1
    assert len(signals.matching("PowerDown", machine.path)) == 1
    agent.beat()
    wait(client, machine, "Responsive", True)


def test_off(agent, run_guestbusd, client, machine):
    agent.beat()
    run_guestbusd(config=f"[source local]\nuri = {machine.libvirtd.uri}\novirt-channel = off\n")
    wait(client, machine, "Agents", lambda agents: "qemu-ga" in agents)
    message_text = refused("NotSupported", act, client, machine, "LockScreen")
    assert "qemu-ga" in message_text
    assert agent.heard() == ""


def test_channel_that_another_program_has(agent, start, client, machine):
    connection = machine.libvirtd.connect(machine.libvirtd.uri)
    stream = connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
    connection.lookupByName(machine.name).openChannel(machine.options.ovirt, stream, 0)
    daemon = start()
    daemon.wait_log("another program may have it: .*Active channel stream exists")
    stream.abort()
    agent.beat()
    wait(client, machine, "Responsive", True, timeout=60)
    assert daemon.log().count("another program may have it") == 1


def status_kib(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name + ":"))


def is_sanitized(pid):
    """A sanitizer reserves terabytes, and keeps what was freed: then memory is not the service's own."""
    return status_kib(pid, "VmSize") > 1 << 30


def test_flood(agent, start, client, machine, machine_factory, signals):
    quiet = machine_factory("ovirt2")
    other = OvirtAgent(quiet).start()
    daemon = start()
    daemon.wait_log("oVirt channel .* is open.*ovirt1")
    daemon.wait_log("oVirt channel .* is open.*ovirt2")
    other.say(message("host-name", name="calm"))
    wait(client, quiet, "HostName", "calm")
    before = status_kib(daemon.pid, "RssAnon")
    agent.flood(message("heartbeat", **{"free-ram": "1"}), "garbage " * 20, message("host-name", name="a"),
                message("host-name", name="b"))
    daemon.wait_log("floods its oVirt channel", timeout=60)
    signals.clear()
    for number in range(1, 31):
        other.say(message("heartbeat", **{"free-ram": str(number)}))
        client.get_all(machine.path, GUEST)
    signals.wait("Heartbeat", quiet.path, count=30)
    assert [s.args[0] >> 20 for s in signals.matching("Heartbeat", quiet.path)] == list(range(1, 31))
    flood_began, flood_ended = signals.all[0].time, signals.all[-1].time
    changes = len(signals.changes(machine.path, GUEST))
    print(f"flood of {flood_ended - flood_began:.1f} s: {changes} PropertiesChanged, "
          f"{len(signals.matching('Heartbeat', machine.path))} heartbeats of the flooding guest; "
          f"memory {before} -> {status_kib(daemon.pid, 'RssAnon')} KiB")
    # Some ten thousand lines a second came; the budget lets 32 a second pass, and a burst.
    assert changes <= 256 + 32 * (flood_ended - flood_began + 1)
    assert is_sanitized(daemon.pid) or status_kib(daemon.pid, "RssAnon") - before < 8 * 1024
    agent.stop_flooding()
    other.stop()
    assert daemon.log().count("floods its oVirt channel") == 1


def test_vm_that_ovirt_manages(run_guestbusd, machine_factory, client):
    machine = machine_factory("vdsm1", ovirt="com.redhat.rhevm.vdsm", metadata=(
        "<ovirt-vm:vm xmlns:ovirt-vm='http://ovirt.org/vm/1.0'/>"))
    agent = OvirtAgent(machine).start()
    daemon = run_guestbusd(sources={"local": machine.libvirtd.uri})
    daemon.wait_log("left to vdsm.*vdsm1")
    wait(client, machine, "Agents", lambda agents: "qemu-ga" in agents)
    assert agent.heard() == ""
    assert daemon.log().count("left to vdsm") == 1


def test_legacy_channel(run_guestbusd, machine_factory, client):
    machine = machine_factory("legacy1", ovirt="com.redhat.rhevm.vdsm")
    agent = OvirtAgent(machine).start()
    run_guestbusd(sources={"local": machine.libvirtd.uri})
    agent.wait_heard(REFRESH)
    agent.say(message("host-name", name="old"))
    wait(client, machine, "HostName", "old")


def test_hostile_values_stay_within_their_share(agent, start, client, machine):
    start()
    long = "\u00fc" * 200   # 400 bytes
    agent.say(message("host-name", name=long), message("fqdn", fqdn=long), message("os-version", version=long),
              message("active-user", name=long), message("timezone", zone=long, offset=0),
              message("os-info", type=long, distribution=long, version=long, codename=long, arch=long, kernel=long))
    agent.say(message("network-interfaces", interfaces=[
        {"name": f"veth{n}" + "x" * 100, "hw": f"02:00:00:00:00:{n:02x}",
         "inet": [f"10.{n}.{k}.1" for k in range(20)]} for n in range(40)]))
    agent.say(message("host-name", name="a\u0000b\ufdd0\ud800c"))
    wait(client, machine, "HostName", "a\ufffdb\ufffd\ufffdc")
    values = client.get_all(machine.path, GUEST)
    assert values["Truncated"] is True
    assert values["FQDN"] == "\u00fc" * 127
    assert 1 <= len(values["Interfaces"]) <= 32
    assert all(len(interface[2]) <= 16 for interface in values["Interfaces"])
    # What this object adds to GetManagedObjects, in GVariant's form, which has the same alignment.
    objects = client.connection.call_sync(
        "org.guestbus1", "/org/guestbus1", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None, None,
        Gio.DBusCallFlags.NONE, -1, None).get_child_value(0)
    sizes = [objects.get_child_value(n).get_size() for n in range(objects.n_children())
             if objects.get_child_value(n).get_child_value(0).get_string() == machine.path]
    print(f"one VM with a hostile guest: {sizes[0]} bytes")
    assert len(sizes) == 1 and sizes[0] <= 8192


def test_channel_that_carried_all_it_may(agent, start, client, machine):
    """Long before QEMU's buffer for a guest that does not read is full, the channel is opened anew."""
    agent.beat(0.5)
    daemon = start()
    wait(client, machine, "Responsive", True)
    long = "\u00fc" * 500   # six bytes a character on the wire
    refusals = 0

    def login():
        nonlocal refusals
        if is_refused("Busy", act, client, machine, "Login", "(ssa{sv})", long, long):
            refusals += 1
        return refusals
    wait_until(login, 60, "the channel is worn out")
    daemon.wait_log("(?s)is open.*was closed.*is open")
    wait_until(lambda: not is_refused("AgentUnresponsive AgentNotConnected", act, client, machine, "LockScreen"), 30,
               "the agent is told things again", 0.5)
    # No line was cut: each is whole and one of ours.
    agent.wait_heard("lock-screen")
    lines = agent.heard().splitlines()
    assert sum("login" in line for line in lines) >= 10
    assert all(line.startswith("{") and line.endswith("}") for line in lines)


def test_libvirtd_restart(agent, start, client, machine, signals):
    agent.beat(0.5)
    daemon = start()
    wait(client, machine, "Responsive", True)
    agent.say(message("host-name", name="kept"))
    wait(client, machine, "HostName", "kept")
    machine.libvirtd.restart()
    daemon.wait_log("(?s)channel .* is open.*Lost .*channel .* is open", timeout=60)
    wait_until(lambda: not is_refused("AgentUnresponsive AgentNotConnected", act, client, machine, "LockScreen"), 30,
               "the agent is heard again", 0.5)
    wait(client, machine, "HostName", "kept")
    # The guest saw nothing of it.
    assert not signals.matching("PowerUp", machine.path) and not signals.matching("PowerDown", machine.path)
