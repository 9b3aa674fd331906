"""Groups of findings, and the details that a group still shows (docs/contract.md#drift)."""

from __future__ import annotations

from msgspec.structs import replace

from reconciler.core.finding_groups import FindingGroup, group_findings
from reconciler.model import Event, Finding, FindingKind

RECEIVE, STATUS = Event.RECEIVE_MESSAGE, Event.MESSAGE_STATUS
NAMES = [f"loja-{number}" for number in range(8)]


def unapplied(name: str, event: Event = RECEIVE, host: str = "a.com") -> Finding:
    expected, actual = (f"https://{host}/{name}/{version}" for version in (2, 1))
    return Finding(name, FindingKind.UNAPPLIED, event, expected, actual, "it differs")


def test_findings_of_environments_that_differ_in_their_name_alone_are_one_group() -> None:
    """All events of one environment stay together, in the order given."""
    findings = [unapplied(name, event) for name in NAMES for event in (STATUS, RECEIVE)]
    (group,) = group_findings(reversed(findings), {})
    assert group.environments == tuple(NAMES)
    assert [(one.event, one.expected) for one in group.findings] == [
        (RECEIVE, "https://a.com/{environment}/2"),
        (STATUS, "https://a.com/{environment}/2"),
    ]
    assert (group.size, group.message) == (16, "it differs")


def test_five_are_shown_one_by_one_and_another_kind_or_event_is_not_in_the_group() -> None:
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
    """Every host is listed, with its environments unless most have it."""
    hosts = ["x.com"] * 6 + ["y.com:8443", "z.com"]
    findings = [unapplied(name, host=host) for name, host in zip(NAMES, hosts, strict=True)]
    variables = {name: {"host": host} for name, host in zip(NAMES, hosts, strict=True)}
    (group,) = group_findings(findings, variables)
    assert group.findings[0].expected == "https://{host}/{environment}/2"
    assert [(use.host, len(use.environments), use.is_usual) for use in group.expected_hosts] == [
        ("x.com", 6, True),
        ("y.com:8443", 1, False),
        ("z.com", 1, False),
    ]
    assert group.actual_hosts == group.expected_hosts


def test_hosts_of_actual_are_listed_separately_if_they_differ() -> None:
    """One environment has another applied host; the hosts of endpoints are listed too."""
    findings = [replace(unapplied(name, host=f"{name}.com"), actual="https://old.com/") for name in NAMES]
    findings += [
        Finding(name, FindingKind.ENDPOINT, None, "https://www.plug.com/u", "https://app.plug.com/u", "moved")
        for name in NAMES
    ]
    variables = {name: {"x": "www", "y": name} for name in NAMES}
    unapplied_group, endpoint = group_findings(findings, variables)
    assert [use.host for use in unapplied_group.expected_hosts] == [f"{name}.com" for name in NAMES]
    assert [(use.host, len(use.environments)) for use in unapplied_group.actual_hosts] == [("old.com", 8)]
    assert (endpoint.findings[0].expected, endpoint.actual_hosts[0].host) == ("https://www.plug.com/u", "app.plug.com")


def test_vars_are_not_marked_in_observed_urls_and_messages() -> None:
    """These texts are not made from a template, so an equal value of a var is a coincidence."""
    findings = [
        Finding(name, FindingKind.LIVE, STATUS, f"https://a.com/v{at}", f"https://v{at}.io/", "v0 differs")
        for at, name in enumerate(NAMES)
    ]
    variables = {name: {"tag": f"v{at}"} for at, name in enumerate(NAMES)}
    assert len(group_findings(findings, variables)) == 8
    same = [replace(finding, actual="https://v0.io/") for finding in findings]
    (group,) = group_findings(same, variables)
    assert (group.findings[0].expected, group.findings[0].actual) == ("https://a.com/{tag}", "https://v0.io/")
    assert group.message == "v0 differs"


def test_findings_with_other_secrets_are_not_alike() -> None:
    secrets = ["PLUG_SECRET_RECEIVE"] * 7 + ["PLUG_SECRET_PAYMENTS"]
    findings = [
        replace(unapplied(name), expected=f"https://a.com/?k={{secret:{secret}}}")
        for name, secret in zip(NAMES, secrets, strict=True)
    ]
    findings = [replace(finding, actual="https://a.com/") for finding in findings]
    variables = {name: {"key": secret} for name, secret in zip(NAMES, secrets, strict=True)}
    assert sorted(len(group.environments) for group in group_findings(findings, variables)) == [1, 7]


def test_different_instants_and_accounts_do_not_split_a_group() -> None:
    """Instants are shown as a range, accounts as a number."""
    findings = []
    for day, name in enumerate(NAMES, start=1):
        ends = f"2026-12-0{day}T00:00:00Z"
        findings.append(Finding(name, FindingKind.TOKEN_EXPIRY, None, None, ends, f"{name}: the token ends at {ends}"))
        findings.append(Finding(name, FindingKind.ACCOUNT, None, None, f"org:{name}", "another account"))
    account, expiry = group_findings(findings, {})
    assert account.findings[0].actual == "8 accounts"
    assert expiry.findings[0].actual == "2026-12-01T00:00:00Z to 2026-12-08T00:00:00Z"
    assert expiry.message == "{environment}: the token ends at 2026-12-01T00:00:00Z to 2026-12-08T00:00:00Z"


def test_nothing_registered_and_an_empty_url_are_not_alike() -> None:
    """Null and an empty text are different."""
    findings = [
        Finding(name, FindingKind.LIVE, STATUS, "https://a.com/", None if at % 2 else "", "m")
        for at, name in enumerate([*NAMES, *(f"outra-{number}" for number in range(6))])
    ]
    groups: list[FindingGroup] = group_findings(findings, {})
    assert sorted((len(group.environments), group.findings[0].actual is None) for group in groups) == [
        (7, False),
        (7, True),
    ]
