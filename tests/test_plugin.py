"""The pytest plugin, in runs of pytest inside this one. ``doubles.py`` has what they compare with."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import crosscheck as cc
import pytest
from crosscheck.adapters import ADAPTERS
from crosscheck.pytest_plugin import fixture, reports  # noqa: F401 - a run inside this one unloads what it loads
from safetensors.numpy import load_file
from test_examples import blocks_of

HERE = Path(__file__).parent
PHASES = ["forward", "backward", "gradient", "update"]

MARKED = """
import pytest

@pytest.mark.crosscheck({})
def test_it(crosscheck):
    crosscheck.check()
"""
PLAIN = """
def test_it(crosscheck):
    crosscheck.check({})
"""

Inner = Callable[..., pytest.RunResult]


@pytest.fixture
def inner(pytester: pytest.Pytester) -> Iterator[Inner]:
    """Run pytest on a test module where the doubles are registered, every warning an error."""
    before = dict(ADAPTERS)
    pytester.makeconftest("import doubles")

    def run(source: str, *arguments: str | Path, ini: str = "", apart: bool = False) -> pytest.RunResult:
        pytester.makeini(f"[pytest]\npythonpath = {HERE}\nfilterwarnings = error\naddopts = --strict-markers\n{ini}")
        pytester.makepyfile(test_inner=source)
        start = pytester.runpytest_subprocess if apart else pytester.runpytest_inprocess
        return start("-p", "no:cacheprovider", *arguments)

    yield run
    ADAPTERS.clear()
    ADAPTERS.update(before)


def outcomes_of(result: pytest.RunResult) -> dict[str, str]:
    """The outcome of every test of a verbose run by what stands in its brackets."""
    lines = (line.partition(" ") for line in result.outlines if line.startswith("test_inner.py::test_it["))
    return {name.partition("[")[2].removesuffix("]"): rest.split()[0] for name, _, rest in lines}


def computed(pytester: pytest.Pytester) -> list[str]:
    """What the doubles ran: case, dtype and double of each run, in all processes."""
    return [line.rpartition(" ")[0] for line in (pytester.path / "runs.txt").read_text().splitlines()]


def test_a_marker_makes_one_test_for_each_case_subject_and_phase(inner: Inner, pytester: pytest.Pytester) -> None:
    result = inner(MARKED.format("'article', 'article-batch', against=['right', 'wrong']"), "-v")
    made = [f"{case}-{double}" for case in ("article", "article-batch") for double in ("right", "wrong")]
    names = [f"{one}-{phase}" for one in made for phase in PHASES]
    assert list(outcomes_of(result)) == names
    assert {name for name, outcome in outcomes_of(result).items() if outcome == "FAILED"} == {
        "article-wrong-backward",
        "article-batch-wrong-backward",
    }
    assert computed(pytester) == [
        one.replace("-right", " float64 right").replace("-wrong", " float64 wrong") for one in made
    ]


def test_every_phase_that_a_case_has_is_looked_at(inner: Inner) -> None:
    result = inner(MARKED.format("'clipping', 'adamw', against=['right']"), "-v")
    clipped, adapted = (["forward", "backward", "gradient", own, "update"] for own in ("clipped", "state"))
    expected = [*(f"clipping-right-{phase}" for phase in clipped), *(f"adamw-right-{phase}" for phase in adapted)]
    assert list(outcomes_of(result)) == expected
    result.assert_outcomes(passed=10)


def test_a_failure_shows_the_worst_tensor_both_values_and_the_diagnosis(inner: Inner) -> None:
    result = inner(MARKED.format("'article', against=['wrong']"), "-k", "backward")
    lines = result.outlines
    start = lines.index("article, float64, 1 step: wrong 1.0: disagree in backward")
    assert "test_it[article-wrong-backward]" in lines[start - 1]
    assert lines[start + 1 : start + 9] == [
        "25 of 26 tensors agree; first divergence 0/backward/o, in 0/backward(o.softmax)",
        "worst in backward: 0/backward/o, 1 × 3 of float64, by softmax",
        "  at         [0, 2]",
        "  reference  0.6777096904521821",
        "  wrong      -0.0",
        "  max abs    0.678",
        "  sigmas     9.01e+15, of 8 allowed (6.02e-16 there)",
        "diagnosis:",
    ]
    assert lines[start + 9].startswith("  0/backward(o.softmax): diagonal_jacobian (fault), ")
    assert not [line for line in lines if "crosscheck/" in line or "Traceback" in line]


def test_without_a_case_in_the_marker_the_fixture_checks_what_it_is_given(inner: Inner) -> None:
    result = inner(PLAIN.format("'article', ['right', 'wrong']"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       crosscheck.check('article', [[]'right', 'wrong'])",
            "E       Failed: article, float64, 1 step: wrong 1.0: disagree",
            "E         sigmas     9.01e+15, of 8 allowed (6.02e-16 there)",
            "test_inner.py:2: Failed",
        ]
    )
    assert not [line for line in result.outlines if "pytest_plugin/" in line]


def test_an_agreement_is_handed_back(inner: Inner) -> None:
    inner(
        """
import crosscheck as cc
import pytest

@pytest.mark.crosscheck("article", against=["right"])
def test_marked(crosscheck):
    agreement = crosscheck.check()
    assert agreement.ok
    assert list(agreement.subjects) == [crosscheck.subject] == ["right"]
    assert crosscheck.case.name == "article"
    assert crosscheck.phase in {"forward", "backward", "gradient", "update"}

def test_plain(crosscheck):
    agreement = crosscheck.check(cc.load_case("article", dtype="float32"), against=["right"], only=["*/gradient/*"])
    assert agreement.dtype == "float32"
    assert {tensor.phase for tensor in agreement.subjects["right"].tensors} == {"gradient"}
    assert crosscheck.case is crosscheck.subject is None
"""
    ).assert_outcomes(passed=5)


def test_traces_are_compared(inner: Inner) -> None:
    result = inner(
        """
import crosscheck as cc

def test_equal(crosscheck):
    assert crosscheck.compare(cc.record("article"), cc.record("article", "right")).ok

def test_other(crosscheck):
    crosscheck.compare(cc.record("article"), cc.record("article", "wrong"))
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E       Failed: article, float64, 1 step: wrong 1.0: disagree"])


@pytest.mark.parametrize(
    ("double", "reason"),
    [
        ("limited", "limited: limited has no 'dense'"),
        ("absent", "absent: not_to_be_found not installed: pip install 'crosscheck[[]absent]'"),
        ("unusable", "unusable: unusable needs a compiler"),
    ],
)
def test_what_cannot_be_compared_is_skipped_with_the_reason(double: str, reason: str, inner: Inner) -> None:
    marked = inner(MARKED.format(f"'article', against=['{double}']"), "-rs")
    marked.assert_outcomes(skipped=4)
    marked.stdout.fnmatch_lines([f"SKIPPED [[]4] *: {reason}"])
    plain = inner(PLAIN.format(f"'article', ['right', '{double}']"), "-rs")
    plain.assert_outcomes(skipped=1)
    plain.stdout.fnmatch_lines([f"SKIPPED [[]1] *: {reason}; right agrees"])


def test_what_is_missing_hides_no_failure(inner: Inner) -> None:
    inner(PLAIN.format("'article', ['absent', 'limited', 'wrong']")).assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("double", "required", "outcome"),
    [
        ("absent", "absent", "errors"),
        ("absent.compiled", "right,absent", "errors"),
        ("unusable", "unusable", "errors"),
        ("right.compiled", "right", "skipped"),
        ("limited", "limited", "skipped"),
    ],
)
def test_what_is_required_and_missing_is_an_error(double: str, required: str, outcome: str, inner: Inner) -> None:
    """A framework that is there and cannot express a case is not missing; nor is one whose compiler is."""
    result = inner(MARKED.format(f"'article', against=['{double}']"), "--crosscheck-require", required)
    result.assert_outcomes(**{outcome: 4})
    if outcome == "errors":
        result.stdout.fnmatch_lines([f"{double} is required here: *"])


def test_a_framework_that_crashes_fails_in_every_phase(inner: Inner) -> None:
    result = inner(MARKED.format("'article', against=['broken']"))
    result.assert_outcomes(failed=4)
    result.stdout.fnmatch_lines(["article, float64, 1 step: broken 1.0: crashed", "RuntimeError: out of luck"])


OWN = """
import crosscheck as cc
import pytest

def right(weights, inputs, targets, state, *, step, factor=2.0):
    y = inputs @ weights["y.weight"] + weights["y.bias"]
    dy = factor * (y - targets)
    gradients = {"y.weight": inputs.T @ dy, "y.bias": dy.sum(axis=0)}
    updated = {name: weights[name] - step.learning_rate * gradients[name] for name in weights}
    return {"loss": ((y - targets) ** 2).sum(), "gradients": gradients, "weights": updated}

def halved(*arguments, step):
    return right(*arguments, step=step, factor=1.0)

LINE = cc.Case("line", [cc.Node("y", cc.Dense(1, 1))], cc.MeanSquaredError("sum"), cc.SGD(0.125),
    weights={"y.weight": [[2.0]], "y.bias": [0.5]}, batches=[cc.Batch([[1.0], [3.0]], [[2.0], [6.5]])])

@pytest.mark.crosscheck(LINE, against=[right, halved, "test_inner.py:right"])
def test_it(crosscheck):
    crosscheck.check()

def test_plain(crosscheck):
    crosscheck.check(LINE, against=[right])
"""


def test_a_step_of_ones_own_is_a_subject(inner: Inner) -> None:
    """A phase of which it gives nothing and need not is skipped."""
    result = inner(OWN, "-v", "-rs")
    gives = {"forward": "PASSED", "backward": "SKIPPED", "gradient": "PASSED", "update": "PASSED"}
    wanted = {
        f"line-{step}-{phase}": gives[phase] for step in ("right", "halved", "test_inner.py:right") for phase in gives
    }
    assert outcomes_of(result) == wanted | {"line-halved-gradient": "FAILED"}
    result.assert_outcomes(passed=9, failed=1, skipped=3)
    result.stdout.fnmatch_lines(["SKIPPED [[]1] *: right: not given"])


KNOWN = "expected one of torch, torch.compile, *; received 'jaxx'; did you mean 'jax'?"


@pytest.mark.parametrize("setting", ["against", "require"])
def test_an_unknown_adapter_in_a_setting_is_wrong_usage(setting: str, inner: Inner) -> None:
    told = inner(PLAIN.format("'article'"), f"--crosscheck-{setting}", "torch,jaxx")
    kept = inner(PLAIN.format("'article'"), ini=f"crosscheck_{setting} = torch jaxx")
    assert told.ret == kept.ret == pytest.ExitCode.USAGE_ERROR
    told.stderr.fnmatch_lines([f"ERROR: --crosscheck-{setting}: {KNOWN}"])
    kept.stderr.fnmatch_lines([f"ERROR: crosscheck_{setting}: {KNOWN}"])


def test_an_unknown_adapter_in_a_test_is_an_error(inner: Inner) -> None:
    marked = inner(MARKED.format("'article', against='right, jaxx'"))
    marked.assert_outcomes(errors=1)
    marked.stdout.fnmatch_lines([f"against: {KNOWN}"])
    plain = inner(PLAIN.format("'article', ['jaxx']"))
    plain.assert_outcomes(failed=1)
    plain.stdout.fnmatch_lines([f"against: {KNOWN}"])


def test_the_test_goes_before_the_command_line_and_that_before_the_configuration(
    inner: Inner, pytester: pytest.Pytester
) -> None:
    ini = "crosscheck_against = wrong, broken"
    inner(PLAIN.format("'article'"), ini="crosscheck_against = right").assert_outcomes(passed=1)
    inner(PLAIN.format("'article'"), "--crosscheck-against=right", ini=ini).assert_outcomes(passed=1)
    inner(MARKED.format("'article', against='right'"), "--crosscheck-against=wrong", ini=ini).assert_outcomes(passed=4)
    inner(
        "import pytest\n@pytest.mark.crosscheck(against='wrong')" + PLAIN.format("'article', 'right'")
    ).assert_outcomes(passed=1)
    assert computed(pytester) == ["article float64 right"] * 4


def test_where_nothing_is_said_what_is_installed_and_what_is_required_is_compared(
    inner: Inner, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("torch", "jax"):
        monkeypatch.setitem(ADAPTERS, name, ADAPTERS[name]._replace(requires=("not_to_be_found",)))
    result = inner(MARKED.format("'article'"), "-v")
    assert {name.rpartition("-")[0] for name in outcomes_of(result)} == {"article-torch", "article-jax"}
    result.assert_outcomes(skipped=8)
    monkeypatch.setitem(ADAPTERS, "jax", ADAPTERS["torch"]._replace(requires=(), module="doubles", factory="Right"))
    result = inner(MARKED.format("'article'"), "-v", "--crosscheck-require=torch")
    result.assert_outcomes(passed=4, errors=4)


def test_markers_of_modules_and_classes_combine_with_those_of_tests(inner: Inner) -> None:
    result = inner(
        """
import pytest

pytestmark = pytest.mark.crosscheck("article", against=["right"])

def test_module(crosscheck):
    crosscheck.check()

def test_something_else():
    pass

@pytest.mark.crosscheck("article-batch")
class TestClass:
    def test_class(self, crosscheck):
        crosscheck.check()

    @pytest.mark.crosscheck(against=["limited"], only=["*/loss"])
    def test_method(self, crosscheck):
        crosscheck.check()
""",
        "-v",
    )
    result.assert_outcomes(passed=9, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "*::test_module[[]article-right-forward] PASSED*",
            "*::test_something_else PASSED*",
            "*::test_class[[]article-batch-right-forward] PASSED*",
            "*::test_method[[]article-batch-limited-forward] SKIPPED*",
        ]
    )


def test_tests_that_ask_for_the_same_share_it(inner: Inner, pytester: pytest.Pytester) -> None:
    source = MARKED.format("'article', against=['right']")
    inner(source + source.replace("test_it", "test_again")).assert_outcomes(passed=8)
    assert computed(pytester) == ["article float64 right"]


def test_cases_of_one_name_are_told_apart_by_their_dtype(inner: Inner) -> None:
    cases = "*(crosscheck.load_case('article', dtype=dtype) for dtype in ('float32', 'bfloat16')), 'mazur'"
    result = inner("import crosscheck\n" + MARKED.format(f"{cases}, against='right'"), "-v", "-k", "update")
    assert list(outcomes_of(result)) == [
        "article-float32-right-update",
        "article-bfloat16-right-update",
        "mazur-right-update",
    ]
    result.assert_outcomes(passed=3, deselected=None)


def test_a_path_is_looked_for_beside_the_test_first(inner: Inner, pytester: pytest.Pytester) -> None:
    cc.save_case(cc.load_case("article"), pytester.path / "mine.toml")
    elsewhere = pytester.mkdir("elsewhere")
    os.chdir(elsewhere)
    inner(MARKED.format("'mine.toml', against='right'"), pytester.path / "test_inner.py").assert_outcomes(passed=4)
    inner(PLAIN.format("'mine.toml', 'right'"), pytester.path / "test_inner.py").assert_outcomes(passed=1)
    cc.save_case(cc.load_case("article"), elsewhere / "here.toml")
    inner(PLAIN.format("'here.toml', 'right'"), pytester.path / "test_inner.py").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ("'artcle'", "expected a path that ends in '.toml', or a built-in case: *received 'artcle'*"),
        ("'none.toml'", "none.toml: expected *"),
        ("'article', agianst='right'", "marker crosscheck: expected against, device, *; received 'agianst'"),
        ("'article', against='right', only=['*/gradeint/*']", "only: article has no tensor like */gradeint/*"),
    ],
)
def test_a_marker_that_cannot_be_meant_is_an_error(marker: str, message: str, inner: Inner) -> None:
    result = inner(MARKED.format(marker))
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])
    assert not [line for line in result.outlines if "pytest_plugin/" in line]


def test_a_case_that_cannot_be_loaded_fails_the_test(inner: Inner) -> None:
    result = inner(PLAIN.format("'artcle', 'right'"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["expected a path that ends in '.toml', or a built-in case: *"])


NOTHING = "nothing was compared: crosscheck.check() was not called"


@pytest.mark.parametrize(
    ("source", "outcome", "message"),
    [
        ("def test_it(crosscheck): pass", "failed", NOTHING),
        (MARKED.format("'mazur', against='right', only=['*/loss']").replace(".check()", ""), "failed", NOTHING),
        (PLAIN.format(""), "failed", "*expected a case: crosscheck.check(CASE), or @pytest.mark.crosscheck(CASE)"),
        (PLAIN.format("'article', []"), "failed", "*article: nothing was compared"),
        (MARKED.format("'article'").replace("(crosscheck)", "()"), "errors", "*expected an argument `crosscheck`*"),
        (MARKED.format("'article', against=[]"), "errors", "against: expected at least one subject; received none"),
    ],
    ids=["no check", "marked, no check", "no case", "nobody", "no fixture", "marked, nobody"],
)
def test_a_test_that_compares_nothing_does_not_pass(source: str, outcome: str, message: str, inner: Inner) -> None:
    result = inner(source)
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines([message])


def test_a_test_that_is_skipped_or_fails_by_itself_does_so(inner: Inner) -> None:
    result = inner("import pytest\ndef test_it(crosscheck): pytest.skip('today')\ndef test_other(crosscheck): assert 0")
    result.assert_outcomes(skipped=1, failed=1)
    result.stdout.no_fnmatch_line("*nothing was compared*")


def headers(result: pytest.RunResult) -> list[str]:
    return [line for line in result.outlines if line.startswith("crosscheck ")]


def test_versions_and_settings_are_in_the_header(inner: Inner, pytester: pytest.Pytester) -> None:
    settings = ("--crosscheck-against=right", "--crosscheck-require=right", "--crosscheck-out=there")
    (line,) = headers(inner(PLAIN.format("'article'"), *settings))
    assert line.startswith(f"crosscheck {cc.__version__}: numpy ")
    assert ", not_to_be_found not installed; " in line
    assert line.endswith(f"; against right; required right; reports in {pytester.path / 'there'}")


def test_a_run_that_uses_nothing_of_it_says_nothing_of_it(inner: Inner) -> None:
    assert headers(inner("def test_it(): pass")) == []
    assert len(headers(inner(PLAIN.format("'article', 'right'")))) == 1


def test_it_can_be_turned_off(inner: Inner) -> None:
    inner("def test_it(): pass", "-p", "no:crosscheck").assert_outcomes(passed=1)
    result = inner(PLAIN.format("'article', 'right'"), "-p", "no:crosscheck")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["E       fixture 'crosscheck' not found"])


def report_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "agreement.json").read_text())
    return found


BOTH = MARKED.format("'article', 'article-batch', against=['wrong', 'right', 'limited']")


def test_reports_are_written_with_all_subjects_of_a_case(inner: Inner, pytester: pytest.Pytester) -> None:
    result = inner(BOTH, "--crosscheck-out=out")
    result.assert_outcomes(passed=14, failed=2, skipped=8)
    found = report_of(pytester.path / "out" / "article-float64-1-step")
    assert {name: subject["verdict"] for name, subject in found["subjects"].items()} == {
        "limited": "unsupported",
        "right": "agree",
        "wrong": "disagree",
    }
    assert not found["agrees"]
    tensors = load_file(pytester.path / "out" / "article-float64-1-step" / "tensors.safetensors")
    assert sorted(tensors) == [f"{part}/wrong/0/backward/o" for part in ("reference", "sigma", "subject")]
    result.stdout.fnmatch_lines(
        [
            "*= crosscheck =*",
            "article, float64, 1 step: written to out/article-float64-1-step",
            "  limited 1.0: unsupported: limited has no 'dense'",
            "  wrong 1.0: disagree: 25 of 26 tensors agree; first divergence 0/backward/o, *",
            "article-batch, float64, 2 steps: written to out/article-batch-float64-2-steps",
        ]
    )
    result.stdout.no_fnmatch_line("  right *")


def test_reports_are_the_same_under_xdist(inner: Inner, pytester: pytest.Pytester) -> None:
    """Where two processes share the phases of a case between them."""
    inner(BOTH, "--crosscheck-out=alone")
    result = inner(BOTH, "--crosscheck-out=out", "-n2", "--dist=load", apart=True)
    result.assert_outcomes(passed=14, failed=2, skipped=8)
    for folder in ("article-float64-1-step", "article-batch-float64-2-steps"):
        assert report_of(pytester.path / "out" / folder) == report_of(pytester.path / "alone" / folder)
        assert (pytester.path / "out" / folder / "tensors.safetensors").exists()


def test_what_a_test_checks_by_itself_is_reported_too(inner: Inner, pytester: pytest.Pytester) -> None:
    source = PLAIN.format("'article', 'right'") + "    assert 0"
    inner(source, ini="crosscheck_out = some where").assert_outcomes(failed=1)
    assert report_of(pytester.path / "some where" / "article-float64-1-step")["agrees"]


def test_a_folder_that_cannot_be_written_to_is_wrong_usage(inner: Inner, pytester: pytest.Pytester) -> None:
    (pytester.path / "file").touch()
    result = inner(PLAIN.format("'article', 'right'"), "--crosscheck-out=file/out")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --crosscheck-out: *file/out*"])


def test_a_report_that_cannot_be_written_is_no_success(inner: Inner, pytester: pytest.Pytester) -> None:
    (pytester.mkdir("out") / "article-float64-1-step").touch()
    result = inner(PLAIN.format("'article', 'right'"), "--crosscheck-out=out")
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["not everything could be written: *article-float64-1-step*"])


def test_reports_of_nothing_are_said_to_be_none(inner: Inner) -> None:
    inner("def test_it(): pass", "--crosscheck-out=out").stdout.fnmatch_lines(
        ["nothing was compared; nothing is written to out"]
    )


def test_the_example_of_the_readme(inner: Inner, pytester: pytest.Pytester, adapter_of: Callable[[str], Any]) -> None:
    adapter_of("torch")
    adapter_of("jax")
    (source,) = (text for _, text in blocks_of("README.md") if "pytest.mark.crosscheck" in text)
    cc.save_case(cc.load_case("mazur"), pytester.path / "mine.toml")
    result = inner(source, "-v", "--crosscheck-require=torch,jax")
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}
    assert outcomes["passed"] == 1 + 2 * 2 * len(PHASES)
    result.stdout.fnmatch_lines(["*::test_my_networks[[]article-torch-gradient] PASSED*"])
