# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of the integration tests: parts of a private world, shared by the tests of a module.

A world, its libvirtds and its guests live as long as their module: starting a libvirtd takes half a
second and booting a guest five. What a test changes, it changes back, or it uses fresh_world.
"""
import os
import socket
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from testbed import user  # noqa: E402
from testbed.candlepin import Candlepin  # noqa: E402
from testbed.certificates import Authority  # noqa: E402
from testbed.machine import Machine  # noqa: E402
from testbed.sender import Sender  # noqa: E402
from testbed.two_sources import TwoSources  # noqa: E402
from testbed.world import World, end_on_signals  # noqa: E402

# The file that the contract tests compare with is not part of this project. Where it is not there they are left out,
# and that is said, instead of being skipped: nothing is expected of them there.
SPEC = os.environ.get("GUESTBUS_CANDLEPIN_SPEC")
collect_ignore = [] if SPEC else ["test_candlepin_fake_contract.py"]

STRICT = os.environ.get("CI") == "true" or os.environ.get("GUESTBUS_STRICT") == "1"


# -- worlds -----------------------------------------------------------------------------------------

def open_world():
    world = World()
    try:
        world.bus.start()
        world.polkit.start()
        world.install_guestbus_files()
    except BaseException:
        world.close()
        raise
    return world


@pytest.fixture(scope="module")
def world(request):
    """A bus with polkitd and guestbus's own policies, as on a machine where it is installed."""
    opened = open_world()
    request.node.stash.setdefault(WORLDS, []).append(opened)
    yield opened
    opened.close()


@pytest.fixture
def fresh_world(request):
    """The same for one test alone, which may break it."""
    opened = open_world()
    request.node.stash.setdefault(WORLDS, []).append(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def bus(world):
    return world.bus


@pytest.fixture(scope="module")
def polkit(world):
    return world.polkit


@pytest.fixture(scope="module")
def client(world):
    """root's connection to the bus."""
    return world.client


@pytest.fixture
def signals(client):
    """Everything that guestbusd signals during this test."""
    recorder = client.record()
    yield recorder
    recorder.close()


# -- libvirt ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def libvirtd(world):
    """libvirtd with the QEMU driver."""
    return world.libvirtd(qemu=True)


@pytest.fixture(scope="module")
def test_libvirtd(world):
    """libvirtd that serves test:///default over its socket (.test_uri)."""
    return world.libvirtd()


@pytest.fixture(scope="module")
def machine_factory(libvirtd):
    """machine_factory(name, **MachineOptions): a guest that is booted and ready, off at the end."""
    machines = []

    def make(name, **options):
        machine = Machine(libvirtd, name, **options)
        machines.append(machine)
        return machine.up()
    yield make
    for machine in machines:
        machine.destroy()


@pytest.fixture(scope="module")
def machine(machine_factory):
    """One running guest, called web1."""
    return machine_factory("web1")


# -- guestbusd --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def guestbusd_factory(world):
    """guestbusd_factory(sources=..., config=..., args=..., env=...): a READY guestbusd."""
    daemons = []

    def make(**options):
        daemon = world.guestbusd(**options)
        daemons.append(daemon)
        return daemon
    yield make
    for daemon in daemons:
        daemon.close()


@pytest.fixture
def run_guestbusd(world):
    """The same for one test: stopped at its end, so that the next test may start another."""
    daemons = []

    def make(**options):
        daemon = world.guestbusd(**options)
        daemons.append(daemon)
        return daemon
    yield make
    for daemon in reversed(daemons):
        daemon.close()


# -- the reporter -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def workplace(request):
    """A world without bus, polkit and libvirt: for programs that need none."""
    opened = World()
    request.node.stash.setdefault(WORLDS, []).append(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def authority(workplace):
    return Authority(workplace.subdir("authority"))


@pytest.fixture
def fake_candlepin(workplace, authority):
    """An entitlement server with the owner "acme", whose user is reporter / hunter2-secret."""
    with Candlepin(workplace.dir, authority=authority) as server:
        server.add_owner("acme", {"reporter": "hunter2-secret"})
        yield server


@pytest.fixture
def run_sender(workplace, authority, fake_candlepin):
    """run_sender(sources=..., option=value...): the sending half of the reporter, aimed at fake_candlepin."""
    senders = []

    def make(sources=("esx1",), **options):
        ca = workplace.subdir("ca")
        (ca / "test.pem").write_bytes(authority.certificate.read_bytes())
        options = {"owner": "acme", "port": fake_candlepin.port, "prefix": fake_candlepin.prefix, "ca": ca,
                   "user": "reporter", "password": "hunter2-secret", **options}
        sender = Sender(workplace, sources, **{k: v for k, v in options.items() if v is not None})
        senders.append(sender)
        return sender
    yield make
    for sender in senders:
        sender.close()


@pytest.fixture
def fake_hang():
    """The port of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def state_dir(workplace):
    """A directory for the reporter's state, of this test alone."""
    return workplace.subdir(workplace.unique("state"), 0o700)


# -- faults -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def shared_sources(world, guestbusd_factory):
    return TwoSources(world, guestbusd_factory)


@pytest.fixture
def sources(shared_sources):
    """TwoSources, well at the start of every test and again at its end."""
    yield shared_sources
    shared_sources.recover()


# -- users ------------------------------------------------------------------------------------------

@pytest.fixture(scope="session")
def plain_user():
    return user.plain_user()


@pytest.fixture(scope="session")
def libvirt_user():
    return user.libvirt_user()


@pytest.fixture(scope="session")
def guestbus_user():
    return user.guestbus_user()


# -- what a run prints and when it fails ------------------------------------------------------------

WORLDS = pytest.StashKey()


def worlds_of(item):
    node = item
    while node is not None:
        yield from node.stash.get(WORLDS, [])
        node = node.parent


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Print the logs of the services with a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for opened in worlds_of(item):
            for name, text in opened.logs():
                report.sections.append((name, text))


def pytest_report_header(config):
    return "Candlepin's OpenAPI file: " + (SPEC or "none, its contract tests are left out")


def pytest_configure(config):
    end_on_signals()


def pytest_sessionfinish(session, exitstatus):
    """A skipped test is not a passed one: where nothing may be missing it fails the run."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if STRICT and skipped:
        reporter.write_line(f"{len(skipped)} tests were skipped, which this run does not allow", red=True)
        session.exitstatus = max(int(exitstatus), int(pytest.ExitCode.TESTS_FAILED))
