# SPDX-License-Identifier: LGPL-2.1-or-later
"""When sources are asked, with an interval of one second: shorter than any configuration may have."""
import json

import pytest
from testbed.candlepin import Answer
from testbed.sender import host


@pytest.fixture
def say(workplace):
    """say(name, hosts...): what that source says from now on; returns its file."""
    def write(name, *hosts):
        path = workplace.dir / f"source-{name}.json"
        path.with_suffix(".new").write_text(json.dumps({"hypervisors": list(hosts)}))
        return path.with_suffix(".new").rename(path)
    return write


def test_interval(fake_candlepin, run_sender, say):
    """Unchanged: a heartbeat at each interval and nothing else. Changed: a report at the next."""
    path = say("a", host("h1", "g1"))
    schedule = run_sender(sources=[f"a:{path}"], interval=1)
    schedule.wait_for("sent")
    fake_candlepin.wait_for("PUT", "/heartbeat", count=3)
    assert len(fake_candlepin.check_ins()) == 1
    say("a", host("h1", "g2"))
    schedule.wait_for("sent", count=2)
    assert fake_candlepin.check_ins()[1].json["hypervisors"][0]["guestIds"][0]["guestId"] == "g2"


def test_failed_source_is_asked_again(workplace, fake_candlepin, run_sender, say):
    good, bad = say("good", host("h1", "g1")), workplace.dir / "source-bad.json"
    schedule = run_sender(sources=[f"good:{good}", f"bad:{bad}"], interval=1)
    schedule.wait_for("failed", "bad: collect: ")
    schedule.wait_for("sent")
    assert set(fake_candlepin.owners["acme"]) <= {"h1"}
    say("bad", host("h2", "g2"))
    fake_candlepin.wait_until(lambda: "h2" in fake_candlepin.owners["acme"])
    schedule.tell("status")
    schedule.wait_for("status", "bad: source well, 1 hosts, 1 guests, destination well")


def test_report_on_demand(fake_candlepin, run_sender, say):
    path = say("a", host("h1", "g1"))
    schedule = run_sender(sources=[f"a:{path}"])
    fake_candlepin.wait_until(lambda: fake_candlepin.owners["acme"])
    say("a", host("h1", "g2"))
    schedule.tell("report")
    schedule.wait_for("sent", count=2)
    schedule.tell("force")
    schedule.wait_for("sent", count=3)
    assert fake_candlepin.check_ins()[1].body == fake_candlepin.check_ins()[2].body


@pytest.mark.parametrize("trouble", [None, "source", "server"])
def test_single_run(workplace, fake_candlepin, run_sender, say, trouble):
    path = say("a", host("h1", "g1"))
    other = workplace.dir / "source-none.json" if trouble == "source" else say("b", host("h2", "g2"))
    if trouble == "server":
        fake_candlepin.script("POST", "/hypervisors/", Answer(403, "{}"))
    schedule = run_sender(sources=[f"a:{path}", f"b:{other}"], once=True)
    assert schedule.wait_for("finished")["number"] == (trouble is None)
    schedule.tell("status")
    texts = [schedule.wait_for("status", count=n + 1)["message"] for n in range(2)]
    assert ("source well" in texts[1]) == (trouble != "source")
    assert all(("destination well" in text) == (trouble != "server") for text in texts)


def test_first_report_has_all_sources(fake_candlepin, run_sender, say):
    files = [f"{name}:{say(name, host('h-' + name, 'g'))}" for name in "abcde"]
    schedule = run_sender(sources=files)
    schedule.wait_for("sent", count=5)
    assert len(fake_candlepin.check_ins()) == 1
    assert len(fake_candlepin.check_ins()[0].json["hypervisors"]) == 5
