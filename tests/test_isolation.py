"""Subjects in processes of their own: what one does to its process is its own verdict, and nobody else's."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import sysconfig
import textwrap
import time
import venv
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import psutil
import pytest
from crosscheck.cases.tensors import identical
from crosscheck.cases.writing import same_case
from crosscheck.cli import app
from crosscheck.isolation.parcel import pack, unpack
from typer.testing import CliRunner

STEPS = '''\
import ctypes
import os
import sys
import time
from pathlib import Path

import numpy as np


def right(weights, inputs, targets, state, *, step):
    return {"loss": LOSS}


def process(weights, inputs, targets, state, *, step):
    return {"loss": float(os.getpid())}


def segfault(weights, inputs, targets, state, *, step):
    return {"loss": ctypes.string_at(0)}


def aborts(weights, inputs, targets, state, *, step):
    os.abort()


def leaves(weights, inputs, targets, state, *, step):
    os._exit(0)


def hangs(weights, inputs, targets, state, *, step):
    while True:
        time.sleep(0.01)


def takes(weights, inputs, targets, state, *, step):
    kept = [np.ones(2**20) for _ in range(400)]
    time.sleep(60)


def raises(weights, inputs, targets, state, *, step):
    raise ValueError("no luck")


def misnames(weights, inputs, targets, state, *, step):
    return {"gradients": {"nobody": 1.0}}


def complex_numbers(weights, inputs, targets, state, *, step):
    return {"loss": np.complex128(LOSS), "gradients": {"j.bias": weights["j.bias"].astype(np.longdouble)}}


def first_of_two(weights, inputs, targets, state, *, step):
    return meet("first", "second")


def second_of_two(weights, inputs, targets, state, *, step):
    return meet("second", "first")


def meet(mine, other):
    """Each waits for the other, so one after the other they never end."""
    here = Path(__file__).parent
    (here / mine).touch()
    while not (here / other).exists():
        time.sleep(0.01)
    return {"loss": LOSS}


def predict():
    return {"a": (1, 2), "b": ..., "c": np.float64(0.5), "d": None}
'''
LOSS = "0/forward/loss"


@pytest.fixture
def steps(tmp_path: Path) -> Callable[[str], str]:
    """The steps above in a file, by their names."""
    loss = float(cc.record("article")[LOSS])
    (tmp_path / "steps.py").write_text(STEPS.replace("LOSS", repr(loss)))
    return lambda name: f"{tmp_path / 'steps.py'}:{name}"


def alone(target: str, **limits: float) -> cc.SubjectAgreement:
    """What is found of a step in its own process, of the loss alone."""
    with cc.Isolated(target, cc.Limits(**limits), require=[LOSS]) as step:
        (found,) = cc.check("article", [step], only=["*/loss"]).subjects.values()
    return found


@pytest.mark.parametrize("adapter", ["torch", "jax"])
def test_trace_is_that_of_a_run_here_bit_for_bit(adapter: str, adapter_of: Callable[[str], Any]) -> None:
    own = adapter_of(adapter)
    case = cc.load_case("article", dtype="float32")
    here = own.record(case)
    with cc.Isolated(adapter) as subject:
        there = subject.record(case)
        assert subject.kinds == own.kinds
        assert subject.environment("cpu")["version"] == here.environment["version"]
    assert list(there) == list(here)
    assert all(identical(there[name], here[name]) for name in here)
    assert there.environment["version"] == here.environment["version"]


def test_one_process_serves_case_after_case(steps: Callable[[str], str]) -> None:
    with cc.Isolated(steps("process")) as step:
        pids = [float(step.record(cc.load_case(name))[LOSS]) for name in ("article", "mazur")]
    assert pids[0] == pids[1] != os.getpid()
    assert not psutil.pid_exists(int(pids[0]))


def test_nothing_is_left_of_one_that_nobody_closed(steps: Callable[[str], str]) -> None:
    step = cc.Isolated(steps("process"))
    pid = int(step.record(cc.load_case("article"))[LOSS])
    assert psutil.pid_exists(pid)
    del step
    gc.collect()
    assert not psutil.pid_exists(pid)


def test_in_this_process_stays_the_default_of_python(steps: Callable[[str], str]) -> None:
    assert float(cc.record("article", steps("process"))[LOSS]) == os.getpid()


@pytest.mark.parametrize(
    ("name", "limits", "verdict", "reason"),
    [
        ("segfault", {}, "crashed", "its process was killed by SIGSEGV at steps.py:19, in segfault"),
        ("aborts", {}, "crashed", "its process was killed by SIGABRT at steps.py:23, in aborts"),
        ("leaves", {}, "crashed", "its process ended with exit status 0 and without an answer"),
        ("hangs", {"seconds": 0.5}, "timed out", "no answer within 0.5 seconds; it was at steps.py:32, in hangs"),
        ("takes", {"gigabytes": 0.5}, "crashed", "it took more than 0.5 GB of memory"),
        ("raises", {}, "crashed", "steps.py:41, in raises: ValueError: no luck"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="there are no signals there")
def test_what_happens_to_a_process_is_the_verdict_of_its_subject(
    steps: Callable[[str], str], name: str, limits: dict[str, float], verdict: str, reason: str
) -> None:
    found = alone(steps(name), **limits)
    assert (found.verdict, found.reason) == (verdict, reason)


def test_after_a_crash_the_next_case_has_a_new_process(steps: Callable[[str], str]) -> None:
    with cc.Isolated(steps("segfault")) as step:
        for name in ("article", "mazur"):
            (found,) = cc.check(name, [step]).subjects.values()
            assert "SIGSEGV" in found.reason


def test_bad_input_is_an_error_as_it_is_here(steps: Callable[[str], str]) -> None:
    with cc.Isolated(steps("misnames")) as step, pytest.raises(cc.CaseError) as caught:
        cc.check("article", [step])
    with pytest.raises(cc.CaseError) as expected:
        cc.check("article", [steps("misnames")])
    assert str(caught.value) == str(expected.value)


def test_what_a_framework_cannot_express_is_unsupported(adapter_of: Callable[[str], Any]) -> None:
    adapter_of("jax")
    case = cc.load_case("article")
    case = replace(case, optimizer=cc.SGD(0.01, momentum=0.5, dampening=0.25))
    with cc.Isolated("jax") as subject:
        found = cc.check(case, [subject]).subjects["jax"]
    assert (found.verdict, found.reason) == ("unsupported", "optax.sgd has no dampening")


def test_dtypes_that_no_file_format_has_arrive(steps: Callable[[str], str]) -> None:
    with cc.Isolated(steps("complex_numbers")) as step:
        there, here = step.record(cc.load_case("article")), cc.record("article", steps("complex_numbers"))
    assert [there[name].dtype for name in there] == [np.complex128, np.longdouble]
    assert all(identical(there[name], here[name]) for name in here)


def test_subjects_run_side_by_side(steps: Callable[[str], str]) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("needs two processors")
    limits = cc.Limits(seconds=60)
    with (
        cc.Isolated(steps("first_of_two"), limits, require=()) as first,
        cc.Isolated(steps("second_of_two"), limits, require=()) as second,
    ):
        assert [one.verdict for one in cc.check("article", [first, second]).subjects.values()] == ["agree"] * 2


def test_the_others_finish_and_the_report_is_whole(
    steps: Callable[[str], str], adapter_of: Callable[[str], Any], tmp_path: Path
) -> None:
    adapter_of("torch")
    limits = cc.Limits(seconds=1)
    with (
        cc.Isolated(steps("segfault"), limits) as crashing,
        cc.Isolated(steps("hangs"), limits) as hanging,
        cc.Isolated("torch") as torch,
    ):
        agreement = cc.check("article", [crashing, hanging, torch])
    assert {name: one.verdict for name, one in agreement.subjects.items()} == {
        "steps.py:segfault": "crashed",
        "steps.py:hangs": "timed out",
        "torch": "agree",
    }
    assert not agreement.ok
    page = (agreement.write(tmp_path / "report") / "report.html").read_text()
    assert "SIGSEGV" in page
    assert "no answer within 1 seconds" in page


def test_functions_beside_a_step_can_be_called(steps: Callable[[str], str]) -> None:
    with cc.Isolated(steps("right")) as step:
        assert step.call("predict") == {"a": [1, 2], "b": None, "c": 0.5, "d": None}
        with pytest.raises(cc.CaseError, match="one of its functions"):
            step.call("nothing")


def test_interruption_leaves_no_process(steps: Callable[[str], str]) -> None:
    def interrupted(subject: str) -> None:
        raise KeyboardInterrupt

    from crosscheck.comparison.check import check

    before = set(psutil.Process().children())
    with cc.Isolated(steps("hangs")) as step, pytest.raises(KeyboardInterrupt):
        check(cc.load_case("article"), [step], progress=interrupted)
    assert set(psutil.Process().children()) <= before


def test_process_ends_with_the_one_that_started_it(steps: Callable[[str], str], tmp_path: Path) -> None:
    """Killed, it cannot clean up."""
    program = textwrap.dedent(f"""\
        import os
        import crosscheck as cc
        step = cc.Isolated({steps("process")!r})
        print(int(step.record(cc.load_case("article"))["0/forward/loss"]), flush=True)
        os._exit(1)
    """)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    pid = int(ended.stdout)
    for _ in range(500):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.01)
    raise AssertionError(f"process {pid} still runs")


# Interpreters


@pytest.fixture(scope="module")
def interpreters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Two more: one that has what this one has, and one that has nothing."""
    found = {}
    for name in ("like", "bare"):
        folder = tmp_path_factory.mktemp(name)
        venv.create(folder, with_pip=False, symlinks=True)
        found[name] = str(folder / "bin" / "python")
        if name == "like":
            site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
            here = sysconfig.get_path("purelib")
            Path(site, "like.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    return found


def test_a_subject_has_the_interpreter_that_is_named(
    interpreters: dict[str, str], steps: Callable[[str], str], tmp_path: Path
) -> None:
    (tmp_path / "steps.py").write_text(
        "import sys\ndef train_step(weights, inputs, targets, state, *, step):\n    raise ValueError(sys.executable)\n"
    )
    target = f"{tmp_path / 'steps.py'}:train_step@{interpreters['like']}"
    found = cc.check("article", [target]).subjects[f"steps.py:train_step@{interpreters['like']}"]
    assert found.verdict == "crashed"
    assert found.reason.endswith(f"ValueError: {interpreters['like']}")


def test_a_framework_has_the_interpreter_that_is_named(
    interpreters: dict[str, str], adapter_of: Callable[[str], Any]
) -> None:
    adapter_of("torch")
    name = f"torch@{interpreters['like']}"
    found = cc.check("article", [name]).subjects[name]
    assert found.verdict == "agree"


def test_an_interpreter_without_crosscheck_says_so(interpreters: dict[str, str]) -> None:
    with pytest.raises(cc.NotInstalled, match=r"crosscheck is not installed for .*bin/python"):
        cc.check("article", [f"torch@{interpreters['bare']}"])


def test_an_interpreter_that_is_not_there_is_an_error() -> None:
    with pytest.raises(cc.CaseError, match="expected a Python interpreter, SUBJECT@PYTHON; received 'nowhere/python'"):
        cc.check("article", ["torch@nowhere/python"])
    with pytest.raises(KeyError, match="torhc"):
        cc.Isolated(f"torhc@{sys.executable}")


# Parcels


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "longdouble"])
@pytest.mark.parametrize("name", ["article", "lenet"])
def test_cases_and_traces_arrive_as_they_were_sent(name: str, dtype: str, tmp_path: Path) -> None:
    trace = cc.record(cc.load_case(name, dtype=dtype))
    pack(trace, tmp_path / "parcel")
    back = unpack(tmp_path / "parcel")
    assert back.case is not None
    assert trace.case is not None
    assert same_case(back.case, trace.case)
    assert (back.source, back.dtypes, list(back)) == (trace.source, trace.dtypes, list(trace))
    assert list(back.given) == list(trace.given)
    assert all(identical(back[key], trace[key]) for key in (*trace, *trace.given))


@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_limits_are_checked(value: float) -> None:
    with pytest.raises(ValueError, match="seconds: expected a number of at least 0"):
        cc.Limits(seconds=value)
    with pytest.raises(ValueError, match="gigabytes: expected a number of at least 0"):
        cc.Limits(gigabytes=value)


# The shell


def said(*arguments: str, status: int) -> str:
    result = CliRunner().invoke(app, [*arguments])
    assert result.exit_code == status, result.output
    return result.output


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CROSSCHECK_IN_PROCESS", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return said


def test_shell_isolates_by_itself(steps: Callable[[str], str], shell: Callable[..., str]) -> None:
    output = shell("check", steps("segfault"), "--case", "article", status=3)
    assert "steps.py:segfault: crashed: its process was killed by SIGSEGV at steps.py:19, in segfault" in output
    assert output.endswith("steps.py:segfault crashed\n")
    assert Path("reports/article/report.html").is_file()


def test_shell_has_limits(steps: Callable[[str], str], shell: Callable[..., str]) -> None:
    output = shell("check", steps("hangs"), "--case", "article", "--time-limit", "0.5", status=3)
    assert "no answer within 0.5 seconds" in output
    assert output.endswith("steps.py:hangs timed out\n")
    output = shell("check", steps("takes"), "--case", "article", "--memory-limit", "0.5", status=3)
    assert "it took more than 0.5 GB of memory" in output


def test_shell_can_stay_in_its_process(steps: Callable[[str], str], shell: Callable[..., str]) -> None:
    shell(
        "check", steps("process"), "--case", "article", "--in-process", "--require", LOSS, "--json", "a.json", status=1
    )
    assert f'"subject":{float(os.getpid())}' in Path("a.json").read_text().replace(" ", "")


def test_shell_says_what_is_wrong_with_an_interpreter(shell: Callable[..., str], interpreters: dict[str, str]) -> None:
    assert "received 'nowhere'" in shell("run", "article", "--against", "torch@nowhere", status=2)
    output = shell("run", "article", "--against", f"torch@{interpreters['bare']}", status=2)
    assert "crosscheck is not installed for" in output
