"""Mistakes of authors, each with a hint that names its cause."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.manifests.load import load_tree
from reconciler.manifests.merged import Tree, TreeOptions
from reconciler.manifests.unknown_names import MAX_MANIFESTS
from reconciler.model import EVENTS, AuthScheme

URLS = {str(event): f"https://hooks.acme.com.br/{{environment}}/{event}" for event in EVENTS}
JWT_HEADER = "eyJhbGciOiJub25lIn0"


def jwt(**payload: Any) -> str:
    return f"{JWT_HEADER}.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.c2lnbmF0dXJl"


pytestmark = pytest.mark.usefixtures("in_a_tree")


def write(text: str, name: str = "loja.yaml") -> None:
    Path(f"manifests/{name}").write_text(text)


def webhooks(**written: str) -> str:
    """Return the seven webhooks, some with the given text."""
    return "webhooks:\n" + "".join(f"  {event}: {written.get(event, url)}\n" for event, url in URLS.items())


def load(**options: Any) -> Tree:
    return load_tree(
        "manifests",
        TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",), **options),
    )


def only_error(**options: Any) -> tuple[int, int, str, str, str]:
    (error,) = load(**options).errors
    return error.line, error.column, error.key, error.message, error.hint


BLANK = "holds white space or a control character"
FOREIGN = "holds a character outside ASCII: "


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        (">-\n    https://hooks.acme.com.br/a\n    /b", BLANK, "write the URL in one line"),
        ("|\n    https://hooks.acme.com.br/a", "ends in white space", "write the URL in one line"),
        ("https://hooks.acme.com.br/a\n    /b", BLANK, "write the URL in one line"),
        ('"https://hooks.acme.com.br/a\n    /b"', BLANK, "write the URL in one line"),
        ('"https://hooks.acme.com.br/a "', "ends in white space", "remove it"),
        ('" https://hooks.acme.com.br/a"', "begins with white space", "remove it"),
        ("https://hooks.acme.com.br/a b", BLANK, "percent-encode it, as in %20"),
        ("https://hooks.acme.com.br/{{ environment }}", BLANK, "write {environment} to have it filled in"),
        ("https://https://hooks.acme.com.br/", "begins with https:// twice", "remove one of the two"),
        (
            "https://me:key@hooks.acme.com.br/",
            "holds user information",
            "put a secret into the path or the query, as {s",
        ),
        (
            "https://hooks.acme.com.br/{ environment }",
            "has blanks around a name in braces",
            "write {environment}, with",
        ),
        ("https://hooks.acme.com.br/{secrets:PLUG_X}", "names a secret in another form", "write {secret:PLUG_SECRET_"),
        (
            "https://hooks.acme.com.br/{PLUG_SECRET_A}",
            "unknown name {PLUG_SECRET_A}",
            "write {secret:PLUG_SECRET_A}: a s",
        ),
        (
            "https://hooks.acme.com.br/{plug_secret_a}",
            "unknown name {plug_secret_a}",
            "write {secret:plug_secret_a}: a s",
        ),
        ("https://hooks.acme.com.br/{PLUG_TOKEN_A}", "unknown name {PLUG_TOKEN_A}", "a token is in no URL"),
        (
            f"https://hooks.acme.com.br/?k={jwt(sub=1)}",
            "holds a JWT that is not a token of Plug",
            "write {secret:PLUG_",
        ),
        (
            f"https://hooks.acme.com.br/?k={jwt(organizationId=1)}",
            "holds a token (a JWT)",
            "remove it, and take the tok",
        ),
    ],
)
def test_the_hint_names_the_cause(written: str, message: str, hint: str) -> None:
    """There is one error, at the URL, with what to do about this mistake."""
    write(webhooks(receiveMessage=written))
    line, _, key, found, shown = only_error()
    assert (line, key) == (4, "webhooks.receiveMessage")
    assert found.startswith(message)
    assert shown.startswith(hint)


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        (
            "https://hooks.acme.com.br/a\u00a0b",
            f"{FOREIGN}U+00A0 (no-break space), in column 46",
            "remove it: it looks",
        ),
        ("'https://hooks.acme.com.br/\u200b'", f"{FOREIGN}U+200B (zero width space), in column 46", "remove it: it lo"),
        (
            "\u201chttps://hooks.acme.com.br/\u201d",
            f"{FOREIGN}U+201C (left double quotation mark), in column 19",
            "remo",
        ),
        ("https://hooks.acme.com.br/a\u2013b", f"{FOREIGN}U+2013 (en dash), in column 46", "write a plain hyphen"),
        (
            "https://atenção.com.br/",
            f"{FOREIGN}U+00E7 (latin small letter c with cedilla), in column 31",
            "write a host",
        ),
        (
            '"https://hooks.acme.com.br/\\u00e9"',
            f"{FOREIGN}U+00E9 (latin small letter e with acute)",
            "write a host as",
        ),
    ],
)
def test_a_character_outside_ascii_has_its_name_and_column(written: str, message: str, hint: str) -> None:
    """The column is in the file; a character that is written as an escape has no column."""
    write(webhooks(receiveMessage=written))
    _, _, _, found, shown = only_error()
    assert found == message
    assert shown.startswith(hint)


@pytest.mark.parametrize(
    ("text", "place", "message", "hint"),
    [
        ("description: Loja: centro\n", (1, 18), "is not valid YAML: mapping values", "put a text that holds a colon"),
        ("a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n", (2, 1), "holds a conflict marker", "resolve the con"),
        ("version: ENC[AES256_GCM,data:x]\nsops:\n  mac: x\n", (2, 1), "the file is encrypted with sops", "decrypt it"),
        (
            "version https://git-lfs.github.com/spec/v1\noid x\n",
            (1, 1),
            "is a pointer of Git LFS",
            "run `git lfs pull`",
        ),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", (1, 1), "is encrypted by Ansible Vault", "decrypt it"),
        ("\0GITCRYPT\0\x01\x02", (0, 0), "is encrypted by git-crypt", "run `git-crypt unlock`"),
    ],
)
def test_what_is_not_a_manifest_is_named(text: str, place: tuple[int, int], message: str, hint: str) -> None:
    """The error names the kind of file, not the first syntax error in it."""
    write(text)
    line, column, _, found, shown = only_error()
    assert (line, column) == place
    assert found.startswith(message)
    assert shown.startswith(hint)


FLAT = "".join(f"{event}: {url}\n" for event, url in URLS.items())


@pytest.mark.parametrize("name", ["loja.yaml", "_defaults.yaml"])
@pytest.mark.parametrize(
    ("text", "key", "message"),
    [
        (f"description: x\n{FLAT}", "finishAttendance", "the events are at the top of the file"),
        ("description: x\nvalue:\n  " + FLAT.replace("\n", "\n  "), "value", "the events are inside `value`"),
    ],
)
def test_the_vendors_body_is_one_error(name: str, text: str, key: str, message: str) -> None:
    """It is at the first event, and no event is reported as missing too."""
    write("{}", "outra.yaml") if name == "_defaults.yaml" else None
    write(text, name)
    line, column, found_key, found, hint = only_error()
    assert (line, column, found_key, found) == (2, 1, key, message)
    assert "webhooks:" in hint


def warnings(**options: Any) -> list[tuple[str, int, str, str, str]]:
    tree = load(**options)
    assert tree.errors == ()
    return [(one.file, one.line, one.key, one.message, one.hint) for one in tree.warnings]


FILLED_IN = "write {environment} to have it filled in"
SECRET_FILLED_IN = "write {secret:PLUG_SECRET_NAME} to have a secret filled in"
NOT_A_VAR = "write the text itself, or {NAME} with NAME under vars"


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("{{environment}}", "{{environment}} is sent with single braces, not filled in", FILLED_IN),
        ("{{secret:PLUG_A}}", "{{secret:PLUG_A}} is sent with single braces, not filled in", SECRET_FILLED_IN),
        ("{{ITEM.name}}", "{{ITEM.name}} is sent with single braces, not filled in", NOT_A_VAR),
        ("${environment}", "the $ of ${environment} is sent as it is written", FILLED_IN),
        ("$(id+a.txt)", "$(id+a.txt) is sent as it is written, not filled in", NOT_A_VAR),
        ("<environment>", "<environment> is sent as it is written, not filled in", FILLED_IN),
        ("%(environment)s", "%(environment)s is sent as it is written, not filled in", FILLED_IN),
    ],
)
def test_what_looks_like_the_template_of_another_tool_is_a_warning(written: str, message: str, hint: str) -> None:
    """There is one warning, where it is written, for any number of environments."""
    write(webhooks(receiveMessage=f"https://hooks.acme.com.br/{{environment}}/{written}"), "_defaults.yaml")
    write("{}", "a.yaml")
    write("{}", "b.yaml")
    assert warnings() == [("manifests/_defaults.yaml", 4, "webhooks.receiveMessage", message, hint)]


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("${{ secrets.CHAVE }}", "write {secret:PLUG_SECRET_CHAVE}, and give the secret this name"),
        ("${{secrets.CHAVE}}", "write {secret:PLUG_SECRET_CHAVE}, and give the secret this name"),
        ("{secrets.CHAVE}", "write {secret:PLUG_SECRET_CHAVE}, and give the secret this name"),
        *((written, "write {secret:PLUG_SECRET_X}") for written in ("{{PLUG_SECRET_X}}", "$PLUG_SECRET_X")),
        *((written, "write {secret:PLUG_SECRET_X}") for written in ("${PLUG_SECRET_X}", "%PLUG_SECRET_X%")),
        ("$PLUG_TOKEN_LOJA", "a token is in no URL: it is sent in a header. A receiver's own key is written as {sec"),
    ],
)
def test_a_secret_in_the_syntax_of_another_tool_is_one_error(written: str, hint: str) -> None:
    """The literal text would be sent in place of the key, and the review would be green."""
    write(webhooks(receiveMessage=f"https://hooks.acme.com.br/?k={written}"), "_defaults.yaml")
    write("{}", "a.yaml")
    write("{}", "b.yaml")
    tree = load()
    (error,) = tree.errors
    assert (error.file, error.line, error.key) == ("manifests/_defaults.yaml", 4, "webhooks.receiveMessage")
    assert error.message == f"{written} is not filled in: the receiver would get it as it is written"
    assert error.hint.startswith(hint)
    assert [one for one in tree.warnings if written in one.message] == []


@pytest.mark.parametrize("written", ["${{ secrets.CHAVE }}", "$PLUG_SECRET_CHAVE"])
def test_a_secret_in_a_var_is_answered_with_its_place_in_the_url(written: str) -> None:
    """A var's value is in every plan, so no secret is filled in there."""
    write(f"vars: {{key: '{written}'}}\n" + webhooks(receiveMessage="https://hooks.acme.com.br/?k={key}"))
    line, column, key, _, hint = only_error()
    assert (line, column, key) == (1, 13, "vars.key")
    assert hint.startswith("a var's value is literal; in the URL, write {secret:PLUG_SECRET_CHAVE}")


def test_alike_templates_of_a_file_are_one_warning_with_their_number() -> None:
    """Each other tool has one warning, so that many templates don't hide other warnings."""
    written = {event: f"https://hooks.acme.com.br/{event}/$(x{place})" for place, event in enumerate(URLS)}
    write(webhooks(**written | {"messageStatus": "https://hooks.acme.com.br/s/<x>"}))
    assert [(key, message) for _, _, key, message, _ in warnings()] == [
        (
            "webhooks.finishAttendance",
            "$(x0) is sent as it is written, not filled in; so are those of 5 more URLs of this file",
        ),
        ("webhooks.messageStatus", "<x> is sent as it is written, not filled in"),
    ]


@pytest.mark.parametrize("written", ["{{{environment}}}", "{{ }}", "$x", "100%", "a<b", "{{a-b", "%28x%29s"])
def test_other_signs_are_not_reported(written: str) -> None:
    """Examples are doubled braces around a filled-in name, and signs that no tool reads."""
    write(webhooks(receiveMessage="'https://hooks.acme.com.br/r'").replace("/r'", f"/r/{written.replace(' ', '')}'"))
    assert warnings() == []


def test_a_var_that_no_url_names_is_a_warning_at_its_place() -> None:
    """Each is reported once. A var that one environment below it names is used, even if a nearer value hides it."""
    write("vars: {host: hooks.acme.com.br, base: plug, unused: x}\n", "_defaults.yaml")
    write("vars: {base: other, own: y}\n" + webhooks(receiveMessage="https://{host}/{base}"), "a.yaml")
    write("vars: {base: third}\n" + webhooks(receiveMessage="https://hooks.acme.com.br/{base}"), "b.yaml")
    Path("manifests/team").mkdir()
    write("vars: {host: hooks.acme.com.br, deep: z}\n", "team/_defaults.yaml")
    write(webhooks(receiveMessage="https://hooks.acme.com.br/{deep}/{environment}"), "team/c.yaml")
    assert [(file, line, key) for file, line, key, _, _ in warnings()] == [
        ("manifests/_defaults.yaml", 1, "vars.unused"),
        ("manifests/a.yaml", 1, "vars.own"),
        ("manifests/team/_defaults.yaml", 1, "vars.host"),
    ]


@pytest.mark.parametrize(
    "slip",
    [
        webhooks(receiveMessage="https://{hosst}/"),
        webhooks(receiveMessage="https://{ho st}/"),
        webhooks(receiveMessage="[x]"),
        "webhooks: [",
    ],
)
def test_no_var_is_called_unused_beside_an_unreadable_url(slip: str) -> None:
    """A URL or file that can't be read may name any var."""
    write("vars: {host: hooks.acme.com.br}\n", "_defaults.yaml")
    write(slip)
    tree = load()
    assert len(tree.errors) == 1
    assert tree.warnings == ()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("PLUG_SECRET_RECEIVE", "has the name of a secret, but a var's value is shown in every plan"),
        ("plug_secret_receive", "has the name of a secret, but a var's value is shown in every plan"),
        ("Plug_Token_Loja", "has the name of a token, but a var's value is shown in every plan"),
    ],
)
def test_a_var_is_not_named_like_a_secret(name: str, message: str) -> None:
    """Its value is in the plan, the state and the file."""
    write(f"vars: {{{name}: abc}}\n" + webhooks(receiveMessage=f"https://hooks.acme.com.br/{{{name}}}"))
    assert only_error()[:4] == (1, len(name) + 10, f"vars.{name}", message)


@pytest.mark.parametrize(
    ("value", "message", "hint"),
    [
        ("'hooks.acme.com.br '", "ends in white space", "remove it"),
        ("hooks acme.com.br", BLANK, "percent-encode it, as in %20"),
        ("hooks\u00a0acme.com.br", f"{FOREIGN}U+00A0 (no-break space), in column 19", "remove it"),
        (
            "https://hooks.acme.com.br",
            "begins with https://, and so does the URL that",
            "write the host without https://",
        ),
        (
            "HTTP://hooks.acme.com.br/x",
            "begins with HTTP://, and so does the URL that",
            "write the host without HTTP://",
        ),
        ("10.0.0.1", "the host 10.0.0.1 is in a private or special range", "Plug calls the URL over the internet"),
        ("hooks", "the host hooks has one label only", ""),
        ("''", "has no host", "write a host of two or more labels"),
        ("hooks.acme.com.br:0", "has an invalid port", "write a port"),
    ],
)
def test_a_vars_own_fault_is_reported_at_the_var_once(value: str, message: str, hint: str) -> None:
    """It is not repeated at each of the seven URLs of each environment."""
    seven = "webhooks:\n" + "".join(f"  {event}: https://{{host}}/{event}\n" for event in EVENTS)
    write(f"vars: {{host: {value}}}\n{seven}", "_defaults.yaml")
    write("{}", "a.yaml")
    write("{}", "b.yaml")
    line, column, key, found, shown = only_error()
    assert (line, column, key) == (1, 14, "vars.host")
    assert found.startswith(message.partition(" has one")[0])
    assert shown.startswith(hint)


SEVEN = "webhooks:\n" + "".join(f"  {event}: https://{{host}}/{event}\n" for event in EVENTS)


def errors() -> list[tuple[str, int, str, str, str]]:
    return [(one.file.removeprefix("manifests/"), one.line, one.key, one.message, one.hint) for one in load().errors]


def test_a_misspelt_var_is_reported_at_the_var() -> None:
    """The seven URLs that all others fill in are right."""
    write(SEVEN, "_defaults.yaml")
    write("vars: {host: hooks.acme.com.br}\n", "a.yaml")
    write("description: x\nvars: {hots: hooks.acme.com.br}\n", "b.yaml")
    message = "no URL names this var, and {host} in 7 URLs is unknown"
    assert errors() == [("b.yaml", 2, "vars.hots", message, "did you mean host?")]
    assert load().warnings == ()
    Path("manifests/a.yaml").unlink()
    assert errors() == [("b.yaml", 2, "vars.hots", message, "did you mean host?")]


def test_a_misspelt_var_of_the_defaults_is_reported_there_once() -> None:
    """It is one slip for any number of manifests."""
    write("vars: {hots: hooks.acme.com.br}\n" + SEVEN, "_defaults.yaml")
    write("{}", "a.yaml")
    write("{}", "b.yaml")
    message = "no URL names this var, and {host} in 7 URLs is unknown"
    assert errors() == [("_defaults.yaml", 1, "vars.hots", message, "did you mean host?")]


def test_a_var_that_some_manifests_lack_is_reported_in_them() -> None:
    """Each has one problem, not one for each URL."""
    write(SEVEN, "_defaults.yaml")
    write("vars: {host: hooks.acme.com.br}\n", "a.yaml")
    write("{}", "b.yaml")
    write("environment: c\n", "d.yaml")
    message = "is missing: 7 URLs of manifests/_defaults.yaml name it"
    assert errors() == [(file, 1, "vars.host", message, "write host under vars") for file in ("b.yaml", "d.yaml")]
    Path("manifests/a.yaml").unlink()
    Path("manifests/b.yaml").unlink()
    assert errors() == [("d.yaml", 1, "vars.host", message, "write host under vars")]


def test_a_var_that_no_manifest_has_is_reported_at_the_first_url() -> None:
    """It is probably the URL's slip, and one problem for all manifests."""
    write(SEVEN, "_defaults.yaml")
    write("{}", "a.yaml")
    write("{}", "b.yaml")
    message = "unknown name {host}, here and in 6 more URLs of this file (in a, b)"
    hint = "write it under vars, here or in each manifest"
    assert errors() == [("_defaults.yaml", 2, "webhooks.finishAttendance", message, hint)]
    for name in ("a.yaml", "b.yaml"):
        write("vars: {hots: hooks.acme.com.br}\n", name)
    assert errors() == [("_defaults.yaml", 2, "webhooks.finishAttendance", message, "did you mean {hots}?")]


def test_a_var_that_many_manifests_lack_is_one_problem() -> None:
    """It is at the URL, and names some of them."""
    write("webhooks: {messageStatus: 'https://{host}/'}\n", "_defaults.yaml")
    rest = webhooks().replace("  messageStatus: https://hooks.acme.com.br/{environment}/messageStatus\n", "")
    write(f"vars: {{host: hooks.acme.com.br}}\n{rest}", "a.yaml")
    for number in range(MAX_MANIFESTS + 1):
        write(rest, f"n{number}.yaml")
    ((file, _, _, message, _),) = errors()
    assert file == "_defaults.yaml"
    assert message.startswith("unknown name {host} (in n0, n1")


def test_a_misspelt_name_in_a_url_is_reported_there() -> None:
    """The var that is meant is used by other URLs, and so it is spelt right."""
    write("vars: {host: hooks.acme.com.br}\n" + SEVEN.replace("{host}", "{hosst}", 2))
    message = "unknown name {hosst}, here and in 1 more URL of this file"
    assert errors() == [("loja.yaml", 3, "webhooks.finishAttendance", message, "did you mean {host}?")]
    assert load().warnings == ()


@pytest.mark.parametrize(
    ("slip", "key", "hint"),
    [
        (
            "vars:\n  host:hooks.acme.com.br\n",
            "vars",
            "write a mapping of names to texts, with a space after each colon",
        ),
        ("var:\n  host: hooks.acme.com.br\n", "var", "did you mean vars?"),
        ("vars: [host]\n", "vars", "write a mapping of names to texts, with a space after each colon"),
        ("vars: {host: 1}\n", "vars.host", "write a text: put it in quotes"),
    ],
)
def test_vars_that_cant_be_read_make_no_name_unknown(slip: str, key: str, hint: str) -> None:
    """They may hold the name: the one slip is one problem."""
    write(SEVEN, "_defaults.yaml")
    write(slip)
    (error,) = errors()
    assert (error[0], error[2], error[4]) == ("loja.yaml", key, hint)


def test_unreadable_defaults_make_no_name_unknown() -> None:
    """They may hold the var."""
    write("vars: {", "_defaults.yaml")
    write(SEVEN)
    assert [file for file, *_ in errors()] == ["_defaults.yaml"]


def test_a_var_at_the_top_of_a_manifest_is_answered_with_its_place() -> None:
    write("host: hooks.acme.com.br\n" + webhooks())
    ((_, line, key, message, hint),) = errors()
    assert (line, key, message) == (1, "host", "is not a key of a manifest")
    assert hint.startswith("a var is written under vars; known here: description, ")


@pytest.mark.parametrize(("name", "text"), [("Clínica Sorriso.yaml", ""), ("x.yaml", "environment: Clínica Sorriso\n")])
def test_an_invalid_name_of_an_environment_is_answered_with_a_valid_one(name: str, text: str) -> None:
    """An accent and a blank are usual in the name of a company."""
    write(text + webhooks(), name)
    ((_, _, key, _, hint),) = errors()
    assert key == "environment"
    assert "clinica-sorriso" in hint


@pytest.mark.parametrize(
    ("variables", "url", "message"),
    [
        (
            "host: hooks.acme.com.br/",
            "https://{host}/plug",
            "vars.host: ends in /, and the URL goes on with /, so that it",
        ),
        (
            "base: plug/",
            "https://hooks.acme.com.br/{base}/x",
            "vars.base: ends in /, and the URL goes on with /, so th",
        ),
        ("base: /plug", "https://hooks.acme.com.br/{base}/x", "vars.base: begins with / after a / of the URL, so that"),
    ],
)
@pytest.mark.parametrize("file", ["a.yaml", "_defaults.yaml"])
def test_a_var_that_doubles_a_slash_is_a_warning_at_the_var(file: str, variables: str, url: str, message: str) -> None:
    """The URL is sent as it is written, and most receivers take it for another path."""
    write("webhooks:\n" + "".join(f"  {event}: {url}\n" for event in EVENTS), "_defaults.yaml")
    write("{}", "a.yaml")
    write("{}", "b.yaml") if file == "_defaults.yaml" else None
    Path("manifests", file).write_text(
        f"vars:\n  {variables}\n" + Path("manifests", file).read_text().replace("{}", "")
    )
    ((found, line, key, what, hint),) = [one for one in warnings() if "holds //" in one[3]]
    assert (found, line, f"{key}: {what}"[: len(message)]) == (f"manifests/{file}", 2, message)
    assert hint.startswith("remove the / at its")


@pytest.mark.parametrize("url", ["https://{host}plug", "https://hooks.acme.com.br//{base}", "https://a.b/?u={host}x"])
def test_a_slash_that_doubles_none_is_not_reported(url: str) -> None:
    """Two slashes in the URL itself are seen by its author."""
    write("vars: {host: hooks.acme.com.br/, base: x}\n" + webhooks(messageStatus=url))
    assert [one for one in warnings() if "holds //" in one[3]] == []


def test_a_jwt_in_a_value_is_reported_with_its_key_and_one_in_a_comment_without() -> None:
    """A JWT outside URLs can't be a receiver's key, so the hint says to revoke the token."""
    write(f"description: {jwt(sub=1)}\nvars: {{'{jwt(sub=2)}': x}} # {jwt(sub=3)}\n{webhooks()}")
    found = [(one.line, one.key, one.message) for one in load().errors]
    assert found == [
        (1, "description", "holds a token (a JWT)"),
        (2, "", "holds a token (a JWT)"),
        (2, "", "holds a token (a JWT)"),
    ]


def test_a_token_that_is_available_is_never_called_a_receivers_key() -> None:
    """It is a token of Plug, with any payload."""
    write(webhooks(receiveMessage=f"https://hooks.acme.com.br/?k={jwt(sub=1)}"))
    assert only_error(known_tokens=(jwt(sub=1),))[3] == "holds a token (a JWT)"


AWAY = "so that no manifest can send another secret away"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("PLUG_SECERT_X", "PLUG_SECRET_X"), ("plug_secret_x", "PLUG_SECRET_X"), ("PLUGSECRET_X", "PLUG_SECRET_X")),
        *(("Plug_Secret_X", "PLUG_SECRET_X"), ("HOME", None), ("s3cr3t_value", None), ("XPLUG_SECRE_X", None)),
    ],
)
def test_a_secret_whose_prefix_has_a_slip_is_answered_with_its_name(written: str, meant: str | None) -> None:
    """The hint says what to write, then why. A name unlike the prefix may be a secret value."""
    write(webhooks(messageStatus=f"https://hooks.acme.com.br/s?key={{secret:{written}}}"))
    hint = only_error()[4]
    way = f"use a variable with this prefix, {AWAY}"
    assert hint == (way if meant is None else f"did you mean {meant}? U{way[1:]}")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("PLUG_TOEKN_A", "PLUG_TOKEN_A"), ("PLUG_TOKN_A", "PLUG_TOKEN_A"), ("PLUG_TOKEEN_A", "PLUG_TOKEN_A")),
        *(("PLUG_TOKE_A", "PLUG_TOKEN_A"), ("PLUG_TOKENS_A", "PLUG_TOKEN_A"), ("GITHUB_TOKEN", None)),
    ],
)
def test_a_token_variable_whose_prefix_has_a_slip_is_answered_with_its_name(written: str, meant: str | None) -> None:
    write(f"token_env: {written}\n{webhooks()}")
    hint = only_error()[4]
    assert hint.startswith("use a variable" if meant is None else f"did you mean {meant}? Use a variable")
    assert hint.endswith(AWAY)
