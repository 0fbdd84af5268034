# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said between the reporter and the fake server, compared with Candlepin's own OpenAPI file."""
import http.client
import os
import ssl

import pytest
from testbed.prism import Prism
from testbed.sender import host

SPEC = os.environ["GUESTBUS_CANDLEPIN_SPEC"]  # conftest.py leaves this file out without it
CONSUMER = "3ae36a11-e6b8-4f27-92a7-468358d0c4f7"

@pytest.fixture
def prism(workplace, fake_candlepin):
    prism = Prism(workplace, SPEC, fake_candlepin)
    yield prism
    prism.close()


# Where Candlepin itself does otherwise than its file says.
KNOWN = [
    # A job's result is an object there; Candlepin also sends plain text.
    (["response", "body", "resultdata"], "must be object"),
    # PUT /consumers/{uuid} has an answer there; Candlepin sends 204 and none.
    (["response"], 'The received media type "" does not match'),
]


def unexpected(prism):
    return [v for v in prism.violations()
            if not any([str(word).lower() for word in v["location"]] == location and text in v["message"]
                       for location, text in KNOWN)]


def test_violations_are_seen(prism, workplace, authority):
    context = ssl.create_default_context(cafile=authority.certificate)
    client = http.client.HTTPSConnection("localhost", prism.port, context=context)
    client.request("POST", "/hypervisors/acme", '{"hypervisors": []}', {"Content-Type": "application/json"})
    client.getresponse().read()
    assert prism.violations()


def test_a_whole_exchange(prism, fake_candlepin, run_sender):
    sender = run_sender(port=prism.port, prefix="", uuid=CONSUMER, sources=("esx1", "local"))
    sender.take("esx1", host("h1", "g1", "g2", system="u-1", **{"cpu.cpu_socket(s)": "2"}), host("h2"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    sender.tell("tick")
    sender.wait_for("log", "heartbeat sent")
    sender.take("esx1", host("h1", "g1", state=5))
    sender.wait_for("sent", count=2)
    assert sender.wait_settled() is None
    sender.guests("local", "g8", "g9")
    sender.wait_for("log", "guests of this host were reported")
    assert [r.status for r in fake_candlepin.requests if r.status >= 300] == []
    assert {(r.method, r.path.split("/")[2]) for r in fake_candlepin.requests} == {
        ("GET", "status"), ("POST", "hypervisors"), ("GET", "jobs"), ("PUT", "hypervisors"), ("GET", ""),
        ("PUT", "consumers")}
    assert unexpected(prism) == []


@pytest.mark.parametrize("steps", [["CREATED", "FAILED"], ["CREATED", "CANCELED"]])
def test_jobs_that_fail(prism, fake_candlepin, run_sender, steps):
    fake_candlepin.job_steps = steps
    sender = run_sender(port=prism.port, prefix="")
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", steps[-1])
    assert unexpected(prism) == []


def test_refusals(prism, fake_candlepin, run_sender):
    for options in ({"owner": "nobody"}, {"password": "wrong"}):
        sender = run_sender(port=prism.port, prefix="", **options)
        sender.take("esx1", host("h1", "g1"))
        sender.wait_for("failed")
    assert {r.status for r in fake_candlepin.check_ins()} == {404, 401}
    assert unexpected(prism) == []
