# SPDX-License-Identifier: LGPL-2.1-or-later
"""The way to a (fake) entitlement server through a real proxy."""
import pytest
from testbed.sender import host
from testbed.tinyproxy import Tinyproxy, free_port


@pytest.fixture(scope="module")
def run_proxy(workplace):
    proxies = []

    def make(**options):
        proxies.append(Tinyproxy(workplace, **options))
        return proxies[-1]
    yield make
    for proxy in proxies:
        proxy.close()


@pytest.fixture(scope="module")
def open_proxy(run_proxy):
    return run_proxy()


@pytest.fixture(scope="module")
def closed_proxy(run_proxy):
    return run_proxy(user="squire", password="opensesame")


def through(proxy, **options):
    return {"proxy": "127.0.0.1", "proxy_port": proxy.port, **options}


def test_proxy_without_password(open_proxy, fake_candlepin, run_sender):
    sender = run_sender(**through(open_proxy))
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    assert f"localhost:{fake_candlepin.port}" in open_proxy.tunnels()
    assert fake_candlepin.connections == 1


def test_proxy_at_an_ipv6_address(run_proxy, fake_candlepin, run_sender):
    proxy = run_proxy(address="::1")
    sender = run_sender(proxy="::1", proxy_port=proxy.port)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert f"localhost:{fake_candlepin.port}" in proxy.tunnels()


def test_proxy_with_password(closed_proxy, fake_candlepin, run_sender):
    sender = run_sender(**through(closed_proxy, proxy_user="squire", proxy_password="opensesame"))
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None
    assert f"localhost:{fake_candlepin.port}" in closed_proxy.tunnels()
    assert not any("Proxy-Authorization" in r.headers for r in fake_candlepin.requests)


@pytest.mark.parametrize("options", [{}, {"proxy_user": "squire", "proxy_password": "wrong-word"}])
def test_proxy_that_wants_another_password(closed_proxy, fake_candlepin, run_sender, options):
    sender = run_sender(**through(closed_proxy, **options))
    sender.take("esx1", host("h1", "g1"))
    event = sender.wait_for("failed")
    # tinyproxy says 401 where the standard has 407.
    assert "the proxy 127.0.0.1" in event["message"] and "wrong-word" not in sender.output()
    assert not fake_candlepin.requests


@pytest.mark.parametrize("no_proxy", ["localhost", "other.example, localhost", "*", "*localhost", "*.x,127.0.0.1,localhost"])
def test_no_proxy(fake_candlepin, run_sender, no_proxy):
    sender = run_sender(proxy="127.0.0.1", proxy_port=free_port(), no_proxy=no_proxy)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert sender.wait_settled() is None


def test_no_proxy_for_others_only(open_proxy, fake_candlepin, run_sender):
    sender = run_sender(**through(open_proxy, no_proxy="other.example,*.local,host"))
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("sent")
    assert f"localhost:{fake_candlepin.port}" in open_proxy.tunnels()


def test_proxy_that_is_down(fake_candlepin, run_sender):
    sender = run_sender(proxy="127.0.0.1", proxy_port=free_port())
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "cannot connect")
    assert not fake_candlepin.requests


def test_proxy_with_an_unknown_name(run_sender):
    sender = run_sender(proxy="no-such-proxy.invalid", proxy_port=3128)
    sender.take("esx1", host("h1", "g1"))
    sender.wait_for("failed", "the name of the proxy, no-such-proxy.invalid, is not known")
