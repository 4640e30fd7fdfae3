"""The report of a case and the index over several: what is in them, how they are used, that they stand alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import matplotlib
import numpy as np
import pytest
from accessibility import problems
from agreements import HOSTILE, agreement_with, hostile, with_nan
from crosscheck.comparison.agreement import Arrays
from crosscheck.comparison.compare import Comparison, agreement_of
from crosscheck.faults import faults_of, record
from crosscheck.reference import Operation
from crosscheck.reference.errors import printable
from crosscheck.rendering import folder
from crosscheck.rendering.drawings import drawings
from crosscheck.rendering.elements import Elements
from crosscheck.rendering.flow import LONGEST, Box, LeftOut, aligned, flow, flows
from crosscheck.rendering.index import write_index
from crosscheck.rendering.junit import to_junit
from crosscheck.rendering.markdown import to_markdown
from crosscheck.rendering.report import MOST_DRAWN, drawable, to_html

FAULTS = ("diagonal_jacobian", "rate_applied_twice", "bias_gradient_not_summed")
Visit = Callable[..., Any]


def planted(case: cc.Case, name: str) -> cc.Trace:
    """A run of the case with the first fault of a name."""
    return record(case, next(fault for fault in faults_of(case) if fault.name == name))


@pytest.fixture(scope="module")
def case() -> cc.Case:
    return cc.load_case("article-batch")


@pytest.fixture(scope="module")
def agreements(case: cc.Case) -> dict[str, cc.Agreement]:
    """What there is to look at, by name."""
    comparison = Comparison(cc.record(case), cc.Computed())
    subjects = {name: comparison.of(planted(case, name)) for name in FAULTS}
    subjects["right"] = comparison.of(cc.record(case))
    crashed = cc.SubjectAgreement("2.0", "crashed", reason="MemoryError: no room")
    unsupported = cc.SubjectAgreement("3.0", "unsupported", reason="torch has no 'sinc'")
    right = agreement_of(case, {"right": subjects["right"]}, comparison)
    return {
        "failing": replace(right, subjects={FAULTS[0]: subjects[FAULTS[0]]}),
        "several": replace(right, subjects=subjects),
        "agreeing": right,
        "not run": replace(right, subjects={"torch": crashed, "jax": unsupported, "right": subjects["right"]}),
        "nothing": replace(right, subjects={}),
        "NaN": cc.Agreement(**vars(agreement_with(with_nan))),
        "hostile": hostile(agreement_with(lambda array: -array)),
    }


@pytest.fixture(scope="module")
def pages(agreements: dict[str, cc.Agreement], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Their pages, each in a folder, and the index over them."""
    home = tmp_path_factory.mktemp("reports")
    folders = {home / name: agreement for name, agreement in agreements.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crosscheck.rendering.report.MOST_DRAWN", 1)
        for path, agreement in folders.items():
            folder.write(agreement, path)
    written = {path.name: path / "report.html" for path in folders}
    return {**written, "index": write_index(folders, home / "index.html")}


PAGES = ("failing", "several", "agreeing", "not run", "nothing", "NaN", "hostile", "index")


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light", "dark on a phone"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_stands_alone_and_keeps_nobody_out(
    name: str, dark: bool, width: int, pages: dict[str, Path], visit: Visit
) -> None:
    with visit(pages[name], width=width, dark=dark) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert seen.page.evaluate("[...document.images].every((image) => image.complete && image.naturalWidth > 0)")
        assert not problems(seen.page)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_can_be_read_without_its_script(name: str, pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages[name], script=False) as seen:
        assert seen.page.locator("h1").is_visible()
        assert not seen.page.locator(".needs-script").filter(visible=True).count()
        closed = seen.page.locator("main details:not([open]) > summary").filter(visible=True)
        before = closed.count()
        if before:
            closed.last.click()
            assert closed.count() == before - 1


def test_one_screen_says_what_is_wrong_by_how_much_and_why(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["failing"]) as seen:
        card, network = seen.page.locator(".card.bad"), seen.page.locator(".network")
        for box in (card.bounding_box(), network.bounding_box()):
            assert box["y"] + box["height"] <= 900
        text = card.inner_text()
    for part in ("The backward of o.softmax (softmax), in step 0", "0/backward/o", "9.01e+15 (8 allowed)"):
        assert part in text
    for part in (
        "0.1396223004099137",
        "-0.0",
        "diagonal_jacobian fault",
        "dx = dy y (1 - y)",
        "50 of 52 tensors agree",
    ):
        assert part in text


def test_the_network_marks_where_it_parts_and_greys_what_is_downstream(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["failing"]) as seen:
        step = seen.page.locator(".network > .flow").first
        assert step.locator(".box.first").text_content() == "✗ o.softmax softmax: the first divergence"
        backward = step.locator(".column.backward .box .of").all_inner_texts()
        assert backward == ["loss", "o.softmax", "o", "k.tanh", "k", "j.relu", "j"]
        assert step.locator(".column.forward .box.agrees").count() == 7
        assert step.locator(".column.backward .box.downstream").count() == 5
        rows = {
            name: step.locator(f".column.{column} .box", has_text=f"{name} dense").bounding_box()["y"]
            for column in ("forward", "backward")
            for name in ("j", "k", "o")
        }
        for name, height in rows.items():
            forward = step.locator(".column.forward .box", has_text=f"{name} dense").bounding_box()
            assert forward["y"] == pytest.approx(height, abs=1)


def test_an_agreeing_page_has_no_drawing_and_no_step(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["agreeing"]) as seen:
        assert seen.page.inner_text("h1") == "✓ Everything compared agrees"
        assert not seen.page.locator("img").count()
        assert not seen.page.get_by_role("button", name="Next").count()


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id"))


def test_stepping_works_by_keyboard_and_by_buttons(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["several"]) as seen:
        page = seen.page
        ids = page.evaluate("[...document.querySelectorAll('article.tensor')].map((one) => one.id)")
        assert len(ids) > 3
        for key, place in (("j", 0), ("j", 1), ("j", 2), ("j", 3), ("k", 2), ("k", 1)):
            page.keyboard.press(key)
            assert focused(page) == ids[place]
            assert page.locator(f"#{ids[place]} > details").get_attribute("open") is not None
        page.get_by_role("button", name="Next").click()
        assert focused(page) == ids[2]
        page.get_by_role("button", name="Previous").click()
        page.get_by_role("button", name="Previous").click()
        page.keyboard.press("k")
        assert focused(page) == ids[-1]


def test_keys_are_explained_and_can_be_turned_off(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["several"]) as seen:
        page = seen.page
        page.keyboard.press("?")
        assert page.get_by_role("dialog", name="Keys").is_visible()
        page.get_by_label("single keys do this").uncheck()
        page.keyboard.press("Escape")
        assert not page.get_by_role("dialog").count()
        page.keyboard.press("j")
        assert not focused(page)
        page.get_by_role("button", name="Keys").click()
        assert page.get_by_role("dialog").is_visible()


def test_filters_hide_what_is_not_looked_for_and_say_how_much_is_left(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["several"]) as seen:
        page = seen.page
        rows, status = page.locator(".matrix tbody tr"), page.get_by_role("status")
        assert (rows.filter(visible=True).count(), status.inner_text()) == (52, "52 shown")
        page.keyboard.press("/")
        page.keyboard.type("backward/o")
        assert status.inner_text() == "4 of 52 shown"
        assert rows.filter(visible=True).count() == 4
        page.keyboard.press("Escape")
        assert status.inner_text() == "52 shown"
        page.get_by_label("Verdict").select_option("disagree")
        page.get_by_label("Subject").select_option(label=FAULTS[0])
        assert page.locator(".matrix tbody tr:visible th").all_inner_texts() == ["0/backward/o", "1/backward/o"]
        assert page.locator("article.tensor").filter(visible=True).count() == 2
        assert page.locator(".matrix thead th").filter(visible=True).all_inner_texts()[3:] == [FAULTS[0]]


def test_a_link_opens_the_tensor_that_it_leads_to(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["several"]) as seen:
        link = seen.page.locator(".matrix tbody a").last
        target = str(link.get_attribute("href")).removeprefix("#")
        assert seen.page.locator(f"#{target} > details").get_attribute("open") is None
        link.click()
        seen.page.wait_for_function(f"document.activeElement.id === '{target}'")
        assert seen.page.locator(f"#{target} > details").get_attribute("open") is not None


def test_every_address_in_a_page_leads_somewhere(pages: dict[str, Path]) -> None:
    ids = {path: set(re.findall(r' id="([^"]+)"', path.read_text())) for path in pages.values()}
    for path in pages.values():
        for address in re.findall(r' href="([^"]+)"', path.read_text()):
            file, _, anchor = address.partition("#")
            target = (path.parent / file.replace("%20", " ")) if file else path
            assert target in ids
            assert not anchor or anchor in ids[target]


def test_no_style_attribute_is_in_a_page(pages: dict[str, Path]) -> None:
    for path in pages.values():
        assert not re.search(r"<[^>]+\sstyle=", path.read_text())


@pytest.mark.parametrize("name", ["report.html", "agreement.md", "junit.xml"])
def test_hostile_names_are_text_in_every_format(name: str, pages: dict[str, Path]) -> None:
    text = (pages["hostile"].parent / name).read_text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "<img src=x" not in text.replace("\\<img", "")


def test_hostile_names_appear_as_they_are(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["hostile"]) as seen:
        assert printable(HOSTILE) in seen.page.inner_text(".kicker")
        assert printable(f"0/forward/10{HOSTILE}") in seen.page.inner_text(".matrix tbody")


# ------------------------------------------------------------------------------------------------------------ the index


def test_the_index_has_what_failed_first_and_the_worst_error(pages: dict[str, Path], visit: Visit) -> None:
    with visit(pages["index"]) as seen:
        page = seen.page
        assert page.inner_text("h1") == "✗ 1 of 7 cases agree"
        verdicts = page.locator("tbody tr").evaluate_all("(rows) => rows.map((row) => row.innerText)")
        assert "crashed" in verdicts[0]
        assert "article-batch float64" in verdicts[-1]
        assert not any("disagree" in row for row in verdicts[-2:])
        assert any("9.01e+15 σ" in row and "0/backward/o" in row for row in verdicts)
        page.get_by_label("Verdict").select_option("crashed")
        assert page.locator("tbody tr").filter(visible=True).count() == 1
        assert page.get_by_role("status").inner_text() == "1 of 7 shown"


def test_the_index_leads_to_the_subject(pages: dict[str, Path], browser: Any) -> None:
    tab = browser.new_page()
    tab.goto(pages["index"].as_uri())
    tab.locator("tbody a[href='several/report.html#s2']").click()
    assert tab.url == f"{pages['several'].as_uri()}#s2"
    assert FAULTS[2] in tab.locator("#s2 h2").inner_text()
    tab.close()


# -------------------------------------------------------------------------------------------------------- what is in it


def test_the_worst_elements_come_first_with_both_values() -> None:
    found = agreement_with(lambda array: array * np.array([1, 1.5, 2]))
    arrays = found.subjects["copy"].arrays["0/gradient/o.weight"]
    worst = list(Elements(arrays, found.limit).worst(5))
    assert [element.sigmas for element in worst] == sorted((one.sigmas for one in worst), reverse=True)
    assert {element.index[1] for element in worst} == {1, 2}
    for element in worst:
        assert element.reference == str(arrays.reference[element.index])
        assert element.subject == str(arrays.subject[element.index])
        assert element.distance == abs(arrays.subject[element.index] - arrays.reference[element.index])
        assert element.sigmas > found.limit
    assert worst[0].sigmas == pytest.approx(found.subjects["copy"].worst_first()[0].sigmas)


@pytest.mark.parametrize(
    ("reference", "subject", "sigmas"),
    [
        (1.0, 1.0, 0.0),
        (1.0, 1.5, 5.0),
        (np.nan, np.nan, 0.0),
        (np.inf, np.inf, 0.0),
        (np.inf, -np.inf, np.inf),
        (1.0, np.nan, np.inf),
        (np.nan, 1.0, np.inf),
        (1e308, -1e308, np.inf),
    ],
)
def test_an_element_is_off_by_as_many_sigmas_as_the_comparison_says(
    reference: float, subject: float, sigmas: float
) -> None:
    arrays = Arrays(np.array([reference]), np.array([subject]), np.float64(0.1))
    assert Elements(arrays, 8.0).sigmas.tolist() == [sigmas]


def elements(shape: tuple[int, ...], *, seed: int = 1) -> Elements:
    rng = np.random.default_rng(seed)
    reference = rng.normal(size=shape)
    return Elements(Arrays(reference, reference + rng.normal(size=shape) * 1e-15, np.float64(1e-16)), 8.0)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (300, 200), (1, 1), (0, 3)], ids=str)
def test_drawings_of_every_shape_are_small_and_the_same_twice(shape: tuple[int, ...]) -> None:
    made = drawings(elements(shape))
    assert [one.heading for one in made] == (
        ["Reference", "Subject", "Subject − reference", "Error in sigma"] if 0 not in shape else []
    )
    assert all(len(one.svg) < 40_000 for one in made)
    assert [one.svg for one in drawings(elements(shape))] == [one.svg for one in made]
    if shape == (300, 200):
        assert "each cell shows the worst of 4 × 3 elements" in made[0].words


def test_a_tensor_of_another_shape_shows_both_sides() -> None:
    page = to_html(agreement_with(lambda array: array.T))
    (shown,) = re.findall(r"<article.*?</article>", page, flags=re.DOTALL)
    assert re.findall(r"<figcaption>(.*?)</figcaption>", shown) == ["Reference", "Subject"]
    assert "Heat map of the subject, 3 × 4." in shown
    right = cc.record("article")["0/gradient/o.weight"]
    for array in (right, right.T):
        assert ", ".join(str(one) for one in array.ravel()[:10]) in shown
    assert "they cannot be held against each other" in shown


def test_a_tensor_of_another_dtype_shows_how_far_its_values_are_off() -> None:
    page = to_html(agreement_with(lambda array: array.astype(np.float32)))
    (shown,) = re.findall(r"<article.*?</article>", page, flags=re.DOTALL)
    assert len(re.findall("<img", shown)) == 4
    assert "The 10 worst of 12 elements" in shown
    assert re.search(r"<dt>subject</dt><dd[^>]*>float32</dd>", shown)


def test_not_finite_elements_are_mapped() -> None:
    arrays = agreement_with(with_nan).subjects["copy"].arrays["0/gradient/o.weight"]
    made = drawings(Elements(arrays, 8.0))
    assert made[-1].heading == "NaN and infinity"
    assert "11 finite in both, 1 NaN in the subject alone." in made[-1].words


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(matplotlib.rcParams)
    drawings(elements((3, 4)))
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("name", ["residual", "mlp", "several-losses", "accumulation", "tied"])
def test_a_row_holds_what_belongs_to_one_node(name: str) -> None:
    case = cc.load_case(name)
    found = cc.compare(cc.record(case), cc.record(case))
    (subject,) = found.subjects.values()
    for step in flows(found.network, subject, {}):
        forward = [box for box in step.boxes if box.operation.phase == "forward"]
        backward = [box for box in step.boxes if box.operation.phase == "backward"]
        rows = list(aligned(forward, backward))
        assert [one for one, _ in rows if one] == forward
        assert [one for _, one in rows if one][::-1] == backward
        both = [(one.of, other.of) for one, other in rows if one and other]
        assert all(one == other for one, other in both)
        nodes = {box.of for box in backward if box.operation.kind != "sum"} & {box.of for box in forward}
        assert {one for one, _ in both} == nodes


def test_a_long_network_is_folded_around_what_is_wrong() -> None:
    case = cc.load_case("activations")
    fault = next(fault for fault in faults_of(case) if fault.name == "input_gradient_negated" and fault.site)
    found = cc.compare(cc.record(case), record(case, fault))
    (subject,) = found.subjects.values()
    long = next(one for one in flows(found.network, subject, {}) if one.diverges)
    assert long.whole
    for column in long.short:
        hidden = sum(entry.rows for entry in column.entries if isinstance(entry, LeftOut))
        (whole,) = (one for one in long.whole if one.name == column.name)
        assert len(column.entries) <= LONGEST + 8
        assert sum(not isinstance(entry, LeftOut) for entry in column.entries) + hidden == len(whole.entries)
    boxes = [entry for column in long.short for entry in column.entries if entry and not isinstance(entry, LeftOut)]
    assert [box.of for box in boxes if box.blame == "first"] == [fault.site]


def test_what_is_folded_away_says_how_much_of_it_is_wrong() -> None:
    operations = [Operation(f"0/update(w{number})", "update", "sgd", (), ()) for number in range(60)]
    made = [Box(one, "wrong" if number % 2 else "agrees", one.name, "") for number, one in enumerate(operations)]
    made[30] = replace(made[30], blame="first")
    (update,) = flow("0", made).short
    told = sum(entry.wrong for entry in update.entries if isinstance(entry, LeftOut))
    seen = [entry for entry in update.entries if isinstance(entry, Box)]
    assert made[30] in seen
    assert told
    assert told + sum(box.blame in ("first", "wrong") for box in seen) == 31


def test_steps_are_drawn_as_far_as_there_is_room_where_it_parts_first(agreements: dict[str, cc.Agreement]) -> None:
    found = agreements["failing"]
    (subject,) = found.subjects.values()
    steps = flows(found.network, subject, {})
    assert [step.place for step in drawable(steps, 40)] == ["0", "1"]
    assert [step.place for step in drawable(steps, 20)] == ["0"]
    assert [step.place for step in drawable(steps[::-1], 20)] == ["0"]
    assert drawable(steps, 0) == []


def blamed(changes: dict[str, Any]) -> dict[str, str]:
    """How the article's operations stand where some tensors are changed."""
    trace = cc.record("article")
    subject = cc.Trace("copy", trace.case, {}, {**trace.tensors, **changes})
    found = cc.compare(trace, subject)
    return dict(found.network.blame(found.subjects["copy"]))


def test_what_is_right_for_what_goes_in_is_downstream_and_what_is_not_is_wrong_as_well() -> None:
    trace = cc.record("article")
    wrong = blamed({"0/forward/j": trace["0/forward/j"] * 2, "0/backward/k": trace["0/backward/k"] * 2})
    assert wrong["0/forward(j)"] == "first"
    assert wrong["0/backward(k.tanh)"] == "wrong"
    assert wrong["0/backward(o)"] == "agrees"
    assert set(blamed({}).values()) == {"agrees"}


def test_a_run_that_is_only_compared_end_to_end_is_blamed_where_it_first_differs() -> None:
    """Another tolerance knows of no local comparison: what lies behind may differ for what went in alone."""
    case = cc.load_case("article-batch")
    found = cc.compare(cc.record(case), planted(case, "diagonal_jacobian"), tolerance=cc.EpsilonTable())
    (subject,) = found.subjects.values()
    blame = found.network.blame(subject)
    assert [name for name, one in blame.items() if one == "first"] == ["0/backward(o.softmax)"]
    assert "wrong" not in blame.values()
    assert blame["0/update(j.weight)"] == "downstream"


# ---------------------------------------------------------------------------------------------------------- the samples

SAMPLES = Path(__file__).resolve().parents[1] / "reports" / "samples"
FAILING = {
    "0/backward(o.softmax)": "diagonal_jacobian",
    "0/backward(k.tanh)": "tanh_square_forgotten",
    "0/backward(j)": "bias_gradient_averaged",
}


@pytest.mark.parametrize("name", ["article", "three-mistakes"])
def test_a_sample_is_what_its_record_makes_now(name: str, visit: Visit) -> None:
    found = folder.read(SAMPLES / name)
    assert (SAMPLES / name / "agreement.md").read_text() == to_markdown(found)
    assert (SAMPLES / name / "junit.xml").read_text() == to_junit(found)
    page = (SAMPLES / name / "report.html").read_text()
    assert content(page) == content(to_html(found)), f"crosscheck report reports/samples/{name} makes it again"
    with visit(SAMPLES / name / "report.html") as seen:
        assert seen.page.locator("h1").is_visible()


def content(page: str) -> str:
    """What a page says, without its style, its script and the drawings, whose bytes are Matplotlib's to choose."""
    body = page[page.index("<body>") :]
    return re.sub(r"<script>.*?</script>|data:image/svg\+xml;base64,[\w+/=]+", "", body, flags=re.DOTALL)


def test_the_failing_sample_names_each_mistake_where_it_is() -> None:
    (subject,) = folder.read(SAMPLES / "three-mistakes").subjects.values()
    assert {one.operation: one.cause for one in subject.diagnosis if one.operation.startswith("0/")} == FAILING
    assert folder.read(SAMPLES / "article").ok


# ------------------------------------------------------------------------------------------------------------ how large


@pytest.fixture(scope="module")
def large() -> cc.Agreement:
    """A case of 500 tensors, every one of which fails."""
    found = agreement_with(lambda array: -array)
    subject = found.subjects["copy"]
    failing = subject.worst_first()[0]
    names = [f"0/gradient/layer{number}.weight" for number in range(500)]
    arrays = elements((64, 48)).arrays
    tensors = tuple(replace(failing, name=name, shape=(64, 48)) for name in names)
    return replace(
        found,
        subjects={
            "copy": replace(
                subject, first_divergence=names[0], tensors=tensors, arrays=dict.fromkeys(names, arrays), diagnosis=()
            )
        },
    )


def test_a_report_of_500_failing_tensors_is_small(large: cc.Agreement) -> None:
    page = to_html(large)
    assert page.count("<article") == 500
    assert page.count("<img") == 4 * MOST_DRAWN
    assert page.count("this is a later one") == 500 - MOST_DRAWN
    assert len(page.encode()) < 5_000_000


def test_the_same_page_is_made_twice(agreements: dict[str, cc.Agreement]) -> None:
    page = to_html(agreements["failing"])
    assert "<img" in page
    assert to_html(agreements["failing"]) == page
