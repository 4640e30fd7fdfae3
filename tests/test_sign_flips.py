"""One sign flipped in any line of any backward or update: the run fails and names the tensor that is first broken."""

from __future__ import annotations

import ast
import inspect
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import pytest
from crosscheck.cases import built_in
from crosscheck.reference.layers import LAYERS
from crosscheck.reference.losses import LOSSES
from crosscheck.reference.optimizers import OPTIMIZERS


class Flip(ast.NodeTransformer):
    """Negates what one assignment or return computes, or the n-th sum or difference within."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.seen = 0

    def visit(self, node: ast.AST) -> ast.AST:
        node = self.generic_visit(node)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
            if self.seen == self.target:
                node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
            self.seen += 1
        elif isinstance(node, ast.Assign) and not isinstance(node.targets[0], ast.Tuple):
            if self.seen == self.target:
                node.value = ast.UnaryOp(ast.USub(), node.value)
            self.seen += 1
        return node


def source_of(function: Any) -> ast.Module:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def flips(kinds: dict[str, type], method: str) -> Iterator[object]:
    for kind, cls in kinds.items():
        function = cls.__dict__[method]
        counter = Flip(-1)
        counter.visit(source_of(function))
        for place in range(counter.seen):
            yield pytest.param(cls, method, place, id=f"{kind}-{method}-{place}")


def flipped(function: Any, place: int) -> Any:
    tree = ast.fix_missing_locations(Flip(place).visit(source_of(function)))
    names: dict[str, Any] = dict(function.__globals__)
    exec(compile(tree, "<flipped>", "exec"), names)
    return names[function.__name__]


@pytest.mark.parametrize(
    ("cls", "method", "place"),
    [*flips(LAYERS, "backward"), *flips(LOSSES, "backward"), *flips(OPTIMIZERS, "update")],
)
def test_flipped_sign_is_found_where_it_is(cls: type, method: str, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cls, method, flipped(cls.__dict__[method], place))
    kind: str = cls.kind  # type: ignore[attr-defined]
    using = {name: case for name, case in cases().items() if kind in kinds_of(case)}
    assert using, f"no case has a {kind!r}"
    wrong = {name: cc.record(case) for name, case in using.items()}
    monkeypatch.undo()
    found = {name: cc.compare(cc.record(case), as_subject(wrong[name])) for name, case in using.items()}
    caught = {name: agreement for name, agreement in found.items() if not agreement.ok}
    assert caught, f"{kind}.{method} with sign {place} flipped: every case agrees"
    for agreement in caught.values():
        subject = agreement.subjects["flipped"]
        first = next(tensor for tensor in subject.tensors if tensor.name == subject.first_divergence)
        assert first.kind == kind, first
        assert f"{method}(" in first.operation, first


def cases() -> dict[str, cc.Case]:
    """The built-in cases, and one with the options of optimizers that not every framework has."""
    regression = cc.load_case("regression")
    options = {
        "dampening": cc.SGD(0.25, momentum=0.5, dampening=0.25, weight_decay=0.125),
        "nesterov": cc.SGD(0.25, momentum=0.5, nesterov=True),
        "decay": cc.Adam(0.125, weight_decay=0.25, epsilon=0.125),
    }
    return {
        **{name: cc.load_case(name) for name in built_in()},
        **{name: replace(regression, optimizer=optimizer) for name, optimizer in options.items()},
    }


def kinds_of(case: cc.Case) -> set[str]:
    return {case.loss.kind, case.optimizer.kind, *(node.layer.kind for node in case.nodes)}


def as_subject(trace: cc.Trace) -> cc.Trace:
    trace.source = "flipped"
    return trace


def test_flipped_sign_in_a_copy_of_the_package_fails_the_run(tmp_path: Path) -> None:
    """The same from the shell: a copy of the package with a sign flipped exits 1 and names tensor and operation."""
    pytest.importorskip("torch")
    package = Path(cc.__file__).parent
    copy = tmp_path / "crosscheck"
    for marker in package.glob("*/__init__.py"):
        folder = marker.parent
        shutil.copytree(folder, copy / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    for file in package.glob("*.py"):
        shutil.copy(file, copy)
    affine = copy / "reference" / "layers" / "affine.py"
    text = affine.read_text()
    assert "dweight = rows.T @ drows" in text
    affine.write_text(text.replace("dweight = rows.T @ drows", "dweight = -rows.T @ drows"))
    command = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import crosscheck; "
        f"assert crosscheck.__file__.startswith({str(tmp_path)!r}); from crosscheck.cli import main; main()"
    )
    run = subprocess.run(
        [sys.executable, "-c", command, "run", "article", "--against", "torch", "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "COLUMNS": "200"},
    )
    assert run.returncode == 1, run.stderr
    assert "first divergence 0/gradient/o.weight, in 0/backward(o)" in " ".join(run.stdout.split())
