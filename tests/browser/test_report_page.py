"""The report's page in a browser: what it shows, how it is used, and that it does nothing else."""

from __future__ import annotations

from functools import lru_cache

import pytest
from msgspec.structs import replace

from reconciler.core.planner import PlanInput, make_plan
from reconciler.model import Fingerprint
from reconciler.views.report import Report, render_report
from tests.browser.conftest import TIMEOUT_MS, Chromium, Visit
from tests.fakes import make_desired
from tests.golden import report_samples
from tests.golden.samples import NOW

ROWS = "#_grid .rows [role=row]"


@lru_cache(maxsize=8)
def page_of(name: str) -> str:
    return render_report(report_samples.reports()[name])


@lru_cache(maxsize=1)
def large_page() -> str:
    """Return a page with two thousand environments that were never applied."""
    wanted = [make_desired(f"company-{place:05d}") for place in range(2000)]
    plan = make_plan(wanted, {}, lambda _: Fingerprint(), PlanInput(NOW))
    return render_report(Report(plan, {one.environment: one for one in wanted}, {}, [], "state"))


def names(visit: Visit) -> list[str]:
    return [text.split("\n")[0] for text in visit.page.locator(f"{ROWS} .name").all_inner_texts()]


def test_the_matrix_shows_every_event_of_an_environment(chromium: Chromium) -> None:
    """One row has drift, doubt and age of all seven events, in words too."""

    def look(visit: Visit) -> None:
        row = visit.page.locator(ROWS).filter(has=visit.page.get_by_text("loja-mudada", exact=True))
        cells = [text.split(": ", 1)[1] for text in row.locator(".cell .sr").all_text_contents()]
        assert cells == [
            *["in sync"] * 3,
            "Plug holds something else",
            "in sync",
            "Plug holds something else",
            "unknown, not observable",
        ]
        assert row.locator(".age").inner_text() == "3 d"
        assert names(visit)[0] == "loja-duvida"  # The most serious comes first.

    chromium.visit(page_of("every-standing"), look)


def test_a_search_finds_names_descriptions_and_urls(chromium: Chromium) -> None:
    """Every word must appear somewhere in the environment; / moves to the search."""

    def search(visit: Visit) -> None:
        page = visit.page
        page.keyboard.press("/")
        page.keyboard.type("rua xv hooks-V2")
        assert names(visit) == ["loja-centro"]
        for typed in ("homologacao", "HOMOLOGA\u00c7\u00c3O", "homologac\u0327ao"):
            page.fill("#_search", typed)
            assert names(visit) == ["staging"]
        page.fill("#_search", "lo\u0301ja ce\u0301ntro")  # The text doesn't have these accents.
        assert names(visit) == ["loja-centro"]
        page.fill("#_search", "teste/loja")  # Only Plug holds this URL.
        assert names(visit) == ["loja-mudada"]
        page.fill("#_search", "no such thing")
        assert names(visit) == []
        page.locator("#_none button").click()
        assert page.locator("#_count").inner_text() == "27 environments"

    chromium.visit(page_of("every-standing"), search)


def test_filters_narrow_the_list_together(chromium: Chromium) -> None:
    """Totals are filters: any of the chosen ones, combined with the wave and the age."""

    def narrow(visit: Visit) -> None:
        page = visit.page
        for standing, found in (
            ("doubt", {"loja-duvida"}),
            ("never", {"loja-nova"}),
            ("orphan", {"antiga"}),
            ("locked", {"loja-presa"}),
            ("failing", {"production", "cliente-01", "cliente-02"}),
            ("unknown", {"loja-sem-id"}),
        ):
            tile = page.locator(f"button.tile[data-standing={standing}]")
            tile.click()
            assert set(names(visit)) == found
            tile.click()
        page.locator("button.tile[data-standing=drift]").click()
        page.locator("button.tile[data-standing=doubt]").click()
        assert len(names(visit)) == 6
        page.select_option("#_wave", "2")
        page.fill("#_days", "365")
        assert names(visit) == ["loja-velha"]
        assert page.locator("#_count").inner_text() == "1 of 27 environments"
        assert page.evaluate("location.hash") == "#?state=doubt&state=drift&wave=2&days=365"
        page.locator(ROWS).first.click()
        page.locator("#_name", has_text="loja-velha").wait_for()
        page.reload()  # This is as if the user had opened a link.
        page.locator("#_name", has_text="loja-velha").wait_for()
        assert page.evaluate("location.hash") == "#loja-velha?state=doubt&state=drift&wave=2&days=365"
        assert names(visit) == ["loja-velha"]
        assert page.locator("button.tile[data-standing=drift]").get_attribute("aria-pressed") == "true"
        page.keyboard.press("Escape")
        page.locator("#_clear").click()
        assert page.evaluate("location.hash") == ""
        page.fill("#_days", "21")
        assert names(visit) == ["loja-velha", "antiga"]  # Exactly 21 days is not older, and never applied has no age.

    chromium.visit(page_of("every-standing"), narrow)


def test_an_environment_is_opened_by_its_fragment(chromium: Chromium) -> None:
    """A link to one environment shows before and after, history, commit and receivers."""

    def read(visit: Visit) -> None:
        page = visit.page
        assert page.locator("#_name").inner_text() == "loja-centro"
        first = page.locator("#_detail .events > li").first
        assert first.locator("del").inner_text() == "hooks"
        assert first.locator("ins").inner_text() == "hooks-v2"
        heads = page.locator("#_detail h3").all_inner_texts()
        assert [head.lower() for head in heads] == ["events that need a look", "history"]  # All seven differ.
        assert page.locator("#_detail .notice").first.evaluate(
            "one => one.compareDocumentPosition"
            "(document.querySelector('#_detail .facts')) & Node.DOCUMENT_POSITION_FOLLOWING"
        )
        page.evaluate("location.hash = '#loja-duvida'")
        page.locator("#_name", has_text="loja-duvida").wait_for()
        assert "since 2" in page.locator(ROWS).first.locator(".standing small").inner_text()
        page.evaluate("location.hash = '#production'")
        page.locator("#_name", has_text="production").wait_for()
        detail = page.locator("#_detail")
        assert detail.locator("h3").nth(1).inner_text().lower() == "other events"
        assert "status 500" in detail.inner_text()
        assert "certificate 80 days" in detail.inner_text()
        assert detail.locator(".timeline > li").count() == 2
        commit = detail.get_by_role("link", name="3f9c2ab1d4e5").first
        assert commit.get_attribute("href") == f"https://github.com/acme/plug/commit/{report_samples.COMMITS[0]}"
        assert commit.get_attribute("rel") == "noreferrer"
        links = detail.locator("a").evaluate_all("all => all.map((one) => one.href)")
        assert all(link.startswith("https://github.com/acme/plug/") for link in links)  # Receivers aren't links.
        page.go_back()
        page.locator("#_name", has_text="loja-duvida").wait_for()

    chromium.visit(page_of("every-standing"), read, fragment="#loja-centro")


def test_a_fragment_without_an_environment_is_reported(chromium: Chromium) -> None:
    """A link to a removed environment does not open a page that seems to have no problems."""

    def read(visit: Visit) -> None:
        assert visit.page.locator("#_count").inner_text() == "No environment gone%zz in this report"
        assert visit.page.locator("#_detail").is_hidden()

    chromium.visit(page_of("every-standing"), read, fragment="#gone%zz")


def test_the_page_can_be_used_with_the_keyboard_only(chromium: Chromium) -> None:
    """The keys lead from the search to the list, to an environment and back to its row."""

    def type_(visit: Visit) -> None:
        page = visit.page
        focused = "document.activeElement.querySelector('.name span')?.textContent"
        page.keyboard.press("/")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("End")
        assert page.evaluate(focused) == "cliente-14"
        page.keyboard.press("Home")
        page.keyboard.press("ArrowDown")
        assert page.evaluate(focused) == "loja-centro"
        page.keyboard.press("Enter")
        page.locator("#_name", has_text="loja-centro").wait_for()
        assert page.evaluate("document.activeElement.id") == "_detail"
        assert page.evaluate("location.hash") == "#loja-centro"
        page.keyboard.press("Escape")
        assert page.locator("#_detail").is_hidden()
        assert page.evaluate("location.hash") == ""
        assert page.evaluate(focused) == "loja-centro"
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    chromium.visit(page_of("every-standing"), type_)


def test_hostile_values_are_shown_and_do_nothing(chromium: Chromium) -> None:
    """In the list, an environment, its timeline and on paper, markup is text, and nothing is hidden."""

    def look(visit: Visit) -> None:
        page = visit.page
        page.locator("summary").first.dispatch_event("click")
        shown = page.locator("body").inner_text()
        for text in (
            report_samples.MARKUP,
            "\\u202e\\u200b\\x1b[31m\\x07\\r\\n::error::x",
            "&amp;",
            "{{ 7*7 }}",
            "\ue000",  # A character of the private use area is treated as any other.
        ):
            assert text in shown
        assert page.locator("#_detail .timeline").inner_text().count(report_samples.MARKUP) >= 8
        assert page.locator("img, a, script:not([type]) ~ script").count() == 0
        page.locator(ROWS).nth(2).dispatch_event("click")
        page.locator("#_name", has_text=report_samples.MARKUP).wait_for()
        page.emulate_media(media="print")
        page.locator("#_print h2").last.wait_for()
        assert page.locator("#_print img, #_print script, #_print a").count() == 0

    chromium.visit(page_of("hostile"), look, fragment="#loja")


def test_injected_markup_is_stopped_by_the_policy(chromium: Chromium) -> None:
    """The policy is the last protection: no script, handler, request or markup gets past it."""

    def inject(visit: Visit) -> None:
        page = visit.page
        page.evaluate("""() => {
            const image = document.createElement('img');
            image.src = 'https://evil.invalid/x';
            document.body.append(image);
            for (const act of [
              () => { image.setAttribute('onerror', 'globalThis.pwned = 1'); },
              () => { document.body.innerHTML = '<b>x</b>'; },
              () => { const made = document.createElement('script'); made.textContent = 'globalThis.pwned = 2';
                      document.body.append(made); },
              () => { document.body.setAttribute('style', 'color: red'); },
              () => { fetch('https://evil.invalid/y').catch(() => {}); },
            ]) { try { act(); } catch { globalThis.stopped = (globalThis.stopped || 0) + 1; } }
        }""")
        expected = {"img-src", "connect-src", "style-src-attr", "require-trusted-types-for"}
        for _ in range(TIMEOUT_MS // 50):
            violated = set(page.evaluate("globalThis.violations"))
            if expected <= violated:
                break
            page.wait_for_timeout(50)
        assert expected <= violated
        assert page.evaluate("typeof globalThis.pwned") == "undefined"
        assert page.locator("h1").count() == 1
        page.evaluate("globalThis.violations = []")
        visit.complaints.clear()
        visit.requests.clear()  # The browser reports what it stopped.

    chromium.visit(page_of("every-standing"), inject)


def test_only_the_rows_in_the_window_exist(chromium: Chromium) -> None:
    """Two thousand environments need a few dozen elements, and the last appears after scrolling to it."""

    def scroll(visit: Visit) -> None:
        page = visit.page
        assert page.locator(ROWS).count() < 60
        assert page.locator("#_grid").get_attribute("aria-rowcount") == "2001"
        page.locator(ROWS).first.focus()
        page.keyboard.press("End")
        assert page.evaluate("document.activeElement.getAttribute('aria-rowindex')") == "2001"
        assert page.locator(ROWS).last.locator(".name span").inner_text() == "company-01999"
        assert page.locator(ROWS).count() < 60
        page.fill("#_search", "company-01234 messageStatus")
        assert names(visit) == ["company-01234"]

    chromium.visit(large_page(), scroll)


def test_a_phone_shows_the_page_without_scrolling_sideways(chromium: Chromium) -> None:
    """390 pixels are enough for a card with all seven events, and for the page of an environment."""

    def look(visit: Visit) -> None:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        boxes = [cell.bounding_box() for cell in page.locator(ROWS).first.locator(".cell").all()]
        assert len({box["y"] for box in boxes if box}) == 1
        assert all(box and box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
        page.locator(ROWS).nth(2).click()
        page.locator("#_name").wait_for()
        assert page.locator("#_detail").bounding_box()["width"] == 390  # type: ignore[index]
        assert page.evaluate("document.getElementById('_detail').scrollWidth") <= 390

    chromium.visit(page_of("every-standing"), look, width=390)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(chromium: Chromium, scheme: str) -> None:
    """Contrast is at least 4.5 to 1 in every state and colour scheme."""
    measure = """() => {
        const parse = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
        const light = ([r, g, b]) => [r, g, b].map((one) => one / 255)
            .map((one) => one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4)
            .reduce((sum, one, place) => sum + one * [0.2126, 0.7152, 0.0722][place], 0);
        const ground = (element) => { for (let one = element; one; one = one.parentElement) {
            const color = parse(getComputedStyle(one).backgroundColor); if (color[3] > 0) return color; } };
        const poor = [];
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const element = walker.currentNode.parentElement;
            if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
            if (element.closest('script, .sr, :disabled')) continue;
            const pair = [parse(getComputedStyle(element).color), ground(element)].map(light);
            const [one, other] = pair.sort((a, b) => b - a);
            const ratio = (one + 0.05) / (other + 0.05);
            if (ratio < 4.5) poor.push([walker.currentNode.data, ratio]);
        }
        return poor;
    }"""

    def look(visit: Visit) -> None:
        for tile in visit.page.locator("button.tile").all():
            tile.dispatch_event("click")
        for name in ("loja-centro", "loja-duvida", "loja-mudada", "loja-presa", "production"):
            visit.page.evaluate("(name) => { location.hash = name; }", name)
            visit.page.locator("#_name", has_text=name).wait_for()
            assert visit.page.evaluate(measure) == []

    chromium.visit(page_of("every-standing"), look, color_scheme=scheme, reduced_motion="reduce", width=1600)


def test_paper_shows_the_filtered_list_and_its_details_in_light(chromium: Chromium) -> None:
    """The search result is printed completely, and never on a dark background."""

    def print_(visit: Visit) -> None:
        page = visit.page
        page.locator("button.tile[data-standing=failing]").click()
        rows = "document.querySelectorAll('#_print tbody tr').length"
        page.evaluate(f"addEventListener('beforeprint', () => {{ globalThis.onPaper = {rows}; }})")
        assert page.pdf().startswith(b"%PDF")
        assert page.evaluate("globalThis.onPaper") == 3
        page.emulate_media(media="print")
        printed = page.locator("#_print")
        printed.locator("tbody tr").first.wait_for()
        assert printed.locator("tbody tr").count() == 3
        assert printed.locator(".one h2").all_inner_texts() == ["production", "cliente-01", "cliente-02"]
        assert "Shown: check fails" in printed.inner_text()
        assert page.locator("#_app").is_hidden()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        page.emulate_media(media="screen")
        printed.locator("tbody").wait_for(state="detached")

    chromium.visit(page_of("every-standing"), print_, color_scheme="dark")


def test_without_scripts_the_page_lists_what_needs_attention(chromium: Chromium) -> None:
    """The most serious comes first, with what differs; no part of the matrix is left."""

    def look(visit: Visit) -> None:
        page = visit.page
        assert page.locator(".listing tbody tr").count() == 27
        assert "it is unknown whether the PUT" in page.locator(".listing tbody tr").first.inner_text()
        assert page.locator("#_app").is_hidden()

    chromium.visit(page_of("every-standing"), look, scripts=False)


def test_nothing_unseen_is_called_in_sync(chromium: Chromium) -> None:
    """Without --observe the page says so; with it, what can't be seen is unknown."""

    def look(visit: Visit) -> None:
        page = visit.page
        row = page.locator(ROWS).filter(has=page.get_by_text("loja-sem-id", exact=True))
        words = row.locator(".cell .sr").all_text_contents()
        assert all(word.endswith("unknown, not observable") for word in words)
        assert row.locator(".badge").inner_text().endswith("Unknown")

    chromium.visit(page_of("every-standing"), look)

    def look_unobserved(visit: Visit) -> None:
        page = visit.page
        assert "What Plug itself holds was not read" in page.locator(".notes").inner_text()
        assert page.locator("button.tile[data-standing=unknown]").count() == 0
        assert page.locator("button.tile[data-standing=failing]").count() == 0

    chromium.visit(page_of("unobserved"), look_unobserved)


def test_the_theme_can_be_chosen(chromium: Chromium) -> None:
    """With any scheme of the system: auto, light, dark."""

    def choose(visit: Visit) -> None:
        page = visit.page
        ground = "getComputedStyle(document.body).backgroundColor"
        auto = page.evaluate(ground)
        page.locator("#_theme").click()
        assert page.evaluate(ground) == auto
        page.locator("#_theme").click()
        assert page.evaluate(ground) != auto

    chromium.visit(page_of("empty"), choose, color_scheme="light")


def test_an_old_page_says_so(chromium: Chromium) -> None:
    """A user who opens last month's artifact sees its age before acting on it."""
    report = report_samples.every_standing()
    old = replace(report, plan=replace(report.plan, created_at=NOW.replace(year=2025)))

    def look(visit: Visit) -> None:
        assert visit.page.locator("#_stale").inner_text().endswith(" d ago; all ages are as of then")

    chromium.visit(render_report(old), look)


def test_a_browser_that_cannot_unpack_the_data_says_so(chromium: Chromium) -> None:
    """It shows this instead of an empty page."""

    def look(visit: Visit) -> None:
        assert "can't unpack the list" in visit.page.locator("#_old").inner_text()
        assert not visit.page.locator("#_app").is_visible()

    chromium.visit(page_of("every-standing"), look, before="delete globalThis.DecompressionStream")
