"""Text for GitHub's runner: the outputs of a step, and the values that it must mask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from reconciler.formats.any_result import ReadFile, list_affected, plan_of
from reconciler.formats.drift_file import DriftFile, is_healable
from reconciler.text.escape import encode_workflow_data, for_json


def make_outputs(found: ReadFile) -> dict[str, str]:
    """Return the outputs by name: `changed` and `environments`, for drift also `healable`.

    A plan also has `digest` and `new-state`, which says whether its apply needs --new-state.
    """
    names = list_affected(found)
    outputs = {"changed": json.dumps(bool(names)), "environments": encode_value(names)}
    if isinstance(found, DriftFile):
        outputs["healable"] = json.dumps(is_healable(found))
    plan = plan_of(found)
    if plan is not None:
        outputs["digest"] = plan.digest
        outputs["new-state"] = json.dumps(plan.where is not None and plan.where.needs_vouching)
    return outputs


def encode_masks(values: Iterable[str]) -> str:
    """Encode the command that masks each value in all later output."""
    return "".join(sorted({f"::add-mask::{encode_workflow_data(value)}\n" for value in values}))


def encode_value(value: Sequence[str] | Sequence[Mapping[str, object]]) -> str:
    """Encode the value of an output, in one line of JSON."""
    return for_json(json.dumps(value, separators=(",", ":"), ensure_ascii=True))
