"""Exercises: what is written, that no mistake passes, that hints do not tell, and the marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck import faults
from crosscheck.adapters.own import Target
from crosscheck.cli import app
from crosscheck.cli.check import Level
from crosscheck.comparison import compare
from crosscheck.comparison.compare import Comparison, agreement_of
from crosscheck.comparison.running import run
from crosscheck.exercises.grading import Exercise, judged
from crosscheck.exercises.hints import hints, hints_on
from crosscheck.exercises.kinds import groups
from crosscheck.exercises.sheet import LEVELS, load_sheet
from crosscheck.exercises.writing import phases, several, single, step_of, write_exercise
from crosscheck.faults import FAULTS, Fault, faults_of
from typer.testing import CliRunner, Result

CASES = ("article", "article-batch", "mazur", "mlp")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the program as a shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture
def article(tmp_path: Path) -> Path:
    """The article's exercise."""
    return write_exercise(cc.load_case("article"), tmp_path / "article")


def said(result: Result) -> str:
    return " ".join(ANSI.sub("", result.output).split())


def filled_in(folder: Path, *changes: tuple[str, str]) -> None:
    """The step of the exercise solved, but for these changes, and the faulty step repaired."""
    text = step_of(cc.load_case("article"), solved=True)
    (folder / "detective.py").write_text(text)
    (folder / "fused.py").write_text(step_of(cc.load_case("article"), solved=True, fused=True))
    for right, wrong in changes:
        assert text.count(right) == 1
        text = text.replace(right, wrong)
    (folder / "step.py").write_text(text)


def marks(folder: Path) -> dict[str, float]:
    """The share of its points that each phase came to."""
    found = Exercise(Target.of(f"{folder}/step.py:train_step")).marks()
    return {mark.name: mark.score / mark.points for mark in found}


# ------------------------------------------------------------------------------------------------------ what is written


@pytest.mark.parametrize("name", CASES)
def test_exercise_has_blanks_and_says_nothing_wrong(name: str, tmp_path: Path) -> None:
    folder = write_exercise(cc.load_case(name), tmp_path / name)
    files = {"README.md", "step.py", "detective.py", "case.toml", "case-batch.toml", "check.toml"}
    fused = {"fused.py"} if name.startswith("article") else set()
    assert {path.name for path in folder.iterdir()} == files | fused
    one, more = cc.load_case(folder / "case.toml"), cc.load_case(folder / "case-batch.toml")
    assert (one.steps, len(one.batch(0).inputs)) == (1, 1)
    assert more.steps > 1
    assert len(more.batch(0).inputs) > 1
    for case in (one, more):
        (found,) = cc.check(case, against=[f"{folder}/step.py:train_step"]).subjects.values()
        assert found.verdict == "not given"
        assert found.count("disagree") == 0
    points = marks(folder)
    given = {phase for phase in points if phase == "forward" or phase.startswith("the last layer")}
    assert points == {phase: float(phase in given) for phase in points}
    assert len(given) == 2


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_solved_exercise_has_all_marks(name: str, dtype: str, tmp_path: Path) -> None:
    case = cc.load_case(name, dtype=dtype)
    folder = write_exercise(case, tmp_path / name)
    for file in ("step.py", "detective.py"):
        (folder / file).write_text(step_of(case, solved=True))
    if (folder / "fused.py").exists():
        (folder / "fused.py").write_text(step_of(case, solved=True, fused=True))
    assert set(marks(folder).values()) == {1.0}
    assert sum(phase.points for phase in load_sheet(folder).phases) in (80, 100)


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("(o_softmax - targets) / len(inputs)", 1.0),
        ("o_softmax / len(inputs) - targets / len(inputs)", 1.0),
        ("o_softmax - targets", 0.0),  # right for one row
        ("(targets - o_softmax) / len(inputs)", 0.0),
        ("-targets / len(inputs)", 0.0),
    ],
)
def test_softmax_and_loss_in_one_line(article: Path, line: str, share: float) -> None:
    blank = (article / "fused.py").read_text()
    assert blank.count("do = ...") == 1
    assert "do_softmax =" not in blank
    (article / "fused.py").write_text(blank.replace("do = ...", f"do = {line}"))
    assert marks(article)["softmax and loss in one line"] == share


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("residual", "nodes.first: expected what exercises are written for: 'dense', 'relu', "),
        ("yes-or-no", "loss: expected what exercises are written for: 'cross_entropy', "),
        ("regression", "optimizer.momentum: expected its usual value, for an exercise; received 0."),
    ],
)
def test_case_of_which_none_can_be_made_is_an_error(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(cc.CaseError) as raised:
        write_exercise(cc.load_case(name), tmp_path / name)
    assert message in str(raised.value)
    assert not (tmp_path / name).exists()


def test_nodes_whose_names_are_one_in_python_are_refused() -> None:
    case = cc.load_case("mazur")
    nodes = [cc.Node(name, node.layer) for name, node in zip(("e", "e.out", "o", "o.out"), case.nodes, strict=True)]
    weights = {name.replace("h.", "e."): array for name, array in case.weights.items()}
    with pytest.raises(cc.CaseError, match="names that are different variables in Python; received 'e'"):
        groups(cc.Case("clash", nodes, case.loss, case.optimizer, weights, case.batches))


def test_folder_with_files_is_left_alone(shell: Callable[..., Result], tmp_path: Path) -> None:
    assert shell("new", "exercise", "mazur").exit_code == 0
    (tmp_path / "mazur" / "step.py").write_text("mine")
    again = shell("new", "exercise", "mazur")
    assert again.exit_code == 2
    assert "mazur: expected an empty folder, or none; received files in it" in said(again)
    assert (tmp_path / "mazur" / "step.py").read_text() == "mine"


# --------------------------------------------------------------------------------------------------- no mistake passes


@cache
def comparison(case: str, which: Callable[[cc.Case], cc.Case]) -> Comparison:
    return Comparison(run(which(cc.load_case(case))), cc.Computed())


def visible(fault: Fault, reference: cc.Trace) -> bool:
    """Whether a run with a fault differs from the right one by more than rounding."""
    trace = faults.record(reference.case, fault)  # type: ignore[arg-type]
    apart = (trace[name].shape != reference[name].shape or not np.allclose(trace[name], reference[name], 1e-9, 1e-13)
             for name in reference)  # fmt: skip
    return any(apart)


def declared(name: str) -> Iterator[Any]:
    """Every fault of the two cases of an exercise, at its first site."""
    found = {}
    for which in (several, single):
        for fault in faults_of(which(cc.load_case(name))):
            found.setdefault(fault.name, (name, which, fault))
    yield from (pytest.param(*value, id=f"{name}-{fault}") for fault, value in found.items())


@pytest.mark.parametrize(("name", "which", "fault"), [*declared("article"), *declared("mazur"), *declared("mlp")])
def test_every_fault_fails_its_exercise(
    name: str, which: Callable[[cc.Case], cc.Case], fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "diagnose", lambda *given: [])
    reference = comparison(name, which).baseline
    assert reference.case is not None
    if not visible(fault, reference):
        pytest.skip("changes nothing there but rounding")
    file = "case.toml" if which is single else "case-batch.toml"
    more = several(cc.load_case(name))
    found = comparison(name, which).of(faults.record(reference.case, fault))
    judgements = [
        judged(phase, found)
        for phase in phases(more, groups(more))
        if phase.case == file and not phase.predict and phase.file == "step.py"
    ]
    assert judgements
    assert not all(mark.full for mark in judgements)


SLIPS = {
    "layer k": ("dk = dk_tanh * (1 - k_tanh**2)", "dk = dk_tanh * (1 - k**2)"),
    "the first layer, j": ("dj = dj_relu * (j > 0)", "dj = dj_relu"),
    "update": ("weights[name] - step.learning_rate", "weights[name] + step.learning_rate"),
}


@pytest.mark.parametrize("phase", SLIPS)
def test_early_slip_costs_once(phase: str, article: Path) -> None:
    filled_in(article, SLIPS[phase])
    found = marks(article)
    assert {name for name, share in found.items() if share < 1} == {phase, "several rows", "the next step"}


def test_wrong_sum_costs_in_the_batch_alone(article: Path) -> None:
    filled_in(article, ('gradients["k.bias"] = dk.sum(axis=0)', 'gradients["k.bias"] = dk.mean(axis=0)'))
    assert {name for name, share in marks(article).items() if share < 1} == {"several rows", "the next step"}


def test_prediction_is_judged(article: Path) -> None:
    filled_in(article, ('gradient of k.bias": (4,)', 'gradient of k.bias": (1, 4)'))
    found = Exercise(Target.of(f"{article}/step.py:train_step")).marks()[0]
    assert (found.score, found.points) == (8.57, 10)
    assert found.output == "6 of 7 right; not right: the shape of the gradient of k.bias"


# --------------------------------------------------------------------------------------------------------------- hints


def hint(folder: Path, level: str) -> list[tuple[str, str]]:
    exercise = Exercise(Target.of(f"{folder}/step.py:train_step"))
    found = [(cc.load_case(folder / name), exercise.agreement(name)) for name in exercise.sheet.cases]
    return list(hints_on(found, level))  # type: ignore[arg-type]


def test_hints_come_in_order_and_say_more_and_more(article: Path) -> None:
    filled_in(article, ('gradients["k.bias"] = dk.sum(axis=0)', 'gradients["k.bias"] = dk.mean(axis=0)'))
    told = hint(article, "line")
    assert [level for level, _ in told] == list(LEVELS)
    assert hint(article, "question") == told[:3]
    where, kind, question, experiment, cause, line = (text for _, text in told)
    assert where == "0/gradient/k.bias is your first wrong tensor; all that you fed it is right"
    assert kind == "every number of it is 1/N times what it should be"
    assert question == FAULTS["bias_gradient_averaged"].question
    assert experiment == FAULTS["bias_gradient_averaged"].experiment
    assert cause.startswith("bias_gradient_averaged: The bias gradient is the mean over the rows")
    assert "dy.reshape(-1, self.outputs).sum(axis=0)" in line or "sum" in line


@pytest.mark.parametrize(
    ("slip", "kind"),
    [
        (("dk.sum(axis=0)", "dk"), "its shape is (1, 4); that of what it belongs to is (4,)"),
        (("j_relu.T @ dk", "dk.T @ j_relu"), "rows and columns are exchanged"),
        (
            ("dk_tanh * (1 - k_tanh**2)", "-dk_tanh * (1 - k_tanh**2)"),
            "every number of it is -1 times what it should be",
        ),
        (("dk_tanh * (1 - k_tanh**2)", "0 * dk_tanh"), "all of it is 0"),
        (
            ("dk_tanh * (1 - k_tanh**2)", "(dk_tanh * (1 - k_tanh**2)).astype('f')"),
            "its dtype is float32; that of the case is float64",
        ),
        (("dk_tanh * (1 - k_tanh**2)", "dk_tanh / 0 * 0"), "it has NaN where there should be numbers, or the reverse"),
        (("dj_relu * (j > 0)", "dj_relu"), "1 of its 4 numbers are wrong, first at [0, 1]; 1 have the wrong sign"),
    ],
    ids=lambda value: "" if isinstance(value, str) else value[1],
)
def test_kind_says_how_wrong_and_right_are_related(slip: tuple[str, str], kind: str, article: Path) -> None:
    filled_in(article, slip)
    assert hint(article, "kind")[1][1] == kind


def test_blank_is_missing_and_not_wrong(article: Path) -> None:
    told = hint(article, "cause")
    assert told == [("where", "nothing that you gave is wrong; the first that is missing is 0/backward/k")]
    filled_in(article)
    assert hint(article, "cause") == []


def test_mistake_of_no_known_sort_has_a_question_all_the_same(article: Path) -> None:
    filled_in(article, ("dk_tanh * (1 - k_tanh**2)", "dk_tanh * np.cos(k)"))
    told = dict(hint(article, "cause"))
    assert told["question"].startswith("Write down this layer's forward.")
    assert told["cause"] == "unknown, in 0/backward(k.tanh): none of the known mistakes"


TOLD = """
    diagonal_jacobian derivative_at_the_output bias_gradient_averaged upstream_forgotten weight_gradient_transposed
    gradients_not_cleared updated_too_early path_cut relu_mask_of_the_gradient gradient_not_averaged
    probabilities_taken_for_logits bias_forgotten
"""


@pytest.mark.parametrize("name", TOLD.split())
def test_no_hint_before_the_last_holds_an_expected_value(name: str) -> None:
    case = cc.load_case("article-batch")
    fault = next(fault for fault in faults_of(case) if fault.name == name)
    held = Comparison(run(case), cc.Computed())
    agreement = agreement_of(case, {str(fault): held.of(faults.record(case, fault))}, held)
    text = " ".join(text for _, text in hints(case, agreement, "cause"))
    assert text
    (found,) = agreement.subjects.values()
    expected = [np.ravel(elements.reference) for elements in found.arrays.values()]
    expected += [np.ravel(held.baseline[tensor]) for tensor in held.baseline]
    numbers = [float(number) for number in re.findall(r"\d+\.\d+", text)]
    for number in numbers:
        assert not np.isclose(np.abs(np.concatenate(expected)), number, rtol=1e-3).any()


def test_every_fault_has_a_question_and_an_experiment() -> None:
    for mistake in FAULTS.values():
        assert mistake.question.endswith("?"), mistake
        assert mistake.experiment.strip(), mistake


# ----------------------------------------------------------------------------------------------------------- the shell


def test_shell_shows_phases_and_no_value(shell: Callable[..., Result], article: Path) -> None:
    filled_in(article, SLIPS["layer k"])
    result = shell("check", f"{article}/step.py:train_step")
    assert result.exit_code == 1, result.output
    assert "✓ forward: 5 of 5 points. 7 of 7 tensors right" in said(result)
    assert "✗ layer k: 15 of 20 points. 3 of 4 tensors right; first wrong: 0/backward/k" in said(result)
    assert not re.search(r"\d\.\d{4}", result.output)
    assert not Path("reports").exists()


def test_solved_is_status_0(shell: Callable[..., Result], article: Path) -> None:
    filled_in(article)
    assert shell("check", f"{article}/step.py:train_step").exit_code == 0


def test_grade_writes_what_gradescope_takes(shell: Callable[..., Result], article: Path, tmp_path: Path) -> None:
    filled_in(article, SLIPS["layer k"])
    result = shell("check", f"{article}/step.py:train_step", "--grade", "results.json")
    assert result.exit_code == 1
    document = json.loads((tmp_path / "results.json").read_text())
    assert set(document) == {"score", "output", "visibility", "tests"}
    assert document["score"] == pytest.approx(sum(test["score"] for test in document["tests"]))
    assert sum(test["max_score"] for test in document["tests"]) == 100
    for test in document["tests"]:
        assert set(test) == {"name", "score", "max_score", "status", "output", "visibility"}
        assert test["status"] == ("passed" if test["score"] == test["max_score"] else "failed")
    assert not re.search(r"\d\.\d{4}", (tmp_path / "results.json").read_text())
    assert "hint" not in document["output"]


def test_line_is_shown_to_who_gives_up_and_the_marks_say_so(
    shell: Callable[..., Result], article: Path, tmp_path: Path
) -> None:
    filled_in(article, SLIPS["layer k"])
    target = f"{article}/step.py:train_step"
    refused = shell("check", target, "--hint", "line")
    assert refused.exit_code == 2
    assert "--give-up" in said(refused)
    shown = shell("check", target, "--hint", "line", "--give-up", "--grade", "results.json")
    assert "line: def backward(self, dy" in said(shown)
    assert json.loads((tmp_path / "results.json").read_text())["output"] == "article. A hint was taken: line, giving up"


def test_sheet_says_which_hints_may_be_asked_for(shell: Callable[..., Result], article: Path) -> None:
    sheet = article / "check.toml"
    sheet.write_text(sheet.read_text().replace(', "cause", "line"]', "]"))
    refused = shell("check", f"{article}/step.py:train_step", "--hint", "cause")
    assert refused.exit_code == 2
    assert "expected one of where, kind, question, experiment, which this exercise allows" in said(refused)
    assert shell("check", f"{article}/step.py:train_step", "--hint", "where").exit_code == 1


def test_shell_knows_every_hint() -> None:
    assert [level.value for level in Level] == list(LEVELS)


def test_hint_on_any_case(shell: Callable[..., Result], article: Path) -> None:
    result = shell("check", f"{article}/detective.py:train_step", "--case", "article-batch", "--hint", "cause")
    assert result.exit_code == 1
    assert "cause: bias_gradient_averaged" in said(result)
    assert "where: 0/gradient/k.bias" in said(result)


def test_crash_has_no_marks_but_results(shell: Callable[..., Result], article: Path, tmp_path: Path) -> None:
    filled_in(article, ("np.tanh(k)", "np.tanhh(k)"))
    result = shell("check", f"{article}/step.py:train_step", "--grade", "results.json")
    assert result.exit_code == 3
    tests = {test["name"]: test for test in json.loads((tmp_path / "results.json").read_text())["tests"]}
    assert tests["layer k"]["score"] == 0
    assert "crashed: step.py:" in tests["layer k"]["output"]
    assert tests["predict shapes and a sign"]["score"] == tests["detective"]["score"] == 10


def test_missing_detective_costs_its_own_points_alone(article: Path) -> None:
    filled_in(article)
    (article / "detective.py").unlink()
    assert {name for name, share in marks(article).items() if share < 1} == {"detective"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "check.toml: expected the sheet of an exercise; received No such file"),
        (("points = 20", "points = -1"), "check.toml: phases.3.points: expected Input should be greater than 0"),
        (
            ("predict = true", "predicts = true"),
            "check.toml: phases.0.predicts: expected Extra inputs are not permitted",
        ),
        (('name = "article"', "name = "), "check.toml: expected TOML; received"),
    ],
)
def test_sheet_that_is_wrong_is_an_error(
    change: tuple[str, str] | None, message: str, shell: Callable[..., Result], article: Path
) -> None:
    sheet = article / "check.toml"
    if change:
        sheet.write_text(sheet.read_text().replace(*change))
    else:
        sheet.unlink()
    result = shell("check", f"{article}/step.py:train_step")
    assert result.exit_code == 2, result.output
    assert message in said(result)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--grade", "r.json", "--case", "article"], "--grade marks the exercise beside the file: expected no --case"),
        (["--dtype", "float32"], "options of a comparison: expected --case with them"),
        (["--hint", "everything"], "everything"),
    ],
)
def test_options_that_do_not_go_together(
    arguments: list[str], message: str, shell: Callable[..., Result], article: Path
) -> None:
    result = shell("check", f"{article}/step.py:train_step", *arguments)
    assert result.exit_code == 2
    assert message in said(result)
