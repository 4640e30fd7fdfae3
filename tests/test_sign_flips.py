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
from functools import cache
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases import built_in
from crosscheck.cases.random import random_case
from crosscheck.comparison import compare
from crosscheck.comparison.compare import Comparison
from crosscheck.reference.layers import LAYERS
from crosscheck.reference.losses import LOSSES
from crosscheck.reference.optimizers import OPTIMIZERS

KINDS: dict[str, type] = {**LAYERS, **LOSSES, **OPTIMIZERS}


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


EQUIVALENT = dict.fromkeys(
    ("embedding-backward-0", "positions-backward-1", "adaptive_avg_pool2d-backward-2", "nll-backward-0"),
    "it negates an array of zeros",
)
"""Flips that change nothing, and why."""

USES = {"instance_norm": "group_norm"}
"""Kinds that have the backward of another done, and of which."""


def owners(kinds: dict[str, type], method: str) -> dict[type, str]:
    """The classes whose ``method`` the kinds call, which several may inherit, and the first kind that does."""
    found: dict[type, str] = {}
    for kind, cls in kinds.items():
        owner = next((one for one in cls.__mro__ if method in vars(one)), None)
        if owner is not None:
            found.setdefault(owner, kind)
    return found


def flips(kinds: dict[str, type], method: str) -> Iterator[object]:
    """Every sign of what the kinds call ``method``."""
    for owner, kind in owners(kinds, method).items():
        counter = Flip(-1)
        counter.visit(source_of(vars(owner)[method]))
        for place in range(counter.seen):
            name = f"{kind}-{method}-{place}"
            if name not in EQUIVALENT:
                yield pytest.param(owner, method, place, id=name)


def flipped(function: Any, place: int) -> Any:
    tree = ast.fix_missing_locations(Flip(place).visit(source_of(function)))
    names: dict[str, Any] = dict(inspect.unwrap(function).__globals__)
    exec(compile(tree, "<flipped>", "exec"), names)
    return names[function.__name__]


@pytest.mark.parametrize(
    ("cls", "method", "place"),
    [
        *flips(LAYERS, "backward"),
        *flips(LAYERS, "step_backward"),
        *flips(LOSSES, "backward"),
        *flips(OPTIMIZERS, "update"),
    ],
)
def test_flipped_sign_is_found_where_it_is(cls: type, method: str, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    heirs = [kind for kind in KINDS if issubclass(KINDS[USES.get(kind, kind)], cls)]
    monkeypatch.setattr(compare, "diagnose", lambda *arguments: [])
    wrong_function = flipped(vars(cls)[method], place)
    for comparison in comparisons(*heirs):
        with monkeypatch.context() as patch:
            patch.setattr(cls, method, wrong_function)
            try:
                wrong = cc.record(case_of(comparison))
            except (TypeError, IndexError, ValueError):  # it is a table of slots, which has no sign, or an index
                return
        wrong.source = "flipped"
        subject = comparison.of(wrong)
        if subject.verdict == "disagree":
            first = next(tensor for tensor in subject.tensors if tensor.name == subject.first_divergence)
            assert first.kind in heirs, first
            assert f"{method.removeprefix('step_')}(" in first.operation, first
            return
    pytest.fail(f"{method} of {heirs} with sign {place} flipped: every case agrees")


def test_every_kind_has_signs_to_flip() -> None:
    kinds = {**LAYERS, **LOSSES}
    with_flips = {cls for method in ("backward", "step_backward") for cls in owners(kinds, method)}
    assert [kind for kind, cls in kinds.items() if with_flips.isdisjoint(cls.__mro__)] == []


def comparisons(*kinds: str) -> Iterator[Comparison]:
    """The built-in cases that any of the kinds stands in, the smallest first; then random networks around each."""
    for name in by_size():
        if not kinds_of(cc.load_case(name)).isdisjoint(kinds):
            yield comparison_of(name)
    for seed in range(12):
        for kind in kinds:
            yield comparison_of(kind, seed)


def case_of(comparison: Comparison) -> cc.Case:
    assert comparison.baseline.case is not None
    return comparison.baseline.case


def kinds_of(case: cc.Case) -> set[str]:
    return {
        *(term.loss.kind for term in case.losses),
        case.optimizer.kind,
        *(node.layer.kind for node in case.nodes),
    }


@cache
def by_size() -> list[str]:
    return sorted(built_in(), key=lambda name: sum(np.size(array) for array in cc.load_case(name).weights.values()))


@cache
def comparison_of(name: str, seed: int | None = None) -> Comparison:
    """A built-in case, or with a seed a random network around a kind."""
    case = cc.load_case(name) if seed is None else random_case(seed, kind=name)
    return Comparison(cc.record(case), cc.Computed())


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
    line = '"weight": rows.T @ drows if'
    assert line in text
    affine.write_text(text.replace(line, line.replace("rows.T", "-rows.T", 1)))
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
