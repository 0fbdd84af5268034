# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents tell people to write works as it is written there."""
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from testbed.client import VM, BusError, vm_path
from testbed.libvirtd import DriverDomain
from testbed.world import SOURCE

DOCS = SOURCE / "docs"


def manual(name):
    """A page's source with the escapes of blanks and dashes taken out."""
    text = (DOCS / f"{name}.in").read_text(encoding="utf-8")
    return re.sub(r"\\f[BIRP]", "", text).replace("\\-", "-").replace("\\e", "\\").replace("\\&", "")


def fenced(name, language):
    (block,) = re.findall(rf"```{language}\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.S)
    return block


def unfilled(text):
    """A .nf block without its indentation."""
    return re.sub(r"^ +", "", text, flags=re.M)


# -- programs' options --------------------------------------------------------------------------------

@pytest.mark.parametrize("program, page", [("service/guestbusd", "guestbusd.8"),
                                           ("cli/guestbusctl/guestbusctl", "guestbusctl.1"),
                                           ("cli/report/guestbus-report", "guestbus-report.8")])
def test_every_option_is_documented(world, program, page):
    text = subprocess.run([world.executable(program), "--help"], check=True, capture_output=True, text=True).stdout
    options = set(re.findall(r"--[a-z][a-z-]+", text))
    assert {"--help", "--version"} < options
    assert not [option for option in sorted(options) if not re.search(re.escape(option) + r"(?![a-z-])", manual(page))]


# -- guestbus.conf(5) ---------------------------------------------------------------------------------

@pytest.fixture
def check_config(world, tmp_path):
    """Run guestbusd --check-config on a text; (status, complaints)."""
    def check(text):
        path = tmp_path / "guestbus.conf"
        path.write_text(text, encoding="utf-8")
        result = subprocess.run([world.executable("service/guestbusd"), "--config", path, "--check-config"],
                                check=False, capture_output=True, text=True)
        return result.returncode, result.stderr
    return check


def documented_keys(section):
    """{key: text} of a section of guestbus.conf(5)."""
    text = manual("guestbus.conf.5").split(f".SH [{section}", 1)[1].split("\n.SH ", 1)[0]
    return dict(re.findall(r"\.TP\n\.B ([a-z-]+)\n(.*?)(?=\n\.TP|\Z)", text, re.S))


def test_documented_keys_of_the_service(check_config):
    keys = documented_keys("service")
    defaults = {key: re.search(r"Default: (\S+)\.", text)[1] for key, text in keys.items()}
    assert len(keys) == 8
    text = "[service]\n" + "".join(f"{key} = {value}\n" for key, value in defaults.items())
    assert check_config(text) == (0, "")
    for key, text in keys.items():
        limits = re.search(r"([0-9]+) to ([0-9]+)\.", text)
        if not limits:
            continue
        low, high = (int(limit) for limit in limits.groups())
        for value, status in ((low, 0), (high, 0), (low - 1, 1), (high + 1, 1)):
            assert check_config(f"[service]\n{key} = {value}\n")[0] == status, f"{key} = {value}"


def test_documented_keys_of_a_source(check_config, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x\n")
    secret.chmod(0o600)
    values = {"uri": "test:///default", "read-only": "yes", "username": "monitor", "password-file": secret,
              "ovirt-channel": "off"}
    # A credential needs systemd to hand it over.
    assert documented_keys("source").keys() == values.keys() | {"password-credential"}
    assert check_config("[source a]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())) == (0, "")


def test_example_of_the_manual(check_config):
    (example,) = re.findall(r"\.SH EXAMPLE\n\.nf\n(.*?)\n\.fi", manual("guestbus.conf.5"), re.S)
    assert check_config(unfilled(example)) == (0, "")


def test_example_configuration_names_every_key(check_config):
    """The installed example: as it is, and with all that is commented out switched on."""
    text = (SOURCE / "data/guestbus.conf").read_text(encoding="utf-8")
    assert check_config(text) == (0, "")
    switched_on = re.sub(r"^#(\[|[a-z-]+ = )", r"\1", text, flags=re.M)
    switched_on = re.sub(r"^password-credential = .*\n", "", switched_on, flags=re.M)
    assert check_config(switched_on) == (0, "")
    for key in {*documented_keys("service"), *documented_keys("source")} - {"password-file"}:
        assert re.search(rf"^#?{key} = ", text, re.M), key


# -- rules for polkit ---------------------------------------------------------------------------------

def rules():
    yield "tutorial", fenced("tutorial.md", "javascript")
    (block,) = re.findall(r"\n  (polkit\.addRule\(.*?\n  \}\);)", manual("guestbusd.8"), re.S)
    yield "guestbusd(8)", block


@pytest.mark.parametrize("rule", [pytest.param(text, id=name) for name, text in rules()])
def test_rule(fresh_world, guestbus_user, rule):
    """alice may start web1, and neither pause it nor start db1."""
    libvirtd = fresh_world.libvirtd()
    web1, db1 = DriverDomain("web1"), DriverDomain("db1")
    libvirtd.test_domains.update(web1=web1, db1=db1)
    libvirtd.restart()
    fresh_world.guestbusd(sources={"local": libvirtd.test_uri})
    alice = fresh_world.caller(guestbus_user)
    web1, db1 = vm_path("local", web1.uuid), vm_path("local", db1.uuid)

    def act(path, member):
        try:
            alice.call(member, "(a{sv})", {}, path=path, interface=VM)
            return "allowed"
        except BusError as error:
            return error.name.rsplit(".", 1)[1]
    refused = ("AccessDenied", "InteractiveAuthorizationRequired")
    assert act(web1, "Start") in refused
    fresh_world.polkit.add_rule("40-web.rules", rule.replace('"alice"', f'"{guestbus_user.name}"'))
    assert act(web1, "Start") == "allowed"
    assert act(db1, "Start") in refused
    assert act(web1, "Pause") in refused


# -- programs in the text -----------------------------------------------------------------------------

def bus_environment(world):
    return {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": world.bus.address, "LC_ALL": "C.UTF-8"}


def line_with(process, text):
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"the output ended without {text!r}")


def python_programs():
    yield "tutorial", fenced("tutorial.md", "python")
    (block,) = re.findall(r"In Python.*?\.nf\n(.*?)\n\.fi", manual("org.guestbus1.5"), re.S)
    yield "org.guestbus1(5)", re.sub(r"^  ", "", block, flags=re.M)


@pytest.mark.parametrize("program", [pytest.param(text, id=name) for name, text in python_programs()])
def test_python_client(fresh_world, program):
    libvirtd = fresh_world.libvirtd()
    libvirtd.define_test_domain("web1", start=True)
    fresh_world.guestbusd(sources={"local": libvirtd.test_uri})
    # They say nothing when they listen: a line before the loop, when all subscriptions are made.
    assert "EventLoop().run()" in program
    program = program.replace("EventLoop().run()", "print('ready')\nEventLoop().run()")
    with subprocess.Popen([sys.executable, "-u", "-c", program], env=bus_environment(fresh_world),
                          stdout=subprocess.PIPE, text=True) as client:
        try:
            line_with(client, "ready")
            libvirtd.virsh("suspend", "web1", uri=libvirtd.test_uri)
            assert "paused" in line_with(client, "paused")
        finally:
            client.terminate()


def test_links_lead_somewhere():
    for page in [*SOURCE.glob("*.md"), *DOCS.glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_files_named_in_the_text_exist():
    """Paths of the source tree that the pages for people mention."""
    known = re.compile(r"`((?:service|dbus|polkit|cli|data|tests|docs|tools)/[A-Za-z0-9_./-]*?)/?`")
    for page in [*SOURCE.glob("*.md"), *DOCS.glob("*.md")]:
        for name in known.findall(page.read_text(encoding="utf-8")):
            matches = list(Path(SOURCE).glob(name)) or list(Path(SOURCE).glob(f"{name}.in"))
            assert matches, f"{page}: {name}"
