# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbus-report -p, its options and its exit status, on sources of the type fake."""
import json
import os
import subprocess
import time

import pytest

from testbed.reporter import Reporter, guest, host
from testbed.wait import FACTOR, wait_until


@pytest.fixture
def reporter(workplace):
    opened = Reporter(workplace)
    yield opened
    opened.close()


def test_print_is_what_virt_who_prints(reporter):
    """Python's json.dumps with an indentation of 4 is virt-who's printer."""
    reporter.fake("one", {"guestIds": [guest("B", 1), {"guestId": "A", "state": 5,
                                                       "attributes": {"virtWhoType": "esx"}}],
                          "hypervisorId": {"hypervisorId": "h1"}, "facts": {"cpu.cpu_socket(s)": "2", "n": 7002022,
                                                                            "x": None}, "name": "Zürich"})
    reporter.fake("two", {"hypervisorId": {"hypervisorId": "h2"}, "guestIds": [], "facts": {}, "name": ""})
    result = reporter.run("-p")
    expected = {"hypervisors": [
        {"hypervisorId": {"hypervisorId": "h1"}, "name": "Zürich", "guestIds": [
            {"guestId": "B", "state": 1, "attributes": {"virtWhoType": "fake", "active": 1}},
            {"guestId": "A", "state": 5, "attributes": {"virtWhoType": "esx", "active": 0}}],
         "facts": {"cpu.cpu_socket(s)": "2", "n": 7002022, "x": None}},
        {"hypervisorId": {"hypervisorId": "h2"}, "guestIds": []}]}
    assert (result.returncode, result.stdout, result.stderr) == (0, json.dumps(expected, indent=4) + "\n", "")


def test_guest_list_has_no_id(reporter):
    reporter.fake("one", {"guestIds": [guest("A")]}, is_hypervisor=False)
    (element,) = json.loads(reporter.run("--print").stdout)["hypervisors"]
    assert list(element) == ["guestIds"]


def test_order_is_that_of_file_names(reporter):
    for name in ("c", "a", "b"):
        reporter.fake("section-" + name, host("host-" + name), file=name)
    ids = [h["hypervisorId"]["hypervisorId"] for h in json.loads(reporter.run("-p").stdout)["hypervisors"]]
    assert ids == ["host-a", "host-b", "host-c"]


def test_filters(reporter):
    path = reporter.say("one", host("web-1"), host("web-2"), host("db-1"))
    reporter.section("one", f"type=fake\nfile={path}\nfilter_hosts=WEB*, db-[0-9]\nexclude_hosts=.*2")
    ids = [h["hypervisorId"]["hypervisorId"] for h in json.loads(reporter.run("-p").stdout)["hypervisors"]]
    assert ids == ["web-1", "db-1"]


def test_failed_source_is_not_an_empty_one(reporter):
    reporter.fake("good", host("h"))
    reporter.section("bad", f"type=fake\nfile={reporter.root}/data/missing.json")
    result = reporter.run("-p")
    assert result.returncode == 3
    assert [h["name"] for h in json.loads(result.stdout)["hypervisors"]] == ["h.example"]
    assert "bad: " in result.stderr and "missing.json" in result.stderr and "its hosts are missing" in result.stderr
    assert "good" not in result.stderr


def test_broken_section_is_told_and_the_others_are_printed(reporter):
    reporter.fake("good", host("h"))
    reporter.write("etc/virt-who.d/bad.conf", "[bad]\ntype=fake\nnonsense\n")
    result = reporter.run("-p")
    assert result.returncode == 3
    assert len(json.loads(result.stdout)["hypervisors"]) == 1
    assert "/etc/virt-who.d/bad.conf:3" in result.stderr


def test_percent_in_a_password_changes_nothing(reporter):
    """virt-who skipped the file and took the local libvirt instead."""
    path = reporter.say("one", host("h"))
    reporter.section("one", f"type=fake\nfile={path}\npassword=50%", account=False)
    result = reporter.run("-p")
    assert (result.returncode, result.stderr) == (0, "")
    assert len(json.loads(result.stdout)["hypervisors"]) == 1


def test_nothing_usable(reporter):
    reporter.write("etc/virt-who.d/bad.conf", "type=fake\n")
    result = reporter.run("-p")
    assert (result.returncode, result.stdout) == (1, "")
    assert "/etc/virt-who.d/bad.conf:1" in result.stderr


def test_files_of_the_command_line(reporter):
    reporter.fake("dropped-in", host("no"))
    one = reporter.write("data/one.conf", f"[one]\ntype=fake\nfile={reporter.say('one', host('one'))}\n")
    two = reporter.write("data/two.conf", f"[two]\ntype=fake\nfile={reporter.say('two', host('two'))}\n")
    result = reporter.run("-p", "-c", two, "--config", one)
    names = [h["name"] for h in json.loads(result.stdout)["hypervisors"]]
    assert (result.returncode, names) == (0, ["two.example", "one.example"])
    missing = reporter.run("-p", "-c", "/does/not/exist")
    assert missing.returncode == 1 and "/does/not/exist: cannot be read" in missing.stderr


@pytest.mark.parametrize("args, status, text", [
    (["--version"], 0, "guestbus-report 1."),
    (["--help"], 0, "Usage: guestbus-report"),
    (["-h"], 0, "Usage: guestbus-report"),
    (["--esx"], 2, "--help"),
    (["-p", "extra"], 2, "unexpected argument: extra"),
    (["-j"], 64, "--json needs --status"),
    (["-s", "-o"], 64, "exclude each other"),
    (["-s", "-p"], 64, "exclude each other"),
    (["-p", "--timeout", "soon"], 2, "number of seconds"),
])
def test_options(reporter, args, status, text):
    result = reporter.run(*args)
    assert result.returncode == status
    assert text in (result.stdout if status == 0 else result.stderr)


def test_modes_of_the_general_file(reporter):
    reporter.general("[global]\nprint_=true\n")
    reporter.fake("one", host("h"))
    assert json.loads(reporter.run().stdout)["hypervisors"]


def test_log_file(reporter):
    reporter.general(f"[global]\nlog_dir={reporter.root}/log\nlog_file=x.log\n")
    reporter.section("bad", "type=fake\nfile=/does/not/exist")
    reporter.run("-p")
    log = (reporter.root / "log/x.log").read_text()
    assert "ERROR" in log and "/does/not/exist" in log and "DEBUG" not in log
    assert (reporter.root / "log/x.log").stat().st_mode & 0o777 == 0o600


def test_debug_says_more_and_no_secrets(reporter):
    reporter.general(f"[global]\nlog_dir={reporter.root}/log\n")
    (reporter.root / "etc/virt-who.d/notes.txt").write_text("")
    path = reporter.say("one", host("h"))
    reporter.section("one", f"type=fake\nfile={path}\npassword=s3cr3t-1\nrhsm_proxy_hostname=p\n"
                            "rhsm_proxy_password=s3cr3t-2")
    quiet, loud = reporter.run("-p"), reporter.run("-p", "-d")
    assert quiet.stderr == "" and "notes.txt" in loud.stderr and quiet.stdout == loud.stdout
    everything = loud.stderr + (reporter.root / "log/rhsm.log").read_text()
    assert "s3cr3t" not in everything and "hunter2" not in everything


def test_no_colours_and_no_progress_in_a_pipe(reporter):
    reporter.fake("one", host("h"))
    assert "\033" not in reporter.run("-s").stdout
    _status, text = reporter.run_on_terminal("-s")
    assert "\033[1;32msuccess\033[0m" in text and "\033[1;31mfailure\033[0m" in text


def test_slow_source_ends_with_the_deadline(reporter, fake_hang):
    """A host that takes connections and says nothing: the others are printed, and it is said who is missing."""
    reporter.fake("good", host("h"))
    reporter.section("hung", f"type=libvirt\nserver=qemu+tcp://127.0.0.1:{fake_hang}/system")
    result = reporter.run("-p", "--timeout", 2)
    assert result.returncode == 3
    assert len(json.loads(result.stdout)["hypervisors"]) == 1
    assert "hung: no answer in time; its hosts are missing" in result.stderr


def test_progress_on_a_terminal(reporter, fake_hang):
    reporter.section("hung", f"type=libvirt\nserver=qemu+tcp://127.0.0.1:{fake_hang}/system")
    status, text = reporter.run_on_terminal("-p", "--timeout", 3)
    assert status == 3
    assert "collecting: 0 of 1, 1 s" in text and "\r\033[K" in text


def test_sigterm_ends_at_once(reporter, fake_hang):
    reporter.section("hung", f"type=libvirt\nserver=qemu+tcp://127.0.0.1:{fake_hang}/system")
    reporter.start("-p")
    wait_until(lambda: os.path.exists(f"/proc/{reporter.process.pid}/task") and
               len(os.listdir(f"/proc/{reporter.process.pid}/task")) > 2, 30, "the source's thread")
    begun = time.monotonic()
    status = reporter.process.stop(30)
    assert status == 3
    assert time.monotonic() - begun < 2 * FACTOR
    assert "hung: interrupted" in reporter.log()


def test_encrypt_password(reporter):
    """openssl reads what it makes, and so does the configuration."""
    reporter.mkdir("var/lib/virt-who")
    first = reporter.run("--encrypt-password", stdin="p%ss ;word\n")
    assert first.returncode == 0, first.stderr
    key, start = (reporter.root / "var/lib/virt-who/key").read_text().split()
    plain = subprocess.run(["openssl", "enc", "-d", "-aes-128-cbc", "-K", key, "-iv", start],
                           input=bytes.fromhex(first.stdout.strip()), capture_output=True, check=True).stdout
    assert plain == b"p%ss ;word"
    path = reporter.say("one", host("h"))
    reporter.section("one", f"type=fake\nfile={path}\nencrypted_password={first.stdout}", account=False)
    result = reporter.run("-p")
    assert (result.returncode, result.stderr) == (0, "")
    assert reporter.run("--encrypt-password", stdin="").returncode == 1
