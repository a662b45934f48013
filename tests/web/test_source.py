"""The caller's address, with the exact number of trusted proxies."""

import pytest

from wallet_hooks.web.requests import source_of
from wallet_hooks.web.source import read_address


@pytest.mark.parametrize(
    ("hops", "forwarded", "address", "is_loopback"),
    [
        (0, None, "127.0.0.1", True),
        (0, "203.0.113.9", "127.0.0.1", False),
        (1, "203.0.113.9", "203.0.113.9", False),
        (1, "127.0.0.1", "127.0.0.1", False),
        (1, "198.51.100.1, 203.0.113.9", "203.0.113.9", False),
        (2, "10.0.0.1, 198.51.100.1, 203.0.113.9", "198.51.100.1", False),
        (2, "203.0.113.9", None, False),
        (1, None, None, False),
        (1, "not an address", None, False),
        (1, "::ffff:203.0.113.9", "203.0.113.9", False),
        (1, "198.51.100.1:1234, 203.0.113.9:51008", "203.0.113.9", False),
        (2, "[2001:db8::1]:51008,10.0.0.1", "2001:db8::1", False),
        (1, "127.0.0.1:51008", "127.0.0.1", False),
    ],
)
def test_the_address_is_the_one_that_the_outermost_trusted_proxy_saw(
    hops: int, forwarded: str | None, address: str | None, is_loopback: bool
) -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1"} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded is not None else {})
    source = source_of(environ, proxy_hops=hops)
    assert (source.address and str(source.address), source.is_loopback) == (address, is_loopback)


@pytest.mark.parametrize("header", ["HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA", "HTTP_X_FORWARDED_HOST"])
def test_a_request_with_a_proxy_header_is_not_local(header: str) -> None:
    assert not source_of({"REMOTE_ADDR": "127.0.0.1", header: "x"}, proxy_hops=0).is_loopback


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9:51008", "203.0.113.9"),
        ("203.0.113.9:0", "203.0.113.9"),
        (" 203.0.113.9\t", "203.0.113.9"),
        ('"203.0.113.9:51008"', "203.0.113.9"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:51008", "2001:db8::1"),
        ('"[2001:db8::1]:51008"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:443", "fe80::1"),
        ("[::ffff:203.0.113.9]:51008", "203.0.113.9"),
        ("::ffff:203.0.113.9%1", "203.0.113.9"),
        ("0000:0000:0000:0000:0000:ffff:203.000.113.009", None),
        ("0000:0000:0000:0000:0000:ffff:203.100.113.109", "203.100.113.109"),
    ],
)
def test_a_port_and_a_zone_are_not_part_of_the_address(text: str, address: str | None) -> None:
    read = read_address(text)
    assert (read and str(read)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "unknown",
        "_hidden",
        "203.0.113.9:",
        "203.0.113.9:65536",
        "203.0.113.9:http",
        "203.0.113.9:1:2",
        "203.0.113.9 :80",
        "203.0.113",
        "203.0.113.9.1",
        '"203.0.113.9',
        '203.0.113.9"',
        "[203.0.113.9]:80",
        "[2001:db8::1",
        "2001:db8::1]",
        "[2001:db8::1]51008",
        "[]:80",
        "fe80::1%",
        "fe80::1%a b",
        "\u0661.2.3.4",
        "203.0.113.9\n",
        ":" * 8000,
    ],
)
def test_an_invalid_address_is_none(text: str) -> None:
    assert read_address(text) is None
