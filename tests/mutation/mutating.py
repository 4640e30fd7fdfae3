"""The mutants of a module: its source with one small thing changed, as a slip of the pen would change it.

A table of changes for each kind of syntax: operators, comparisons, constants (and with them axes), calls, the order of
arguments and of names, statements left out. Texts, annotations and docstrings are left alone, and so is what changes
nothing by its nature, as the order of the two arguments of ``np.maximum``.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

Scope: TypeAlias = Literal["function", "class", "module"]


@dataclass(frozen=True)
class Mutant:
    """A module with one thing changed."""

    file: str
    line: int
    """Where the changed statement begins."""
    name: str
    """Function and changed statement; numbered where the same change can be made to the same statement twice."""
    before: str
    """The statement as it was."""
    scope: Scope
    """Where the statement stands; outside of functions it is run when the module is imported."""
    source: str
    """The whole module."""


COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
}
RENAMED = {
    one: other
    for pair in (
        ("min", "max"),
        ("minimum", "maximum"),
        ("argmin", "argmax"),
        ("zeros_like", "ones_like"),
        ("any", "all"),
    )
    for one, other in (pair, pair[::-1])
}
LEFT_OUT = frozenset("reshape transpose swapaxes copy sum mean max min".split())
"""Methods without which an array is still an array."""
SYMMETRIC = frozenset("maximum minimum max min swapaxes add multiply isinstance".split())
"""Functions whose arguments may be swapped, or that would be nonsense."""
SKIPPED_FIELDS = frozenset("annotation returns decorator_list type_params bases".split())
SKIPPED_KEYWORDS = frozenset({"strict"})
"""``zip(strict=True)`` asserts what the callers see to."""


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    tree = ast.parse(source)
    found: list[Mutant] = []
    seen = {ast.unparse(tree)}
    names: Counter[str] = Counter()
    for place in places(tree):
        before = first_line(place.statement)
        for changed in (*changes(place), *statement_changes(place)):
            place.put(changed)
            after = first_line(changed if isinstance(changed, ast.stmt) else place.statement)
            text = ast.unparse(ast.fix_missing_locations(tree))
            place.put(place.node)
            if text in seen:
                continue
            seen.add(text)
            left_out = isinstance(changed, ast.Pass) or isinstance(place.node, ast.With)
            name = f"{place.where}: {f'without `{before}`' if left_out else after}"
            names[name] += 1
            number = f" ({names[name]})" if names[name] > 1 else ""
            found.append(Mutant(file, place.statement.lineno, name + number, before, place.scope, text))
    return found


@dataclass(frozen=True)
class Place:
    """A node and where it hangs, so that another can be hung there."""

    node: ast.AST
    parent: ast.AST
    field: str
    index: int | None
    statement: ast.stmt
    """The innermost statement that the node belongs to, perhaps the node itself."""
    where: str
    """The class or function."""
    scope: Scope

    def put(self, node: ast.AST) -> None:
        """Hang a node in this place."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


def places(
    node: ast.AST, statement: ast.stmt | None = None, path: tuple[str, ...] = (), scope: Scope = "module"
) -> Iterator[Place]:
    """Every node below one that may be changed."""
    for field, value in ast.iter_fields(node):
        if field in SKIPPED_FIELDS:
            continue
        inside = scope
        if field == "body" and isinstance(node, ast.FunctionDef):
            inside = "function"
        elif field == "body" and isinstance(node, ast.ClassDef) and scope == "module":
            inside = "class"
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if not isinstance(child, ast.AST) or is_of_type_checking(child):
                continue
            own = child if isinstance(child, ast.stmt) else statement
            if own is not None:
                yield Place(child, node, field, index, own, ".".join(path) or "module", inside)
            if not is_whole(child):
                named = isinstance(child, ast.FunctionDef | ast.ClassDef)
                yield from places(child, own, (*path, child.name) if named else path, inside)


def is_whole(node: ast.AST) -> bool:
    """Whether a node is changed as a whole: a negative number, and what is not changed at all."""
    return isinstance(node, ast.Import | ast.ImportFrom) or negative_number(node) is not None


def is_of_type_checking(node: ast.AST) -> bool:
    """Whether a type checker sees a statement and Python does not, or the other way round: a computed ``__all__``."""
    return isinstance(node, ast.If) and "TYPE_CHECKING" in {name_of(part) for part in ast.walk(node.test)}


def negative_number(node: ast.AST) -> ast.Constant | None:
    """The 1 of a -1."""
    negative = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    operand = node.operand if negative else None  # type: ignore[attr-defined]
    return operand if isinstance(operand, ast.Constant) else None


def first_line(statement: ast.stmt) -> str:
    """The statement on one line; of one that holds others, its head."""
    lines = ast.unparse(statement).splitlines()
    return next(line for line in lines if not line.startswith("@"))


# --------------------------------------------------------------------------------------------------------- the changes


def changes(place: Place) -> Iterator[ast.AST]:
    """What may stand in the place of an expression."""
    node = place.node
    match node:
        case ast.Compare():
            for position, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    yield altered(node, ops=[*node.ops[:position], other(), *node.ops[position + 1 :]])
        case ast.BinOp(op=ast.MatMult()):
            yield altered(node, left=node.right, right=node.left)
        case ast.BinOp() if type(node.op) in OPERATORS:
            yield altered(node, op=OPERATORS[type(node.op)]())
        case ast.BoolOp():
            yield altered(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield node.operand
            number = negative_number(node)
            if number is not None:
                for value in near(number.value):
                    # Any negative number stands for the length that reshape finds out by itself.
                    if value <= 0 or not is_call_of(place.parent, "reshape"):
                        yield ast.UnaryOp(ast.USub(), ast.Constant(value)) if value else ast.Constant(0)
        case ast.Constant():
            if not (isinstance(place.parent, ast.keyword) and place.parent.arg in SKIPPED_KEYWORDS):
                for value in near(node.value):
                    yield ast.UnaryOp(ast.USub(), ast.Constant(-value)) if value < 0 else ast.Constant(value)
        case ast.Call():
            yield from changed_calls(node)
        case ast.Attribute(attr="T", ctx=ast.Load()):
            yield node.value
        case ast.IfExp() if needs_negation(node.test):
            yield altered(node, body=node.orelse, orelse=node.body)
        case ast.comprehension():
            for position, test in enumerate(node.ifs):
                if needs_negation(test):
                    negated = ast.UnaryOp(ast.Not(), test)
                    yield altered(node, ifs=[*node.ifs[:position], negated, *node.ifs[position + 1 :]])
        case ast.Tuple() if place.scope == "function" and not isinstance(place.parent, ast.ExceptHandler | ast.Call):
            for left, right in pairwise(range(len(node.elts))):
                if is_name(node.elts[left]) and is_name(node.elts[right]):
                    yield altered(node, elts=swapped(node.elts, left, right))


def near(value: object) -> tuple[bool | int | float, ...]:
    """The constants that might stand in the place of one; none for a text."""
    match value:
        case bool():
            return (not value,)
        case int():
            return value + 1, value - 1
        case float():
            return (2 * value,) if value else (1.0,)
    return ()


def changed_calls(node: ast.Call) -> Iterator[ast.AST]:
    """Another function, the arguments in another order, no call at all."""
    function, name = node.func, name_of(node.func)
    of_numpy = (
        isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "np"
    )
    if name in RENAMED:
        other = RENAMED[name]
        renamed = altered(function, attr=other) if isinstance(function, ast.Attribute) else ast.Name(other, ast.Load())
        yield altered(node, func=renamed)
    if isinstance(function, ast.Attribute) and not of_numpy and name in LEFT_OUT:
        yield function.value
    if (of_numpy or name.startswith("erf")) and len(node.args) == 1 and not node.keywords:
        yield node.args[0]
    if name not in SYMMETRIC and not any(isinstance(argument, ast.Starred) for argument in node.args):
        # The condition of np.where is of another kind than the two that it chooses from.
        for left, right in pairwise(range(1 if name == "where" else 0, len(node.args))):
            if not (is_text(node.args[left]) and is_text(node.args[right])):
                yield altered(node, args=swapped(node.args, left, right))


def statement_changes(place: Place) -> Iterator[ast.AST]:
    """What may stand in the place of a statement."""
    node = place.node
    match node:
        case ast.If() | ast.While() if needs_negation(node.test):
            yield altered(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.AugAssign() if type(node.op) in OPERATORS:
            yield altered(node, op=OPERATORS[type(node.op)]())
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Continue():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield ast.Pass()
        case ast.With():
            yield ast.If(ast.Constant(True), node.body, [])


def needs_negation(test: ast.expr) -> bool:
    """Whether a condition is not itself of a kind that is negated or changed."""
    negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)
    return not negated and not isinstance(test, ast.Compare | ast.BoolOp)


def name_of(function: ast.AST) -> str:
    """The name of a function or a method."""
    match function:
        case ast.Attribute():
            return function.attr
        case ast.Name():
            return function.id
    return ""


def is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and name_of(node.func) == name


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def is_name(node: ast.expr) -> bool:
    """Whether an expression is a name or an attribute, but for the name of what nobody wants."""
    return isinstance(node, ast.Attribute) or (isinstance(node, ast.Name) and node.id != "_")


def swapped(nodes: list[ast.expr], left: int, right: int) -> list[ast.expr]:
    """The list with two places swapped."""
    order = list(nodes)
    order[left], order[right] = order[right], order[left]
    return order


def altered(node: ast.AST, **fields: object) -> ast.AST:
    """A copy of a node with other fields."""
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
