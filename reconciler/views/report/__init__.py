"""The fleet as one HTML page: `Report` -> str.

See docs/contract.md#commands, docs/contract.md#drift, docs/contract.md#what-no-output-does.
"""

from __future__ import annotations

from reconciler.views.report.data import Report
from reconciler.views.report.page import render_report

__all__ = ["Report", "render_report"]
