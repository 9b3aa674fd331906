"""Which findings are read once, and what their group still says of each (CONTRACT §8)."""

from __future__ import annotations

from reconciler.core.finding_groups import FindingGroup, group_findings
from reconciler.model import Event, Finding, FindingKind

RECEIVE, STATUS = Event.RECEIVE_MESSAGE, Event.MESSAGE_STATUS
NAMES = [f"loja-{number}" for number in range(8)]


def unapplied(name: str, event: Event = RECEIVE, host: str = "a.com") -> Finding:
    expected, actual = (f"https://{host}/{name}/{version}" for version in (2, 1))
    return Finding(name, FindingKind.UNAPPLIED, event, expected, actual, "it differs")


def test_environments_that_differ_in_their_name_alone_are_one_group() -> None:
    """All events of one environment stand together, in the order given."""
    findings = [unapplied(name, event) for name in NAMES for event in (STATUS, RECEIVE)]
    (group,) = group_findings(reversed(findings), {})
    assert group.environments == tuple(NAMES)
    assert [(one.event, one.expected) for one in group.findings] == [
        (RECEIVE, "https://a.com/{environment}/2"),
        (STATUS, "https://a.com/{environment}/2"),
    ]
    assert (group.size, group.message, group.hosts) == (16, "it differs", ())


def test_five_are_shown_one_by_one_and_another_kind_or_event_is_no_part_of_a_group() -> None:
    assert len(group_findings([unapplied(name) for name in NAMES[:5]], {})) == 5
    orphan = Finding("a", FindingKind.ORPHAN, None, None, None, "")
    others = [*(unapplied(name) for name in NAMES), unapplied("z", STATUS), orphan]
    groups = group_findings(others, {})
    assert [(group.kind, len(group.environments)) for group in groups] == [
        (FindingKind.UNAPPLIED, 8),
        (FindingKind.UNAPPLIED, 1),
        (FindingKind.ORPHAN, 1),
    ]


def test_a_group_hides_no_host() -> None:
    """A host that is filled in is listed with its environments; one that all share is in the URL itself."""
    hosts = ["x.com"] * 6 + ["y.com:8443", "z.com"]
    findings = [unapplied(name, host=host) for name, host in zip(NAMES, hosts, strict=True)]
    variables = {name: {"host": host} for name, host in zip(NAMES, hosts, strict=True)}
    (group,) = group_findings(findings, variables)
    assert group.findings[0].expected == "https://{host}/{environment}/2"
    assert group.hosts == (("x.com", 6), ("y.com:8443", 1), ("z.com", 1))


def test_instants_and_accounts_of_each_environment_do_not_keep_it_alone() -> None:
    """They are shown as a range and as a number."""
    findings = []
    for day, name in enumerate(NAMES, start=1):
        ends = f"2026-12-0{day}T00:00:00Z"
        findings.append(Finding(name, FindingKind.TOKEN_EXPIRY, None, None, ends, f"{name}: the token ends at {ends}"))
        findings.append(Finding(name, FindingKind.ACCOUNT, None, None, f"org:{name}", "another account"))
    account, expiry = group_findings(findings, {})
    assert account.findings[0].actual == "8 accounts"
    assert expiry.findings[0].actual == "2026-12-01T00:00:00Z to 2026-12-08T00:00:00Z"
    assert expiry.message == "{environment}: the token ends at 2026-12-01T00:00:00Z to 2026-12-08T00:00:00Z"


def test_nothing_registered_is_not_alike_with_something() -> None:
    """Null and an empty text are two things."""
    findings = [
        Finding(name, FindingKind.LIVE, STATUS, "https://a.com/", None if at % 2 else "", "m")
        for at, name in enumerate([*NAMES, *(f"outra-{number}" for number in range(6))])
    ]
    groups: list[FindingGroup] = group_findings(findings, {})
    assert sorted((len(group.environments), group.findings[0].actual is None) for group in groups) == [
        (7, False),
        (7, True),
    ]
