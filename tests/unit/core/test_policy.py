"""The policy and reserved hosts."""

from __future__ import annotations

import pytest

from reconciler.core.policy import Policy, find_pattern_fault, find_violation, is_reserved_host


@pytest.mark.parametrize(
    ("host", "allowed"),
    [("a.acme.com.br", True), ("A.B.ACME.com.br", True), ("acme.com.br", False), ("xacme.com.br", False)],
)
def test_a_star_matches_every_name_below_and_not_the_name_itself(host: str, *, allowed: bool) -> None:
    """The depth and the case do not matter."""
    assert (find_violation(Policy(allowed=(("*.acme.com.br",),)), host) is None) is allowed


def test_denied_takes_precedence_over_allowed() -> None:
    """A host in both lists is refused."""
    assert find_violation(Policy(allowed=(("a.b",),), denied=("a.b",)), "a.b") is not None


def test_a_host_must_be_in_each_allowed_list() -> None:
    """The list of a subfolder can only narrow."""
    policy = Policy(allowed=(("*.com",),)).narrowed(("*.acme.com", "x.org"), ())
    assert find_violation(policy, "a.acme.com") is None
    assert find_violation(policy, "x.com") is not None
    assert find_violation(policy, "x.org") is not None


def test_an_empty_allowed_list_allows_nothing_and_none_allows_all() -> None:
    """A list that is absent does not restrict anything."""
    assert find_violation(Policy(), "a.b") is None
    assert find_violation(Policy().narrowed(None, ()), "a.b") is None
    assert find_violation(Policy().narrowed((), ()), "a.b") is not None


@pytest.mark.parametrize(
    ("count", "hint"),
    [
        (0, "allowed here: none"),
        (5, "allowed here: a0.b, a1.b, a2.b, a3.b, a4.b"),
        (6, "allowed here: a0.b, a1.b, a2.b, a3.b, a4.b and 1 more"),
    ],
)
def test_up_to_five_allowed_hosts_are_named(count: int, hint: str) -> None:
    violation = find_violation(Policy(allowed=(tuple(f"a{at}.b" for at in range(count)),)), "x.b")
    assert violation is not None and violation.hint is not None and violation.hint.endswith(hint)


@pytest.mark.parametrize(
    "pattern", ["", "*", "*.", "a.*.b", "**.b", "https://a.b", "a.b/", "a b", "a.b:443", ".a", "a."]
)
def test_a_text_that_is_not_a_host_is_not_a_pattern(pattern: str) -> None:
    """A pattern that can't match any host would give false safety."""
    assert find_pattern_fault(pattern) is not None


@pytest.mark.parametrize("pattern", ["a.b", "*.a.b", "*.br", "my_host.a", "8.8.8.8"])
def test_a_host_with_or_without_a_star_in_front_is_a_pattern(pattern: str) -> None:
    """Names and addresses are both valid."""
    assert find_pattern_fault(pattern) is None


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "a.EXAMPLE.net",
        "example.org",
        "a.example",
        "x.invalid",
        "x.test",
        "x.local",
        "x.internal",
        "x.onion",
        "home.arpa",
        "a.home.arpa",
    ],
)
def test_names_for_documentation_and_local_use_are_reserved(host: str) -> None:
    """The names are those of docs/manifests.md#policy, and all below them."""
    assert is_reserved_host(host)


@pytest.mark.parametrize("host", ["example.com.br", "myexample.com", "test.com", "local.acme.com", "arpa"])
def test_names_that_only_look_alike_are_not_reserved(host: str) -> None:
    """Only whole labels are compared."""
    assert not is_reserved_host(host)


def test_denied_lists_add_up() -> None:
    """The list of a file is added to that of the settings; an absent list changes nothing."""
    policy = Policy(denied=("a.com",)).narrowed(None, ("b.com",)).narrowed(("*.c.com",), ())
    assert policy == Policy(allowed=(("*.c.com",),), denied=("a.com", "b.com"))
