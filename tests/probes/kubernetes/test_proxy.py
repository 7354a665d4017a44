"""Through which proxy an API server is reached."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.targets.kubernetes.proxy import proxy

P = "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("server", "excluded", "expected"),
    [
        ("https://api.test", "", P),
        ("https://api.test", "*", None),
        ("https://api.test", "other, api.test", None),
        ("https://api.test", ".test", None),
        ("https://api.test", "test", None),
        ("https://api.test", "*.test", None),
        ("https://api.test", "pi.test", P),
        ("https://api.test:6443", "api.test:443", P),
        ("https://api.test:6443", "api.test:6443", None),
        ("https://10.1.2.3", "10.0.0.0/8", None),
        ("https://10.1.2.3", "10.1.2.3", None),
        ("https://10.1.2.3", "10.1.2.4,192.168.0.0/16,bad/cidr", P),
        ("https://[fd00::1]:6443", "fd00::/8", None),
        ("https://[fd00::1]:6443", "fd00::1", None),
        ("https://127.0.0.1:6443", "", None),
        ("https://localhost:6443", "", None),
    ],
)
def test_the_environments_rules_are_gos(server, excluded, expected):
    assert proxy(server, None, {"HTTPS_PROXY": P, "NO_PROXY": excluded}) == expected


def test_the_kubeconfig_outranks_the_environment():
    environment = {"https_proxy": "proxy.test:3128", "no_proxy": "*"}
    assert proxy("https://api.test", "socks5://127.0.0.1:1080", environment) == "socks5://127.0.0.1:1080"
    assert proxy("https://api.test", "", {"HTTPS_PROXY": P}) is None
    assert proxy("https://api.test", None, {"https_proxy": "proxy.test:3128"}) == P
    assert proxy("https://api.test", None, {"HTTP_PROXY": P}) is None
    for url in ("ftp://x", "http://", "http://h:99999"):
        with pytest.raises(ValueError):
            proxy("https://api.test", url, {})


@given(st.text(max_size=30), st.text(max_size=60))
def test_any_environment_is_a_proxy_or_none_or_named_as_wrong(one, two):
    try:
        found = proxy("https://10.0.0.1:6443", None, {"HTTPS_PROXY": one, "NO_PROXY": two})
    except ValueError:
        return
    assert found is None or "://" in found
