"""delivery.proxies: which proxy leads to a host, and what is this machine."""

from __future__ import annotations

import pytest

from delivery.proxies import is_loopback, proxy_for


@pytest.mark.parametrize(
    ("host", "excepted", "proxied"),
    [
        ("a.example", "", True),
        ("a.example", "*", False),
        ("a.example", "a.example", False),
        ("a.example", "example", False),
        ("a.example", ".example", False),
        ("a.example", "*.example", False),
        ("A.EXAMPLE.", "b, a.example", False),
        ("ba.example", "a.example", True),
        ("a.example", "a.example:443", False),
        ("a.example", "a.example:8443", True),
        ("10.1.2.3", "10.0.0.0/8", False),
        ("11.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", False),
        ("a.example", "10.0.0.0/8", True),
        ("localhost", "", True),
        ("localhost", "localhost", False),
        ("::1", "::1", False),
    ],
)
def test_no_proxy(host: str, excepted: str, proxied: bool) -> None:
    found = proxy_for(host, 443, {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": excepted})
    assert found == ("http://proxy:3128" if proxied else "")


def test_names_of_variables() -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        assert proxy_for("a.example", 443, {name: "https://proxy"}) == "https://proxy"
    assert proxy_for("a.example", 443, {"HTTP_PROXY": "http://proxy"}) == ""


def test_what_is_this_machine() -> None:
    assert all(is_loopback(one) for one in ("localhost", "LOCALHOST.", "127.0.0.1", "127.9.9.9", "::1"))
    assert not any(is_loopback(one) for one in ("", "localhost.example", "127.0.0.1.example", "10.0.0.1", "::2"))
