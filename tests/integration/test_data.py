# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed besides programs: units, policies, users, the example configuration."""
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from testbed import user
from testbed.world import BUILD, SOURCE

UNITS = ("guestbusd.service", "guestbus-reporter.service")
EXPOSURE_MAX = 1.5
TABLE = SOURCE / "polkit" / "actions.c"


def run(*argv, **options):
    return subprocess.run([str(word) for word in argv], text=True, capture_output=True, check=False, **options)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A tree that meson installed into."""
    tree = tmp_path_factory.mktemp("installed")
    result = run("meson", "install", "--no-rebuild", "-C", BUILD, "--destdir", tree)
    assert result.returncode == 0, result.stdout + result.stderr
    return tree


@pytest.fixture(scope="module")
def units(installed, tmp_path_factory):
    """The units with the programs where meson put them, so that systemd finds these."""
    directory = tmp_path_factory.mktemp("units")
    for name in UNITS:
        (path,) = installed.rglob(name)
        text = re.sub(r"(=\+?)(/\S*guestbus\S*)", lambda found: move(found, installed), path.read_text())
        (directory / name).write_text(text)
    return directory


def move(found, installed):
    program = Path(f"{installed}{found[2]}")
    return f"{found[1]}{program}" if program.is_file() else found[0]


# -- units ------------------------------------------------------------------------------------------

def test_units_are_clean(units):
    result = run("systemd-analyze", "verify", "--man=no", *(units / name for name in UNITS))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_units_are_confined(units, name):
    result = run("systemd-analyze", "security", "--offline=true", f"--threshold={int(EXPOSURE_MAX * 10)}",
                 units / name)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", result.stdout)[1])
    assert exposure <= EXPOSURE_MAX, result.stdout
    assert result.returncode == 0


@pytest.mark.parametrize("name", UNITS)
def test_units_keep_running(units, name):
    text = (units / name).read_text()
    for line in ("Restart=always", "Type=notify", "LimitCORE=0", "NoNewPrivileges=yes"):
        assert line in text.splitlines()


def test_activation_names_the_unit(installed):
    (path,) = installed.rglob("org.guestbus1.service")
    assert path.parent.parts[-3:] == ("share", "dbus-1", "system-services")
    lines = path.read_text().splitlines()
    assert "SystemdService=guestbusd.service" in lines and "Exec=/bin/false" in lines


@pytest.mark.parametrize("path", [
    "share/dbus-1/system.d/org.guestbus1.conf", "share/guestbus/org.guestbus1-desktop.conf",
    "share/dbus-1/interfaces/org.guestbus1.VM.xml", "share/polkit-1/actions/org.guestbus1.policy",
    "share/polkit-1/rules.d/50-guestbus-libvirt.rules", "lib/systemd/system/guestbusd.service",
    "lib/systemd/system/guestbus-reporter.service", "lib/sysusers.d/guestbus.conf",
    "share/doc/guestbus/examples/guestbus.conf", "share/doc/guestbus/examples/40-guestbus-operators.rules",
    "share/doc/guestbus/examples/41-guestbus-web.rules"])
def test_installed_where_systems_look(installed, path):
    assert [found for found in installed.rglob(Path(path).name) if str(found).endswith(f"/{path}")]


def test_users_are_made(installed, tmp_path):
    (path,) = installed.rglob("sysusers.d/guestbus.conf")
    (tmp_path / "etc").mkdir()
    result = run("systemd-sysusers", f"--root={tmp_path}", path)
    assert result.returncode == 0, result.stderr
    passwd = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0]: line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines()}
    assert {user.SERVICE, user.REPORTER} <= set(passwd)
    assert passwd[user.SERVICE][5] == "/var/lib/guestbusd" and passwd[user.SERVICE][6].endswith("nologin")
    assert groups["guestbus"][3] == "" and groups["libvirt"][3] == user.SERVICE


# -- policies ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, more", [
    ("org.guestbus1.conf", []), ("org.guestbus1-desktop.conf", []),
    ("org.guestbus1.policy", ["--dtdvalid", "/usr/share/polkit-1/policyconfig-1.dtd"])])
def test_policies_are_valid_xml(installed, name, more):
    (path,) = installed.rglob(name)
    result = run("xmllint", "--noout", "--nonet", *more, path)
    assert (result.returncode, result.stderr) == (0, "")


def policy():
    return ET.parse(BUILD / "polkit" / "org.guestbus1.policy").getroot()


def table():
    """(interface, member) → action, as polkit/actions.c has it; None for a free one."""
    entries = re.findall(r'\{"(org\.guestbus1\.\w+)", "(\w+)",\s*(?:"([^"]+)"|ACTION_FREE)\}', TABLE.read_text())
    return {(interface, member): action or None for interface, member, action in entries}


def interface_methods():
    """(interface, member) → signatures of its input arguments, from the interface XML."""
    methods = {}
    for path in sorted((SOURCE / "dbus").glob("org.guestbus1.*.xml")):
        for interface in ET.parse(path).getroot().iter("interface"):
            for method in interface.iter("method"):
                methods[interface.get("name"), method.get("name")] = [
                    arg.get("type") for arg in method.iter("arg") if arg.get("direction") != "out"]
    return methods


def test_table_has_the_policys_actions():
    declared = {action.get("id") for action in policy().iter("action")}
    assert declared == {action for action in table().values() if action}


def test_table_has_the_interfaces_methods():
    assert set(table()) == set(interface_methods())


def test_what_takes_options_is_not_free():
    """Every acting method ends in options, and every method that does is guarded."""
    for method, arguments in interface_methods().items():
        assert (arguments[-1:] == ["a{sv}"]) == (table()[method] is not None), method


def test_actions_are_the_services_own():
    for action in policy().iter("action"):
        owner = [note.text for note in action.iter("annotate")
                 if note.get("key") == "org.freedesktop.policykit.owner"]
        assert owner == [f"unix-user:{user.SERVICE}"]
        assert action.findtext("description") and action.findtext("message")
        for condition in ("allow_any", "allow_inactive"):
            assert action.findtext(f"defaults/{condition}") == "auth_admin"


def test_defaults_are_the_documented_ones():
    keep, once = "auth_admin_keep", "auth_admin"
    defaults = {action.get("id").removeprefix("org.guestbus1."): action.findtext("defaults/allow_active")
                for action in policy().iter("action")}
    assert defaults == {
        "vm.start": keep, "vm.shutdown": keep, "vm.force-off": once, "vm.pause": keep, "vm.configure": once,
        "vm.console": once, "vm.read-xml": once, "guest.session": keep, "guest.login": once,
        "guest.refresh": "yes", "reporter.read": keep, "reporter.report": keep, "manage": keep}


# -- configuration ----------------------------------------------------------------------------------

def test_example_configuration_is_accepted(tmp_path):
    """As shipped, and with every commented line in force that is not a shell command."""
    text = (SOURCE / "data" / "guestbus.conf").read_text()
    for name, content in (("shipped.conf", text), ("all.conf", re.sub(r"(?m)^#(?=[\[a-z])", "", text))):
        path = tmp_path / name
        path.write_text(content)
        secrets = tmp_path / "credentials"
        secrets.mkdir(exist_ok=True)
        (secrets / "esx-password").write_text("secret\n")
        (secrets / "esx-password").chmod(0o600)
        result = run(BUILD / "service/guestbusd", "--config", path, "--check-config",
                     env={"CREDENTIALS_DIRECTORY": str(secrets)})
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def reporter_root(tmp_path):
    """A machine's virt-who and rhsm files, all root's and closed."""
    root = tmp_path / "root"
    for name, text in {
            "etc/virt-who.conf": "[global]\n", "etc/virt-who.d/a.conf": "[a]\n", "etc/virt-who.d/b.conf": "[b]\n",
            "etc/virt-who.d/c.conf.rpmnew": "no\n", "var/lib/virt-who/key": "00\n11\n",
            "etc/rhsm/rhsm.conf": "[rhsm]\nconsumerCertDir = /etc/pki/other\n",
            "etc/pki/other/cert.pem": "cert\n", "etc/pki/other/key.pem": "key\n",
            "etc/pki/consumer/key.pem": "wrong\n"}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    return root


def hand_over(base, root):
    result = run("sh", BUILD / "data/guestbus-reporter-files", base, root)
    assert result.returncode == 0, result.stderr


def test_reporter_gets_its_files(world, reporter_root):
    reporter = user.reporter_user()
    base = world.dir / "handed-over"
    hand_over(base, reporter_root)
    config = base / "config"
    files = {str(path.relative_to(config)): path for path in config.rglob("*") if path.is_file()}
    assert set(files) == {"etc/virt-who.conf", "etc/virt-who.d/a.conf", "etc/virt-who.d/b.conf",
                          "var/lib/virt-who/key", "etc/rhsm/rhsm.conf", "etc/pki/consumer/cert.pem",
                          "etc/pki/consumer/key.pem"}
    assert files["etc/pki/consumer/key.pem"].read_text() == "key\n"
    for path in (base, *base.rglob("*")):
        if not path.is_symlink():
            status = path.stat()
            assert (status.st_uid, status.st_gid, status.st_mode & 0o027) == (0, reporter.gid, 0), path
    identity = {"user": reporter.uid, "group": reporter.gid, "extra_groups": []}
    assert run("cat", files["etc/virt-who.conf"], **identity).stdout == "[global]\n"
    assert run("touch", base / "x", **identity).returncode != 0
    stranger = user.plain_user()
    assert run("cat", files["etc/virt-who.conf"], user=stranger.uid, group=stranger.gid,
               extra_groups=[]).returncode != 0


def test_reporter_gets_changed_files(world, reporter_root):
    base = world.dir / "handed-over-again"
    hand_over(base, reporter_root)
    (reporter_root / "etc/virt-who.d/a.conf").unlink()
    (reporter_root / "etc/virt-who.conf").write_text("[global]\ninterval=60\n")
    hand_over(base, reporter_root)
    assert (base / "config/etc/virt-who.conf").read_text() == "[global]\ninterval=60\n"
    assert not (base / "config/etc/virt-who.d/a.conf").exists()
    assert len(list(base.iterdir())) == 2  # the link and one tree


def test_reporter_without_files(world, tmp_path):
    base = world.dir / "handed-over-nothing"
    hand_over(base, tmp_path)
    assert (base / "config").is_dir() and not list((base / "config").iterdir())
