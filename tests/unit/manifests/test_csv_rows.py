"""The CSV of `import`: every wrong row is named at its line and column, and no message repeats a value."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from reconciler.manifests import csv_rows
from reconciler.manifests.csv_rows import Row, check_company, parse_rows
from reconciler.manifests.merged import TreeOptions
from reconciler.manifests.schema import MAX_PROBLEMS, near_miss
from reconciler.model import AuthScheme, Event, Location

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJvcmdhbml6YXRpb25JZCI6IjEifQ.c2lnbmF0dXJl"
TOKEN = "1nEFbU3EktLnV7LIIzX"
OPTIONS = TreeOptions(
    base_url="https://www.plugchat.com.br",
    auth_scheme=AuthScheme.RAW,
    allowed_hosts=("www.plugchat.com.br",),
    known_tokens=(TOKEN,),
)


def rows(text: str | bytes) -> list[Row]:
    found, problems = parse_rows("c.csv", text if isinstance(text, bytes) else text.encode(), OPTIONS)
    assert [str(one) for one in problems] == []
    return found


def faults(text: str | bytes) -> list[str]:
    """Return `line:column: key: message` of each problem."""
    _, problems = parse_rows("c.csv", text if isinstance(text, bytes) else text.encode(), OPTIONS)
    assert not any(value in str(one) for one in problems for value in (JWT, TOKEN, "5ecret"))
    return [f"{one.line}:{one.column}: {one.key}: {one.message}" for one in problems]


def test_columns_are_the_keys_of_a_manifest() -> None:
    """Keys are dotted, in any order; empty cells and lines are skipped."""
    found = rows(
        "wave,environment,account_id,vars.host,webhooks.messageStatus,api.body\n"
        "7,loja,1-2,h.acme.com.br,https://{host}/s,value\n,,,,,\n\n,matriz,,,,\n"
    )
    assert found == [
        Row(
            "loja",
            Location("c.csv", 2, 3),
            {"wave": 7, "account_id": "1-2", "vars.host": "h.acme.com.br", "api.body": "value"},
            {Event.MESSAGE_STATUS: "https://{host}/s"},
        ),
        Row("matriz", Location("c.csv", 5, 1)),
    ]
    assert (found[0].account_to_read, found[1].account_to_read) == (None, None)


@pytest.mark.parametrize(
    "text",
    [
        "environment;description;account_id\nloja;a, b;1\n",
        '\ufeffenvironment,description,account_id\r\nloja,"a, b",1\r\n',
        '"environment";"description";"account_id"\nloja;"a, b";1',
        "environment\tdescription\taccount_id\nloja\ta, b\t1\n",
        "\ufeffsep=;\r\nenvironment;description;account_id\r\nloja;a, b;1\r\n",
        '"sep=\t"\nenvironment\tdescription\taccount_id\nloja\ta, b\t1\n',
        "environment;description;account_id;;\nloja;a, b;1;;\n",
        'environment,description,,account_id,\nloja,"a, b",,1\n',
        "environment;description;account_id\nloja;a, b;1;;;\n",
    ],
)
def test_comma_or_semicolon_with_or_without_a_mark(text: str) -> None:
    """Spreadsheets write different forms in different countries, and the empty columns beside a table too."""
    (row,) = rows(text)
    assert (row.environment, dict(row.values)) == ("loja", {"description": "a, b", "account_id": "1"})


def test_an_account_is_read_where_the_row_has_no_webhook_that_it_shows() -> None:
    """A webhook that the partner API never shows does not count."""
    head = "environment,account_id,webhooks.whenDisconnecting,webhooks.messageStatus\n"
    url = "https://h.acme.com.br/x"
    assert [row.account_to_read for row in rows(f"{head}a,1,{url},\nb,2,,{url}\nc,,,\n")] == ["1", None, None]


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ("environment,acount_id", "1:2: acount_id: is not a key of a manifest"),
        ("environment,webhooks.mesageStatus", "1:2: webhooks.mesageStatus: is not a key of a manifest"),
        ("environment,policy", "1:2: policy: is not a key of a manifest"),
        ("environment,vars", "1:2: vars: is not a key of a manifest"),
        ("environment,token", "1:2: token: a token, secret or password is never in a manifest"),
        ("environment,wave,wave", "1:3: wave: is the name of two columns"),
        ("environment,", "1:2: column 2: has no name"),
        ("account_id,wave", "1:1: : has no column environment"),
        ("", "1:1: : has no column environment"),
    ],
)
def test_a_wrong_column_is_named(header: str, fault: str) -> None:
    assert fault in faults(f"{header}\na,b,c\n" if header else "")


def test_a_near_miss_is_proposed_also_without_its_group() -> None:
    """`messageStatus` is written like that on the vendor's page."""
    _, problems = parse_rows("c.csv", b"environment,messageStatus,acount_id\n", OPTIONS)
    assert [one.hint for one in problems] == ["did you mean webhooks.messageStatus?", "did you mean account_id?"]


def test_of_many_wrong_columns_the_first_are_explained_and_the_others_counted() -> None:
    """The search for a near miss takes too long for each of a hundred thousand."""
    found = faults("environment,wave," + ",".join(f"wav{number}" for number in range(102)) + ",wave\na" + ",1" * 104)
    assert found[:100] == [f"1:{3 + number}: wav{number}: is not a key of a manifest" for number in range(100)]
    assert found[100:] == ["1:103: : 3 more columns can't be used"]


def test_a_hint_at_a_wrong_column_is_looked_for_once_for_each_column_that_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To find the delimiter, it is enough to know which columns are known."""
    asked: list[str] = []

    def count(word: str, known: Iterable[str]) -> str | None:
        asked.append(word)
        return near_miss(word, known)

    monkeypatch.setattr(csv_rows, "near_miss", count)
    faults("environment," + ",".join(f"wav{number}" for number in range(1_000)) + "\na" + ",1" * 1_000)
    assert len(asked) == MAX_PROBLEMS


@pytest.mark.parametrize("text", ["environment,wave\n", "sep=;\nenvironment;wave\n\n;\n"])
def test_a_file_without_a_row_is_an_error(text: str) -> None:
    """Otherwise an export that failed looks like an import that worked."""
    assert faults(text) == [f"{1 + text.startswith('sep')}:1: : has no row below the first one"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("first", ["", "sep={}\n"])
def test_a_header_in_another_language_is_split_and_shown(delimiter: str, first: str) -> None:
    """No column is known, so that the most frequent delimiter counts."""
    text = delimiter.join(["empresa", "conta id", "Organização", "onda"]) + "\n"
    line = 2 if first else 1
    assert faults(first.format(delimiter) + text) == [
        f"{line}:1: empresa: is not a key of a manifest",
        f"{line}:2: conta id: is not a key of a manifest",
        f"{line}:3: Organização: is not a key of a manifest",
        f"{line}:4: onda: is not a key of a manifest",
        f"{line}:1: : has no column environment",
    ]


@pytest.mark.parametrize(
    ("column", "hint"),
    [
        *(("host", "if it is a var, write vars.host; else"), ("empresa", "if it is a var, write vars.empresa; else")),
        *(("onda", "if it is a var, write vars.onda; else"), ("conta id", "did you mean account_id?")),
        *(("Razão social", "known: vars.NAME, "), ("nome da loja", "known: vars.NAME, ")),
        *(("messageStatus", "did you mean webhooks.messageStatus?"), ("base-url", "did you mean api.base_url?")),
        *(("webhook.mesageStatus", "did you mean webhooks.messageStatus?"), ("waves", "did you mean wave?")),
    ],
)
def test_an_unknown_column_is_answered_with_a_key_only_if_it_is_near(column: str, hint: str) -> None:
    """Any other plain word is probably a var."""
    _, (problem,) = parse_rows("c.csv", f"environment,{column}\n".encode(), OPTIONS)
    assert problem.hint.startswith(hint)


def test_a_column_without_a_name_is_reported_if_it_has_a_cell() -> None:
    """The row beside it is counted from the line that names the delimiter."""
    assert faults("sep=;\nenvironment;;\na;;\nb;;x\n") == ["2:3: column 3: has no name"]


def test_a_file_without_a_header_shows_none_of_its_values() -> None:
    """Its first row is data."""
    assert faults(f"loja,{TOKEN},https://h.acme.com.br/?key=5ecret\n") == [
        "1:1: loja: is not a key of a manifest",
        "1:2: column 2: is not a key of a manifest",
        "1:3: column 3: is not a key of a manifest",
        "1:1: : has no column environment",
    ]


def test_every_wrong_row_is_named_at_its_line_and_column() -> None:
    """The faults are types, URLs, names, tokens and repeated values; a value may take two lines."""
    text = (
        "environment,wave,account_id,webhooks.messageStatus,description,api.base_url,token_env,vars.x\n"
        'Loja,x,1,https://h.acme.com.br/,"a\nb",,,\n'
        "b,1,,http://h.acme.com.br/5ecret,,https://evil.example.com,5ecret,{\n"
        ",,2,https://{x}/{y,,,,\n"
        "con,,3,,,,PLUG_TOKENS_X,\n"
        "defaults,,,,,,,\n"
        "ok,,4,https://{host}/x,,,,\n"
        f"c,,4,https://h.acme.com.br/{TOKEN},{TOKEN},,,{JWT}\n"
        "ok,,,,,,,\n"
        "d,,,\n"
        "_defaults,,,,,,,\n"
    )
    assert faults(text) == [
        "2:2: wave: is a text",
        "2:1: environment: is not a valid name of an environment",
        "4:7: token_env: is not a valid name of a variable",
        "4:6: api.base_url: is not a host that a token may be sent to",
        "4:8: vars.x: holds a brace",
        "4:4: webhooks.messageStatus: is not https",
        "5:1: environment: is empty",
        "5:4: webhooks.messageStatus: has a single '{'",
        "6:1: environment: the name of the environment is reserved by Windows for a device",
        "6:7: token_env: must start with PLUG_TOKEN",
        "7:1: environment: would make a file whose name is nearly _defaults.yaml",
        "9:5: description: holds the value of a token variable",
        "9:8: vars.x: holds a token (a JWT)",
        "9:3: account_id: is also in line 8",
        "10:1: environment: is also in line 8",
        "11:1: : has 4 cells, and the first row has 8",
        "12:1: environment: is not a valid name of an environment",
    ]


def test_a_secret_in_the_syntax_of_another_tool_is_named() -> None:
    """The template is not repeated, only the name of the secret."""
    text = "environment,vars.k,webhooks.messageStatus\na,$PLUG_SECRET_A,https://a.acme.com.br/${{ secrets.A }}\n"
    what = "names a secret or a token in the syntax of another tool"
    assert faults(text) == [f"2:2: vars.k: {what}", f"2:3: webhooks.messageStatus: {what}"]


def test_an_encoding_that_is_not_utf_8_is_named() -> None:
    """Spreadsheets in Brazil write Windows-1252 by default."""
    assert faults("environment,description\na,São\n".encode("cp1252")) == ["2:1: : is not UTF-8"]
    assert faults("environment\na\n".encode("utf-16")) == ["0:0: : is UTF-16, as PowerShell's > writes it"]


def test_quotes_that_are_never_closed_are_named() -> None:
    assert faults('environment,description\na,"b\nc,d\n')[0].startswith("2:1: : is not valid CSV: ")


def test_the_company_of_the_flags_is_checked_alike() -> None:
    """The problem has no place, only a key."""
    found, problems = check_company("Loja", "a b", OPTIONS)
    assert (found, [(one.where, one.key) for one in problems]) == ([], [("", "account_id"), ("", "environment")])
    found, problems = check_company("loja", "1", OPTIONS)
    assert (found, problems) == ([Row("loja", Location("", 0, 0), {"account_id": "1"})], [])
