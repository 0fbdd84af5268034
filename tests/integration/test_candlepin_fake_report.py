# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the reporter sends to an entitlement server, and when. The server is a fake; nothing else is."""
import json

import pytest
from testbed.candlepin import Answer
from testbed.sender import host

STATE_FILE, DAMAGED_FILE = "state.json", "state.json.damaged"


def test_report_is_a_check_in(fake_candlepin, run_sender):
    sender = run_sender()
    sender.take("esx1", host("h1", "g1", "g2", **{"cpu.cpu_socket(s)": "2"}))
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    request, = fake_candlepin.check_ins()
    assert request.path == "/candlepin/hypervisors/acme"
    assert request.query["reporter_id"] == "test-reporter"
    assert request.headers["Content-Type"] == "text/plain"
    assert request.headers["Accept"] == "application/json"
    assert request.headers["X-Correlation-ID"]
    entry, = request.json["hypervisors"]
    assert entry["hypervisorId"] == {"hypervisorId": "h1"} and entry["name"] == "h1.example"
    assert entry["facts"] == {"cpu.cpu_socket(s)": "2"}
    # Text, as Candlepin's schema has it: a number would be turned into text by the server, at best.
    assert [g["attributes"] for g in entry["guestIds"]] == [{"virtWhoType": "fake", "active": "1"}] * 2
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g1", "g2"}


def test_job_is_followed_to_its_end(fake_candlepin, run_sender):
    fake_candlepin.job_steps = ["CREATED", "CREATED", "RUNNING", "FINISHED"]
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    job = sender.wait_for("sent")["job"]
    assert sender.wait_settled() is None
    assert [r.path for r in fake_candlepin.polls()] == [f"/candlepin/jobs/{job}"] * 3
    assert fake_candlepin.polls()[0].query == {"result_data": "True"}
    assert sender.find("log", f"job {job} is finished: 1 hosts created")


def test_state_in_the_answer_of_the_check_in_is_read(fake_candlepin, run_sender):
    fake_candlepin.job_steps = ["FINISHED"]
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    assert not fake_candlepin.polls()


def test_owner_is_escaped(fake_candlepin, run_sender):
    fake_candlepin.add_owner("a/b ä?", {"other": "pw"})
    sender = run_sender(owner="a/b ä?", user="other", password="pw")
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    assert fake_candlepin.check_ins()[0].path == "/candlepin/hypervisors/a%2Fb%20%C3%A4%3F"
    assert "h1" in fake_candlepin.owners["a/b ä?"]


def test_one_connection_serves_the_whole_exchange(fake_candlepin, run_sender):
    fake_candlepin.job_steps = ["CREATED", "RUNNING", "FINISHED"]
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    sender.wait_settled()
    assert len(fake_candlepin.requests) >= 4
    assert fake_candlepin.connections == 1


def test_unchanged_report_is_not_sent_again(fake_candlepin, run_sender, state_dir):
    sender = run_sender(state=state_dir)
    sender.take("esx1", host("h1", "g1", "g2"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.take("esx1", host("h1", "g2", "g1"))
    sender.tell("tick")
    beat, = fake_candlepin.wait_for("PUT", "/hypervisors/acme/heartbeat")
    assert beat.query == {"reporter_id": "test-reporter"} and beat.body == b""
    sender.wait_settled()
    sender.close()

    again = run_sender(state=state_dir)
    again.take("esx1", host("h1", "g1", "g2"))
    again.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat", count=2)
    assert again.wait_settled() is None
    assert len(fake_candlepin.check_ins()) == 1

    again.take("esx1", host("h1", "g1", "g3"))
    again.wait_for("sent")
    assert again.wait_settled() is None
    assert len(fake_candlepin.check_ins()) == 2
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g1", "g3"}


def test_forced_report_is_sent_again(fake_candlepin, run_sender):
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.tell("force")
    sender.wait_for("sent", count=2)
    assert sender.wait_settled() is None
    sender.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat")
    assert len(fake_candlepin.check_ins()) == 2


def test_sources_of_one_owner_go_into_one_report(fake_candlepin, run_sender):
    sender = run_sender(sources=("esx1", "esx2"))
    sender.tell("expect", "esx1")
    sender.tell("expect", "esx2")
    sender.take("esx2", host("h2", "g2"))
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    sender.wait_settled()
    request, = fake_candlepin.check_ins()
    assert [h["hypervisorId"]["hypervisorId"] for h in request.json["hypervisors"]] == ["h1", "h2"]


def test_hung_source_does_not_hold_the_others_for_ever(fake_candlepin, run_sender):
    sender = run_sender(sources=("esx1", "hung"))
    sender.tell("expect", "esx1")
    sender.tell("expect", "hung")
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    request, = fake_candlepin.check_ins()
    assert [h["hypervisorId"]["hypervisorId"] for h in request.json["hypervisors"]] == ["h1"]
    sender.wait_settled()
    # It is not waited for once more before it answers: sooner than the five seconds of a first wait.
    sender.tell("expect", "esx1")
    sender.take("esx1", host("h1", "g2"))
    sender.wait_for("sent", count=2, timeout=4)


def test_failed_source_is_left_alone_and_the_others_are_sent(fake_candlepin, run_sender):
    sender = run_sender(sources=("esx1", "esx2"))
    sender.tell("expect", "esx1")
    sender.tell("expect", "esx2")
    sender.take("esx1", host("h1", "g1"))
    sender.take("esx2", host("h2", "g2"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.tell("fail", "esx1")
    sender.take("esx2", host("h2", "g2", "g3"))
    sender.wait_for("sent", count=2)
    sender.wait_settled()
    second = fake_candlepin.check_ins()[1]
    assert [h["hypervisorId"]["hypervisorId"] for h in second.json["hypervisors"]] == ["h2"]
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g1"}

    # It is back, with what the server has already: nothing to send.
    sender.take("esx1", host("h1", "g1"))
    sender.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat")
    assert len(fake_candlepin.check_ins()) == 2


def test_nothing_is_sent_when_all_sources_failed(fake_candlepin, run_sender):
    sender = run_sender(sources=("esx1", "esx2"))
    sender.tell("fail", "esx1")
    sender.tell("fail", "esx2")
    sender.tell("tick")
    sender.wait_for("settled", count=3)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert not fake_candlepin.heartbeats()


@pytest.mark.parametrize("restart", [False, True])
def test_emptied_source_is_reported_as_empty(fake_candlepin, run_sender, state_dir, restart):
    sender = run_sender(state=state_dir)
    sender.take("esx1", host("h1", "g1", system="u-1"), host("h2", "g2"))
    sender.wait_for("sent")
    sender.wait_settled()
    if restart:
        sender.close()
        sender = run_sender(state=state_dir)
    sender.take("esx1")
    sender.wait_for("sent", count=1 if restart else 2)
    assert sender.wait_settled() is None
    second = fake_candlepin.check_ins()[1].json["hypervisors"]
    assert second == [{"hypervisorId": {"hypervisorId": name}, "guestIds": []} for name in ("h1", "h2")]
    assert [h["guests"] for h in fake_candlepin.owners["acme"].values()] == [{}, {}]

    # Said once: the hosts are not known to the source any more.
    sender.take("esx1", host("h3", "g3"))
    sender.wait_for("sent", count=2 if restart else 3)
    third = fake_candlepin.check_ins()[2].json["hypervisors"]
    assert [h["hypervisorId"]["hypervisorId"] for h in third] == ["h3"]


def test_hosts_that_the_server_would_mix_up_are_told(run_sender):
    sender = run_sender(sources=("a", "b"))
    sender.tell("expect", "a")
    sender.tell("expect", "b")
    sender.take("a", host("h1", "g1", system="u-1"))
    sender.take("b", host("h2", "g2", system="U-1"))
    assert sender.wait_for("log", "h1 and h2 have the same system UUID")["number"] == 4
    sender.wait_for("sent")


def test_source_without_hosts_is_reported(fake_candlepin, run_sender):
    sender = run_sender()
    sender.take("esx1")
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    assert fake_candlepin.check_ins()[0].json == {"hypervisors": []}


def test_host_with_another_id_keeps_its_guests(fake_candlepin, run_sender):
    """hypervisor_id was changed from uuid to hostname: the old id must not be reported as empty."""
    sender = run_sender()
    sender.take("esx1", host("4661a34a", "g1", system="U-1"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.take("esx1", host("node.example", "g1", system="u-1"))
    sender.wait_for("sent", count=2)
    sender.wait_settled()
    second = fake_candlepin.check_ins()[1].json["hypervisors"]
    assert [h["hypervisorId"]["hypervisorId"] for h in second] == ["node.example"]


def test_host_that_moved_to_another_source_keeps_its_guests(fake_candlepin, run_sender):
    sender = run_sender(sources=("a", "b"))
    sender.tell("expect", "a")
    sender.tell("expect", "b")
    sender.take("a", host("h1", "g1"))
    sender.take("b", host("h2", "g2"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.tell("expect", "a")
    sender.tell("expect", "b")
    sender.take("a")
    sender.take("b", host("h1", "g1"), host("h2", "g2"))
    sender.wait_for("sent", count=2)
    sender.wait_settled()
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g1"}


def test_report_waits_for_the_job_before_it(fake_candlepin, run_sender):
    fake_candlepin.hold_jobs = True
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    fake_candlepin.wait_for("GET", "/jobs/")
    sender.take("esx1", host("h1", "g2"))
    polls = len(fake_candlepin.polls())
    fake_candlepin.wait_for("GET", "/jobs/", count=polls + 1)
    assert len(fake_candlepin.check_ins()) == 1
    fake_candlepin.release_jobs()
    sender.wait_for("sent", count=2)
    assert sender.wait_settled() is None
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g2"}


def test_killed_during_a_job(fake_candlepin, run_sender, state_dir):
    """The job is followed up by the next run; nothing is sent twice, nothing is lost."""
    fake_candlepin.hold_jobs = True
    sender = run_sender(state=state_dir)
    sender.take("esx1", host("h1", "g1"))
    job = sender.wait_for("sent")["job"]
    sender.kill()
    polls = len(fake_candlepin.polls())

    again = run_sender(state=state_dir)
    again.take("esx1", host("h1", "g1"))
    poll = fake_candlepin.wait_for("GET", "/jobs/", count=polls + 1)[-1]
    assert poll.path.endswith(job)
    fake_candlepin.release_jobs()
    again.wait_for("log", f"job {job} is finished")
    again.tell("tick")
    fake_candlepin.wait_for("PUT", "/heartbeat")
    assert again.wait_settled() is None
    assert len(fake_candlepin.check_ins()) == 1
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g1"}


def test_killed_before_the_answer(fake_candlepin, run_sender, state_dir):
    """Nobody can know that the server took it: it is sent again, and the server's own job comes first."""
    fake_candlepin.hold_jobs = True
    fake_candlepin.script("POST", "/hypervisors/", Answer(delay=60, work=True), times=1)
    sender = run_sender(state=state_dir)
    sender.take("esx1", host("h1", "g1"))
    fake_candlepin.wait_until(lambda: fake_candlepin.jobs, "job")
    sender.kill()

    again = run_sender(state=state_dir)
    again.take("esx1", host("h1", "g1"))
    again.wait_for("log", "still works on another report")
    with fake_candlepin.changed:
        for job in fake_candlepin.jobs.values():
            job.state = "FINISHED" if job.state == "CREATED" else job.state
            job.settle()
        fake_candlepin.hold_jobs = False
    again.wait_for("sent")
    assert again.wait_settled() is None
    assert set(fake_candlepin.owners["acme"]["h1"]["guests"]) == {"g1"}


@pytest.mark.parametrize("keep", [0, 1, 0.5, -1])
def test_cut_state_file_is_put_aside(fake_candlepin, run_sender, state_dir, keep):
    sender = run_sender(state=state_dir)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    sender.wait_settled()
    sender.close()
    text = (state_dir / STATE_FILE).read_bytes()
    (state_dir / STATE_FILE).write_bytes(text[:keep if isinstance(keep, int) else int(len(text) * keep)])

    again = run_sender(state=state_dir)
    assert again.wait_for("log", "is damaged")["number"] == 4  # a warning
    again.take("esx1", host("h1", "g1"))
    again.wait_for("sent")
    assert again.wait_settled() is None
    assert (state_dir / DAMAGED_FILE).exists()
    assert json.loads((state_dir / STATE_FILE).read_text())["version"] == 1


def test_state_file_is_private_and_has_no_secret(fake_candlepin, run_sender, state_dir):
    sender = run_sender(state=state_dir)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    sender.wait_settled()
    for path in state_dir.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path
        assert b"hunter2" not in path.read_bytes()


def test_second_writer_of_the_state_is_refused(run_sender, state_dir):
    run_sender(state=state_dir).wait_for("settled")
    second = run_sender(state=state_dir)
    second.wait_for("error")
    assert second.process.wait() == 1
