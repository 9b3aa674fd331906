"""The script of `github setup`, run against a fake gh that records its calls."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from reconciler.core.workflow.labels import Label
from reconciler.core.workflow.setup import GitHubSetup, list_environments
from reconciler.core.workflow.steps import JobLayout, TokensFrom
from reconciler.formats.setup_script import LABELS, render_setup_script
from reconciler.run.schedule import KeptIssue
from tests.fakes import make_desired

REPOSITORY = "acme/plug-webhooks"
# Each call is one line: its words, then the text of stdin if there is --input.
GH = """\
#!/bin/bash
IFS=$'\\t'
line="$*"
line="${line//$'\\n'/ }"
for word in "$@"; do
  if [[ "$word" == --input ]]; then line+=$'\\t'"$(tr -d '\\n')"; fi
done
printf '%s\\n' "$line" >> "$CALLS"
if [[ "$line" == *"$REFUSED"* ]]; then echo "gh: Upgrade (HTTP 403)" >&2; exit 1; fi
while IFS=$'\\t' read -r beginning answer; do
  if [[ "$line" == "${beginning// /$'\\t'}"* ]]; then printf '%s\\n' "$answer"; exit; fi
done < "$ANSWERS"
if [[ "$line" == api$'\\t'repos* || "$line" == api$'\\t'--paginate* || "$line" == api$'\\t'users* ]]; then
  echo '{"message": "Not Found"}'
  exit 1
fi
"""
ENVIRONMENT = f"api repos/{REPOSITORY}/environments/"


@dataclass
class Ran:
    code: int
    out: str
    err: str
    calls: list[list[str]]

    def sent(self, method: str, path: str) -> list[Any]:
        """The bodies of these calls; a call without one has its last field."""
        path = f"repos/{REPOSITORY}/{path}"
        found = [call for call in self.calls if method in call and path in call]
        return [json.loads(call[-1]) if "--input" in call else call[-1] for call in found]


def make_setup(**more: Any) -> GitHubSetup:
    fleet = [make_desired("staging"), make_desired("production")]
    given: dict[str, Any] = {
        "repository": REPOSITORY,
        "default_branch": "main",
        "tokens_from": TokensFrom.ENVIRONMENTS,
        "environments": list_environments(fleet, JobLayout()),
        "state": "git:origin/reconciler-state",
        "state_branch": "reconciler-state",
    }
    return GitHubSetup(**(given | more))


def run(tmp_path: Path, setup: GitHubSetup, answers: Sequence[tuple[str, str]] = (), refused: str = "<none>") -> Ran:
    """Run the script as bash reads it from a file.

    `answers`: what the words of a call begin with, and its stdout. A call with the word `refused` fails.
    """
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "gh").write_text(GH)
    (folder / "gh").chmod(0o755)
    calls = tmp_path / "calls"
    calls.write_text("")
    (tmp_path / "answers").write_text("".join(f"{beginning}\t{answer}\n" for beginning, answer in answers))
    (tmp_path / "setup.sh").write_text(render_setup_script(setup, "0.1.0"))
    environ = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "CALLS": str(calls),
        "ANSWERS": str(tmp_path / "answers"),
        "REFUSED": refused,
    }
    bash = shutil.which("bash")
    assert bash is not None
    done = subprocess.run([bash, "setup.sh"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)
    return Ran(done.returncode, done.stdout, done.stderr, [line.split("\t") for line in calls.read_text().splitlines()])


def test_a_new_repository_gets_everything(tmp_path: Path) -> None:
    """The script creates environments for the default branch alone, labels and both rules, and sends no secret."""
    ran = run(tmp_path, make_setup())
    assert (ran.code, ran.err) == (0, "")
    for name in ("staging", "production", "plug-fleet", "plug-drift"):
        assert ran.sent("PUT", f"environments/{name}") == [
            {
                "reviewers": [],
                "deployment_branch_policy": {"protected_branches": False, "custom_branch_policies": True},
            }
        ]
        assert ran.sent("POST", f"environments/{name}/deployment-branch-policies") == ["name=main"]
    assert [call[2] for call in ran.calls if call[:2] == ["label", "create"]] == [label for label, _, _ in LABELS]
    default, state = ran.sent("POST", "rulesets")
    assert default["conditions"]["ref_name"]["include"] == ["refs/heads/main"]
    rules = {rule["type"]: rule.get("parameters") for rule in default["rules"]}
    assert rules["required_status_checks"]["required_status_checks"] == [
        {"context": "Webhooks plan", "integration_id": 15368}
    ]
    assert {"pull_request", "deletion", "non_fast_forward"} <= set(rules)
    assert rules["pull_request"]["required_approving_review_count"] == 1
    assert rules["pull_request"]["require_code_owner_review"] is False
    assert rules["pull_request"]["require_last_push_approval"] is True
    assert state["conditions"]["ref_name"]["include"] == ["refs/heads/reconciler-state"]
    assert [rule["type"] for rule in state["rules"]] == ["deletion", "non_fast_forward"]
    assert ["variable", "set", "PLUG_TOKENS_FROM", "--repo", REPOSITORY, "--body", "environments"] in ran.calls
    assert not [call for call in ran.calls if call[0] == "secret" or "PLUG_APPLY" in call]


def test_an_owner_of_the_files_must_approve_if_there_are_owners() -> None:
    assert '"require_code_owner_review": true' in render_setup_script(make_setup(code_owners=True), "0.1.0")


def test_every_label_of_an_issue_that_the_schedule_keeps_is_made() -> None:
    """GitHub takes a label that doesn't exist, in grey and without a description."""
    assert {kind.label for kind in KeptIssue} | set(Label) == {label for label, _, _ in LABELS}


def test_existing_environments_and_rules_are_not_changed(tmp_path: Path) -> None:
    """A second run does not reset reviewers and rules that the team has changed."""
    answers = [
        (f"{ENVIRONMENT}staging/deployment-branch-policies", "branch main"),
        (f"{ENVIRONMENT}staging", "branches"),
        (f"api --paginate repos/{REPOSITORY}/rulesets", "reconciler: default branch"),
    ]
    ran = run(tmp_path, make_setup(), answers)
    assert ran.code == 0
    assert ran.sent("PUT", "environments/staging") == []
    assert ran.sent("POST", "environments/staging/deployment-branch-policies") == []
    assert len(ran.sent("PUT", "environments/production")) == 1
    assert [one["name"] for one in ran.sent("POST", "rulesets")] == ["reconciler: state"]


def test_an_environment_that_was_made_without_a_branch_policy_gets_it(tmp_path: Path) -> None:
    """GitHub takes no branch for it before. Its other rules are sent again, so that they stay."""
    kept = '{"reviewers": [{"type": "User", "id": 7}], "deployment_branch_policy": {"custom_branch_policies": true}}'
    answers = [(f"{ENVIRONMENT}staging --jq .dep", "open"), (f"{ENVIRONMENT}staging --jq [", kept)]
    ran = run(tmp_path, make_setup(), answers)
    assert (ran.code, ran.err) == (0, "")
    assert ran.sent("PUT", "environments/staging") == [json.loads(kept)]
    assert ran.sent("POST", "environments/staging/deployment-branch-policies") == ["name=main"]


def test_an_environment_of_all_protected_branches_is_left_and_named(tmp_path: Path) -> None:
    """The team chose it; the other environments are made."""
    ran = run(tmp_path, make_setup(), [(f"{ENVIRONMENT}staging", "protected")])
    assert ran.code == 1 and "every protected branch may use staging: allow main alone" in ran.err
    assert ran.sent("PUT", "environments/staging") == [] and ran.sent("PUT", "environments/production")


WAIT = {"id": 1, "type": "wait_timer", "wait_timer": 30}
REVIEW = {
    "type": "required_reviewers",
    "prevent_self_review": True,
    "reviewers": [{"type": "User", "reviewer": {"id": 7, "login": "ana"}}, {"type": "Team", "reviewer": {"id": 9}}],
}


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ([], {"wait_timer": 0, "prevent_self_review": False, "reviewers": [{"type": "User", "id": 3}]}),
        (
            [WAIT, REVIEW],
            {
                "wait_timer": 30,
                "prevent_self_review": True,
                "reviewers": [{"type": "User", "id": 7}, {"type": "Team", "id": 9}],
            },
        ),
    ],
)
def test_the_rules_of_an_open_environment_are_taken_from_what_github_shows(
    tmp_path: Path, rules: list[Any], kept: dict[str, Any]
) -> None:
    """One without any reviewer gets those that were asked for."""
    jq = shutil.which("jq")
    if jq is None:
        pytest.skip("jq, which gh has inside, is not installed")
    answers = [("api users/ana", "3"), (f"{ENVIRONMENT}staging --jq .dep", "open")]
    ran = run(tmp_path, make_setup(reviewers=["ana"]), answers)
    script = (tmp_path / "setup.sh").read_text()
    kinds = [script.partition("policy_kind='")[2].partition("'")[0]]
    found = [
        subprocess.run([jq, "-c", kinds[0]], input=json.dumps(shown), capture_output=True, text=True, check=True).stdout
        for policy in (None, {"protected_branches": True}, {"protected_branches": False})
        for shown in [{"deployment_branch_policy": policy}]
    ]
    assert found == ['"open"\n', '"protected"\n', '"branches"\n']
    (words,) = [call[3] for call in ran.calls if call[1].endswith("/staging") and "wait_timer" in call[3]]
    shown = json.dumps({"name": "staging", "protection_rules": rules, "deployment_branch_policy": None})
    done = subprocess.run([jq, words], input=shown, capture_output=True, text=True, check=True)
    policy = {"protected_branches": False, "custom_branch_policies": True}
    assert json.loads(done.stdout) == kept | {"deployment_branch_policy": policy}


def test_a_policy_for_a_tag_does_not_count_for_the_branch_of_its_name(tmp_path: Path) -> None:
    """The jobs of the branch could not use the environment."""
    answers = [(f"{ENVIRONMENT}staging/deployment-branch-policies", "tag main"), (f"{ENVIRONMENT}staging", "branches")]
    ran = run(tmp_path, make_setup(), answers)
    assert ran.sent("POST", "environments/staging/deployment-branch-policies") == ["name=main"]


def test_reviewers_are_looked_up_by_name(tmp_path: Path) -> None:
    """GitHub's API needs their ids."""
    setup = make_setup(reviewers=["ana", "acme/integrations"])
    answers = [("api users/ana", "7"), ("api orgs/acme/teams/integrations", "11")]
    ran = run(tmp_path, setup, answers)
    assert ran.code == 0
    (body,) = ran.sent("PUT", "environments/production")
    assert body["reviewers"] == [{"type": "User", "id": 7}, {"type": "Team", "id": 11}]


def test_an_environment_is_not_created_without_its_reviewers(tmp_path: Path) -> None:
    """A mistyped reviewer would leave the token unprotected."""
    ran = run(tmp_path, make_setup(reviewers=["anna"]))
    assert ran.code == 1
    assert "FAILED  reviewer anna" in ran.err and "An environment is not created without its reviewers." in ran.err
    assert [call for call in ran.calls if "PUT" in call] == []


def test_the_script_goes_on_after_a_failure(tmp_path: Path) -> None:
    """GitHub answers 403 if the repository's plan has no rules; the environments are created nevertheless."""
    ran = run(tmp_path, make_setup(), refused="rulesets")
    assert ran.code == 1
    assert "FAILED  rule reconciler: state" in ran.err
    assert "done    environment plug-drift" in ran.out and "done    variable PLUG_TOKENS_FROM" in ran.out


def test_no_value_is_run_as_a_command(tmp_path: Path) -> None:
    """Every value is one quoted word of the script."""
    hostile = "$(touch pwned)'; touch pwned; \"`touch pwned`"
    setup = make_setup(repository=hostile, default_branch=hostile, state_branch=hostile, reviewers=[hostile])
    environments = [replace(one, name=hostile) for one in setup.environments]
    run(tmp_path, replace(setup, environments=environments))
    run(tmp_path, replace(setup, environments=environments, reviewers=[]))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "setup",
    [
        make_setup(),
        make_setup(reviewers=["ana"]),
        make_setup(
            tokens_from=TokensFrom.SECRET,
            environments=list_environments([make_desired("staging")], JobLayout(TokensFrom.SECRET)),
            state="s3://acme/state",
            state_branch=None,
        ),
    ],
    ids=["environments", "reviewers", "one secret"],
)
def test_the_script_passes_shellcheck(tmp_path: Path, setup: GitHubSetup) -> None:
    script = tmp_path / "setup.sh"
    script.write_text(render_setup_script(setup, "0.1.0"))
    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, "--severity=style", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_environments_of_manifests_are_created_if_one_secret_has_all_tokens(tmp_path: Path) -> None:
    """A fleet may have more environments than a repository on GitHub can have."""
    environments = list_environments([make_desired("staging")], JobLayout(TokensFrom.SECRET))
    setup = make_setup(tokens_from=TokensFrom.SECRET, environments=environments, state="s3://a/b", state_branch=None)
    text = render_setup_script(setup, "0.1.0")
    assert "for name in plug-fleet plug-drift; do" in text
    assert f"# gh secret set PLUG_TOKENS --repo {REPOSITORY} --env plug-fleet < tokens.yaml\n" in text
    assert "keep_variable PLUG_EXTRAS objects" in text and "gh variable set PLUG_AWS_ROLE" in text
    assert "# The state is s3://a/b, not a branch here" in text and "'reconciler: state'" not in text
    assert "Only runners of your own" not in text
    assert "\n# Only runners of your own that share this folder can use it" in render_setup_script(
        make_setup(state="/srv/plug/state", state_branch=None), "1.0.0"
    )
