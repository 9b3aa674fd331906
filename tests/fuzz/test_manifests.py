"""Hostile manifests and URLs. The oracle is the fuzzer's (targets.py)."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.fill import fill_secrets
from reconciler.core.urls import find_filled_fault, find_secret_fault
from reconciler.manifests.load import load_tree
from reconciler.model import EVENTS
from tests.fuzz.hostile import bounded, hostile_texts, mutated, spliced
from tests.fuzz.targets import (
    CANARY,
    NEXT_FILE,
    check_manifests,
    check_urls,
    in_a_new_folder,
    make_options,
    seeds_of,
    words_of,
)

WORDS = [word.encode().decode("unicode_escape").encode("latin-1") for word in words_of("yaml")]
VALID: dict[str, Any] = {
    "description": "Atendimento",
    "wave": 1,
    "token_env": "PLUG_TOKEN_X",
    "account_id": "32133-31232",
    "api": {"base_url": "https://www.plugchat.com.br/x", "auth_scheme": "bearer"},
    "vars": {"host": "hooks.acme.com.br", "port": "8443"},
    "webhooks": {event.value: f"https://{{host}}:{{port}}/{{environment}}/{event}" for event in EVENTS},
}
# A known token in each URL, which no message may repeat.
WITH_A_TOKEN = {**VALID, "webhooks": {event: f"{url}?k={CANARY}" for event, url in VALID["webhooks"].items()}}
DEFAULTS = {
    **{key: value for key, value in VALID.items() if key not in ("token_env", "account_id")},
    "policy": {"allowed_hosts": ["*.acme.com.br"], "denied_hosts": ["x.acme.com.br"]},
}
WHOLE = NEXT_FILE.join(yaml.safe_dump(one).encode() for one in (VALID, DEFAULTS))


@bounded
@given(st.lists(st.sampled_from(WORDS) | st.binary(max_size=8), max_size=20).map(b"".join))
def test_bytes_are_manifests_or_refused(data: bytes) -> None:
    """Any bytes may be in any of the files."""
    check_manifests(data)


@bounded
@given(
    spliced(WHOLE, WORDS)
    | st.sampled_from([path.read_bytes() for path in seeds_of("yaml")]).flatmap(lambda seed: spliced(seed, WORDS))
)
def test_a_damaged_manifest_is_valid_or_refused(data: bytes) -> None:
    """Small parts of a valid one are replaced."""
    check_manifests(data)


@bounded
@given(mutated(VALID) | mutated(WITH_A_TOKEN), mutated(DEFAULTS) | st.just(DEFAULTS), st.booleans())
def test_a_manifest_of_the_wrong_shape_is_refused(manifest: object, defaults: object, plain: bool) -> None:
    """Types, keys and values differ; it is written as JSON, whose escapes YAML reads too, or as usual."""
    if plain:
        files = [json.dumps(one, ensure_ascii=True).encode() for one in (manifest, defaults)]
    else:
        files = [yaml.safe_dump(one, allow_unicode=True).encode("utf-8", "replace") for one in (manifest, defaults)]
    check_manifests(NEXT_FILE.join(files))


FLOODS = {
    "tokens": "\n".join(f"# eyJhbGciOiJ{at:06}.eyJvcmdhbml6{at:06}.c" for at in range(25_000)),
    "aliases": "x: &x [" + "a," * 150_000 + "]\ny: [" + "*x," * 99 + ']\nz: "\\x41"\n',
    "keys": "".join(f"k{at:06}: 1\n" for at in range(90_000)),
    "duplicates": "wave: 1\n" * 130_000,
    "templates": "webhooks: {receiveMessage: 'https://a.b/" + "{a}" * 340_000 + "'}\n",
}


@pytest.mark.parametrize("flood", list(FLOODS))
def test_a_megabyte_of_anything_is_judged_in_seconds(flood: str) -> None:
    """No text takes quadratic time."""
    begun = time.process_time()
    with in_a_new_folder():
        Path("manifests").mkdir()
        Path("manifests/loja.yaml").write_text(FLOODS[flood])
        tree = load_tree("manifests", make_options())
    assert tree.errors
    assert time.process_time() - begun < 30


def test_with_too_many_tokens_nothing_else_is_reported() -> None:
    """Too many tokens to look for in every message might be repeated by one."""
    tokens = "\n".join(f"# eyJhbGciOiJ{at:06}.eyJvcmdhbml6{at:06}.c" for at in range(100))
    with in_a_new_folder():
        Path("manifests").mkdir()
        for name in ("a", "b", "c"):
            Path(f"manifests/{name}.yaml").write_text(tokens + "\nwave: x\n")
        Path("manifests/d.yaml").write_text("environment: eyJhbGciOiJ000007.eyJvcmdhbml6000007.c\n")
        errors = load_tree("manifests", make_options()).errors
    assert len(errors) == 301
    assert {one.message for one in errors} == {"holds a token (a JWT)"}


URL_WORDS = [word.encode().decode("unicode_escape") for word in words_of("urls")]


@bounded
@given(st.lists(st.sampled_from(URL_WORDS) | hostile_texts | st.text(max_size=3), max_size=8).map("".join))
def test_a_url_is_refused_or_read_alike_by_all(text: str) -> None:
    """Host, port and the lack of user information are what httpx and the standard library see."""
    check_urls(text)


@bounded
@given(hostile_texts | st.text(max_size=20))
def test_a_secrets_value_changes_neither_host_nor_port(value: str) -> None:
    """Refused without repeating it, or it stays in the path and the query."""
    fault = find_secret_fault(value)
    if fault is not None:
        assert len(value) < 4 or value not in fault
        return
    for text in (
        "https://hooks.acme.com.br/{secret:PLUG_SECRET_A}",
        "https://hooks.acme.com.br?{secret:PLUG_SECRET_A}",
    ):
        sent = fill_secrets(text, lambda name: value)
        if find_filled_fault(sent, allow_local=False) is None:
            check_urls(sent)
            assert sent.startswith(text.partition("{")[0])
