"""Digests are made of parts of a fleet, so that its text is never whole in memory."""

from __future__ import annotations

import hashlib
import json

import pytest

from reconciler.core.digest import manifests_digest
from reconciler.model import EVENTS
from tests.fakes import make_desired


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501, 1001])
def test_the_digest_of_a_fleet_is_that_of_one_list_in_canonical_json(count: int) -> None:
    """A digest in a saved plan or a pull request stays the same, however the list is encoded."""
    fleet = [make_desired(f"loja-{number:04d}") for number in range(count)]
    whole = [
        [
            one.environment,
            one.wave,
            [one.endpoint, one.body, one.auth_scheme, one.token_env],
            one.account_id,
            one.organization_id,
            [one.webhooks[event] for event in EVENTS],
        ]
        for one in fleet
    ]
    text = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    assert manifests_digest(reversed(fleet)) == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
