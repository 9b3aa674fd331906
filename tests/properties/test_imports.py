"""An import, its manifest and its resolution give each live URL back, and no file shows a secret."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.fill import fill_secrets
from reconciler.core.imports import Drafts, ImportedCompany, SecretRules, complete_company, make_drafts
from reconciler.core.partner_account import FIELDS, parse_account
from reconciler.core.spelling import MIN_SEARCHED
from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import TreeOptions
from reconciler.manifests.writing import render_manifest
from reconciler.model import EVENTS, AuthScheme, Desired
from reconciler.plug.secret_files import SecretValues, load_secrets_file, write_secrets_file

OPTIONS = TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",))
FILLER = "https://filler.example.com.br/x"

characters = st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="#\\")
pieces = st.one_of(
    st.text(characters, max_size=24),
    st.sampled_from(
        [
            "/",
            "?",
            "&",
            ";",
            "=",
            "{x}",
            "{{",
            "}",
            "{secret:PLUG_SECRET_A}",
            "{PLUG_SECRET_A}",
            "$PLUG_TOKEN",
            "key=",
            "messageStatus",
        ]
    ),
    st.sampled_from(["0123456789abcdef0123", "3f2504e0-4f89-11d3-9a0c-0305e82c3301", "s3cr3t-value", "a", "b", "$(x)"]),
)
good = st.lists(pieces, max_size=7).map(lambda parts: "https://hooks.acme.com.br/" + "".join(parts))
urls = st.one_of(good, good, good, st.none(), st.text(max_size=12), st.just("http://10.0.0.1/s3cr3t-value"))
accounts = st.fixed_dictionaries(dict.fromkeys(FIELDS.values(), urls))


def resolve(drafts: Drafts) -> tuple[dict[str, Desired], SecretValues, str]:
    """Return the environments as for `validate`, the secrets as for `apply`, and the text of all manifests."""
    written = ""
    with tempfile.TemporaryDirectory() as folder:
        for one in drafts.drafts:
            text = render_manifest(one, "from a CSV")
            written += text
            missing = "".join(f"  {event}: {FILLER}\n" for event in EVENTS if event not in one.webhooks)
            text = text if one.webhooks else text + "webhooks:\n"
            Path(folder, f"{one.environment}.yaml").write_text(text + missing, encoding="utf-8")
        tree = load_tree(folder, OPTIONS)
        assert [str(one) for one in tree.errors] == []
        secrets = Path(folder, "secrets")
        write_secrets_file(secrets, "secrets", drafts.general, drafts.own)
        values = load_secrets_file(secrets, "secrets") if drafts.count_secrets() else SecretValues()
    return {one.environment: one for one in tree.desired}, values, written


@given(st.lists(accounts, min_size=1, max_size=3), st.sampled_from(["", "a|b", "key=.*"]))
def test_an_import_gives_every_live_url_back_and_shows_no_secret(found: list[dict[str, str]], plain: str) -> None:
    """With secrets filled in it is equal byte by byte; one that can't be in a manifest is left out with a reason."""
    live = {f"a{number}": account for number, account in enumerate(found)}
    companies = [
        complete_company(ImportedCompany(name), parse_account(account), allow_local=False)
        for name, account in live.items()
    ]
    rules = SecretRules("PLUG_SECRET_", "PLUG_TOKEN", lambda text: re.fullmatch(plain, text) is not None)
    drafts = make_drafts(companies, rules, allow_local=False)
    environments, secrets, written = resolve(drafts)
    for one in drafts.drafts:
        assert one.webhooks.keys() | one.missing.keys() == set(EVENTS)
        for event in one.webhooks:

            def value_of(name: str, environment: str = one.environment) -> str:
                value = secrets.find(name, environment)
                assert value is not None
                return value.reveal()

            text = environments[one.environment].webhooks[event]
            assert fill_secrets(text, value_of) == live[one.environment][FIELDS[event]]
    values = {value.reveal() for value in secrets.all_values()}
    assert values == set(drafts.list_values())
    literal = re.sub(r"\{secret:\w+\}|^ *#? *\w+:", "", written, flags=re.MULTILINE)
    assert [value for value in values if len(value) >= MIN_SEARCHED and value in literal] == []
