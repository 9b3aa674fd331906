"""The explanations of Plug's answers."""

from __future__ import annotations

import pytest

from reconciler.model import AuthScheme, BodyForm
from reconciler.text.plug_status import explain_put, explain_read


@pytest.mark.parametrize("status", [400, 401, 422])
@pytest.mark.parametrize(("body", "other"), [(BodyForm.FLAT, "value"), (BodyForm.VALUE, "flat")])
def test_the_other_body_form_is_suggested_if_plug_may_not_have_read_the_webhooks(
    status: int, body: BodyForm, other: str
) -> None:
    """The form in use is named too."""
    message = explain_put(status, token_env="PLUG_TOKEN_A", auth_scheme=AuthScheme.RAW, body=body)
    assert message.startswith(f"{status}: Plug ")
    assert f'try api.body "{other}" (now "{body}")' in message


@pytest.mark.parametrize(("status", "redirects"), [(300, False), (301, True), (303, True), (304, False), (308, True)])
def test_only_a_redirect_is_called_one(status: int, redirects: bool) -> None:
    """The other statuses of the same class name no other address."""
    put = explain_put(status, token_env="PLUG_TOKEN_A", auth_scheme=AuthScheme.RAW, body=BodyForm.FLAT)
    read = explain_read(status, token_env="PLUG_PARTNER_TOKEN")
    for text, setting in ((put, "api.base_url"), (read, "partner.base_url")):
        assert (f"Set {setting} to the final address" in text) == redirects
        assert ("this status has no meaning here" in text) != redirects


def test_a_network_that_wants_a_sign_in_is_not_plug() -> None:
    message = explain_put(511, token_env="PLUG_TOKEN_A", auth_scheme=AuthScheme.RAW, body=BodyForm.FLAT)
    assert message == "511: a network before Plug asks for a sign-in: sign in to it, or use another network"
