# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the reporter makes sure of the server, and the server of the reporter. The server is a fake; TLS is not."""
import shutil
import socket
import threading

import pytest
from testbed.candlepin import Candlepin
from testbed.certificates import Authority
from testbed.sender import host

CONSUMER = "3ae36a11-e6b8-4f27-92a7-468358d0c4f7"


@pytest.fixture(scope="module")
def stranger(workplace):
    """An authority that the reporter does not know."""
    return Authority(workplace.subdir("stranger"), "Stranger")


@pytest.fixture
def serve(workplace, authority):
    """serve(certificate): a server with that certificate and key."""
    servers = []

    def make(certificate):
        server = Candlepin(workplace.dir, authority=authority, certificate=certificate)
        server.add_owner("acme", {"reporter": "hunter2-secret"})
        servers.append(server)
        return server
    yield make
    for server in servers:
        server.stop()


def certificate(kind, authority, stranger):
    if kind == "unknown":
        return stranger.issue_server()
    if kind == "expired":
        return authority.issue_server("expired", days=-1)
    if kind == "name":
        return authority.issue_server("name", names=["DNS:other.example"])
    if kind == "self-signed":
        return stranger.certificate, stranger.key
    raise ValueError(kind)


@pytest.mark.parametrize("kind, words", [
    ("unknown", "the certificate of localhost comes from an unknown authority"),
    ("self-signed", "the certificate of localhost comes from an unknown authority"),
    ("expired", "the certificate of localhost, or of the authority behind it, has expired"),
    ("name", "the certificate of localhost is made out for another name"),
])
def test_wrong_certificate_is_refused(serve, authority, stranger, run_sender, kind, words):
    server = serve(certificate(kind, authority, stranger))
    sender = run_sender(port=server.port)
    sender.take("esx1", host("h1", "g1"))
    assert words in sender.wait_for("failed")["message"]
    # Neither report nor password has left.
    assert not server.requests


@pytest.mark.parametrize("kind", ["unknown", "expired", "name"])
def test_insecure_is_obeyed_with_a_warning(serve, authority, stranger, run_sender, kind):
    server = serve(certificate(kind, authority, stranger))
    sender = run_sender(port=server.port, insecure=True)
    assert sender.wait_for("log", "NOT verified")["number"] == 4
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None


def test_no_warning_without_insecure(run_sender):
    sender = run_sender()
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert not sender.find("log", "NOT verified")


def test_directory_of_authorities(workplace, authority, stranger, fake_candlepin, run_sender):
    """Plain files without hashed names, several in one file, broken ones and others beside them."""
    directory = workplace.subdir("mixed-ca")
    (directory / "a-broken.pem").write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    (directory / "b-empty.pem").write_text("")
    (directory / "c-two.pem").write_bytes(stranger.certificate.read_bytes() + authority.certificate.read_bytes())
    (directory / "d.pem").mkdir()
    (directory / "README").write_text("not a certificate")
    sender = run_sender(ca=directory)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None


def test_authority_with_another_ending_does_not_count(workplace, authority, run_sender):
    directory = workplace.subdir("crt-ca")
    shutil.copy(authority.certificate, directory / "test.crt")
    sender = run_sender(ca=directory)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", f"no certificate of a trusted authority in {directory}")


def test_authority_that_comes_later_counts_at_once(workplace, authority, run_sender):
    directory = workplace.subdir("late-ca")
    sender = run_sender(ca=directory)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "no certificate of a trusted authority")
    shutil.copy(authority.certificate, directory / "late.pem")
    sender.wait_for("sent")


def test_missing_directory_of_authorities(workplace, run_sender):
    sender = run_sender(ca=workplace.dir / "nowhere")
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "no certificate of a trusted authority")


def consumer(authority, owner="acme", uuid=CONSUMER, **options):
    pem, key = authority.issue_consumer(uuid, owner, **options)
    return {"user": None, "password": None, "certificate": pem, "key": key, "uuid": uuid}


def test_client_certificate_is_used(authority, fake_candlepin, run_sender):
    sender = run_sender(**consumer(authority))
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    assert {r.consumer for r in fake_candlepin.requests} == {CONSUMER}
    assert not any("Authorization" in r.headers for r in fake_candlepin.requests)


def test_password_is_used_instead_of_the_certificate(authority, fake_candlepin, run_sender):
    sender = run_sender(**{**consumer(authority), "user": "reporter", "password": "hunter2-secret"})
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert {r.consumer for r in fake_candlepin.requests} == {None}


def test_renewed_certificate_is_read_again(authority, fake_candlepin, run_sender, workplace):
    """The system registers anew, rhsmcertd replaces the files: the next connection has the new ones."""
    options = consumer(authority, label="renewed")
    gone = options["certificate"].with_suffix(".gone")
    options["certificate"].rename(gone)
    sender = run_sender(**options)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", f"cannot use the client certificate {options['certificate']}")
    gone.rename(options["certificate"])
    sender.wait_for("sent")


def test_expired_client_certificate(authority, fake_candlepin, run_sender):
    sender = run_sender(**consumer(authority, label="old", days=-1))
    sender.take("esx1", host("h1", "g1"))
    assert "localhost refused our client certificate" in sender.wait_for("failed")["message"]


def test_server_without_tls(run_sender):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        sender = run_sender(port=listener.getsockname()[1])
        sender.take("esx1", host("h1", "g1"))
        sender.wait_for("failed", "no TLS connection with localhost")
        thread.join()


def test_server_that_never_shakes_hands(run_sender):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = run_sender(port=listener.getsockname()[1], timeout=2)
        sender.take("esx1", host("h1", "g1"))
        sender.wait_for("failed", "no connection to localhost in time")
        sender.close()


# -- the guests of this very host -------------------------------------------------------------------

def test_guest_list_is_put(authority, fake_candlepin, run_sender):
    sender = run_sender(**consumer(authority))
    sender.guests("esx1", "g2", "g1")
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    request, = fake_candlepin.find("PUT", f"/consumers/{CONSUMER}")
    assert request.headers["Content-Type"] == "application/json"
    assert [g["guestId"] for g in request.json["guestIds"]] == ["g1", "g2"]
    assert request.json["guestIds"][0]["attributes"] == {"virtWhoType": "fake", "active": "1"}
    assert not fake_candlepin.check_ins() and not fake_candlepin.heartbeats()


def test_guest_list_is_put_once(authority, fake_candlepin, run_sender, state_dir):
    sender = run_sender(state=state_dir, **consumer(authority))
    sender.guests("esx1", "g1")
    sender.wait_for("sent")
    sender.close()
    again = run_sender(state=state_dir, **consumer(authority))
    again.guests("esx1", "g1")
    again.wait_for("settled", count=2)
    again.guests("esx1")
    again.wait_for("sent")
    first, second = fake_candlepin.find("PUT", "/consumers/")
    assert len(first.json["guestIds"]) == 1 and second.json["guestIds"] == []


def test_guest_list_is_put_again_after_a_new_registration(authority, fake_candlepin, run_sender, state_dir):
    other = CONSUMER[::-1].replace("-", "0")
    for uuid in CONSUMER, other:
        sender = run_sender(state=state_dir, **consumer(authority, uuid=uuid))
        sender.guests("esx1", "g1")
        sender.wait_for("sent")
        sender.close()
        request, = fake_candlepin.find("PUT", f"/consumers/{uuid}")
        assert [g["guestId"] for g in request.json["guestIds"]] == ["g1"]


def test_guest_list_for_an_old_server_is_plain(authority, fake_candlepin, run_sender):
    fake_candlepin.resources.remove("guestids")
    sender = run_sender(**consumer(authority))
    sender.guests("esx1", "g1")
    sender.wait_for("sent")
    assert fake_candlepin.find("PUT", "/consumers/")[0].json["guestIds"] == ["g1"]


def test_guest_list_of_a_deleted_system(authority, fake_candlepin, run_sender):
    fake_candlepin.deleted.add(CONSUMER)
    sender = run_sender(**consumer(authority))
    sender.guests("esx1", "g1")
    event = sender.wait_for("failed", "410")
    assert "deleted" in event["message"]


def test_guest_list_without_registration(fake_candlepin, run_sender):
    sender = run_sender()
    sender.guests("esx1", "g1")
    sender.wait_for("failed", "this system is not registered")
    assert not fake_candlepin.find("PUT")
