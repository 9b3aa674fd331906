"""Long lines on a terminal (docs/contract.md#commands)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.views.fold import fold
from reconciler.views.style import Style

URL = "https://hooks.example.com/plug/production/message-delivery-error?company=acme&key={secret:PLUG_SECRET_KEY}"


def show(text: str, width: int) -> list[str]:
    return fold(text, width).split("\n")


def test_a_line_that_fits_is_not_changed() -> None:
    """Its colour and its spaces stay."""
    text = f"  {Style(colour=True).red('wide')}  x \n\n   ^^^\n"
    assert fold(text, 10) == text


def test_a_url_is_broken_behind_its_signs_and_continues_below_itself() -> None:
    """The URLs before and after a change stay aligned."""
    assert show(f"        before  {URL}", 60) == [
        "        before  https://hooks.example.com/plug/production/",
        "                message-delivery-error?company=acme&key=",
        "                {secret:PLUG_SECRET_KEY}",
    ]


def test_a_url_in_the_last_columns_begins_on_a_new_line() -> None:
    """Twenty columns would break it into many pieces."""
    assert show(f"! 500, 0.12 s  messageDeliveryError  {URL[:54]}", 60) == [
        "! 500, 0.12 s  messageDeliveryError",
        f"    {URL[:54]}",
    ]


def test_prose_is_broken_at_spaces() -> None:
    """The next line is indented."""
    assert show("warning: the state is empty; is that the one you mean?", 30) == [
        "warning: the state is empty;",
        "    is that the one you mean?",
    ]


def test_a_word_that_fits_nowhere_stays_where_it_is() -> None:
    """A new line would not help."""
    assert show(f"Digest: sha256:{'a' * 64}", 60) == [f"Digest: sha256:{'a' * 64}"]


def test_marks_follow_the_part_that_they_mark() -> None:
    """Without colour a line of carets shows the difference."""
    line = f"        after   {URL}"
    start = line.index("delivery")
    assert show(f"{line}\n{' ' * start}^^^^^^^^^^^^^^\nnext", 60) == [
        "        after   https://hooks.example.com/plug/production/",
        "                message-delivery-error?company=acme&key=",
        "                        ^^^^^^^^^^^^^^",
        "                {secret:PLUG_SECRET_KEY}",
        "next",
    ]


def test_colour_ends_with_each_line_and_begins_again_in_the_next() -> None:
    """A pager may show a line alone."""
    style = Style(colour=True)
    shown = show(f"  {style.red('https://a.example/')}{style.added('some/longer-part')}{style.red('/end')}", 25)
    assert shown == [
        f"  {style.red('https://a.example/')}{style.added('some/')}",
        f"  {style.added('longer-part')}{style.red('/end')}",
    ]


TEXTS = st.lists(st.sampled_from(["word", URL, "x" * 90, "/a/b", " ", "  ", "é"]), max_size=12).map(" ".join)


@given(TEXTS, st.integers(40, 120))
def test_nothing_is_lost_and_only_what_has_no_break_is_too_long(text: str, width: int) -> None:
    """This holds for any line and any width."""
    lines = show(text, width)
    assert re.sub(r"\s", "", "".join(lines)) == re.sub(r"\s", "", text)
    for line in lines:
        assert len(line) <= width or "x" * 90 in line


@pytest.mark.parametrize("width", [40, 60])
def test_a_coloured_line_is_broken_where_a_plain_one_is(width: int) -> None:
    """Colour codes take no columns."""
    coloured = show(f"  {Style(colour=True).green(URL)}", width)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == show(f"  {URL}", width)
