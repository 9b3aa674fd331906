"""The functions that a coverage-guided fuzzer calls, and their oracles. No fuzzer is imported here.

A target raises AssertionError where a promise is broken, and lets anything else through that the product raises.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import yaml

from reconciler.core.fill import TemplateFault, fill_secrets, fill_vars, parse_template
from reconciler.core.masking import mask_url
from reconciler.core.urls import (
    find_base_url_fault,
    find_filled_fault,
    find_url_fault,
    host_of,
    is_loopback_url,
    port_of,
    split_url,
)
from reconciler.io.http.proxy import find_proxy
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.manifests.nodes import LOADER, AmbiguousScalar, File, parse_file
from reconciler.manifests.resolve import UPDATE_PATH
from reconciler.model import AuthScheme
from reconciler.views import annotations as github
from reconciler.views import markdown, text_validation
from reconciler.views.diagnostics import Layout
from tests import json_view

SEEDS = Path(__file__).parent / "seeds"
CANARY = "canary-token-0f5c"  # the value of a token variable: no message repeats it
ALLOWED = ("www.plugchat.com.br", "api.plugchat.com.br")
NEXT_FILE = b"\n%%%%\n"  # between the files of a YAML seed: a manifest, the defaults, a manifest in a folder
FILES = ("loja.yaml", "_defaults.yaml", "sub/outra.yaml")


# --- manifests -------------------------------------------------------------------------------------


def check_manifests(data: bytes) -> None:
    """Resolve or refuse a tree of up to three files: no output may repeat a token."""
    with in_a_new_folder():
        for name, content in zip(FILES, data.split(NEXT_FILE, len(FILES) - 1), strict=False):
            path = Path("manifests") / name
            path.parent.mkdir(exist_ok=True, parents=True)
            path.write_bytes(content)
            check_plain_yaml(content)
        tree = load_tree("manifests", make_options())
        check_shown(tree)
        for desired in tree.desired:
            for url in desired.webhooks.values():
                check_receiver(url, allow_local=False)
            check_place_of_token(desired.endpoint)


def make_options() -> TreeOptions:
    return TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ALLOWED, known_tokens=(CANARY,))


@contextlib.contextmanager
def in_a_new_folder() -> Iterator[None]:
    # In memory where possible: a fuzzer makes thousands a second.
    memory = "/dev/shm"
    where = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=where) as folder, contextlib.chdir(folder):
        yield


def check_shown(tree: Tree) -> None:
    assert bool(tree.errors) or tree.desired or not tree.names, "neither an error nor an environment"
    for shown in (
        text_validation.render_validation(tree.errors, tree.warnings, layout=Layout()),
        text_validation.render_validation(tree.errors, tree.warnings, layout=Layout(width=60)),
        markdown.render_validation(tree.errors, tree.warnings),
        json_view.render_validation(tree.errors, tree.warnings),
        github.render_validation(tree.errors, tree.warnings, path_of=str),
    ):
        assert CANARY not in shown, "a token in a message"
        assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", shown) is None, "a control character"
        assert "##[" not in shown, "a workflow command"


def check_plain_yaml(data: bytes) -> None:
    """Check that a file without a fault is read as any YAML reader reads it, so that reviewers see the same."""
    file = parse_file("loja.yaml", data)
    if (
        isinstance(file, File)
        and not file.problems
        and not any(isinstance(value, AmbiguousScalar) for value in leaves(file.values))
    ):
        # With the same scanner: PyYAML's own one, in Python, refuses tabs that libyaml accepts.
        assert yaml.load(data, Loader=LOADER) == file.values, "another reader reads something else"


def leaves(value: object, seen: frozenset[int] = frozenset()) -> Iterator[object]:
    if id(value) in seen:
        return
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if inner is None:
        yield value
    else:
        for one in inner:
            yield from leaves(one, seen | {id(value)})


# --- URLs ------------------------------------------------------------------------------------------


def check_urls(text: str) -> None:
    """Check a text as a receiver, a base URL and a template: it is refused, or all parsers agree on it."""
    for written in (text, f"https://{text}", f"https://{text}/x", f"http://{text}", f"https://hooks.acme.com.br{text}"):
        for allow_local in (False, True):
            check_receiver(written, allow_local=allow_local)
        check_base_url(written)
        check_template(written)
    check_base_url(f"https://www.plugchat.com.br{text}")


def check_template(written: str) -> None:
    try:
        template = parse_template(written)
        filled = fill_vars(template, "loja", {"host": "hooks.acme.com.br", "port": "8443"})
    except (TemplateFault, KeyError):
        return
    check_receiver(filled, allow_local=False)


def check_receiver(text: str, *, allow_local: bool) -> None:
    masked = mask_url(text)
    assert masked == "…" or re.fullmatch(r"(?i:https?)://[A-Za-z0-9._:\[\]-]+/…", masked), "a mask shows more"
    if find_url_fault(text, allow_local=allow_local) is not None:
        return
    sent = fill_secrets(text, lambda name: "s3cret")
    if find_filled_fault(sent, allow_local=allow_local) is not None:
        return
    place = seen_by_all(sent)
    assert place.host == host_of(sent).strip("[]") == host_of(text).strip("[]"), "the policy judges another host"
    assert place.port == port_of(sent), "another port is called"
    assert split_url(sent)[2].startswith("/") and not re.search(r"\s", sent)
    if allow_local and is_loopback_url(sent):
        assert is_this_machine(place.host), "not loopback"
    else:
        assert place.scheme == "https"
        address = address_of(place.host)
        assert address is None or (address.is_global and not address.is_multicast), "a special address"
        assert place.host.split(".")[-1] != "localhost", "this machine, or below it"


def check_base_url(text: str) -> None:
    if find_base_url_fault(text, ALLOWED) is None:
        check_place_of_token(text.rstrip("/") + UPDATE_PATH)


def check_place_of_token(endpoint: str) -> None:
    """Check that the client sends the token to an allowed host or to this machine, and to the right path."""
    place = seen_by_all(endpoint)
    assert place.path.endswith(UPDATE_PATH), "the path climbs, or is cut off"
    local = is_this_machine(place.host)
    assert local or (place.scheme == "https" and place.host in ALLOWED), "a token goes elsewhere"
    proxied = find_proxy(
        endpoint, {"HTTPS_PROXY": "http://proxy.acme.com.br:3128", "ALL_PROXY": "http://a.acme.com.br"}
    )
    assert (proxied is None) == local, "a proxy for loopback, or none beyond"


class Place:
    """Scheme, host in lower case without brackets, port and path: as httpx sees them."""

    def __init__(self, url: httpx.URL) -> None:
        self.scheme = url.scheme
        self.host = url.raw_host.decode("ascii").lower()
        self.port = url.port or {"http": 80, "https": 443}[url.scheme]
        self.path = url.raw_path.decode("ascii")


def seen_by_all(url: str) -> Place:
    """Return the place that httpx and the standard library agree on, without user information or fragment."""
    asked, split = httpx.URL(url), urlsplit(url)
    place = Place(asked)
    assert asked.userinfo == b"" and split.username is None and split.password is None, "user information"
    assert split.hostname == place.host, "two readers, two hosts"
    assert (split.port or {"http": 80, "https": 443}[split.scheme]) == place.port, "two readers, two ports"
    assert asked.fragment == split.fragment == ""
    return place


def address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a resolver reads from a host, in any spelling that C libraries accept."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        try:
            return ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return None


def is_this_machine(host: str) -> bool:
    """Return whether a host is `localhost`, in 127.0.0.0/8 in four decimal numbers, or ::1."""
    return host in ("localhost", "::1") or re.fullmatch(r"127(\.(0|[1-9][0-9]{0,2})){3}", host) is not None


# --- by name --------------------------------------------------------------


def _as_text(data: bytes) -> None:
    check_urls(data.decode("utf-8", "surrogateescape"))


TARGETS: dict[str, Callable[[bytes], None]] = {"yaml": check_manifests, "urls": _as_text}


def seeds_of(target: str) -> list[Path]:
    return sorted(path for path in (SEEDS / target).iterdir() if path.is_file())


def words_of(target: str) -> list[str]:
    """Return words for a fuzzer's dictionary, which it would take long to find."""
    if target == "urls":
        return [
            "https://",
            "http://",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "[::ffff:",
            "0x7f",
            "xn--",
            "{secret:PLUG_SECRET_A}",
            "{environment}",
            "{host}",
            "{port}",
            "{{",
            "}}",
            "@",
            "\\\\",
            "..",
            "%2e",
            "%25",
            ".",
            ":0",
            ":65536",
            "?",
            "#",
            "www.plugchat.com.br",
            "a.b",
            "//",
            ";",
            "\\x0d\\x0a",
            "%00",
            "[",
            "]",
            "_",
            "2130706433",
            "010",
        ]
    keys = [
        "environment",
        "description",
        "wave",
        "token_env",
        "account_id",
        "organization_id",
        "api",
        "base_url",
        "auth_scheme",
        "body",
        "vars",
        "webhooks",
        "policy",
        "allowed_hosts",
        "denied_hosts",
        "finishAttendance",
        "receiveMessage",
    ]
    marks = [
        ": ",
        "- ",
        "? ",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "|\\x0a",
        ">\\x0a",
        "---\\x0a",
        "...",
        "%YAML 1.1\\x0a",
        "#",
        "'",
        '\\"',
        "\\xef\\xbb\\xbf",
        "\\x0d\\x0a",
        "\\xe2\\x80\\xa8",
        "\\xc2\\x85",
        "on",
        "~",
        "0x1",
        "1_0",
        "12:30:45",
        "2026-01-01",
        ".inf",
        "=",
        "\\\\u0041",
        "eyJhbGciOiJub25l",
        CANARY,
        "{secret:PLUG_SECRET_A}",
        "https://hooks.acme.com.br/",
        NEXT_FILE.decode().replace("\n", "\\x0a"),
    ]
    return [*(f"{key}: " for key in keys), *marks]


def dumped(data: bytes) -> str:
    """Return an input as a line of a message."""
    return json.dumps(data.decode("utf-8", "backslashreplace"))[:400]
