"""The checks of receivers' URLs and of base URLs."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.urls import (
    find_base_url_fault,
    find_character_fault,
    find_filled_fault,
    find_secret_fault,
    find_url_fault,
    host_of,
    is_loopback_url,
)

ALLOWED = ("www.plugchat.com.br",)


@pytest.mark.parametrize(
    "url",
    [
        "https://a.b",
        "https://a.b?x",
        "https://a_b.c-d.e:65535/{{x}}",
        "https://8.8.8.8/",
        "https://[2606:4700:4700::1111]:1/",
        "https://hooks.acme.com.br/r?key={secret:PLUG_SECRET_A}",
        "https://HOOKS.acme.com.br/%C3%A7@x",
    ],
)
def test_a_public_https_url_is_accepted(url: str) -> None:
    """The host has two labels or is a public address; any port and any printable path are valid."""
    assert find_url_fault(url, allow_local=False) is None


@given(st.ip_addresses(v=4, network="10.0.0.0/8") | st.ip_addresses(v=4, network="127.0.0.0/8"))
def test_a_special_address_is_refused_in_every_spelling(address: ipaddress.IPv4Address) -> None:
    """Decimal, hex, octal, short, mapped, NAT64 and 6to4 forms of one address are all refused."""
    number = int(address)
    a, b, c, d = address.packed
    spellings = [
        str(address), str(number), hex(number), f"0{number:o}", f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{c * 256 + d}",
        f"0x{a:x}.{b}.{c}.{d}", f"0{a:o}.{b}.{c}.{d}", f"{a}.{b}.{c}.0x{d:x}", f"[::ffff:{address}]",
        f"[64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}]", f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]",
        f"{address}.",
    ]  # fmt: skip
    for spelling in spellings:
        assert find_url_fault(f"https://{spelling}/", allow_local=False) is not None, spelling


@pytest.mark.parametrize("zone", ["%eth0", "%25eth0", "%1", "%25.acme.com.br"])
def test_a_public_address_with_a_zone_is_refused(zone: str) -> None:
    """It is not the canonical form, and a policy that denies the address would not match it."""
    assert find_url_fault(f"https://[2606:4700:4700::1111{zone}]/", allow_local=False) is not None


@pytest.mark.parametrize("url", ["http://localhost:1/", "https://127.0.0.1/x", "http://[::1]:9/"])
def test_loopback_receivers_need_the_setting(url: str) -> None:
    """With the setting, plain http is accepted for loopback too."""
    assert find_url_fault(url, allow_local=True) is None
    assert find_url_fault(url, allow_local=False) is not None


def test_the_setting_accepts_no_other_private_host() -> None:
    """It is for loopback alone; other hosts still need https."""
    assert find_url_fault("https://10.0.0.1/", allow_local=True) is not None
    assert find_url_fault("https://127.1/", allow_local=True) is not None
    assert find_url_fault("http://hooks.acme.com.br/", allow_local=True) is not None


@pytest.mark.parametrize(
    "host", ["[::1%25lo]", "[::1x", "[::1]x80", "[127.0.0.1]", "[127.0.0.1x", "[0:0::1]", "127.1", "localhost."]
)
def test_a_host_that_only_resembles_loopback_gets_neither_token_nor_message(host: str) -> None:
    """Clients read such a host in different ways, or refuse it with an unclear error."""
    assert find_url_fault(f"http://{host}/", allow_local=True) is not None
    assert find_base_url_fault(f"http://{host}", ALLOWED) is not None


def test_the_limit_is_for_the_length_of_the_sent_url() -> None:
    """2,048 bytes are valid, 2,049 are not; a doubled brace counts as one byte."""
    start = "https://hooks.acme.com.br/"
    assert find_url_fault(start + "a" * (2048 - len(start)), allow_local=False) is None
    assert find_url_fault(start + "{{" * (2048 - len(start)), allow_local=False) is None
    assert find_url_fault(start + "a" * (2049 - len(start)), allow_local=False) is not None


@pytest.mark.parametrize("value", ["", " ", "a\n", "a#b", "a\x00", "ç", "a\\b"])
def test_a_secret_that_breaks_a_url_is_never_repeated(value: str) -> None:
    """The fault says what is wrong without any part of the value."""
    fault = find_secret_fault(value)
    assert fault is not None
    assert len(value) < 2 or value not in fault


def test_the_fault_of_a_filled_url_that_is_too_long_does_not_repeat_it() -> None:
    """The check after filling in repeats no part of the URL."""
    fault = find_filled_fault("https://hooks.acme.com.br/" + "s3cret" * 400, allow_local=False)
    assert fault is not None
    assert "s3cret" not in fault


def test_the_host_is_what_a_client_would_connect_to() -> None:
    """It is in lower case, without the port."""
    assert host_of("https://HOOKS.acme.com.br:8443/x") == "hooks.acme.com.br"
    assert host_of("no url") == ""
    assert is_loopback_url("http://127.9.9.9:1/")
    assert not is_loopback_url("https://127.0.0.1.acme.com.br/")


@pytest.mark.parametrize(
    "url",
    ["https://www.plugchat.com.br", "https://WWW.plugchat.com.br/prefix/", "http://127.0.0.1:8080", "http://[::1]:1"],
)
def test_a_token_may_go_to_an_allowed_host_and_to_loopback(url: str) -> None:
    """A path prefix is valid."""
    assert find_base_url_fault(url, ALLOWED) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://www.plugchat.com.br",
        "https://evil.com",
        "https://www.plugchat.com.br@evil.com",
        "https://www.plugchat.com.br.evil.com",
        "https://www.plugchat.com.br?x",
        "https://www.plugchat.com.br#x",
        "https://evil.com\\@www.plugchat.com.br",
        "https://www.plugchat.com.br:0",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "",
    ],
)
def test_a_token_goes_nowhere_else(url: str) -> None:
    """Each other URL is refused with a hint."""
    fault = find_base_url_fault(url, ALLOWED)
    assert fault is not None
    assert all(fault)


PARTS = st.sampled_from(
    ["https://", "http://", "hooks.Example.com.br", "a.b", "[::1]", "/", "?", "#", ":8443", ":0", "@", "]", " ", "é"]
)


@given(st.lists(PARTS | st.text(max_size=3), max_size=6).map("".join))
def test_the_host_is_the_text_between_the_slashes(url: str) -> None:
    """It ends at a path or a query, without port, in lower case; other texts have no host."""
    scheme, separator, rest = url.partition("://")
    authority = rest.split("/")[0].split("?")[0] if separator and scheme in ("https", "http") else ""
    host = authority if authority.startswith("[") else authority.partition(":")[0]
    assert host_of(url) == (host.partition("]")[0] + "]" if "]" in host and host[0] == "[" else host).lower()


@pytest.mark.parametrize(
    ("character", "name"),
    [
        ("\u0085", "a control character"),
        ("\u009b", "a control character"),
        ("\u2800", "braille pattern blank"),
        ("\u115f", "hangul choseong filler"),
        ("\ufe0f", "variation selector-16"),
        ("\u200b", "zero width space"),
    ],
)
def test_a_character_that_can_not_be_seen_is_named(character: str, name: str) -> None:
    """It is one that every output shows as an escape."""
    fault = find_character_fault(f"https://hooks.acme.com.br/{character}")
    assert fault is not None
    assert f"U+{ord(character):04X} ({name})" in fault.message
    assert fault.hint == "remove it: it looks like a blank, or like nothing"
