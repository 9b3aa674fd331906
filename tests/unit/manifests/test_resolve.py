"""The fast path for seven webhooks gives the same result as checking them one by one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.policy import Policy
from reconciler.manifests.merged import Entry, TreeOptions, Value, Vars
from reconciler.manifests.quoting import SourceLines
from reconciler.manifests.resolve import Resolver, _PlainWebhooks
from reconciler.model import EVENTS, AuthScheme, Desired, Location, Problem

OPTIONS = TreeOptions("https://www.plugchat.com.br", AuthScheme.RAW, ("www.plugchat.com.br",))
PIECES = st.sampled_from(
    [
        *("https://", "http://", "{host}", "{environment}", "{more}", "{secret:PLUG_SECRET_A}", "{secret:OTHER}"),
        *("hooks.example.com.br", "localhost", "10.0.0.1", "a.b", "/", "?", "#", ":8443", ":0", "@", "{{", "}}", "{"),
        *(" ", "\n", "\r", "\\", "é", "%20", "x" * 700, "", "path"),
    ]
)
USUAL = st.sampled_from(
    [
        "https://{host}/plug/{environment}/{more}?key={secret:PLUG_SECRET_A}",
        "https://hooks.example.com.br/{{literal}}/{environment}",
        "https://hooks.example.com.br/{more}/x",
    ]
)
TEXTS = st.one_of(
    USUAL,
    st.lists(PIECES, max_size=6).map("".join),
    st.lists(PIECES, max_size=4).map(lambda pieces: "https://hooks.example.com.br/" + "".join(pieces)),
)
# the fast path is taken only if all seven are valid
SEVEN = st.one_of(*(st.lists(texts, min_size=len(EVENTS), max_size=len(EVENTS)) for texts in (USUAL, TEXTS)))
VARS = st.sampled_from(
    [
        "hooks.example.com.br",
        "HOOKS.Example.com",
        "10.0.0.1",
        "hooks.example.com.br/",
        "a\nb",
        "",
        "x/y",
        "x/",
        "/x",
        "//",
        "é",
        "{",
        None,
    ]
)
POLICIES = st.sampled_from(
    [Policy(), Policy(denied=("*.example.com.br",)), Policy(allowed=(("hooks.example.com.br",),))]
)


class OneByOne(Resolver):
    """A resolver without the fast path."""

    def _find_plain(self, values: tuple[Value | None, ...], file: str) -> _PlainWebhooks | None:
        return None


def resolve(
    resolver: Resolver, entries: list[Entry]
) -> tuple[list[Desired | None], list[Problem], list[Problem], set[tuple[frozenset[str], str]]]:
    """Return the resolved environments, the errors, the warnings, and the used names."""
    resolved = [resolver.resolve(entry) for entry in entries]
    return resolved, list(resolver.problems(())), list(resolver.warnings()), _flat(resolver.used)


def _flat(used: set[tuple[frozenset[str], str]]) -> set[tuple[frozenset[str], str]]:
    """Return the used names one by one, as the fast path notes those of all seven URLs together."""
    return {(frozenset((name,)), file) for names, file in used for name in names}


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Draw three environments, which share webhooks or have their own."""
    shared = {
        f"webhooks.{event}": Value(text, "manifests/_defaults.yaml", at, 3)
        for at, (event, text) in enumerate(zip(EVENTS, draw(SEVEN), strict=True), 1)
    }
    made = []
    for number in range(3):
        file = f"manifests/e{number}.yaml"
        named = {
            name: Value(draw(VARS), file, 1, at)
            for at, name in enumerate(sorted(draw(st.sets(st.sampled_from(["host", "more"])))), 1)
        }
        values = {}
        if draw(st.booleans()):
            values[f"webhooks.{draw(st.sampled_from(EVENTS))}"] = Value(draw(TEXTS | st.none()), file, 2, 2)
        place = Location(file, 1, 1)
        merged = {**shared, **values}
        broken, own = draw(st.booleans()), draw(st.booleans())
        variables = Vars(named, {}) if own else Vars({}, named)
        made.append(Entry(f"e{number}", False, merged, draw(POLICIES), broken, place, place, frozenset(), variables))
    return made


@given(entries())
def test_all_at_once_finds_what_one_by_one_finds(made: list[Entry]) -> None:
    """Environments, errors, warnings and places are equal."""
    assert "_find_plain" in vars(Resolver)  # else both would take the fast path
    found = resolve(Resolver(OPTIONS, SourceLines()), made)
    assert found == resolve(OneByOne(OPTIONS, SourceLines()), made)
    for entry, desired in zip(made, found[0], strict=True):
        if desired is not None:
            assert desired.sources == {event: entry.values[f"webhooks.{event}"].source for event in EVENTS}


@pytest.mark.parametrize("kind", [Resolver, OneByOne])
@pytest.mark.parametrize("host", ["hooks.acme.com.br", "hooks.EXAMPLE.com", "hooks.example.com:8443"])
def test_a_reserved_host_of_any_webhook_is_noticed(kind: type[Resolver], host: str) -> None:
    """Only then are the reserved hosts of the whole fleet listed."""
    place = Location("manifests/e.yaml", 1, 1)
    values = {f"webhooks.{event}": Value("https://h.acme.com.br/{environment}", *place) for event in EVENTS}
    values[f"webhooks.{EVENTS[-1]}"] = Value(f"https://{host}/x", *place)
    resolver = kind(OPTIONS, SourceLines())
    assert resolver.resolve(Entry("e", False, values, Policy(), False, place, place, frozenset())) is not None
    assert resolver.has_reserved == (host != "hooks.acme.com.br")


@pytest.mark.parametrize("most", [1, 2])
def test_the_cache_of_webhooks_is_bounded(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """A fleet in which everything differs needs no more memory, and has the same result."""
    defaults, place = "manifests/_defaults.yaml", Location("manifests/e.yaml", 1, 1)
    made = [
        Entry(
            f"e{number}",
            False,
            {f"webhooks.{event}": Value(f"https://h{number}.acme.com.br/{event}", defaults, 2, 3) for event in EVENTS},
            Policy(),
            False,
            place,
            place,
            frozenset(),
        )
        for number in range(5)
    ]
    expected = resolve(OneByOne(OPTIONS, SourceLines()), made)
    monkeypatch.setattr("reconciler.manifests.resolve.MAX_PLAIN_KEPT", most)
    resolver = Resolver(OPTIONS, SourceLines())
    assert resolve(resolver, made) == expected
    assert len(resolver._plain) <= most
