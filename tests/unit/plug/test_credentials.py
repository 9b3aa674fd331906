"""Tokens and secrets: looked up, checked, and never shown.

See docs/settings.md, docs/contract.md#checks, docs/state.md, docs/contract.md#what-no-output-does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from reconciler.model import Event
from reconciler.plug.credentials import EnvironCredentials
from reconciler.plug.job_secrets import JobSecrets
from reconciler.plug.secret import Secret
from reconciler.plug.secret_files import SecretValues
from reconciler.plug.token import find_token_fault, read_token
from tests.fakes import START, make_desired

CANARY = "canary-token-0123456789"


def jwt(**payload: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'HS256'})}.{part(payload)}.c2lnbmF0dXJl"


def test_a_secret_shows_itself_nowhere() -> None:
    """It is masked as text, repr and format, in a container, and can't be pickled."""
    secret = Secret(CANARY)
    shown = f"{secret} {secret!r} {secret!s:>30} {[secret]} { ({'a': secret}) }"
    assert CANARY not in shown
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_the_account_is_the_contracts_formula() -> None:
    """It is `org:` and a JWT's organization, else 16 hex digits of HMAC-SHA-256(token, "reconciler-account")."""
    assert read_token(Secret(jwt(organizationId="42"))).account == "org:42"
    assert read_token(Secret(jwt(organizationId=42))).account == "org:42"
    digest = hmac.new(CANARY.encode(), b"reconciler-account", hashlib.sha256).hexdigest()
    assert read_token(Secret(CANARY)).account == f"token:{digest[:16]}"


@pytest.mark.parametrize(
    "payload", [{}, {"organizationId": ""}, {"organizationId": True}, {"organizationId": None}, {"organizationId": [1]}]
)
def test_a_jwt_without_an_organization_is_opaque(payload: dict[str, object]) -> None:
    """Its organization can't be used."""
    assert read_token(Secret(jwt(**payload))).account.startswith("token:")


@given(st.text(max_size=80))
def test_any_text_is_a_token_with_an_account(text: str) -> None:
    """The parts between its dots may be anything."""
    for token in (
        text,
        f"{text}.{text}.{text}",
        f"a.{base64.urlsafe_b64encode(text.encode(errors='replace')).decode()}.b",
    ):
        assert read_token(Secret(token.encode(errors="replace").decode())).account
        read_token(Secret(token))


@pytest.mark.parametrize(
    "token", [f"{CANARY} b", f"{CANARY}\n", f"\t{CANARY}", f"{CANARY}ção", f"{CANARY}\x00", f"{CANARY}\x7f"]
)
def test_a_malformed_token_is_reported_without_repeating_it(token: str) -> None:
    """White space, control and non-ASCII characters."""
    fault = find_token_fault(Secret(token))
    assert fault is not None
    assert CANARY not in f"{fault.message} {fault.hint}"


@pytest.mark.parametrize(
    ("token", "message", "hint"),
    [
        (f'"{CANARY}"', "has quotes around it", "bare token"),
        (f"'{CANARY}'", "has quotes around it", "bare token"),
        (f"`{CANARY}`", "has quotes around it", "bare token"),
        (f"Bearer {CANARY}", "begins with Bearer", "set api.auth_scheme"),
        (f"bearer {CANARY}", "begins with Bearer", "set api.auth_scheme"),
        (f"Authorization: {CANARY}", "begins with Bearer", "set api.auth_scheme"),
        (f"authorization:{CANARY}", "begins with Bearer", "set api.auth_scheme"),
        (f"Authorization: Bearer {CANARY}\n", "begins with Bearer", "set api.auth_scheme"),
    ],
)
def test_what_was_copied_with_the_token_is_named(token: str, message: str, hint: str) -> None:
    """Plug would answer 401, which does not help the user."""
    fault = find_token_fault(Secret(token))
    assert fault is not None
    assert fault.message.startswith(message)
    assert hint in fault.hint
    one = make_desired()
    [problem] = EnvironCredentials({one.token_env: token}).find_malformed_tokens([one])
    assert message in problem.message
    assert CANARY not in str(problem)
    [problem] = EnvironCredentials({"PARTNER": token}).find_partner_problems([], "PARTNER", ())
    assert message in problem.message


@pytest.mark.parametrize("token", ["", "a", "a.b.c", "!~", '"\\', '"', "bearertoken", "Authorization", "a'b'"])
def test_a_token_of_visible_characters_may_be_one(token: str) -> None:
    """Only Plug knows whether it is valid."""
    assert find_token_fault(Secret(token)) is None


def test_a_variable_wins_over_the_tokens_file_and_an_empty_one_is_not_set() -> None:
    """GitHub Actions passes a secret that isn't set as an empty text."""
    one = make_desired()
    file = {"production": Secret("from-file")}
    assert EnvironCredentials({one.token_env: "from-variable"}, file).token(one) == Secret("from-variable")
    assert EnvironCredentials({one.token_env: ""}, file).token(one) == Secret("from-file")
    assert EnvironCredentials({}, {}).token(one) is None


def test_the_fingerprint_signs_each_secret_with_the_token() -> None:
    """Nothing can be guessed from the state. Without a token, nothing is signed."""
    one = make_desired(secrets=("PLUG_SECRET_A", "PLUG_SECRET_B"))
    found = EnvironCredentials({one.token_env: CANARY, "PLUG_SECRET_A": "x"}).fingerprint(one)
    assert found.secrets == {
        "PLUG_SECRET_A": "hmac-sha256:" + hmac.new(CANARY.encode(), b"x", hashlib.sha256).hexdigest()
    }
    assert EnvironCredentials({"PLUG_SECRET_A": "x"}).fingerprint(one).secrets == {}


@pytest.mark.parametrize("value", ["", " ", "a b", "a#b", "a\n", "a\x00b", "ç", "a\\b", "x" * 3000])
def test_a_secret_that_breaks_its_url_is_refused_by_its_name(value: str) -> None:
    """The variable is named, the value never."""
    webhooks = dict.fromkeys(make_desired().webhooks, "https://a.example.com/?k={secret:PLUG_SECRET_A}")
    one = make_desired(secrets=("PLUG_SECRET_A",), webhooks=webhooks)
    problems = EnvironCredentials({one.token_env: CANARY, "PLUG_SECRET_A": value}).find_missing([one])
    assert problems
    for problem in problems:
        assert "PLUG_SECRET_A" in str(problem)
        assert not value.strip() or value not in str(problem)


def test_everything_that_is_missing_is_reported_at_once() -> None:
    """Tokens and secrets of every environment that will be PUT."""
    wanted = [make_desired("a"), replace(make_desired("b"), secrets=("PLUG_SECRET_A", "PLUG_SECRET_B"))]
    keys = [problem.key for problem in EnvironCredentials({}).find_missing(wanted)]
    assert keys == ["token_env", "token_env", "PLUG_SECRET_A", "PLUG_SECRET_B"]


def test_two_tokens_of_one_company_are_refused() -> None:
    """Equal values, or two JWTs of one organization."""
    a, b = make_desired("a"), make_desired("b")
    for one, other in [(CANARY, CANARY), (jwt(organizationId="1", iat=1), jwt(organizationId="1", iat=2))]:
        [problem] = EnvironCredentials({a.token_env: one, b.token_env: other}).find_shared_accounts([a, b])
        assert "same Plug company" in problem.message
        assert one not in str(problem)
    assert not EnvironCredentials({a.token_env: "x1", b.token_env: "x2"}).find_shared_accounts([a, b])


def test_an_expired_jwt_is_a_warning() -> None:
    """It is only a hint: Plug decides."""
    one = make_desired()
    for exp, reported in [(START.timestamp() - 1, 1), (START.timestamp() + 1, 0), (1e300, 0), ("x", 0)]:
        assert len(EnvironCredentials({one.token_env: jwt(exp=exp)}).find_expired([one], START)) == reported


def test_a_fingerprint_says_until_when_the_token_is_valid() -> None:
    """It is in whole seconds; an opaque token has no expiry."""
    token = jwt(organizationId="1", exp=START.timestamp() + 0.5)
    desired = make_desired()
    assert EnvironCredentials({desired.token_env: token}).fingerprint(desired).token_expires_at == START
    assert EnvironCredentials({desired.token_env: "opaque"}).fingerprint(desired).token_expires_at is None


PATH, QUERY = (
    "https://hooks.acme.com.br/{secret:PLUG_SECRET_A}/x",
    "https://hooks.acme.com.br/x?k={secret:PLUG_SECRET_A}",
)


@pytest.mark.parametrize(
    ("url", "value", "message"),
    [
        (QUERY, "canary&1", "holds a '&', which ends the value in a query"),
        (QUERY, "canary+1", "holds a '+', which is read as a blank in a query"),
        (PATH, "canary/1", "holds a '/', which ends a part of the path"),
        (PATH, "canary?1", "holds a '?', which ends the path"),
        (PATH, "canary%41", "holds a '%', which the receiver decodes"),
        (QUERY, "canary%", "holds a '%', which the receiver decodes"),
        (QUERY, '"canary"', "has quotes around it, which are sent along"),
        (PATH, "'canary'", "has quotes around it, which are sent along"),
    ],
)
def test_a_secret_that_would_arrive_changed_is_named_by_its_variable(url: str, value: str, message: str) -> None:
    """It is reported once, at the first URL that it is in, and not repeated."""
    credentials = EnvironCredentials({"PLUG_SECRET_A": value})
    fleet = [
        make_desired(name, secrets=("PLUG_SECRET_A",), webhooks=dict.fromkeys(make_desired().webhooks, url))
        for name in ("loja", "matriz")
    ]
    (problem,) = credentials.find_changed_secrets(fleet)
    assert (problem.where, problem.key) == ("manifests/loja.yaml:3:3", "webhooks.finishAttendance")
    assert problem.message == f"the variable PLUG_SECRET_A {message}"
    assert "canary" not in str(problem)


@pytest.mark.parametrize(
    ("url", "value"), [(PATH, "a&b+c=d"), (QUERY, "a/b?c=d"), (QUERY, "'a"), (PATH, '"'), (QUERY, ""), ("{{x}}?", "&")]
)
def test_a_secret_that_arrives_unchanged_is_not_a_warning(url: str, value: str) -> None:
    """A character that ends one part of a URL is ordinary in another; a missing value is another fault."""
    desired = make_desired(secrets=("PLUG_SECRET_A",), webhooks=dict.fromkeys(make_desired().webhooks, url))
    assert EnvironCredentials({"PLUG_SECRET_A": value}).find_changed_secrets([desired]) == []


def test_an_environments_own_secret_is_named_with_its_file() -> None:
    """Two environments with their own values have two warnings."""
    values = SecretValues({}, {name: {"PLUG_SECRET_A": Secret(f"{name}&")} for name in ("loja", "matriz")})
    fleet = [
        make_desired(name, secrets=("PLUG_SECRET_A",), webhooks=dict.fromkeys(make_desired().webhooks, QUERY))
        for name in ("loja", "matriz", "outra")
    ]
    found = EnvironCredentials({}, secrets_file=values).find_changed_secrets(fleet)
    assert [one.file for one in found] == ["manifests/loja.yaml", "manifests/matriz.yaml"]
    assert {one.message.partition(" holds")[0] for one in found} == {"PLUG_SECRET_A of the secrets file"}


@pytest.mark.parametrize(
    ("job", "environ", "said"),
    [
        (
            JobSecrets("loja"),
            {},
            "the variable PLUG_SECRET_RECEIVE is not set (a webhook of loja has {secret:PLUG_SECRET_RECEIVE}: add the "
            "line `PLUG_SECRET_RECEIVE: ${{ secrets.PLUG_SECRET_RECEIVE }}` under `env:` of apply-wave.yml and "
            "drift.yml, and add the secret PLUG_SECRET_RECEIVE to the GitHub Environment loja: "
            "`gh secret set PLUG_SECRET_RECEIVE --env loja`)",
        ),
        (
            JobSecrets("loja"),
            {"PLUG_SECRET_RECEIVE": ""},
            "the variable PLUG_SECRET_RECEIVE is empty (a webhook of loja has {secret:PLUG_SECRET_RECEIVE}: add the "
            "secret PLUG_SECRET_RECEIVE to the GitHub Environment loja: `gh secret set PLUG_SECRET_RECEIVE --env "
            "loja`)",
        ),
        (
            JobSecrets("plug-fleet", "PLUG_TOKENS", "PLUG_SECRETS"),
            {},
            "the variable PLUG_SECRET_RECEIVE is not set (a webhook of loja has {secret:PLUG_SECRET_RECEIVE}: put it "
            "into the secret PLUG_SECRETS of the same GitHub Environment; or add the line",
        ),
    ],
)
def test_a_job_names_what_is_missing_on_github(job: JobSecrets, environ: dict[str, str], said: str) -> None:
    """A variable that is not set has no line in the workflow; an empty one has no secret."""
    webhooks = {
        **make_desired("loja").webhooks,
        Event.RECEIVE_MESSAGE: "https://h.acme.com.br/{secret:PLUG_SECRET_RECEIVE}",
    }
    desired = replace(make_desired("loja"), webhooks=webhooks, secrets=("PLUG_SECRET_RECEIVE",))
    token, secret = EnvironCredentials(environ, {}, job=job).find_missing([desired])
    assert said in str(secret)
    assert ("PLUG_TOKENS: the secret is not set" if job.tokens else "no token for loja (add the secret") in str(token)
    other = replace(desired, environment="matriz", secrets=())
    assert len(EnvironCredentials(environ, {}, job=job).find_missing([desired, other])) == (2 if job.tokens else 3)
