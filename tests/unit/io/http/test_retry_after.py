"""The header Retry-After in both of its forms."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.io.http.retry_after import parse_retry_after


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 120 ", 120.0),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("Mon, 23 Nov 2026 12:01:00 -0000", 60.0),
        ("Mon, 23 Nov 2026 12:01:00", 60.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, 999_999_999_999.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """Any other text is ignored."""
    assert parse_retry_after(header, datetime(2026, 11, 23, 12, 0, tzinfo=UTC)) == seconds
