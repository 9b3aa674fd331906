"""The text of a manifest that `import` writes, which is read back unchanged."""

from __future__ import annotations

import pytest

from reconciler.core.imports import Draft
from reconciler.manifests.nodes import File, parse_file
from reconciler.manifests.writing import render_manifest
from reconciler.model import Event


def parsed(draft: Draft) -> dict[str, object]:
    file = parse_file("x.yaml", render_manifest(draft, "from a CSV").encode())
    assert isinstance(file, File), file
    assert file.problems == []
    return file.values


def test_a_manifest_is_written_as_a_person_would() -> None:
    """Keys in the order of the documentation; an event without a URL is a comment that says why."""
    draft = Draft(
        "loja",
        {"account_id": "32133-31232", "wave": 3, "description": "Loja: centro", "vars.host": "h.acme.com.br"},
        {Event.RECEIVE_MESSAGE: "https://{host}/x?key={secret:PLUG_SECRET_KEY}"},
        {Event.WHEN_DISCONNECTING: "the partner API never shows it"},
    )
    assert render_manifest(draft, "with the webhooks of account 32133-31232") == (
        "# Written by `reconciler import`, with the webhooks of account 32133-31232.\n"
        "environment: loja\n"
        'description: "Loja: centro"\n'
        "wave: 3\n"
        "account_id: 32133-31232\n"
        "vars:\n"
        "  host: h.acme.com.br\n"
        "webhooks:\n"
        "  receiveMessage: https://{host}/x?key={secret:PLUG_SECRET_KEY}\n"
        "  # whenDisconnecting: write its URL here; the partner API never shows it\n"
    )


def test_without_webhooks_the_mapping_is_left_out() -> None:
    """An empty mapping would be an error; webhooks of _defaults.yaml are merged."""
    assert parsed(Draft("loja", {}, {}, {})) == {"environment": "loja"}
    assert parsed(Draft("loja", {}, {}, {Event.MESSAGE_STATUS: "nothing\nhere"})) == {"environment": "loja"}


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "null", "~", "123", "1_0", "2026-11-23", "0x1f", "1e3", ".5", "=", "a: b", "a #b", "- a", "@x", " a "),
        *('"', "'", "\\", "a\nb\ttab", "São João \U0001f600", "\x85\u2028\ufeff\x07", "{x}", "%TAG"),
        "https://h.acme.com.br/a:",
    ],
)
def test_any_text_is_read_back_as_it_was(text: str) -> None:
    """YAML would read some of them as something else."""
    draft = Draft("123", {"description": text, "account_id": "2026-11-23", "vars.null": text}, {}, {})
    assert parsed(draft) == {
        "environment": "123",
        "description": text,
        "account_id": "2026-11-23",
        "vars": {"null": text},
    }
