"""A lesson says what the runs computed: every product adds up, every number of a framework is the framework's own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import crosscheck as cc
import numpy as np
import pytest
from accessibility import problems
from crosscheck.cli import app
from crosscheck.cli.explain import step_through
from crosscheck.faults import faults_of
from crosscheck.lesson.excerpts import Known, excerpt, recognised
from crosscheck.lesson.explain import explain
from crosscheck.lesson.functions import function, jacobian
from crosscheck.lesson.lesson import Lesson, called_in_print
from crosscheck.lesson.mistakes import Mistakes, visibility
from crosscheck.lesson.switch import switch
from crosscheck.lesson.symbols import Name, Symbols
from crosscheck.lesson.unfolding import Derivatives, Element, small_enough
from crosscheck.reference import run
from crosscheck.rendering.lesson_page import to_html
from crosscheck.rendering.lesson_text import screens
from crosscheck.rendering.network import columns_of, draw
from rich.console import Console
from typer.testing import CliRunner

SMALL = ("article", "article-batch", "mazur", "mlp", "residual", "several-losses", "probabilities", "clipping")
"""Cases that are small enough to be written out element by element."""

FRAMEWORKS = ("torch", "jax")

OTHERS = ("tied", "lenet", "gru", "normalisations", "accumulation", "heads")
"""Cases that are not, each with layers of its own."""


@pytest.fixture(scope="session")
def lesson() -> Lesson:
    """The lesson of the article, with whatever frameworks are installed."""
    return explain(cc.load_case("article"))


@pytest.fixture(scope="session")
def page(lesson: Lesson, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its page."""
    return cc.api.Lesson(**vars(lesson)).write(tmp_path_factory.mktemp("lesson"))


@cache
def alone(name: str) -> Lesson:
    """The lesson of a case without any framework, in which the checker is not asked, which takes longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crosscheck.lesson.mistakes.MOST_WORK", 0)
        return explain(cc.load_case(name), against=[])


def card_of(lesson: Lesson, operation: str) -> Any:
    return next(card for card in lesson.cards if card.operation == operation)


# ---------------------------------------------------------------------------------------------- the chain rule unfolds


@pytest.mark.parametrize("name", SMALL)
def test_local_derivatives_multiply_to_every_gradient(name: str) -> None:
    case = cc.load_case(name)
    trace = run(case)
    assert small_enough(case, trace)
    derivatives = Derivatives(case, trace)
    for tensor in trace:
        step, phase, owner = tensor.split("/", 2)
        if step == "0" and phase in ("gradient", "backward") and "->" not in owner:
            scale = np.abs(trace[tensor]).max(initial=1e-30)
            for index in np.ndindex(trace[tensor].shape):
                total = derivatives.totals.get(Element(owner, index), 0.0)
                assert abs(total - trace[tensor][index]) <= 1e-12 * scale, (tensor, index)


@pytest.mark.parametrize("name", ["article", "mazur", "article-batch"])
def test_every_weight_unfolds_into_products_that_add_up_to_its_gradient(name: str) -> None:
    lesson = alone(name)
    shapes = lesson.case.parameters
    assert [(one.tensor, one.index) for one in lesson.unfolded] == [
        (tensor, index) for tensor, shape in shapes.items() for index in np.ndindex(shape)
    ]
    for one in lesson.unfolded:
        total = sum(path.product for path in one.paths) + one.rest
        assert total == pytest.approx(one.gradient, rel=1e-12, abs=1e-15)
        assert one.gradient == lesson.trace[f"0/gradient/{one.tensor}"][one.index]
        assert len(one.paths) <= one.count


def test_the_factors_have_the_articles_names(lesson: Lesson) -> None:
    first = lesson.unfolded[0]
    assert str(first.element) == "∂loss/∂wi1j1"
    assert first.count == 12
    assert [str(name) for name, _ in first.paths[0].factors] == [
        "∂loss/∂o1_output",
        "∂o1_output/∂o3_input",
        "∂o3_input/∂k2_output",
        "∂k2_output/∂k2_input",
        "∂k2_input/∂j1_output",
        "∂j1_output/∂j1_input",
        "∂j1_input/∂wi1j1",
    ]


def test_a_closed_gate_leaves_no_path(lesson: Lesson) -> None:
    closed = [one for one in lesson.unfolded if one.tensor == "j.weight" and one.index[1] == 1]
    assert closed
    for one in closed:
        assert (one.count, one.gradient) == (0, 0)
    opening = card_of(lesson, "0/backward(j.relu)").makes[0].openings[(0, 1)]
    assert [str(name) for name, _ in opening.terms[0].factors] == ["∂loss/∂j2_output", "∂j2_output/∂j2_input"]
    assert opening.terms[0].product == 0


@pytest.mark.parametrize("name", [*SMALL[:6]])
def test_every_opening_adds_up_to_its_number(name: str) -> None:
    opened = 0
    for card in alone(name).cards:
        for made in card.makes:
            for index, opening in made.openings.items():
                assert opening.value == alone(name).trace[made.excerpt.name][index]
                if opening.terms:
                    opened += 1
                    scale = max(abs(opening.value), *(abs(term.product) for term in opening.terms))
                    assert abs(sum(term.product for term in opening.terms) - opening.value) <= 1e-12 * scale
    assert opened


def test_an_affine_number_is_a_sum_of_named_products(lesson: Lesson) -> None:
    opening = card_of(lesson, "0/forward(j)").makes[0].openings[(0, 0)]
    assert [[str(name) for name, _ in term.factors] for term in opening.terms] == [
        ["i1", "wi1j1"],
        ["i2", "wi2j1"],
        ["bj1"],
    ]
    assert card_of(lesson, "0/forward(k.tanh)").makes[0].openings[(0, 2)].words == "tanh(k3_input)"


def test_the_followed_number_gains_a_factor_at_each_card_of_the_backward(lesson: Lesson) -> None:
    followed = lesson.followed
    assert followed is not None
    assert (followed.tensor, followed.index, followed.name) == ("j.weight", (0, 0), "wi1j1")
    operations = [card.operation for card in lesson.cards if card.phase == "backward"]
    assert [gain.operation for gain in followed.gains] == operations
    along = 1.0
    for gain in followed.gains:
        along *= gain.value
        assert gain.along == pytest.approx(along, rel=1e-14)
    assert followed.gains[-1].total == pytest.approx(followed.gradient, rel=1e-13)
    assert followed.after == followed.before - 0.01 * followed.gradient
    forward = [card.operation for card in lesson.cards if card.phase in ("forward", "loss")]
    assert [passing.operation for passing in followed.passings] == forward


# ----------------------------------------------------------------------------------------------------------- the cards


@pytest.mark.parametrize("name", [*SMALL, *OTHERS])
def test_a_card_for_each_operation_with_the_numbers_of_the_run(name: str) -> None:
    lesson = alone(name)
    assert [card.operation for card in lesson.cards] == [one.name for one in lesson.trace.operations][
        : len(lesson.cards)
    ]
    assert len(lesson.cards) == len(lesson.trace.operations) or "Shown are" in lesson.left_out[0]
    for card in lesson.cards:
        for shown in (*card.reads, *(made.excerpt for made in card.makes)):
            array = lesson.trace[shown.name]
            assert shown.shape == array.shape
            for index, value in shown.cells():
                assert value == array[index]
            assert bool(shown.part) == (len(shown.cells()) < array.size)
        assert card.lit[0] in {made.excerpt.name for made in card.makes}


@pytest.mark.parametrize("name", ["lenet"])
def test_a_large_case_says_what_it_leaves_out(name: str) -> None:
    told = " ".join(alone(name).left_out)
    assert "not unfolded element by element" in told
    assert "first place where it can happen" in told


def test_code_is_the_sources(lesson: Lesson) -> None:
    root = Path(cc.__file__).parent
    for card in lesson.cards:
        lines = (root / card.code.file).read_text("utf-8").splitlines()[card.code.line - 1 :]
        for own, written in zip(card.code.text.splitlines(), lines, strict=False):
            assert own.strip() == written.strip()
    assert "dx = dy * (1 - y * y)" in card_of(lesson, "0/backward(k.tanh)").code.text


def test_part_of_a_large_tensor() -> None:
    array = np.arange(3.0 * 4 * 10 * 12).reshape(3, 4, 10, 12)
    shown = excerpt(Symbols(cc.load_case("lenet")), "0/forward/a", array)
    assert shown.part == "[0, 0, :6, :8]"
    assert shown.values.tolist() == array[0, 0, :6, :8].tolist()
    assert shown.indices[2][3] == (0, 0, 2, 3)
    assert excerpt(Symbols(cc.load_case("lenet")), "0/forward/loss", np.array(2.5)).cells() == [((), 2.5)]


@pytest.mark.parametrize(
    ("case", "name", "index", "called"),
    [
        ("article", "input", (0, 1), "i2"),
        ("article", "k.tanh", (0, 3), "k4_output"),
        ("article", "k.weight", (2, 3), "wj3k4"),
        ("article", "o.bias", (1,), "bo2"),
        ("article", "loss", (), "loss"),
        ("article-batch", "o", (2, 0), "o1_input in row 3"),
        ("mazur", "h.weight", (1, 0), "w2"),
        ("mazur", "h.weight", (0, 1), "w3"),
        ("mazur", "o.weight", (1, 1), "w8"),
        ("mazur", "h", (0, 0), "net_h1"),
        ("mazur", "loss", (), "E_total"),
        ("mlp", "a.weight", (1, 2), "a.weight[1, 2]"),
    ],
)
def test_elements_are_called_as_the_text_calls_them(case: str, name: str, index: tuple[int, ...], called: str) -> None:
    loaded = cc.load_case(case)
    shapes = {**loaded.shapes(loaded.batch(0).inputs.shape), **loaded.parameters, "loss": ()}
    assert Symbols(loaded).element(name, index, shapes.get(name, (4, 4))) == called


# ------------------------------------------------------------------------------------------------- inside frameworks


def test_torchs_nodes_are_those_of_the_blueprint(lesson: Lesson) -> None:
    pytest.importorskip("torch")
    stages = card_of(lesson, "0/backward(k)").stages["torch"]
    assert [stage.name for stage in stages] == ["AddmmBackward0", "AccumulateGrad", "TBackward0", "AccumulateGrad"]
    addmm, _, transposed, _ = stages
    assert [str(seen.symbol) for seen in addmm.gives] == ["∂loss/∂bk", "∂loss/∂j_output", "∂loss/∂wjk"]
    assert [(str(seen.symbol), seen.transposed) for seen in transposed.takes] == [("∂loss/∂wjk", False)]
    assert [(str(seen.symbol), seen.transposed) for seen in transposed.gives] == [("∂loss/∂wjk", True)]


def test_torch_keeps_what_the_blueprint_says(lesson: Lesson) -> None:
    pytest.importorskip("torch")
    kept = {one.of: [str(seen.symbol) for seen in one.frameworks["torch"]] for one in lesson.keeps}
    assert kept["j"] == ["i"], "no gradient flows to the input, so that the weight is not needed"
    assert kept["k"] == ["j_output", "wjk"]
    assert (kept["j.relu"], kept["k.tanh"], kept["o.softmax"]) == (["j_output"], ["k_output"], ["o_output"])


def test_jaxs_equations_carry_the_names_of_their_layers(lesson: Lesson) -> None:
    """The name stack is internal to JAX. If this fails, see ``adapters/jax/inside.py``."""
    pytest.importorskip("jax")
    from crosscheck.adapters import load_adapter

    inside = load_adapter("jax").inside(lesson.case)
    names = {*(node.name for node in lesson.case.nodes), "loss"}
    assert set(inside.forward) == set(inside.backward) == names
    card = card_of(lesson, "0/backward(k)")
    assert card.scopes["jax"] == "transpose(jvp(k))"
    made = {stage.name: [str(seen.symbol) for seen in stage.gives] for stage in card.stages["jax"]}
    assert made["reduce_sum"] == ["∂loss/∂bk"]
    assert {"dot_general", "transpose"} <= set(made)
    assert made["transpose"] == ["∂loss/∂wjk"]


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_frameworks_numbers_are_those_of_its_own_run(lesson: Lesson, framework: str) -> None:
    pytest.importorskip(framework)
    trace = cc.record("article", framework)
    for card in lesson.cards:
        for made in card.makes:
            theirs = made.theirs[framework]
            assert theirs.verdict == "agree"
            shown = [trace[made.excerpt.name][index] for index, _ in made.excerpt.cells()]
            assert theirs.values is not None
            assert theirs.values.ravel().tolist() == shown
    last = next(card for card in lesson.cards if card.phase == "update")
    assert any("add" in line for line in last.update[framework])


@pytest.mark.parametrize("name", ["gru", "several-losses", "accumulation", "tied"])
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_the_inside_of_other_networks(name: str, framework: str, adapter_of: Callable[[str], Any]) -> None:
    case = cc.load_case(name)
    inside = adapter_of(framework).inside(case)
    assert {node.name for node in case.nodes} <= set(inside.backward)
    assert inside.update
    assert any(passed.gives for passed in inside.backward[case.nodes[0].name])


def test_an_array_is_recognised_by_its_numbers() -> None:
    weight = np.arange(6.0).reshape(2, 3)
    known = [Known("0/gradient/w", Name("w"), weight)]
    assert recognised(weight * (1 + 1e-16), known, "float64").tensor == "0/gradient/w"
    assert recognised(weight.T, known, "float64").transposed
    assert recognised(weight + 1e-3, known, "float64").symbol is None
    assert recognised(weight.ravel(), known, "float64").symbol is None


@pytest.mark.usefixtures("unasked")
def test_a_framework_that_is_not_installed_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosscheck.adapters.find_spec", lambda package: None)
    lesson = explain(cc.load_case("mazur"))
    assert [framework.reason.partition(":")[0] for framework in lesson.frameworks] == [
        "torch not installed",
        "jax and optax not installed",
    ]
    assert "torch not installed" in to_html(lesson)
    assert "torch not installed" in text_of(lesson)


# ----------------------------------------------------------------------------------------------------------- mistakes


def test_every_mistake_that_shows_has_its_story(lesson: Lesson) -> None:
    hidden = {"relu_mask_includes_zero at j.relu"}
    assert {story.label for story in lesson.stories} == {str(fault) for fault in faults_of(lesson.case)} - hidden
    for story in lesson.stories:
        assert story.changes
        assert story.diagnosis
        assert story.name in {found.cause for found in story.diagnosis}
        assert story.changes[0].state == "origin"


def test_the_classic_mistake_begins_at_its_layer_and_looks_like_another(lesson: Lesson) -> None:
    story = lesson.story("diagonal_jacobian")
    assert story is not None
    assert story.changes[0].name == "0/backward/o"
    assert {change.state for change in story.changes[1:]} == {"downstream"}
    assert "dy * (y * (1 - y))" in story.code.text
    negated = next(story for story in lesson.stories if story.label == "input_gradient_negated at o.softmax")
    assert negated.alike[0] == ("loss_gradient_negated at loss", len(negated.changes))


def test_the_matrix_is_that_of_the_runs(lesson: Lesson) -> None:
    assert lesson.matrix["relu_mask_includes_zero"] == {"article": False, "article-batch": True}
    assert lesson.matrix["gradients_not_cleared"] == {"article": None, "article-batch": True}
    assert lesson.matrix["diagonal_jacobian"] == {"article": True, "article-batch": True}


def test_the_code_of_a_mistake_is_what_is_written_and_no_hint(lesson: Lesson) -> None:
    for story in lesson.stories:
        assert "def " in story.code.text or " = " in story.code.text
        assert not re.search(r"^    (question|experiment|only_where|number|wrong)\b", story.code.text, re.MULTILINE)


def test_visibility_is_none_where_a_mistake_cannot_happen() -> None:
    cases = [cc.load_case("mazur"), cc.load_case("article")]
    matrix = visibility([Mistakes(case, run(case)) for case in cases])
    assert matrix["diagonal_jacobian"]["mazur"] is None


def test_wrong_options_are_what_mistakes_make(lesson: Lesson) -> None:
    asked = [card for card in lesson.cards if card.question]
    assert {card.phase for card in asked} == {"backward", "update"}
    for card in asked:
        question = card.question
        right = [option for option in question.options if not option.mistake]
        assert len(right) == 1
        assert len({option.numbers for option in question.options}) == len(question.options) > 1
        for option in question.options:
            if option.mistake:
                assert option.why


def test_the_hook_has_the_same_first_number_twice(lesson: Lesson) -> None:
    assert lesson.hook is not None
    wrong, right = lesson.hook.options
    assert (wrong.mistake, right.mistake) == ("diagonal_jacobian", "")
    assert [round(number, 8) for number in wrong.numbers] == [-0.70771982, 0, 0]
    assert [round(number, 8) for number in right.numbers] == [-0.70771982, 0.03001013, 0.67770969]


@pytest.mark.parametrize("name", ["mazur", "article", "article-batch"])
def test_the_switch_has_the_step_both_ways(name: str) -> None:
    case = cc.load_case(name).with_steps(2)
    early = next(fault for fault in faults_of(case) if fault.name == "updated_too_early")
    right, wrong = run(case), run(case, early.start)
    both = alone(name).switch
    assert both is not None
    assert both.loss == (right["1/forward/loss"], wrong["1/forward/loss"])
    changed = [tensor for tensor in right if tensor.startswith("0/") and (right[tensor] != wrong[tensor]).any()]
    assert [str(row.symbol) for row in both.rows] == [str(Symbols(case).tensor(tensor)) for tensor in changed]
    for row, tensor in zip(both.rows, changed, strict=True):
        assert row.first != row.at_once
        assert row.apart == np.abs(right[tensor] - wrong[tensor]).max()
        assert set(row.first) <= set(right[tensor].ravel())
        assert set(row.at_once) <= set(wrong[tensor].ravel())


def test_mazurs_text_prints_the_loss_of_updating_at_once() -> None:
    both = alone("mazur").switch
    assert both is not None
    assert [f"{loss:.9f}" == "0.291027924" for loss in both.loss] == [False, True]
    assert "digit for digit" in both.note


def test_where_updating_at_once_changes_nothing_there_is_no_switch() -> None:
    case = replace(cc.load_case("mazur"), frozen=("h.weight", "o.weight"))
    assert case.trained
    assert switch(case) is None


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", ["relu", "tanh", "softmax and its Jacobian"])
def test_the_functions_of_part_one_stand_beside_the_frameworks(lesson: Lesson, name: str, framework: str) -> None:
    """Their value and their derivative, from a run of each; the article's vector among them."""
    pytest.importorskip(framework)
    piece = next(piece for piece in lesson.pieces["part one"] if piece.title == name)
    assert [one.verdict for one in piece.theirs[framework]] == ["agree", "agree"]
    rows = {row: np.array(values) for grid in piece.grids for row, values in grid.rows}
    theirs = [row for row in rows if row.endswith(f", {called_in_print(framework)}")]
    assert len(theirs) == (4 if "Jacobian" in name else 2)
    for row in theirs:
        np.testing.assert_allclose(rows[row], rows[row.partition(",")[0]], rtol=0, atol=1e-15)


def test_the_functions_of_part_one_are_right() -> None:
    x = np.array([-0.5, 0.25, 2.0])
    tanh, softmax = function(cc.Tanh(), x, ()), jacobian(cc.Softmax(), x, ())
    np.testing.assert_array_equal(tanh.value[0], np.tanh(x))
    np.testing.assert_allclose(tanh.derivative[0], 1 - np.tanh(x) ** 2, rtol=1e-15)
    y = np.exp(x) / np.exp(x).sum()
    np.testing.assert_allclose(softmax.derivative, np.diag(y) - np.outer(y, y), atol=1e-15)


def test_the_third_of_the_loss_is_a_third_of_every_gradient(lesson: Lesson) -> None:
    (piece,) = lesson.pieces["loss"]
    for _, (_, _, ratio) in piece.grids[0].rows:
        assert ratio == pytest.approx(1 / 3, rel=1e-12)


# ----------------------------------------------------------------------------------------------------------- the views


def text_of(lesson: Lesson) -> str:
    console = Console(width=120, no_color=True, force_terminal=False)
    with console.capture() as capture:
        for screen in screens(lesson):
            console.print(screen)
    return capture.get()


def test_the_terminal_shows_every_card(lesson: Lesson) -> None:
    text = text_of(lesson)
    for stop in lesson.stops():
        assert stop.title in text
    for told in ("-21", "wi1j1", "0.29228018", "at the input layer", "in the hidden layers", "✗ diagonal_jacobian"):
        assert told in text


@pytest.mark.parametrize("name", ["article-batch", "mazur", *OTHERS])
def test_any_case_has_a_text(name: str) -> None:
    text = text_of(alone(name))
    for card in alone(name).cards:
        assert card.title in text


@pytest.mark.parametrize("name", ["article-batch", "mazur", *OTHERS, "gpt2"])
def test_any_case_has_a_page(name: str) -> None:
    lesson = alone(name)
    html = to_html(lesson)
    for card in lesson.cards[:: max(len(lesson.cards) // 8, 1)]:
        assert f'data-operation="{card.operation.replace(">", "&gt;")}"' in html
    assert len(html) < 8e6


def test_the_drawing_has_every_node_and_weight() -> None:
    case = cc.load_case("article")
    drawn = draw(case, run(case))
    assert len(drawn.boxes) == 2 + 4 + 4 + 3 + 1
    assert len([edge for edge in drawn.edges if edge.tensor]) == 8 + 16 + 12
    edge = next(edge for edge in drawn.edges if (edge.tensor, edge.index) == ("j.weight", "0,0"))
    assert {text.when: text.text for text in edge.texts} == {"v": "-0.0147", "g": "0.0342", "u": "-0.0150"}
    assert columns_of(cc.load_case("lenet")) is None
    names = {name for box in draw(cc.load_case("residual"), run(cc.load_case("residual"))).boxes for name in box.names}
    assert names == {"input", "loss", *(node.name for node in cc.load_case("residual").nodes)}


def test_the_articles_page_is_small_enough(page: Path) -> None:
    assert page.stat().st_size < 1.5e6


def test_no_style_attribute_is_in_the_page(page: Path) -> None:
    assert not re.search(r"<[^>]+\sstyle=", page.read_text("utf-8"))


def test_the_page_steps_by_keyboard(page: Path, visit: Callable[..., Any]) -> None:
    with visit(page) as seen:
        tab = seen.page
        stops = tab.locator(".stop")

        def shown() -> list[str]:
            return [item.get_attribute("id") for item in stops.all() if item.is_visible()]

        assert shown() == ["stop-1"]
        tab.keyboard.press("ArrowRight")
        tab.keyboard.press("ArrowRight")
        assert shown() == ["stop-3"]
        assert parse_qs(urlsplit(tab.url).fragment)["step"] == ["3"]
        tab.keyboard.press("ArrowLeft")
        assert shown() == ["stop-2"]
        assert "j_output" in tab.inner_text("#live")
        before = tab.inner_text(".stop.current .lit-name")
        tab.keyboard.press("ArrowDown")
        assert tab.inner_text(".stop.current .lit-name") != before
        lit = tab.locator(".stop.current td.lit")
        assert lit.count() == 1
        assert tab.inner_text(".stop.current [data-by=full]") == lit.get_attribute("data-full")
        tab.keyboard.press("ArrowUp")
        assert tab.inner_text(".stop.current .lit-name") == before
        tab.keyboard.press("?")
        assert tab.locator("#help").is_visible()
        tab.keyboard.press("?")
        assert not tab.locator("#help").is_visible()
        tab.keyboard.press("f")
        assert tab.locator(".story[open]").count() == 1
        assert "fault" in parse_qs(urlsplit(tab.url).fragment)


def test_each_key_has_a_button_that_does_the_same(page: Path, visit: Callable[..., Any]) -> None:
    with visit(page) as seen:
        tab = seen.page
        assert {button.get_attribute("data-do") for button in tab.locator(".bar button").all()} == {
            *("previous", "next", "up", "down", "reveal", "fault", "help")
        }
        tab.click("[data-do=next]")
        assert tab.locator("#stop-2").is_visible()
        tab.click("[data-do=previous]")
        assert tab.locator("#stop-1").is_visible()
        tab.locator("#time").fill("5")
        assert tab.locator("#stop-5").is_visible()


def test_the_state_is_in_the_address(page: Path, visit: Callable[..., Any]) -> None:
    with visit(page) as seen:
        for _ in range(3):
            seen.page.keyboard.press("ArrowRight")
        seen.page.keyboard.press("ArrowDown")
        lit, address = seen.page.inner_text(".stop.current .lit-name"), seen.page.url
        seen.page.goto("about:blank")
        seen.page.goto(address)
        assert seen.page.locator("#stop-4").is_visible()
        assert seen.page.inner_text(".stop.current .lit-name") == lit


def test_a_question_hides_the_answer_until_it_is_answered(
    lesson: Lesson, page: Path, visit: Callable[..., Any]
) -> None:
    stops = list(lesson.stops())
    place = next(number for number, stop in enumerate(stops, 1) if stop.title == "back through o_output")
    with visit(page) as seen:
        tab = seen.page
        tab.locator("#time").fill(str(place))
        assert not tab.locator(".stop.current table.sides").is_visible()
        tab.locator(".stop.current input[data-right='0']").first.check()
        assert "Not that one" in tab.inner_text(".stop.current .said.bad")
        assert tab.locator(".stop.current table.sides").is_visible()
        tab.locator(".stop.current input[data-right='1']").check()
        assert "right" in tab.inner_text(".stop.current p.said")
        tab.locator("h1").click()
        tab.keyboard.press("r")
        assert "diagonal_jacobian" in tab.inner_text(".stop.current details.reveal")


def test_a_lit_number_shows_what_each_framework_has(lesson: Lesson, page: Path, visit: Callable[..., Any]) -> None:
    pytest.importorskip("torch")
    place = next(n for n, stop in enumerate(lesson.stops(), 1) if stop.title == "back through k_input")
    with visit(page) as seen:
        tab = seen.page
        tab.locator("#time").fill(str(place))
        trace, reference = cc.record("article", "torch"), lesson.trace
        cells = tab.locator(".stop.current td.cell")
        for number in (0, 5, 9):
            cells.nth(number).click()
            flat = np.concatenate([trace[made.excerpt.name].ravel() for made in card_of(lesson, "0/backward(k)").makes])
            own = np.concatenate([reference[m.excerpt.name].ravel() for m in card_of(lesson, "0/backward(k)").makes])
            assert float(tab.inner_text(".stop.current [data-by=full]")) == own[number]
            assert float(tab.inner_text(".stop.current [data-by=torch]")) == flat[number]


def test_without_a_script_every_step_is_there_in_order(lesson: Lesson, page: Path, visit: Callable[..., Any]) -> None:
    with visit(page, script=False) as seen:
        headings = seen.page.locator(".stop h3").all_inner_texts()
        titles = [stop.title for stop in lesson.stops()]
        assert [heading.strip().startswith(title) for heading, title in zip(headings, titles, strict=True)] == [
            True
        ] * len(titles)
        assert all(stop.is_visible() for stop in seen.page.locator(".stop").all())
        assert not seen.page.locator(".bar").is_visible()
        seen.page.locator("#hook summary").click()
        assert "diagonal_jacobian" in seen.page.inner_text("#hook details")


@pytest.mark.parametrize(("dark", "width"), [(False, 1280), (True, 390)], ids=["light", "dark on a phone"])
def test_the_page_keeps_nobody_out(page: Path, visit: Callable[..., Any], width: int, dark: bool) -> None:
    with visit(page, width=width, dark=dark) as seen:
        for step in (1, 8, 12):
            seen.page.locator("#time").fill(str(step))
            assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        assert not problems(seen.page)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_the_switch_shows_the_step_either_way(
    lesson: Lesson, page: Path, visit: Callable[..., Any], script: bool
) -> None:
    place = next(number for number, stop in enumerate(lesson.stops(), 1) if stop.kind == "switch")
    assert lesson.switch is not None
    first, at_once = (f"{loss:.9f}" for loss in lesson.switch.loss)
    with visit(page, script=script) as seen:
        if script:
            seen.page.locator("#time").fill(str(place))
        both = seen.page.locator(".switch")
        assert (first in both.inner_text(), at_once in both.inner_text()) == (True, False)
        both.get_by_label("all gradients first").press("ArrowDown")
        assert (first in both.inner_text(), at_once in both.inner_text()) == (False, True)
        assert (at_once in seen.page.inner_text("#live")) == script


@pytest.mark.usefixtures("unasked")
def test_hostile_names_appear_as_text(tmp_path: Path, visit: Callable[..., Any]) -> None:
    case = cc.load_case("mazur")
    hostile = "<img src=x onerror=alert(1)>"
    symbols = {**case.symbols, "h": hostile, "h.weight": "</script><b>w", "loss": "\x1b[31mred"}
    lesson = explain(replace(case, symbols=symbols, about=f"{hostile} about"), against=[])
    path = tmp_path / "lesson.html"
    path.write_text(to_html(lesson), encoding="utf-8")
    with visit(path) as seen:
        assert seen.page.locator("img, b:text-is('w')").count() == 0
        assert hostile in seen.page.inner_text("header")
        assert hostile in seen.page.inner_text(".stop.current h3")
    text = text_of(lesson)
    assert hostile in text
    assert "\x1b" not in text
    assert "\\x1b[31mred" in text


# -------------------------------------------------------------------------------------------------- shell and Python


@pytest.fixture
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checker is not asked the cause of mistakes, which takes longest."""
    monkeypatch.setattr("crosscheck.lesson.mistakes.MOST_WORK", 0)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    return lambda *arguments, **more: CliRunner().invoke(app, list(arguments), **more)


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize("option", [["--plain"], ["--page-only"], []], ids=["plain", "page only", "no terminal"])
def test_the_command_writes_the_page_and_says_where(
    shell: Callable[..., Any], tmp_path: Path, option: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosscheck.lesson.explain.FIRST_CHOICE", ())
    result = shell("explain", "mazur", *option)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "reports" / "mazur" / "lesson.html").exists()
    assert "reports/mazur/lesson.html" in result.output
    assert ("back through net_h" in result.output) == (option != ["--page-only"])


def test_a_case_that_is_not_there_is_status_2(shell: Callable[..., Any]) -> None:
    result = shell("explain", "artcle")
    assert result.exit_code == 2
    assert "article" in result.output


def test_an_adapter_that_is_not_there_is_status_2(shell: Callable[..., Any]) -> None:
    result = shell("explain", "mazur", "--against", "pytorch")
    assert result.exit_code == 2
    assert "pytorch" in result.output


@pytest.mark.usefixtures("unasked")
def test_python_has_it_too(tmp_path: Path) -> None:
    lesson = cc.explain("mazur", against=[])
    assert lesson.write(tmp_path) == tmp_path / "lesson.html"
    assert lesson.followed is not None
    assert lesson.followed.name == "w1"


def test_in_a_terminal_enter_goes_on_and_q_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["", "q"])
    console = Console(width=120, force_terminal=True)
    monkeypatch.setattr(console, "input", lambda prompt: next(answers))
    with console.capture() as capture:
        step_through(console, iter(["one", "two", "three"]), waiting=True)
    assert capture.get().split() == ["one", "two"]


@pytest.mark.usefixtures("unasked")
def test_a_framework_that_fails_is_said_so(monkeypatch: pytest.MonkeyPatch, adapter_of: Callable[[str], Any]) -> None:
    def fail(self: Any, case: cc.Case, device: str) -> cc.Trace:
        raise RuntimeError("out of order")

    monkeypatch.setattr(type(adapter_of("torch")), "run", fail)
    (framework,) = explain(cc.load_case("mazur"), against=["torch"]).frameworks
    assert framework.reason == "crashed: RuntimeError: out of order"


@pytest.mark.usefixtures("unasked")
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "longdouble"])
def test_any_dtype_has_a_lesson(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = explain(cc.load_case("mazur", dtype=dtype), against=[])
    assert f"in {dtype}" in to_html(lesson)
    assert lesson.stories
