"""The first job of an apply run. It decides over the whole fleet, and gives each later job its part."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from reconciler.cli.exitcode import ExitCode
from reconciler.cli.options import SUMMARY_CHARS, Form
from reconciler.cli.output import say
from reconciler.cli.step import Step
from reconciler.core.planner import Planned
from reconciler.core.workflow.inputs import parse_inputs
from reconciler.core.workflow.labels import Label
from reconciler.core.workflow.steps import MAX_PLANNED_CHARS, Steps, encode_jobs, parse_layout
from reconciler.errors import InputError
from reconciler.formats.runner import encode_value
from reconciler.model import Problem
from reconciler.run.begin import BeginDecision, Beginning, BeginRequest, Lift
from reconciler.text.escape import for_terminal


def begin(step: Step) -> int:
    """Decide what is sent and in which jobs. Raises InputError with all reasons to refuse the run."""
    request = _make_request(step)
    step.output("commit", request.commit)
    step.session.refuse_linked_settings()
    step.session.refuse_linked_manifests()
    begun = _decide(step, request)
    _output_lifts(step, begun)
    if begun.problems:
        _show_plan(step, begun.planned)
        raise InputError(problems=begun.problems)
    _show(step, begun, request.commit)
    _output_planned(step, begun)
    _output_steps(step, begun.steps)
    return ExitCode.DONE


def _make_request(step: Step) -> BeginRequest:
    inputs = parse_inputs(step.run.event.get("inputs"))
    return BeginRequest(
        layout=parse_layout(step.environ.get("PLUG_TOKENS_FROM", ""), step.environ.get("PLUG_SHARDS", "")),
        inputs=inputs,
        attempt=step.run_attempt,
        commit=step.session.find_commit(),
        event_sha=step.run.sha,
        strict=step.is_on("PLUG_STRICT"),
        sees_token=step.is_on("PLUG_TOKEN_IS_VISIBLE"),
    )


def _decide(step: Step, request: BeginRequest) -> BeginDecision:
    session = step.session
    beginning = Beginning(
        request,
        session.plan_to_apply,
        session.guards,
        lambda: session.store,
        GitHubPorts(step),
        lambda planned: _show_plan(step, planned),
    )
    return beginning.decide()


class GitHubPorts(Struct):
    """The questions of the first job to GitHub and git. It asks as few as possible, as every run repeats them."""

    step: Step

    def list_environments(self) -> Collection[str]:
        with self.step.open_hub() as hub:
            return hub.list_environments()

    def find_lift(self, label: Label, commit: str) -> Lift | None:
        with self.step.open_hub() as hub:
            for pull in hub.list_pulls(commit):
                if pull.merge_sha == commit:
                    setting = hub.find_label(pull.number, label)
                    if setting is not None:
                        return Lift(pull.number, setting)
        return None

    def find_unreviewed(self, names: Sequence[str], fleet_digest: str) -> Sequence[Problem]:
        from reconciler.run.strict import find_unreviewed
        from reconciler.views.unreviewed import explain_unreviewed

        session = self.step.session
        with self.step.open_hub() as hub, session.open_reviewed_history(session.find_commit(), names) as history:
            return explain_unreviewed(find_unreviewed(names, history, hub), fleet_digest)


# --- output ------------------------------------------------------------------------------------------


def _show(step: Step, begun: BeginDecision, commit: str) -> None:
    from reconciler.views.markdown_begin import render_begin

    step.summarize(render_begin(begun.names, begun.steps, commit, _describe_lifts(begun)))
    _show_plan(step, begun.planned)


def _show_plan(step: Step, planned: Planned) -> None:
    """Show the plan of the fleet in the log, as annotations, in the summary and in the artifact."""
    from reconciler.cli.render import show_plan
    from reconciler.views import markdown
    from reconciler.views.words import leave_out_unchecked

    files = (("json", "result.json"), ("markdown", "result.md"))
    form = Form(also=tuple((name, str(step.result_folder / file)) for name, file in files))
    show_plan(planned, form, step.session)
    plan, note = leave_out_unchecked(planned.plan)
    step.summarize(markdown.render_plan(plan, planned.vars_by_environment, max_chars=SUMMARY_CHARS))
    if note:
        step.summarize(note)


def _describe_lifts(begun: BeginDecision) -> list[str]:
    found = ((lift.setting, lift.number) for lift in begun.lifts)
    return [f"the label “{one.label}”, set by {one.set_by} on #{number}, lifts its guard" for one, number in found]


def _output_lifts(step: Step, begun: BeginDecision) -> None:
    sentences = _describe_lifts(begun)
    step.output("lifted", "\n".join(sentences))
    for sentence in sentences:
        say(for_terminal(sentence), label="note")


def _output_planned(step: Step, begun: BeginDecision) -> None:
    planned = encode_value(begun.names)
    step.output("planned", planned if len(planned) <= MAX_PLANNED_CHARS else "")


def _output_steps(step: Step, steps: Steps) -> None:
    for number, jobs in enumerate(steps, 1):
        step.output(f"step_{number}", encode_value(encode_jobs(jobs)))
