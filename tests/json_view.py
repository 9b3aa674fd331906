"""The machine formats under the names that the views have, so that one test covers both."""

from __future__ import annotations

from reconciler.formats.check_file import encode_check as render_check
from reconciler.formats.doctor_file import encode_doctor as render_doctor
from reconciler.formats.drift_file import encode_drift as render_drift
from reconciler.formats.environment_file import encode_environment as render_environment
from reconciler.formats.plan_file import encode_plan as render_plan
from reconciler.formats.result_file import encode_result as render_result
from reconciler.formats.state_listing import encode_state_history as render_state_history
from reconciler.formats.state_listing import encode_state_list as render_state_list
from reconciler.formats.validation_file import encode_validation as render_validation

__all__ = [
    "render_check",
    "render_doctor",
    "render_drift",
    "render_environment",
    "render_plan",
    "render_result",
    "render_state_history",
    "render_state_list",
    "render_validation",
]
