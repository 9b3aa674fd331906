"""The text views, one module each. Every value in them is escaped by `escape.for_terminal`."""

from __future__ import annotations

from reconciler.views.text_check import render_check
from reconciler.views.text_doctor import render_doctor
from reconciler.views.text_drift import render_drift
from reconciler.views.text_environment import render_environment
from reconciler.views.text_plan import render_plan
from reconciler.views.text_result import render_result
from reconciler.views.text_state import render_state_history, render_state_list, render_state_show
from reconciler.views.text_validation import render_validation

__all__ = [
    "render_check",
    "render_doctor",
    "render_drift",
    "render_environment",
    "render_plan",
    "render_result",
    "render_state_history",
    "render_state_list",
    "render_state_show",
    "render_validation",
]
