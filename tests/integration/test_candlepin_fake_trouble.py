# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers that refuse, wait, fail, lie and hang: what the reporter makes of it. The server is a fake."""
import base64
import email.utils
import json
import re
import time

import pytest
from testbed.candlepin import CAPABILITIES, Answer, Candlepin
from testbed.sender import host
from testbed.wait import FACTOR

SECRET = "hunter2-secret"


def next_try(event):
    """The seconds in "next try in N s"."""
    return int(re.search(r"next try in (\d+) s", event["message"]).group(1))


# -- jobs that end badly ----------------------------------------------------------------------------

def test_blocked_job_means_later(fake_candlepin, run_sender):
    """Another reporter's job is under way: not a failure, and the job is none of ours to look at."""
    fake_candlepin.hold_jobs = True
    other = run_sender(reporter="other")
    other.take("esx1", host("h0", "g0"))
    foreign = other.wait_for("sent")["job"]
    other.kill()
    polls = len(fake_candlepin.polls())

    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("log", "still works on another report", count=2)
    assert len(fake_candlepin.polls()) == polls
    assert not sender.find("failed") and not sender.find("sent")
    fake_candlepin.release_jobs()
    with fake_candlepin.changed:
        fake_candlepin.jobs[foreign].state = "FINISHED"
        fake_candlepin.jobs[foreign].settle()
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    assert set(fake_candlepin.owners["acme"]) == {"h0", "h1"}


@pytest.mark.parametrize("steps", [["CREATED", "RUNNING", "FAILED"], ["CREATED", "CANCELED"], ["FAILED"]])
def test_report_that_fails_is_not_posted_in_a_loop(fake_candlepin, run_sender, state_dir, steps):
    fake_candlepin.job_steps = steps
    sender = run_sender(state=state_dir)
    sender.take("esx1", host("h1", "g1"))
    event = sender.wait_for("failed")
    assert event["message"].startswith("job: job ") and steps[-1] in event["message"]
    assert "job failed: test" in event["message"]
    for _ in range(3):
        beats = len(fake_candlepin.heartbeats())
        sender.take("esx1", host("h1", "g1"))
        sender.tell("tick")
        fake_candlepin.wait_for("PUT", "/heartbeat", count=beats + 1)
    assert steps[-1] in sender.wait_settled()
    assert len(fake_candlepin.check_ins()) == 1
    sender.close()

    # A restart changes nothing about it ...
    again = run_sender(state=state_dir)
    again.take("esx1", host("h1", "g1"))
    again.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat", count=4)
    assert len(fake_candlepin.check_ins()) == 1
    # ... but other content does.
    fake_candlepin.job_steps = ["FINISHED"]
    again.take("esx1", host("h1", "g1", "g2"))
    again.wait_for("sent")
    assert again.wait_settled() is None
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g1", "g2"}


def test_hosts_that_could_not_be_updated_are_told(fake_candlepin, run_sender):
    fake_candlepin.failed_update = [f"h{i}: Unable to find owner" for i in range(150)]
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("log", "and 50 more")
    assert sender.wait_settled() is None  # delivered all the same
    assert len(sender.find("log", "could not update a host")) == 100


def test_job_that_is_hidden_counts_as_accepted(fake_candlepin, run_sender):
    """Some users may report but not look at jobs: reporting again would end the same way."""
    fake_candlepin.script("GET", "/jobs/", Answer(403, json.dumps({"displayMessage": "Forbidden"})))
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("log", "cannot be seen")
    assert sender.wait_settled() is None
    sender.take("esx1", host("h1", "g1"))
    sender.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat")
    assert len(fake_candlepin.check_ins()) == 1


def test_job_that_the_server_forgot(fake_candlepin, run_sender):
    fake_candlepin.script("GET", "/jobs/", Answer(404, json.dumps({"displayMessage": "no such job"})))
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    assert "no such job" in sender.wait_for("failed")["message"]
    sender.take("esx1", host("h1", "g1"))
    sender.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat")
    assert len(fake_candlepin.check_ins()) == 1


def test_trouble_while_looking_at_a_job(fake_candlepin, run_sender):
    fake_candlepin.script("GET", "/jobs/", Answer(500, "{}"), times=1)
    fake_candlepin.script("GET", "/jobs/", Answer(cut="before"), times=1)
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("log", "is finished")
    assert sender.wait_settled() is None
    assert len(fake_candlepin.check_ins()) == 1


# -- refusals ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("status, body, words", [
    (401, {"displayMessage": "Invalid Credentials"}, ["401", "Invalid Credentials"]),
    (403, {"displayMessage": "Insufficient permissions"}, ["403", "Insufficient permissions"]),
    (404, {"displayMessage": "owner with key: acme was not found."}, ['owner "acme"', "404"]),
    (410, {"displayMessage": "Unit x has been deleted", "deletedId": "x"}, ["410", "deleted"]),
    (302, {}, ["302", "redirected"]),
])
def test_denial_waits_for_an_administrator(fake_candlepin, run_sender, status, body, words):
    """Neither time nor new content makes it try again soon: a wrong password tried often locks an account."""
    fake_candlepin.script("POST", "/hypervisors/",
                          Answer(status, json.dumps(body), headers={"Location": "/candlepin/elsewhere"}))
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    event = sender.wait_for("log", "next try in")
    assert event["number"] == 3  # an error
    assert all(word in event["message"] for word in words), event
    assert next_try(event) >= 1800
    asked = len(fake_candlepin.requests)
    sender.take("esx1", host("h1", "g2"))
    sender.tell("tick")
    with pytest.raises(AssertionError):
        fake_candlepin.wait_until(lambda: len(fake_candlepin.requests) > asked, timeout=2.5)

    # Whoever asks for a report after putting it right does not wait.
    fake_candlepin.clear_scripts()
    sender.tell("force")
    sender.wait_for("sent")
    assert sender.wait_settled() is None


def test_wrong_password(fake_candlepin, run_sender):
    sender = run_sender(password="not-the-one")
    sender.take("esx1", host("h1", "g1"))
    assert "401" in sender.wait_for("failed")["message"]
    assert "not-the-one" not in sender.output()


@pytest.mark.parametrize("status", [400, 413, 422])
def test_rejected_report_is_not_posted_again_unless_it_changes(fake_candlepin, run_sender, status):
    fake_candlepin.script("POST", "/hypervisors/", Answer(status, "{}"), times=1)
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", str(status))
    sender.take("esx1", host("h1", "g1"))
    sender.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat")
    assert len(fake_candlepin.check_ins()) == 1
    sender.take("esx1", host("h1", "g2"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None


# -- waiting ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_kept(fake_candlepin, run_sender, status, form):
    until = int(time.time()) + 4
    value = "3" if form == "seconds" else email.utils.formatdate(until, usegmt=True)
    fake_candlepin.script("POST", "/hypervisors/", Answer(status, "", {"Retry-After": value}), times=1)
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    first, second = fake_candlepin.check_ins()
    assert second.time >= (first.time + 3 if form == "seconds" else until)
    assert sender.wait_settled() is None


@pytest.mark.parametrize("value", ["99999999", "99999999999999999999999999", "Fri, 31 Dec 2060 23:59:59 GMT"])
def test_retry_after_is_capped(fake_candlepin, run_sender, value):
    fake_candlepin.script("POST", "/hypervisors/", Answer(429, "", {"Retry-After": value}))
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    assert next_try(sender.wait_for("log", "next try in")) == 3600


@pytest.mark.parametrize("value", [None, "-5", "soon", "0"])
def test_without_a_usable_retry_after_it_backs_off(fake_candlepin, run_sender, value):
    headers = {"Retry-After": value} if value else {}
    fake_candlepin.script("POST", "/hypervisors/", Answer(503, "", headers), times=2)
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    waits = [next_try(e) for e in sender.find("log", "next try in")]
    assert 1 <= waits[0] <= 2 and 2 <= waits[1] <= 4
    assert sender.wait_settled() is None


def test_suspended_server_is_waited_for(fake_candlepin, run_sender):
    fake_candlepin.mode = "SUSPEND"
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "not ready to serve: maintenance")
    assert not fake_candlepin.check_ins()
    fake_candlepin.mode = "NORMAL"
    sender.wait_for("sent")
    assert sender.wait_settled() is None


# -- answers that are none --------------------------------------------------------------------------

PAGE = "<html><head><title>Bad\nGateway</title></head><body>" + "<p>sorry</p>" * 100 + "</body></html>"


@pytest.mark.parametrize("answer, words", [
    (Answer(500, json.dumps({"displayMessage": "Runtime Error"})), "500.*Runtime Error"),
    (Answer(502, PAGE, content_type="text/html"), r"502.*\(Bad Gateway\)"),
    (Answer(200, PAGE, content_type="text/html"), "not as an entitlement server does.*text/html"),
    (Answer(200, "", content_type="application/json"), "not as an entitlement server does"),
    (Answer(200, "[" * 100000), "not as an entitlement server does"),
    (Answer(200, json.dumps({"state": "CREATED"})), "no id"),
    (Answer(cut="before"), "cut"),
    (Answer(cut="head"), "cut|not as an entitlement server does"),
    (Answer(200, "x" * 1000, cut="body"), "cut"),
    (Answer(200, "{}", delay=30), "no complete answer from localhost within 2 s"),
    (Answer(200, "{" + " " * 1000 + "}", drip=0.5), "no complete answer from localhost within 2 s"),
    (Answer(200, " " * (33 << 20)), "larger than 32 MiB"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_trouble_passes(fake_candlepin, run_sender, answer, words):
    fake_candlepin.script("POST", "/hypervisors/", answer, times=1)
    sender = run_sender(timeout=2)
    sender.take("esx1", host("h1", "g1"))
    event = sender.wait_for("failed")
    assert re.search(words, event["message"]), event
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    # Never twice for one try: a cut connection may have carried the report.
    assert len(fake_candlepin.check_ins()) == 2
    assert len(event["message"]) < 600 and "\n" not in event["message"]


def test_wrong_content_type_does_not_matter(fake_candlepin, run_sender):
    for path in ("/status", "/hypervisors/", "/jobs/"):
        fake_candlepin.script(None, path, Answer(content_type="text/html", work=True))
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None


@pytest.mark.parametrize("path", ["/status", "/heartbeat"])
def test_trouble_with_the_other_calls(fake_candlepin, run_sender, path):
    fake_candlepin.script(None, path, Answer(500, "no JSON"), times=1)
    sender = run_sender()
    sender.tell("tick")
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.tell("tick")
    sender.wait_for("failed", "500")
    sender.tell("tick")
    sender.wait_for("log", "heartbeat sent")
    assert sender.wait_settled() is None


def test_server_that_is_down_comes_back(workplace, authority, run_sender):
    with Candlepin(workplace.dir, authority=authority) as server:
        port = server.port
    sender = run_sender(port=port)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "cannot connect to localhost")
    with Candlepin(workplace.dir, authority=authority, port=port) as server:
        server.add_owner("acme", {"reporter": SECRET})
        sender.wait_for("sent")
        assert sender.wait_settled() is None


def test_unknown_host_name(run_sender):
    sender = run_sender(host="no-such-host.invalid")
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "host name no-such-host.invalid is not known")


def test_no_owner(fake_candlepin, run_sender):
    sender = run_sender(owner=None)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "no owner is configured")
    assert not fake_candlepin.check_ins()


# -- abilities of the server ------------------------------------------------------------------------

def test_server_without_asynchronous_check_in(fake_candlepin, run_sender):
    fake_candlepin.capabilities = [c for c in CAPABILITIES if c != "hypervisors_async"]
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "hypervisors_async")
    assert not fake_candlepin.check_ins()


def test_server_without_heartbeat(fake_candlepin, run_sender):
    fake_candlepin.capabilities = [c for c in CAPABILITIES if c != "hypervisors_heartbeat"]
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.tell("tick")
    sender.take("esx1", host("h1", "g2"))
    sender.wait_for("sent", count=2)
    assert sender.wait_settled() is None
    assert not fake_candlepin.heartbeats()


def test_satellite(workplace, authority, run_sender):
    """Another prefix, and errors that say text/plain with JSON in them."""
    with Candlepin(workplace.dir, prefix="/rhsm", satellite=True, authority=authority) as server:
        server.add_owner("acme", {"reporter": SECRET})
        wrong = run_sender(port=server.port, prefix="/rhsm", owner="other")
        wrong.take("esx1", host("h1", "g1"))
        wrong.wait_for("failed", "is not known to the server")
        wrong.wait_for("failed", "owner with key: other was not found.")
        sender = run_sender(port=server.port, prefix="/rhsm")
        sender.take("esx1", host("h1", "g1"))
        sender.wait_for("sent")
        assert sender.wait_settled() is None
        assert server.check_ins()[-1].path == "/rhsm/hypervisors/acme"


# -- the process ------------------------------------------------------------------------------------

@pytest.mark.parametrize("path", ["/status", "/hypervisors/", "/jobs/"])
def test_ends_at_once_while_the_server_hangs(fake_candlepin, run_sender, path):
    fake_candlepin.script(None, path, Answer(delay=60))
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    fake_candlepin.wait_for(path=path)
    assert sender.process.stop(timeout=2 * FACTOR) == 0


def test_secrets_that_come_back_are_not_told(fake_candlepin, run_sender):
    basic = base64.b64encode(f"reporter:{SECRET}".encode()).decode()
    body = json.dumps({"displayMessage": f"bad header: Basic {basic} of {SECRET}"})
    fake_candlepin.script("POST", "/hypervisors/", Answer(500, body), times=1)
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "bad header")
    sender.wait_for("sent")
    assert SECRET not in sender.output() and basic not in sender.output()


@pytest.mark.parametrize("answer", [Answer(cut="before"), Answer(429, "", {"Retry-After": "600"}),
                                    Answer(401, "{}"), Answer(200, "{}", delay=60)])
def test_single_run_gives_up_soon(fake_candlepin, run_sender, answer):
    fake_candlepin.script("POST", "/hypervisors/", answer)
    sender = run_sender(once=True, timeout=2)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("settled", '"problem"')
    assert 1 <= len(fake_candlepin.check_ins()) <= 3
