# SPDX-License-Identifier: LGPL-2.1-or-later
"""guestbus-report as people run it, against the test Candlepin: one-shot, status, interval mode."""
import json
import signal
import time

import pytest

from testbed.candlepin import Answer
from testbed.certificates import Authority
from testbed.reporter import PASSWORD, Reporter, guest, host, service_reporter
from testbed.wait import FACTOR, wait_until

CONSUMER = "11111111-2222-3333-4444-555555555555"


@pytest.fixture
def reporter(workplace, fake_candlepin):
    opened = Reporter(workplace, fake_candlepin)
    yield opened
    opened.close()


def statuses(result):
    return {c["name"]: c for c in json.loads(result.stdout)["configurations"]}


# -- one-shot

def test_one_shot(reporter, fake_candlepin):
    reporter.fake("one", host("h1", guest("a"), guest("b", 5)))
    reporter.fake("two", host("h2", guest("c")))
    result = reporter.run("-o")
    assert (result.returncode, result.stderr) == (0, "")
    (check_in,) = fake_candlepin.check_ins()
    assert check_in.headers["Content-Type"] == "text/plain"
    assert [h["name"] for h in check_in.json["hypervisors"]] == ["h1.example", "h2.example"]
    assert fake_candlepin.owners["acme"]["h1"]["guests"]["a"] == {"virtWhoType": "fake", "active": "1"}


def test_one_shot_remembers(reporter, fake_candlepin):
    reporter.fake("one", host("h1", guest("a")))
    assert reporter.run("-o").returncode == 0
    assert reporter.run("-o").returncode == 0
    assert len(fake_candlepin.check_ins()) == 1
    reporter.say("one", host("h1", guest("a", 5)))
    assert reporter.run("-o").returncode == 0
    assert len(fake_candlepin.check_ins()) == 2


def test_one_shot_fails_while_the_report_is_refused(reporter, fake_candlepin):
    """The second run does not send it again, but nothing is well either."""
    fake_candlepin.job_steps = ["FAILED"]
    reporter.fake("one", host("h1", guest("a")))
    assert reporter.run("-o").returncode == 3
    again = reporter.run("-o")
    assert again.returncode == 3 and "refused this report before" in again.stderr
    assert len(fake_candlepin.check_ins()) == 1


def test_one_shot_fails_when_a_source_fails(reporter, fake_candlepin):
    reporter.fake("good", host("h1"))
    reporter.section("bad", "type=fake\nfile=/does/not/exist")
    result = reporter.run("-o")
    assert result.returncode == 3
    assert "bad: " in result.stderr
    assert [h["name"] for h in fake_candlepin.check_ins()[0].json["hypervisors"]] == ["h1.example"]


@pytest.mark.parametrize("answer, text", [
    (Answer(404, json.dumps({"displayMessage": "Organization with id acme could not be found."})), "acme"),
    (Answer(401, json.dumps({"displayMessage": "Invalid credentials"})), "Invalid credentials"),
    (Answer(500, "<html><title>Oops</title></html>", content_type="text/html"), "500"),
])
def test_one_shot_fails_when_the_server_refuses(reporter, fake_candlepin, answer, text):
    fake_candlepin.script("POST", "/hypervisors/", answer)
    reporter.fake("one", host("h1"))
    result = reporter.run("-o")
    assert result.returncode == 3
    assert text in result.stderr
    assert PASSWORD not in result.stderr


def test_one_shot_with_the_certificate(reporter, fake_candlepin):
    """Owner and identity come from the consumer certificate; nothing of it is configured."""
    certificate, key = fake_candlepin.authority.issue_consumer(CONSUMER, "acme")
    reporter.mkdir("etc/pki/consumer")
    reporter.write("etc/pki/consumer/cert.pem", certificate.read_text())
    reporter.write("etc/pki/consumer/key.pem", key.read_text())
    reporter.fake("one", host("h1"), account=False)
    result = reporter.run("-o")
    assert (result.returncode, result.stderr) == (0, "")
    (check_in,) = fake_candlepin.check_ins()
    assert check_in.consumer == CONSUMER and check_in.path.endswith("/hypervisors/acme")


def test_debug_has_no_password(reporter):
    reporter.fake("one", host("h1"))
    result = reporter.run("-o", "-d")
    assert result.returncode == 0
    assert "one: 1 hosts and 0 guests collected" in result.stderr
    assert PASSWORD not in result.stderr


# -- status

def test_status_text(reporter):
    reporter.fake("one", host("h1"))
    result = reporter.run("-s")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "Configuration Name: one\nSource Status: success\nDestination Status: success\n\n"


def test_status_json_before_and_after(reporter):
    reporter.fake("one", host("h1", guest("a"), guest("b")))
    before = statuses(reporter.run("-s", "-j"))["one"]
    assert before == {
        "name": "one",
        "source": {"connection": None, "status": "success", "last_successful_retrieve": "none",
                   "hypervisors": 0, "guests": 0},
        "destination": {"connection": "localhost", "status": "success", "last_successful_send": "none",
                        "last_successful_send_job_status": "none"}}
    assert reporter.run("-o").returncode == 0
    after = statuses(reporter.run("--status", "--json"))["one"]
    assert after["source"]["hypervisors"] == 1 and after["source"]["guests"] == 2
    assert after["source"]["last_successful_retrieve"].endswith(" UTC")
    assert after["destination"]["last_successful_send"].endswith(" UTC")
    assert after["destination"]["last_successful_send_job_status"] == "FINISHED"
    assert list(after["source"]) == ["connection", "status", "last_successful_retrieve", "hypervisors", "guests"]


def test_status_of_failures(reporter, fake_candlepin):
    reporter.fake("server", host("h1"), account=False)
    reporter.section("source", "type=fake\nfile=/does/not/exist")
    result = reporter.run("-s", "-j")
    assert result.returncode == 3
    found = statuses(result)
    assert list(found["source"]["source"]) == ["connection", "status", "message", "last_successful_retrieve"]
    assert "/does/not/exist" in found["source"]["source"]["message"]
    assert found["source"]["destination"]["status"] == "success"
    assert "not registered" in found["server"]["destination"]["message"]
    text = reporter.run("-s")
    assert "source: source: /does/not/exist" in text.stderr
    assert text.stdout.count("failure") == 2


@pytest.mark.parametrize("answer, message", [
    (Answer(401, json.dumps({"displayMessage": "Invalid credentials"})), "Invalid credentials"),
    (Answer(429, "", headers={"Retry-After": "5"}), "429"),
    (Answer(cut="before"), ""),
])
def test_status_asks_whether_it_may_report(reporter, fake_candlepin, answer, message):
    fake_candlepin.script("PUT", "/heartbeat", answer)
    reporter.fake("one", host("h1"))
    result = reporter.run("-s", "-j")
    assert result.returncode == 3
    destination = statuses(result)["one"]["destination"]
    assert destination["status"] == "failure" and message in destination["message"]


def test_status_reports_nothing(reporter, fake_candlepin):
    reporter.fake("one", host("h1"))
    reporter.run("-s")
    assert not fake_candlepin.check_ins()
    assert [r.query["reporter_id"] for r in fake_candlepin.heartbeats()] == ["status_test"]


def test_status_with_a_hung_server_and_a_hung_source(reporter, workplace, fake_hang):
    reporter.fake("good", host("h1"))
    path = reporter.say("hung-server", host("h2"))
    reporter.section("hung-server", f"type=fake\nfile={path}\nrhsm_port={fake_hang}")
    reporter.section("hung-source", f"type=libvirt\nserver=qemu+tcp://127.0.0.1:{fake_hang}/system")
    begun = time.monotonic()
    result = reporter.run("-s", "-j")
    assert time.monotonic() - begun < 20 * FACTOR
    assert result.returncode == 3
    found = statuses(result)
    assert found["good"]["source"]["status"] == found["good"]["destination"]["status"] == "success"
    assert found["hung-server"]["destination"]["status"] == "failure"
    assert found["hung-source"]["source"]["message"] == "no answer in time"
    assert found["hung-source"]["destination"]["status"] == "success"


def test_insecure_is_obeyed_with_a_warning(workplace, fake_candlepin, tmp_path_factory):
    other = Authority(tmp_path_factory.mktemp("other"))
    reporter = Reporter(workplace, fake_candlepin, authority=other)
    reporter.fake("one", host("h1"))
    refused = reporter.run("-o")
    assert refused.returncode == 3 and "certificate" in refused.stderr
    reporter.section("one", f"type=fake\nfile={reporter.root}/data/one.json\nrhsm_insecure=1")
    allowed = reporter.run("-o")
    assert allowed.returncode == 0 and "not verified" in allowed.stderr


# -- interval mode

def test_interval_mode_goes_on_and_ends(reporter, fake_candlepin):
    reporter.fake("one", host("h1"))
    reporter.start("-i", "60")
    fake_candlepin.wait_for("POST", "/hypervisors/")
    begun = time.monotonic()
    reporter.stop()
    assert time.monotonic() - begun < 2 * FACTOR


def test_two_at_once(reporter, fake_candlepin):
    reporter.fake("one", host("h1"))
    reporter.start()
    fake_candlepin.wait_for("POST", "/hypervisors/")
    second = reporter.run("-o")
    assert second.returncode == 1
    assert "another reporter is at work" in second.stderr
    assert json.loads(reporter.run("-p").stdout)["hypervisors"]
    assert reporter.run("-s").returncode == 0


def test_reload(reporter, fake_candlepin):
    reporter.fake("one", host("h1"))
    reporter.start()
    fake_candlepin.wait_for("POST", "/hypervisors/")
    reporter.fake("two", host("h2"))
    reporter.process.signal(signal.SIGHUP)
    check_ins = fake_candlepin.wait_for("POST", "/hypervisors/", count=2)
    assert [h["name"] for h in check_ins[1].json["hypervisors"]] == ["h1.example", "h2.example"]


def test_reload_of_a_broken_configuration_changes_nothing(reporter, fake_candlepin):
    reporter.fake("one", host("h1"))
    reporter.start()
    fake_candlepin.wait_for("POST", "/hypervisors/")
    reporter.write("etc/virt-who.d/one.conf", "nonsense\n")
    reporter.process.signal(signal.SIGHUP)
    reporter.wait_log("the one before stays")
    assert "/etc/virt-who.d/one.conf:1" in reporter.log()
    reporter.stop()


def test_killed_in_the_middle_of_a_check_in(reporter, fake_candlepin):
    """The job is followed up after the restart; nothing is sent twice."""
    fake_candlepin.hold_jobs = True
    reporter.fake("one", host("h1", guest("a")))
    reporter.start()
    fake_candlepin.wait_for("GET", "/jobs/")
    reporter.process.kill()
    fake_candlepin.release_jobs()
    polls = len(fake_candlepin.polls())
    reporter.start()
    fake_candlepin.wait_for("GET", "/jobs/", count=polls + 1)
    wait_until(lambda: statuses(reporter.run("-s", "-j"))["one"]["destination"]
               ["last_successful_send_job_status"] == "FINISHED", 30, "the job is over")
    assert len(fake_candlepin.check_ins()) == 1


def test_cut_state_is_put_aside(reporter, fake_candlepin):
    reporter.fake("one", host("h1"))
    assert reporter.run("-o").returncode == 0
    state = reporter.root / "var/lib/guestbus-reporter/state.json"
    state.write_text(state.read_text()[:40])
    result = reporter.run("-o")
    assert result.returncode == 0 and "state" in result.stderr
    assert (state.parent / "state.json.damaged").exists()
    assert len(fake_candlepin.check_ins()) == 2


def test_root_leaves_the_state_to_its_owner(workplace, fake_candlepin):
    """Reported once by hand as root: the service, which is another user, goes on from there."""
    reporter = service_reporter(workplace, candlepin=fake_candlepin)
    reporter.fake("one", host("h1"))
    assert reporter.run("-o").returncode == 0
    for name in ("state.json", "state.lock"):
        assert (reporter.root / "var/lib/guestbus-reporter" / name).stat().st_uid == reporter.user.uid
