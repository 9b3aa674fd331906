"""The words for Plug's answers."""

from __future__ import annotations

import pytest

from reconciler.model import AuthScheme, BodyForm
from reconciler.text.plug_status import explain_put


@pytest.mark.parametrize("status", [400, 401, 422])
@pytest.mark.parametrize(("body", "other"), [(BodyForm.FLAT, "value"), (BodyForm.VALUE, "flat")])
def test_where_plug_may_not_have_read_the_webhooks_the_other_form_of_body_is_named(
    status: int, body: BodyForm, other: str
) -> None:
    """With the one in use."""
    message = explain_put(status, token_env="PLUG_TOKEN_A", auth_scheme=AuthScheme.RAW, body=body)
    assert message.startswith(f"{status}: Plug ")
    assert f'try api.body "{other}" (now "{body}")' in message
