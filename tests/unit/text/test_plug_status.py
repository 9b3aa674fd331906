"""The explanations of Plug's answers."""

from __future__ import annotations

import pytest

from reconciler.model import AuthScheme, BodyForm
from reconciler.text.plug_status import explain_put


@pytest.mark.parametrize("status", [400, 401, 422])
@pytest.mark.parametrize(("body", "other"), [(BodyForm.FLAT, "value"), (BodyForm.VALUE, "flat")])
def test_the_other_body_form_is_suggested_if_plug_may_not_have_read_the_webhooks(
    status: int, body: BodyForm, other: str
) -> None:
    """The form in use is named too."""
    message = explain_put(status, token_env="PLUG_TOKEN_A", auth_scheme=AuthScheme.RAW, body=body)
    assert message.startswith(f"{status}: Plug ")
    assert f'try api.body "{other}" (now "{body}")' in message
