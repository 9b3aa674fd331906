"""The script of `github setup`: calls of `gh` that set up a repository (docs/github.md).

Every value is quoted. The script creates what is missing and does not change what exists. It names secrets but never
has their values.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from shlex import quote
from typing import Any

from reconciler.core.where import find_scheme, is_shared
from reconciler.core.workflow.labels import Label
from reconciler.core.workflow.names import ACTIONS_APP, FLEET_ENVIRONMENT, REQUIRED_CHECK, SECRETS_SECRET, TOKENS_SECRET
from reconciler.core.workflow.setup import GitHubEnvironment, GitHubSetup
from reconciler.core.workflow.steps import TokensFrom
from reconciler.text.escape import for_terminal

LABELS = (
    (Label.LARGE_CHANGE.value, "d93f0b", "On a merged pull request: lets its apply pass max_changed"),
    (Label.FIRST_APPLY.value, "d93f0b", "On a merged pull request: nothing was ever applied to this state"),
    ("reconciler-drift", "fbca04", "Manifests, state and Plug differ"),
    ("reconciler-waiting", "fbca04", "An apply waits for its reviewers, and holds the others back"),
    ("reconciler-failed", "b60205", "An apply on the default branch failed"),
)
_WIDTH = 70  # of the lines with names
_BUCKET_VARIABLES = {
    "s3": ("PLUG_AWS_ROLE", "PLUG_AWS_REGION"),
    "gs": ("PLUG_GOOGLE_PROVIDER", "PLUG_GOOGLE_ACCOUNT"),
    "az": ("PLUG_AZURE_CLIENT", "PLUG_AZURE_TENANT", "PLUG_AZURE_SUBSCRIPTION"),
}
_HEAD = """\
#!/usr/bin/env bash
# shellcheck disable=SC2329 # `attempt` calls the functions
#
# Sets up a repository on GitHub for Reconciler {version}, which printed this
# (reconciler github setup).
#
# Read it, then run it with bash. It needs gh, logged in as an administrator of
# the repository (gh auth login). It creates what is missing and leaves what
# exists, so it can be run again. `reconciler doctor --github` checks the result.
set -uo pipefail

repository={repository}
branch={branch} # the default branch
failed=0

attempt() {{ # WHAT COMMAND...
  local what="$1"
  shift
  if "$@"; then
    echo "done    $what"
  else
    echo "FAILED  $what" >&2
    failed=1
  fi
}}
"""
_ENVIRONMENTS = """
# --- GitHub Environments: which job may use which token ----------------------
#
# Only runs of the default branch may use their secrets. Without this policy, a
# workflow on any branch could.
#
# GitHub's plans. Public repository: all of this. Private repository: with Pro
# and Team environments, secrets and this policy, but no reviewers; with
# Enterprise all of it; with Free no environments, so no safe place for a token.

# Who must approve a job before it gets its token. One of them is enough.
"""
_REVIEWER_EXAMPLE = """\
# reviewers='{"type": "User", "id": 1}, {"type": "Team", "id": 2}'
# (`reconciler github setup --reviewer USER --reviewer ORG/TEAM` looks the ids up)
"""
_ADD_REVIEWER = """
add_reviewer() { # TYPE PATH
  local id one
  id="$(gh api "$2" --jq .id)"
  [[ "$id" =~ ^[0-9]+$ ]] || return
  printf -v one '{"type": "%s", "id": %s}' "$1" "$id"
  reviewers="${reviewers:+$reviewers, }$one"
}

"""
_NOT_WITHOUT_REVIEWERS = """\
if ((failed)); then
  echo "An environment is not created without its reviewers." >&2
  exit 1
fi
"""
_KEEP_ENVIRONMENT = """
policy_kind='.deployment_branch_policy | if . == null then "open"
  elif .protected_branches then "protected" else "branches" end'

# What an environment has, with the branch policy: one that was made without it
# (by hand, or by GitHub at a run) is open to every branch. It keeps its rules.
with_policy='[.protection_rules[]?] | {
  wait_timer: (map(.wait_timer // 0) | add // 0),
  prevent_self_review: any(.[]; .prevent_self_review == true),
  reviewers: [.[].reviewers[]? | {type, id: .reviewer.id}],
  deployment_branch_policy:
    {protected_branches: false, custom_branch_policies: true}
} | if .reviewers == [] then .reviewers = ['"$reviewers"'] else . end'

# A policy for tags may have the name of the branch.
policy_names='.branch_policies[] | "\\(.type // "branch") \\(.name)"'

keep_environment() { # NAME; one that exists keeps its reviewers
  local path="repos/$repository/environments/$1" policies body
  body='{"reviewers": ['"$reviewers"'], "deployment_branch_policy":
    {"protected_branches": false, "custom_branch_policies": true}}'
  case "$(gh api "$path" --jq "$policy_kind" 2> /dev/null)" in
    branches) body='' ;;
    protected)
      echo "every protected branch may use $1: allow $branch alone in its settings" >&2
      return 1
      ;;
    open) body="$(gh api "$path" --jq "$with_policy")" || return ;;
  esac
  if [[ -n "$body" ]]; then
    gh api --silent --method PUT "$path" --input - <<< "$body" || return
  fi
  path="$path/deployment-branch-policies"
  policies="$(gh api "$path" --jq "$policy_names" 2> /dev/null)"
  grep -qxF -- "branch $branch" <<< "$policies" ||
    gh api --silent --method POST "$path" --raw-field "name=$branch"
}

"""
_LABELS = """
# --- Labels ------------------------------------------------------------------

keep_label() { # NAME COLOUR DESCRIPTION
  gh label create "$1" --repo "$repository" --force --color "$2" \\
    --description "$3"
}

"""
_RULES = """
# --- Rules of the branches ---------------------------------------------------
#
# GitHub's plans: public repositories, and private ones with Pro, Team or
# Enterprise.

keep_ruleset() { # NAME, and the ruleset as JSON on stdin
  local path="repos/$repository/rulesets" names
  names="$(gh api --paginate "$path" --jq '.[].name' 2> /dev/null)"
  grep -qxF -- "$1" <<< "$names" ||
    gh api --silent --method POST "$path" --input -
}

# The default branch: only pull requests that were reviewed and whose plan is
# right. If there is no second person who can review, write 0 approvals and
# "require_last_push_approval": false. If CODEOWNERS names owners, an owner of
# the changed files must approve.
"""
_STATE_RULE = """
# The branch of the state can't be deleted or rewound, as it is the memory of
# what was applied. It needn't exist yet.
"""
_WHO_MAY_PUSH = """
# Who may push there: in an organization no rule can name the token of the
# workflows, so everybody who may write to the repository may push. To let one
# app alone push: give the workflows a token of that app, add {"type": "update"}
# to the rules above, and "bypass_actors": [{"actor_id": APP_ID,
# "actor_type": "Integration", "bypass_mode": "always"}].
# A rule that requires signed commits must leave this branch out: the commits of
# the workflows are not signed.
"""
_VARIABLES = """
# --- Variables of the repository ---------------------------------------------

keep_variable() { # NAME VALUE
  gh variable set "$1" --repo "$repository" --body "$2"
}

"""
_SECRETS = """
# --- Secrets: type these yourself, each asks for its value -------------------
#
"""
_TAIL = """
if ((failed)); then
  echo "Something failed: see above. Correct it, then run this again." >&2
else
  echo "Done. Next: the secrets (the end of this script), then PLUG_APPLY."
fi
exit "$failed"
"""


def render_setup_script(setup: GitHubSetup, version: str) -> str:
    """Return the script, for bash."""
    head = _HEAD.format(version=version, repository=quote(setup.repository), branch=quote(setup.default_branch))
    parts = [head, *_environments(setup), *_labels(), *_rules(setup), *_variables(setup), *_secrets(setup), _TAIL]
    return "".join(parts)


def _environments(setup: GitHubSetup) -> Iterator[str]:
    yield _ENVIRONMENTS
    yield "reviewers=''\n"
    if setup.reviewers:
        yield _ADD_REVIEWER
        for reviewer in setup.reviewers:
            yield _call(f"reviewer {reviewer}", "add_reviewer", *_find_reviewer(reviewer))
        yield _NOT_WITHOUT_REVIEWERS
    else:
        yield _REVIEWER_EXAMPLE
    yield _KEEP_ENVIRONMENT
    names = [quote(one.name) for one in setup.environments]
    yield f"for name in {_break_lines(names)}; do\n"
    yield '  attempt "environment $name" keep_environment "$name"\ndone\n'


def _find_reviewer(reviewer: str) -> tuple[str, str]:
    """Return the type of a reviewer, and the API path from which its id is read."""
    organization, slash, team = reviewer.partition("/")
    return ("Team", f"orgs/{organization}/teams/{team}") if slash else ("User", f"users/{reviewer}")


def _labels() -> Iterator[str]:
    yield _LABELS
    for label, colour, description in LABELS:
        yield _call(f"label {label}", "keep_label", label, colour, description)


def _rules(setup: GitHubSetup) -> Iterator[str]:
    yield _RULES
    rules = _default_branch_rules(code_owners=setup.code_owners)
    yield _ruleset("reconciler: default branch", setup.default_branch, rules)
    if setup.state_branch is None:
        yield f"\n# The state is {for_terminal(setup.state)}, not a branch here: protect it where it is.\n"
        if not is_shared(setup.state):
            yield "# Only runners of your own that share this folder can use it, not GitHub's.\n"
        return
    yield _STATE_RULE
    yield _ruleset("reconciler: state", setup.state_branch, [{"type": "deletion"}, {"type": "non_fast_forward"}])
    yield _WHO_MAY_PUSH


def _default_branch_rules(*, code_owners: bool) -> Sequence[dict[str, Any]]:
    reviews = {
        "required_approving_review_count": 1,
        "dismiss_stale_reviews_on_push": True,
        "require_code_owner_review": code_owners,
        "require_last_push_approval": True,
        "required_review_thread_resolution": False,
    }
    checks = {
        "strict_required_status_checks_policy": False,
        "required_status_checks": [{"context": REQUIRED_CHECK, "integration_id": ACTIONS_APP}],
    }
    return (
        {"type": "deletion"},
        {"type": "non_fast_forward"},
        {"type": "pull_request", "parameters": reviews},
        {"type": "required_status_checks", "parameters": checks},
    )


def _ruleset(name: str, branch: str, rules: Sequence[dict[str, Any]]) -> str:
    ruleset = {
        "name": name,
        "target": "branch",
        "enforcement": "active",
        "conditions": {"ref_name": {"include": [f"refs/heads/{branch}"], "exclude": []}},
        "rules": list(rules),
    }
    text = json.dumps(ruleset, indent=2)
    return f"attempt {quote(f'rule {name}')} keep_ruleset {quote(name)} << 'JSON'\n{text}\nJSON\n"


def _variables(setup: GitHubSetup) -> Iterator[str]:
    yield _VARIABLES
    yield _call("variable PLUG_TOKENS_FROM", "keep_variable", "PLUG_TOKENS_FROM", setup.tokens_from.value)
    scheme = find_scheme(setup.state)
    if scheme in _BUCKET_VARIABLES:
        yield _call("variable PLUG_EXTRAS", "keep_variable", "PLUG_EXTRAS", "objects")
    yield "# Optional:\n"
    for name in _BUCKET_VARIABLES.get(scheme, ()):
        yield _comment(setup, name, "VALUE", "how the workflows log in to the state's bucket")
    for name, value, meaning in _OPTIONAL_VARIABLES:
        yield _comment(setup, name, value, meaning)
    yield "# The switch: set it last. Until then nothing is applied:\n"
    yield _comment(setup, "PLUG_APPLY", "true", "")


_OPTIONAL_VARIABLES = (
    ("PLUG_STRICT", "true", "apply only what a merged pull request wanted"),
    ("PLUG_CHECK", "true", "a pull request's plan also checks new receivers"),
    ("PLUG_OBSERVE", "true", "drift reads what Plug holds; needs PLUG_PARTNER_TOKEN"),
    ("PLUG_SELF_HEAL", "true", "drift starts an apply that sends everything again"),
    ("PLUG_MAX_PARALLEL", "4", "jobs of a wave at a time"),
)


def _comment(setup: GitHubSetup, name: str, value: str, meaning: str) -> str:
    line = f"# gh variable set {name} --repo {quote(setup.repository)} --body {value}"
    return f"{line}  # {meaning}\n" if meaning else f"{line}\n"


def _secrets(setup: GitHubSetup) -> Iterator[str]:
    yield _SECRETS
    for one in setup.environments:
        if one.name == FLEET_ENVIRONMENT and setup.tokens_from is not TokensFrom.SECRET:
            continue
        for name in one.secrets:
            given = " < tokens.yaml" if name.startswith(TOKENS_SECRET) else ""
            yield f"# gh secret set {name} --repo {quote(setup.repository)} --env {quote(one.name)}{given}\n"
        if one.optional:
            yield f"# Optional: {_describe_optional(one)}:\n"
        for name in one.optional:
            yield f"# gh secret set {name} --repo {quote(setup.repository)} --env {quote(one.name)}\n"
    if setup.tokens_from is TokensFrom.SECRET:
        yield "# PLUG_TOKENS is YAML or JSON, a line `environment: token` for each.\n"
        yield "# More than 48 KB of tokens: `reconciler github tokens --split` makes several secrets of them.\n"


def _describe_optional(environment: GitHubEnvironment) -> str:
    """Return what the optional secrets of a GitHub Environment are for."""
    if environment.name == FLEET_ENVIRONMENT:
        return f"{SECRETS_SECRET} has the values of all {{secret:NAME}}, or each has its own secret"
    return "for drift with PLUG_OBSERVE, to read accounts and to compare URLs"


def _call(what: str, *command: str) -> str:
    return f"attempt {' '.join(map(quote, (what, *command)))}\n"


def _break_lines(words: Iterable[str]) -> str:
    """Return the words in lines of about the same width, joined as one command."""
    lines, line = [], ""
    for word in words:
        if line and len(line) + len(word) + 1 > _WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    return " \\\n  ".join([*lines, line])
