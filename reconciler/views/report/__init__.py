"""The fleet as one HTML page: `Report` -> str (CONTRACT §4, §8, §11)."""

from __future__ import annotations

from reconciler.views.report.data import Report
from reconciler.views.report.page import render_report

__all__ = ["Report", "render_report"]
