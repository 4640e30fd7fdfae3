"""The tool of ``make mutants``: what it changes, how it plants a change, and that it finds a hole in a suite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

TOOL = Path(__file__).parent / "mutation"


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """A module of ``mutation/``, which is no package."""
    monkeypatch.syspath_prepend(TOOL)
    return import_module


# --------------------------------------------------------------------------------------------------------- the changes

RETURNED: dict[str, tuple[str, set[str]]] = {
    "comparison": ("x < y", {"x <= y", "x >= y"}),
    "equality": ("x == y", {"x != y"}),
    "each of a chain": (
        "0 <= x < y",
        {"0 < x < y", "0 > x < y", "0 <= x <= y", "0 <= x >= y", "1 <= x < y", "-1 <= x < y"},
    ),
    "sum": ("x + y", {"x - y"}),
    "quotient": ("x / y", {"x * y"}),
    "matrix product": ("x @ y", {"y @ x"}),
    "and": ("x and y", {"x or y"}),
    "not": ("not x", {"x"}),
    "minus": ("-x", {"x"}),
    "whole number": ("3", {"4", "2"}),
    "negative number": ("-1", {"1", "-2", "0"}),
    "number": ("0.25", {"0.5"}),
    "zero": ("0.0", {"1.0"}),
    "truth": ("True", {"False"}),
    "text": ("'mean'", set()),
    "sum over an axis": (
        "x.sum(axis=-1, keepdims=True)",
        {
            "x",
            *(f"x.sum(axis={axis}, keepdims=True)" for axis in (0, 1, -2)),
            "x.sum(axis=-1, keepdims=False)",
        },
    ),
    "transpose": ("x.T", {"x"}),
    "axes": ("x.swapaxes(y, z)", {"x"}),
    "reshape": (
        "x.reshape(-1, y)",
        {"x", "x.reshape(y, -1)", "x.reshape(1, y)", "x.reshape(0, y)"},
    ),
    "elementwise": ("np.exp(x)", {"x"}),
    "where": ("np.where(x, y, z)", {"np.where(x, z, y)"}),
    "maximum": ("np.maximum(x, y)", {"np.minimum(x, y)"}),
    "zeros": ("np.zeros_like(x)", {"np.ones_like(x)", "x"}),
    "arguments": ("f(x, y, z)", {"f(y, x, z)", "f(x, z, y)"}),
    "what is asserted": ("zip(x, x, strict=True)", set()),
    "condition": ("x if y else z", {"z if y else x"}),
    "compared condition": ("x if y < z else x", {"x if y <= z else x", "x if y >= z else x"}),
    "filter": ("[x for x in y if x]", {"[x for x in y if not x]"}),
    "names": ("(x, y)", {"(y, x)"}),
}

STATEMENTS: dict[str, tuple[str, set[str]]] = {
    "unpacked": ("x, y = z", {"y, x = z"}),
    "condition": ("if x: return y", {"if not x:"}),
    "call": ("f(x)", {"without `f(x)`"}),
    "refusal": ("raise x", {"without `raise x`"}),
    "element": ("x[y] = z", {"without `x[y] = z`"}),
    "added": ("x += y", {"x -= y"}),
    "context": ("with x: y = z", {"without `with x:`"}),
    "annotation": ("x: Literal[1, 2] = y", set()),
    "type checking": ("if not TYPE_CHECKING: x += y", set()),
    "twice": ("x = y < z < y", {"x = y <= z < y", "x = y >= z < y", "x = y < z <= y", "x = y < z >= y"}),
}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        *((f"return {before}", {f"return {after}" for after in changed}) for before, changed in RETURNED.values()),
        *STATEMENTS.values(),
    ],
    ids=[*(f"returned {name}" for name in RETURNED), *STATEMENTS],
)
def test_a_statement_is_changed_in_these_ways(
    tool: Callable[[str], ModuleType], statement: str, expected: set[str]
) -> None:
    source = f'def f(x, y, z):\n    """Not {statement!r}."""\n    {statement}\n'
    mutants = tool("mutating").mutants_of("a.py", source)
    assert {mutant.name for mutant in mutants} == {f"f: {after}" for after in expected}
    for mutant in mutants:
        compile(mutant.source, "a.py", "exec")
        assert (mutant.file, mutant.line, mutant.scope) == ("a.py", 3, "function")


def test_a_mutant_is_known_by_its_place_and_not_by_its_line(tool: Callable[[str], ModuleType]) -> None:
    source = """
class Rate:
    size: float = 0.5

    def of(self, x, y=1):
        if x:
            return x + 1.0
        return x + 1.0
"""
    mutants = tool("mutating").mutants_of("a.py", source)
    names = [mutant.name for mutant in mutants]
    assert [mutant.scope for mutant in mutants] == ["class"] * 3 + ["function"] * 5
    assert names == [
        "Rate: size: float = 1.0",
        "Rate.of: def of(self, x, y=2):",
        "Rate.of: def of(self, x, y=0):",
        "Rate.of: if not x:",
        "Rate.of: return x - 1.0",
        "Rate.of: return x + 2.0",
        "Rate.of: return x - 1.0 (2)",
        "Rate.of: return x + 2.0 (2)",
    ]
    below = tool("mutating").mutants_of("a.py", "import numpy\n" + source)
    assert [mutant.name for mutant in below] == names


# -------------------------------------------------------------------------------------------------------- the planting

SHAPES = """
from dataclasses import dataclass, field
from functools import cached_property

SIDES = 4


def twice(x, factor=2):
    return x * factor


class Shape:
    name = "shape"

    def check(self):
        if self.side < 0:
            raise ValueError("a side below 0")


@dataclass(frozen=True)
class Square(Shape):
    side: int = 1
    marks: list = field(default_factory=list)

    def __post_init__(self):
        super().check()

    @property
    def around(self):
        return SIDES * self.side

    @cached_property
    def area(self):
        return self.side**2

    @classmethod
    def unit(cls):
        return cls(1)
"""


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = ModuleType("shapes_to_plant_in")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(SHAPES, vars(module))
    return module


CHANGED: dict[str, tuple[str, str, Callable[[Any, Any, Any], object], object]] = {
    "function": ("x * factor", "x + factor", lambda twice, square, made: twice(5), 7),
    "default": ("factor=2", "factor=3", lambda twice, square, made: twice(5), 15),
    "constant": ("SIDES = 4", "SIDES = 3", lambda twice, square, made: made.around, 9),
    "property": ("SIDES * self", "SIDES + self", lambda twice, square, made: made.around, 7),
    "cached property": ("side**2", "side**3", lambda twice, square, made: made.area, 27),
    "class method": ("cls(1)", "cls(2)", lambda twice, square, made: square.unit().side, 2),
    "field": ("side: int = 1", "side: int = 6", lambda twice, square, made: (square().side, square.side), (6, 6)),
    "value": ('"shape"', '"form"', lambda twice, square, made: made.name, "form"),
    "no super": ("super().check()", "pass", lambda twice, square, made: square(-1).side, -1),
    "nothing": ("SIDES", "SIDES", lambda twice, square, made: (twice(5), made.around, made.area), (10, 12, 9)),
}


@pytest.mark.parametrize(("before", "after", "use", "expected"), CHANGED.values(), ids=CHANGED)
def test_what_is_held_already_is_changed(
    tool: Callable[[str], ModuleType],
    shapes: Any,
    before: str,
    after: str,
    use: Callable[..., object],
    expected: object,
) -> None:
    twice, square, made = shapes.twice, shapes.Square, shapes.Square(3)
    assert before in SHAPES
    tool("planting").plant(shapes, SHAPES.replace(before, after, 1))
    assert use(twice, square, made) == expected
    assert type(shapes.Square(3)) is square
    assert shapes.Square(3) == made


def test_a_probe_tells_which_statements_are_reached(tool: Callable[[str], ModuleType], shapes: Any) -> None:
    planting, reached = tool("planting"), set()
    vars(shapes)[planting.PROBE] = reached.add
    planting.plant(shapes, planting.probed(SHAPES, "a.py"))
    lines = SHAPES.splitlines()
    assert shapes.twice(5) == 10
    assert {lines[line - 1].strip() for _, line in reached} == {"return x * factor"}
    reached.clear()
    with pytest.raises(ValueError, match="a side"):
        shapes.Square(-1)
    assert {lines[line - 1].strip() for _, line in reached} == {
        "super().check()",
        "if self.side < 0:",
        'raise ValueError("a side below 0")',
    }
    assert {file for file, _ in reached} == {"a.py"}


# ------------------------------------------------------------------------------------------------------- the whole run

ABOVE = """
def above(x, limit):
    return x > limit
"""

LAST = """
def last(x, steps=1):
    while steps > 0:
        x, steps = x[1:], steps - 1
    return x
"""

TEST_ABOVE = """
from toy.reference.module import above

def test_above():
    assert above(3, 1)
    assert not above(1, 3)
"""

TEST_LAST = """
import pytest
from toy.reference.module import last

@pytest.mark.parametrize("x", ["abc"])
def test_last(x):
    assert last(x) == "bc"
    assert last(x, 0) == "abc"
    assert last(x, 2) == "c"
"""

HOLE = "above: return x >= limit"


@dataclass
class Done:
    """What a run of the tool said, and its exit status."""

    status: int
    said: str


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """A run of the tool over a package, whose suite has a hole; with some survivors listed."""
    root = tmp_path / "toy"
    for folder in (root / "reference", root / "tests" / "mutation"):
        folder.mkdir(parents=True)
    for folder in (root, root / "reference"):
        (folder / "__init__.py").touch()
    (root / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = ["--import-mode=importlib"]\n')
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(listed: dict[str, str], *options: str, module: str = ABOVE, suite: str = TEST_ABOVE) -> Done:
        (root / "reference" / "module.py").write_text(module)
        (root / "tests" / "test_module.py").write_text(suite)
        lines = ['["reference/module.py"]', *(f'"{name}" = "{reason}"' for name, reason in listed.items())]
        (root / "tests" / "mutation" / "survivors.toml").write_text("\n".join(lines))
        command = [sys.executable, TOOL / "run.py", "--root", root, "--package", "toy", "--grace", "0.5", *options]
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
        return Done(done.returncode, done.stdout + done.stderr)

    return run


def test_a_hole_in_a_suite_is_found(toy: Callable[..., Done]) -> None:
    done = toy({}, "--verbose", module=ABOVE + LAST, suite=TEST_ABOVE + TEST_LAST)
    assert done.status == 1, done.said
    assert f"\nsurvived: reference/module.py:3\n  {HOLE}\n  was: return x > limit\n" in done.said
    assert done.said.count("survived: ") == 2, "once when it was found, and once below the table"
    assert "killed: reference/module.py:3 above: return x <= limit, by tests/test_module.py::test_above\n" in done.said
    # `steps + 1` never ends.
    assert "timed out: reference/module.py:7 last: x, steps = (x[1:], steps + 1)\n" in done.said
    assert done.said.rstrip().endswith(f"{HOLE}\n  was: return x > limit")


def test_a_survivor_that_is_known_is_none(toy: Callable[..., Done]) -> None:
    done = toy({HOLE: "at the limit nobody has said what it should be"})
    assert done.status == 0, done.said
    table = [line.split() for line in done.said.splitlines() if line.startswith(("reference/", "all "))]
    assert [row[1:] for row in table] == [["2", "1", "0", "1", "1"]] * 2


def test_a_list_that_is_out_of_date_is_complained_of(toy: Callable[..., Done]) -> None:
    closed = TEST_ABOVE.replace("above(3, 1)", "above(3, 1) and not above(2, 2)")
    done = toy({HOLE: "nobody looks", "above: return x != limit": "gone"}, suite=closed)
    assert done.status == 1, done.said
    killed = f"listed as equivalent, but killed: reference/module.py\n  {HOLE}\n  by tests/test_module.py::test_above"
    assert killed in done.said
    gone = "listed as equivalent, but there is no such mutant: reference/module.py\n  above: return x != limit"
    assert gone in done.said


def test_a_statement_that_no_test_reaches_is_a_survivor(toy: Callable[..., Done]) -> None:
    done = toy({HOLE: "nobody looks"}, suite="def test_nothing():\n    pass")
    assert done.status == 1, done.said
    assert "survived: reference/module.py:3\n  above: return x <= limit" in done.said


def test_a_suite_that_fails_by_itself_is_no_judge(toy: Callable[..., Done]) -> None:
    done = toy({}, suite=TEST_ABOVE.replace("assert above(3, 1)", "assert above(1, 1)"))
    assert done.status == 2, done.said
    assert "These fail where nothing is changed:\n  tests/test_module.py::test_above" in done.said


def test_some_mutants_are_drawn_at_random(toy: Callable[..., Done]) -> None:
    done = toy({}, "--sample", "1", "--seed", "1", "reference/module.py")
    assert "1 mutants of 1 modules" in done.said, done.said


def test_a_file_that_is_not_there_is_complained_of(toy: Callable[..., Done]) -> None:
    done = toy({}, "reference/modul.py")
    assert done.status == 2
    assert "received reference/modul.py" in done.said
