"""A user's own training step as a subject: what it is handed, what it may return, and what is said of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.adapters.own import OwnStep, Step
from crosscheck.adapters.own.returned import PHASES
from crosscheck.cli import app
from crosscheck.faults import FAULTS
from independent.judging import WRITTEN, failing, reference
from typer.testing import CliRunner, Result

ANSI = re.compile(r"\x1b\[[0-9;]*m")

STEP = """\
import numpy as np


def train_step(weights, inputs, targets, state, *, step):
    w, n = weights, len(inputs)

    # forward
    j = inputs @ w["j.weight"] + w["j.bias"]
    j_out = np.maximum(j, 0)
    k = j_out @ w["k.weight"] + w["k.bias"]
    k_out = np.tanh(k)
    o = k_out @ w["o.weight"] + w["o.bias"]
    e = np.exp(o - o.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    loss = -(targets * np.log(p)).sum() / n

    # backward
    dp = -targets / p / n
    do = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    dk_out = do @ w["o.weight"].T
    dk = dk_out * (1 - k_out**2)
    dj_out = dk @ w["k.weight"].T
    dj = dj_out * (j > 0)
    gradients = {
        "o.weight": k_out.T @ do,
        "o.bias": do.sum(axis=0),
        "k.weight": j_out.T @ dk,
        "k.bias": dk.sum(axis=0),
        "j.weight": inputs.T @ dj,
        "j.bias": dj.sum(axis=0),
    }

    # update
    updated = {name: w[name] - step.learning_rate * gradients[name] for name in w}
    return {"loss": loss, "gradients": gradients, "weights": updated}
"""

SLIPS = {
    # Which known mistake it is: a line of the step, and what a student writes instead.
    3: ("dk.sum(axis=0)", "dk.mean(axis=0)"),
    5: ("p * (dp - (dp * p).sum(axis=1, keepdims=True))", "dp * p * (1 - p)"),
    12: ("    # update", "    if state:\n        gradients = {name: gradients[name] + state[name] for name in w}"),
}


def written(folder: Path, text: str = STEP, name: str = "mine.py") -> str:
    """A file with a training step, and how it is named."""
    (folder / name).write_text(text)
    return f"{folder / name}:train_step"


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs the program as a shell would, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def said(result: Result) -> str:
    return " ".join(ANSI.sub("", result.output).split())


def own(case: cc.Case | str, step: Any, **options: Any) -> cc.SubjectAgreement:
    """What is found of one step."""
    (found,) = cc.check(case, against=[step], **options).subjects.values()
    return found


def told(trace: cc.Trace) -> Callable[..., dict[str, Any]]:
    """A training step that returns the tensors of a trace under its keys, whatever it is handed."""
    assert trace.case is not None
    case, losses = trace.case, {"loss", *(term.name for term in trace.case.losses)}

    def keys_at(place: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for operation in trace.operations:
            for tensor in operation.outputs:
                of, phase, name = tensor.split("/", 2)
                if of == place:
                    key = next(key for key, its in PHASES.items() if its == phase)
                    key = "loss" if phase == "forward" and name in losses else key
                    key = "optimizer_state" if phase == "state" and operation.phase == "update" else key
                    found.setdefault(key, {})[name] = trace[tensor]
        return found

    def train_step(weights: Any, inputs: Any, targets: Any, state: Any, *, step: Step) -> dict[str, Any]:
        made = keys_at(str(step.number))
        if case.micro_batches > 1:
            made["micro_batches"] = [keys_at(place) for place in case.places(step.number)]
        return made

    return train_step


# ------------------------------------------------------------------------------------------------------- what is found


def test_students_wrong_backward_is_named_by_one_command(shell: Callable[..., Result], tmp_path: Path) -> None:
    written(tmp_path, STEP.replace(*SLIPS[5]))
    result = shell("check", "mine.py:train_step", "--case", "article")
    assert result.exit_code == 1, result.output
    assert "0/backward(o): diagonal_jacobian (fault)" in said(result)
    assert "once this mistake is made at o.softmax" in said(result)
    assert FAULTS["diagonal_jacobian"].number == 5
    assert len(STEP.splitlines()) <= 40


@pytest.mark.parametrize("case", ["article", "article-batch"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_right_step_agrees(case: str, dtype: str, tmp_path: Path) -> None:
    found = own(cc.load_case(case, dtype=dtype), written(tmp_path))
    steps = cc.load_case(case).steps
    assert (found.verdict, found.count("agree"), found.count("not given")) == ("agree", 13 * steps, 13 * steps)


@pytest.mark.parametrize("number", SLIPS)
def test_slip_in_a_step_without_activations_is_named(number: int, tmp_path: Path) -> None:
    assert STEP.count(SLIPS[number][0]) == 1
    text = STEP.replace(*SLIPS[number]).replace("updated}", 'updated, "state": gradients}')
    found = own("article-batch", written(tmp_path, text))
    assert found.verdict == "disagree"
    assert failing(found) == {cause.operation for cause in found.diagnosis if number_of(cause.cause) == number}


PLANTED = {
    mistake: planted
    for mistake, planted in WRITTEN["numpy"].PLANTED.items()
    if planted[0].startswith("article") and "lets 0 through" not in mistake
}
"""Those in the article's network. What relu does at exactly 0 is a kink where its input is not given."""


@pytest.mark.parametrize("mistake", PLANTED)
def test_known_mistake_is_named_from_loss_gradients_and_weights_alone(mistake: str) -> None:
    case, steps, number, _ = PLANTED[mistake]
    comparison = reference(case, steps=steps)
    trace = WRITTEN["numpy"].run(comparison.baseline.case, "article", mistake)
    step = OwnStep(returning({}))
    trace.tensors = {tensor: array for tensor, array in trace.tensors.items() if step.requires(tensor)}
    assert len(trace) == 13 * steps
    found = comparison.of(trace, None, step.requires)
    assert found.verdict == "disagree"
    assert failing(found) == {cause.operation for cause in found.diagnosis if number_of(cause.cause) == number}


def number_of(cause: str) -> int | None:
    """Which of the known mistakes a cause is."""
    return FAULTS[cause].number if cause in FAULTS else None


def test_a_dozen_known_mistakes_are_planted() -> None:
    assert len(PLANTED) >= 12
    assert {number for _, _, number, _ in PLANTED.values()} >= {1, 3, 4, 5, 6, 7, 8, 9, 12, 27, 28}


def test_unknown_mistake_is_said_to_be_in_what_is_judged_together(tmp_path: Path) -> None:
    found = own("article", written(tmp_path, STEP.replace("do = p *", "do = np.cos(p) *")))
    first = next(cause for cause in found.diagnosis if cause.operation == "0/backward(o)")
    assert first.kind == "unknown"
    assert "judged with it, for not all that they make is given: " in first.evidence
    assert "0/backward(o.softmax)" in first.evidence


def test_step_may_stand_beside_frameworks_and_other_steps(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    target = written(tmp_path)

    def train_step(weights: Any, inputs: Any, targets: Any, state: Any, *, step: Step) -> dict[str, Any]:
        return {"loss": 0.0}

    agreement = cc.check("article", against=[target, "torch", train_step, told(cc.record("article"))])
    verdicts = {name: subject.verdict for name, subject in agreement.subjects.items()}
    expected = {"mine.py:train_step": "agree", "torch": "agree", "train_step": "disagree", "train_step (2)": "agree"}
    assert verdicts == expected
    assert cc.record("article", target)["0/gradient/k.bias"].shape == (4,)


# ----------------------------------------------------------------------------------------------- what may be left out


def test_what_is_not_required_may_be_left_out_and_is_counted(shell: Callable[..., Result], tmp_path: Path) -> None:
    result = shell("check", written(tmp_path), "--case", "article")
    assert result.exit_code == 0, result.output
    assert "✓ mine.py:train_step: 13 tensors agree, 13 not given" in said(result)
    assert "13 tensors compared, all agree; 13 not given, which is no agreement" in said(result)


def test_required_and_missing_is_status_1(shell: Callable[..., Result], tmp_path: Path) -> None:
    target = written(tmp_path, STEP.replace('"loss": loss, ', "").replace('"k.bias": dk', '# "k.bias": dk'))
    target = written(tmp_path, (tmp_path / "mine.py").read_text().replace("for name in w}", "for name in gradients}"))
    result = shell("check", target, "--case", "article")
    assert result.exit_code == 1, result.output
    assert "not given: 10 of 26 tensors agree, 16 not given (0/forward/loss and 2 more required)" in said(result)
    assert "not everything that is required was given" in said(result)


def test_require_changes_what_must_be_given(shell: Callable[..., Result], tmp_path: Path) -> None:
    target = written(tmp_path, STEP.replace('"loss": loss, ', ""))
    assert shell("check", target, "--case", "article").exit_code == 1
    assert shell("check", target, "--case", "article", "--require", "*/gradient/*").exit_code == 0
    assert shell("check", target, "--case", "article", "--require", "*/backward/k").exit_code == 1


@pytest.mark.parametrize("returned", ["{}", "{'gradients': {}, 'loss': None, 'weights': ...}"])
def test_nothing_given_is_status_5(returned: str, shell: Callable[..., Result], tmp_path: Path) -> None:
    text = f"def train_step(weights, inputs, targets, state, *, step):\n    return {returned}\n"
    result = shell("check", written(tmp_path, text), "--case", "article")
    assert result.exit_code == 5, result.output
    assert "nothing was compared for article" in said(result)


# ----------------------------------------------------------------------------------------------------- what is handed


CASES = ["article-batch", "mazur", "accumulation", "several-losses", "convolutional", "clipping", "tied", "muon"]


@pytest.mark.parametrize("name", CASES)
def test_every_tensor_can_be_given(name: str) -> None:
    trace = cc.record(name)
    found = own(name, told(trace))
    assert {tensor.name: tensor.verdict for tensor in found.tensors} == dict.fromkeys(trace, "agree")


def test_step_is_handed_copies_its_state_and_what_the_case_says() -> None:
    case, trace = cc.load_case("article-batch"), cc.record("article-batch")
    returned, seen = told(trace), []

    def train_step(weights: Any, inputs: Any, targets: Any, state: Any, *, step: Step) -> Mapping[str, Any]:
        seen.append((step.number, step.learning_rate, state, step.given, step.shares, step.case.name))
        assert list(weights) == list(case.weights)
        if step.number == 0:
            assert all(np.array_equal(weights[name], case.weights[name]) for name in weights)
        else:
            assert all(np.array_equal(weights[name], trace[f"0/update/{name}"]) for name in weights)
        np.testing.assert_array_equal(inputs, case.batch(step.number).inputs)
        np.testing.assert_array_equal(targets, case.batch(step.number).targets)
        made = returned(weights, inputs, targets, state, step=step)
        for array in (*weights.values(), inputs, targets):
            array[...] = np.nan
        return {**made, "state": {"after": step.number}}

    assert own(case, train_step).verdict == "agree"
    (number, rate, *_), second = seen
    assert (number, rate) == (0, 0.5)
    assert second == (1, 0.125, {"after": 0}, {}, (1.0,), "article-batch")


def test_masks_micro_batches_and_several_losses_are_handed_too() -> None:
    seen: dict[str, Any] = {}

    def noting(name: str) -> Callable[..., Any]:
        def train_step(weights: Any, inputs: Any, targets: Any, state: Any, *, step: Step) -> dict[str, Any]:
            seen[name] = inputs, targets, step
            return {}

        return train_step

    for name in ("accumulation", "several-losses", "positions"):
        cc.record(name, noting(name))
    case = cc.load_case("accumulation")
    inputs, targets, step = seen["accumulation"]
    assert [len(one) for one in inputs] == [len(batch.inputs) for batch in case.batches_of(0)]
    assert len(targets) == len(step.given) == case.micro_batches > 1
    assert step.shares == case.shares(0)
    assert set(seen["several-losses"][1]) == {term.name for term in cc.load_case("several-losses").losses}
    masked = next(name for name in cc.cases.built_in() if cc.load_case(name).batch(0).given)
    cc.record(masked, noting(masked))
    assert set(seen[masked][2].given) == set(cc.load_case(masked).batch(0).given)


# ------------------------------------------------------------------------------------------------- whose weights next


def stepping(change: str, returned: str) -> str:
    """A step of the article that takes its weights on in another way."""
    old = "    updated = {name: w[name] - step.learning_rate * gradients[name] for name in w}\n"
    assert old in STEP
    return STEP.replace(old, change).replace(', "weights": updated', returned)


IN_PLACE = "    for name in w:\n        w[name] -= step.learning_rate * gradients[name]\n"
REPLACED = "    for name in w:\n        w[name] = w[name] - step.learning_rate * gradients[name]\n"


@pytest.mark.parametrize(
    ("change", "returned"),
    [(IN_PLACE, ""), (REPLACED, ""), (IN_PLACE, ', "weights": w')],
    ids=["in place", "replaced", "in place and returned"],
)
def test_weights_updated_where_they_stand_are_taken(change: str, returned: str, tmp_path: Path) -> None:
    found = own("article-batch", written(tmp_path, stepping(change, returned)))
    assert (found.verdict, found.count("agree")) == ("agree", 26)


def test_without_weights_the_next_steps_are_not_given(tmp_path: Path) -> None:
    found = own("article-batch", written(tmp_path, stepping("", "")))
    assert found.verdict == "not given"
    assert found.environment["stopped"] == "after step 0, for not all weights were handed back"
    given = {tensor.name for tensor in found.tensors if tensor.verdict == "agree"}
    assert {name.split("/")[0] for name in given} == {"0"}
    assert len(given) == 7


def test_with_a_weight_missing_the_next_steps_are_not_given(tmp_path: Path) -> None:
    text = STEP.replace("for name in w}", "for name in w if name != 'k.bias'}")
    found = own("article-batch", written(tmp_path, text))
    assert (found.verdict, found.count("agree")) == ("not given", 12)


def test_next_step_starts_from_what_was_returned_right_or_wrong(tmp_path: Path) -> None:
    found = own("article-batch", written(tmp_path, STEP.replace("w[name] - step", "w[name] + step")))
    assert failing(found) == {f"{step}/update({name})" for step in (0, 1) for name in cc.load_case("article").weights}


def test_frozen_weight_that_is_updated_all_the_same_is_found() -> None:
    trace = cc.record("mazur")
    right = told(trace)

    def keeping(weights: Any, *others: Any, step: Step) -> dict[str, Any]:
        made = right(weights, *others, step=step)
        return {**made, "weights": {**weights, **made["weights"]}}

    def updating(weights: Any, *others: Any, step: Step) -> dict[str, Any]:
        made = keeping(weights, *others, step=step)
        return {**made, "weights": {**made["weights"], "h.bias": weights["h.bias"] - 0.5}}

    assert own("mazur", keeping).verdict == "agree"
    found = own("mazur", updating)
    assert {tensor.name for tensor in found.tensors if tensor.verdict == "disagree"} == {"0/update/h.bias"}


def test_statistics_may_be_updated_among_the_weights() -> None:
    trace = cc.record("convolutional")
    right = told(trace)

    def train_step(weights: Any, *others: Any, step: Step) -> dict[str, Any]:
        made = right(weights, *others, step=step)
        return {**made, "statistics": None, "weights": {**made["weights"], **made["statistics"]}}

    assert own("convolutional", train_step).count("not given") == 0
    assert own("convolutional", train_step).verdict == "agree"


# ------------------------------------------------------------------------------------------------------ kinds of array


def with_gradient(value: Any, name: str = "k.weight") -> Callable[..., Any]:
    """The article's right step, but for one gradient."""
    right = told(cc.record("article"))

    def train_step(*given: Any, step: Step) -> dict[str, Any]:
        made = right(*given, step=step)
        return {**made, "gradients": {**made["gradients"], name: value}}

    return train_step


def test_lists_and_scalars_are_taken() -> None:
    gradient = cc.record("article")["0/gradient/k.weight"]
    assert own("article", with_gradient(gradient.tolist())).verdict == "agree"
    assert own("article", with_gradient([np.array(row) for row in gradient])).verdict == "agree"


def test_tensors_of_torch_are_taken() -> None:
    torch = pytest.importorskip("torch")
    gradient = torch.tensor(cc.record("article")["0/gradient/k.weight"], requires_grad=True)
    assert own("article", with_gradient(gradient)).verdict == "agree"
    found = own("article", with_gradient(gradient.to(torch.bfloat16)))
    assert refusal(found) == ("0/gradient/k.weight", "dtype", "bfloat16")


def test_arrays_of_jax_are_taken() -> None:
    jax = pytest.importorskip("jax")
    case = cc.load_case("article", dtype="float32")
    trace = cc.record(case)
    right = told(trace)

    def train_step(*given: Any, step: Step) -> Any:
        return jax.tree.map(jax.numpy.asarray, right(*given, step=step))

    assert own(case, train_step).verdict == "agree"


@pytest.mark.parametrize("package", ["torch", "ml_dtypes"])
def test_bfloat16_of_others_is_taken(package: str) -> None:
    other = pytest.importorskip(package)
    case = cc.load_case("article", dtype="bfloat16")
    right = told(cc.record(case))

    def made_bfloat16(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: made_bfloat16(array) for name, array in value.items()}
        return other.tensor(value).to(other.bfloat16) if package == "torch" else value.astype(other.bfloat16)

    def train_step(*given: Any, step: Step) -> Any:
        return made_bfloat16(right(*given, step=step))

    assert own(case, train_step).verdict == "agree"
    assert own(case, right).verdict == "disagree"  # float32 numbers are not said to be bfloat16


def refusal(found: cc.SubjectAgreement) -> tuple[str, str | None, str]:
    """The one tensor that is no array of the right kind, which check it did not pass, and what it was."""
    (tensor,) = (tensor for tensor in found.tensors if tensor.verdict == "disagree")
    return tensor.name, tensor.failed, tensor.received


def test_wrong_dtype_or_shape_is_not_cast() -> None:
    gradient = cc.record("article")["0/gradient/k.weight"]
    found = own("article", with_gradient(gradient.astype(np.float32)))
    assert refusal(found) == ("0/gradient/k.weight", "dtype", "float32")
    found = own("article", with_gradient(gradient[None]))
    assert refusal(found) == ("0/gradient/k.weight", "shape", "(1, 4, 4)")


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_python_number_is_a_loss_in_every_dtype(dtype: str) -> None:
    case = cc.load_case("article", dtype=dtype)
    loss = cc.record(case)["0/forward/loss"]

    def returning(value: Any) -> cc.TensorAgreement:
        found = own(case, lambda weights, inputs, targets, state, *, step: {"loss": value})
        return next(tensor for tensor in found.tensors if tensor.name == "0/forward/loss")

    assert returning(float(loss)).verdict == "agree"
    assert returning(float(loss) + 1).failed == "values"
    assert returning(np.float64(loss)).failed == "dtype"


# ----------------------------------------------------------------------------------------------------- what is refused


def returning(value: Any) -> Callable[..., Any]:
    """A step that returns a value."""
    return lambda weights, inputs, targets, state, *, step: value


REFUSED = {
    "nothing": (None, "what it returns: expected a mapping; received nothing (is a return missing?)"),
    "no mapping": ([1, 2], "what it returns: expected a mapping; received list"),
    "unknown key": ({"grads": {}}, "expected one of the keys outputs, loss, "),
    "unknown name": (
        {"gradients": {"k.wieght": 1.0}},
        "gradients: expected one of the names that the case has ",
    ),
    "no array": ({"gradients": {"k.bias": "zero"}}, "gradients.k.bias: expected an array of numbers; received str"),
    "ragged": ({"gradients": {"k.bias": [[1.0], [1.0, 2.0]]}}, "gradients.k.bias: expected an array; received list"),
    "no mapping of names": ({"outputs": [1.0]}, "outputs: expected a mapping; received list"),
    "unknown weight": ({"weights": {"w": 1.0}}, "weights: expected one of the names that the case has there: 'j.bias'"),
    "micro-batches": ({"micro_batches": [{}]}, "micro_batches: expected nothing, for the case has no micro-batches"),
    "clipped": ({"clipped": {"k.bias": 1.0}}, "clipped: expected one of the names that the case has there: none"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_case_does_not_have_is_an_error_that_says_what_it_has(what: str) -> None:
    value, message = REFUSED[what]
    with pytest.raises(cc.CaseError) as raised:
        cc.check("article", against=[returning(value)])
    assert str(raised.value).startswith("<lambda>: ")
    assert message in str(raised.value)


def test_micro_batches_must_be_as_many_as_there_are() -> None:
    with pytest.raises(cc.CaseError, match=r"micro_batches: expected a list of \d mappings; received list of 1"):
        cc.check("accumulation", against=[returning({"micro_batches": [{}]})])


TROUBLES = {
    "missing file": (None, "nowhere.py:train_step", "nowhere.py: expected a file; received nothing"),
    "no callable named": (STEP, "mine.py", "expected FILE.py:CALLABLE; received 'mine.py'"),
    "no Python": (STEP, "mine.txt:train_step", "expected FILE.py:CALLABLE"),
    "missing callable": (STEP, "mine.py:step", "expected one of its functions: 'train_step'; received 'step'"),
    "not callable": (
        "train_step = 3\n",
        "mine.py:train_step",
        "expected a function; received 'train_step', of",
    ),
    "syntax": (
        "def train_step(:\n",
        "mine.py:train_step",
        "mine.py:1: expected a file in Python; received S",
    ),
    "null": ("\0", "mine.py:train_step", "mine.py: expected a file in Python; received"),
    "signature": (
        "def train_step(x, y):\n    return {}\n",
        "mine.py:train_step",
        "expected train_step(weights, inputs, targets, state, *, step); received train_step(x, y)",
    ),
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_what_cannot_be_called_is_status_2(trouble: str, shell: Callable[..., Result], tmp_path: Path) -> None:
    text, target, message = TROUBLES[trouble]
    if text:
        written(tmp_path, text)
    result = shell("check", target, "--case", "article")
    assert result.exit_code == 2, result.output
    assert message in said(result)
    assert not (tmp_path / "reports").exists()


@pytest.mark.parametrize("arguments", [["--case", "artikel"], ["--case", "article", "--against", "torhc"], []])
def test_wrong_usage_is_status_2(arguments: list[str], shell: Callable[..., Result], tmp_path: Path) -> None:
    assert shell("check", written(tmp_path), *arguments).exit_code == 2


CRASHES = {
    "error": ("loss = -(targets", "raise ZeroDivisionError('by n')  #", ":15, in train_step: ZeroDivisionError: by n"),
    "exit": ("loss = -(targets", "raise SystemExit(4)  #", ":15, in train_step: SystemExit: 4"),
    "no message": ("loss = -(targets", "assert not n  #", ":15, in train_step: AssertionError"),
    "when loaded": ("import numpy as np", "import numpyy as np", ":1: ModuleNotFoundError: No module named 'numpyy'"),
    "in a library": ("j_out = np.maximum(j, 0)", "j_out = np.maximum(j, inputs)", ":9, in train_step: ValueError: "),
}


@pytest.mark.parametrize("crash", CRASHES)
def test_error_in_the_users_code_is_status_3_with_its_line(
    crash: str, shell: Callable[..., Result], tmp_path: Path
) -> None:
    old, new, message = CRASHES[crash]
    assert old in STEP
    result = shell("check", written(tmp_path, STEP.replace(old, new)), "--case", "article")
    assert result.exit_code == 3, result.output
    assert f"crashed: mine.py{message}" in said(result)


def test_one_that_crashes_leaves_the_others_alone() -> None:
    agreement = cc.check("article", against=[lambda *given, step: 1 / 0, told(cc.record("article"))])
    assert [subject.verdict for subject in agreement.subjects.values()] == ["crashed", "agree"]
    with pytest.raises(cc.Crashed, match=r"test_own.py:.*ZeroDivisionError"):
        cc.record("article", lambda *given, step: 1 / 0)


def test_keyboard_interrupt_ends_it_all() -> None:
    def train_step(*given: Any, step: Step) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cc.check("article", against=[train_step])


# --------------------------------------------------------------------------------------------------------- how it runs


def test_file_may_import_its_neighbours_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before, modules = list(sys.path), set(sys.modules)
    for folder, sign in (("one", "-"), ("two", "+")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "neighbour.py").write_text(f"def updated(w, change):\n    return w {sign} change\n")
        text = STEP.replace("import numpy as np\n", "import numpy as np\nfrom neighbour import updated as moved\n")
        text = text.replace("w[name] - step.learning_rate * g", "moved(w[name], step.learning_rate * g").replace(
            "radients[name] for name in w}", "radients[name]) for name in w}"
        )
        written(tmp_path / folder, text)
    right, wrong = (own("article", f"{tmp_path / folder}/mine.py:train_step") for folder in ("one", "two"))
    assert (right.verdict, wrong.verdict) == ("agree", "disagree")
    assert sys.path == before
    assert "neighbour" not in set(sys.modules) - modules
    assert not (tmp_path / "one" / "__pycache__" / "mine.cpython-311.pyc").exists()


def test_what_is_installed_below_the_folder_is_not_forgotten(tmp_path: Path) -> None:
    installed = tmp_path / ".venv" / "site-packages"
    installed.mkdir(parents=True)
    (installed / "installed_there.py").write_text("")
    text = f"import sys\nsys.path.append({str(installed)!r})\nimport installed_there\n{STEP}"
    try:
        assert own("article", written(tmp_path, text)).verdict == "agree"
        assert "installed_there" in sys.modules
    finally:
        sys.modules.pop("installed_there", None)
        sys.path.remove(str(installed))


def test_callable_may_be_a_method(tmp_path: Path) -> None:
    text = STEP.replace("\ndef train_step(", "\nclass Net:\n  @staticmethod\n  def train_step(")
    text = "\n".join(f"  {line}" if line.startswith("    ") else line for line in text.splitlines())
    (tmp_path / "mine.py").write_text(text)
    assert own("article", f"{tmp_path}/mine.py:Net.train_step").verdict == "agree"


def test_subject_is_made_of_a_text_and_hands_back_a_plain_trace(tmp_path: Path) -> None:
    subject = OwnStep(written(tmp_path))
    trace = subject.record(cc.load_case("article"))
    assert (trace.source, len(trace)) == ("mine.py:train_step", 13)
    assert all(type(array) is np.ndarray for array in trace.tensors.values())


def test_what_is_no_subject_is_refused() -> None:
    with pytest.raises(cc.CaseError, match=r"an adapter, FILE.py:CALLABLE or a training step; received int"):
        cc.check("article", against=[3])  # type: ignore[list-item]
    with pytest.raises(KeyError):
        cc.check("article", against=["tinygrad"])


def test_help_says_that_it_runs_code(shell: Callable[..., Result]) -> None:
    assert "This runs the code in the file" in said(shell("check", "--help"))
    assert "runs the code" not in said(shell("run", "--help"))
