"""Where a request came from, by the exact number of trusted proxies."""

import pytest

from wallet_hooks.web.requests import source_of


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
    ],
)
def test_the_caller_is_who_the_outermost_trusted_proxy_saw(
    hops: int, forwarded: str | None, address: str | None, is_loopback: bool
) -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1"} | ({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded is not None else {})
    source = source_of(environ, proxy_hops=hops)
    assert (source.address and str(source.address), source.is_loopback) == (address, is_loopback)


@pytest.mark.parametrize("header", ["HTTP_FORWARDED", "HTTP_X_REAL_IP"])
def test_any_sign_of_a_proxy_means_not_local(header: str) -> None:
    assert not source_of({"REMOTE_ADDR": "127.0.0.1", header: "x"}, proxy_hops=0).is_loopback
