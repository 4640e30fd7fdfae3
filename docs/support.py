"""``make support``: every kind in every framework and dtype, run, not claimed. Writes support.json and support.md.

For each layer, loss, optimizer and clipping the smallest network around it that a framework can express is run in four
dtypes. Names as arguments (``make support ARGS="relu adam"``) run those kinds again, ``--missing`` those that have no
result yet; what other versions gave is forgotten. Compiling takes JAX seconds a network: all of it, half an hour.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from importlib.metadata import version
from itertools import product
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

from crosscheck.adapters import Adapter, load_adapter
from crosscheck.adapters.contract import Part
from crosscheck.cases import built_in, load_case
from crosscheck.cases.drawing import draw_batch, draw_weights
from crosscheck.cases.files import write_text
from crosscheck.cases.random import random_case
from crosscheck.comparison.agreement import SubjectAgreement, describe
from crosscheck.comparison.check import check
from crosscheck.faults.conventions import convention_fields
from crosscheck.reference import (
    CLIPS,
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    SGD,
    Case,
    CaseError,
    Dense,
    MeanSquaredError,
    Node,
    Softplus,
    Term,
)
from crosscheck.reference.network import parameter_shapes, resolve
from crosscheck.rendering.markdown import escaped

HERE = Path(__file__).parent
RECORD, PAGE = HERE / "support.json", HERE / "support.md"

FRAMEWORKS = ("torch", "jax")
DTYPES = ("float64", "float32", "float16", "bfloat16")
FAMILIES: dict[str, Mapping[str, type]] = {
    "Layers": LAYERS,
    "Losses": LOSSES,
    "Optimizers": OPTIMIZERS,
    "Clipping": CLIPS,
}
SEEDS = 24
"""Random networks to choose the smallest from."""

KNOWN: dict[tuple[str, str, str], str] = {
    ("adafactor", "torch", "float16"): "torch.optim.Adafactor multiplies the means of rows and columns before it "
    "divides by that of both: beyond 65504 the product is infinite, and those weights stay as they are",
}
"""Why a network disagrees in a framework and a dtype, found out by hand."""

Result: TypeAlias = dict[str, Any]
"""What became of a kind in a framework, as it stands in the record."""


@dataclass(frozen=True)
class Candidate:
    """A network that has a kind, and the fields of the kind that were changed in it."""

    kind: str
    make: Callable[[str], Case]
    """The network in a dtype."""

    def case(self, dtype: str, changed: Mapping[str, Any]) -> Case:
        """The network in a dtype, with some fields of the kind changed."""
        case = self.make(dtype)
        nodes = tuple(replace(node, layer=self.altered(node.layer, changed)) for node in case.nodes)
        loss = tuple(replace(term, loss=self.altered(term.loss, changed)) for term in case.losses)
        optimizer, clip = (self.altered(one, changed) for one in (case.optimizer, case.clip))
        return replace(case, nodes=nodes, loss=loss, optimizer=optimizer, clip=clip)

    def altered(self, thing: Any, changed: Mapping[str, Any]) -> Any:
        """A layer, a loss, an optimizer or a clipping with those fields, if it is of the kind."""
        return replace(thing, **changed) if changed and getattr(thing, "kind", "") == self.kind else thing


def candidates(kind: str) -> list[Candidate]:
    """Networks with the kind, the smallest first, of one step last: random ones, or built-in ones, or one by hand."""
    random = [Candidate(kind, partial(drawn, kind, seed)) for seed in range(SEEDS)]
    known = [Candidate(kind, partial(built, name)) for name in built_in()]
    by_hand = [Candidate(kind, partial(written, kind))]
    for sources in (random, known, by_hand):
        found = []
        for candidate in sources:
            try:
                case = candidate.make("float64")
            except (AssertionError, CaseError, TypeError):
                continue  # no rule for the kind, or options that it lacks
            if kind in kinds_of(case):
                found.append((case.steps == 1, len(case.nodes), len(found), candidate))
        if found:
            return [candidate for *_, candidate in sorted(found, key=itemgetter(0, 1, 2))]
    return []


def built(name: str, dtype: str) -> Case:
    """A built-in case."""
    return load_case(name, dtype=dtype)


def written(kind: str, dtype: str) -> Case:
    """One affine layer for each prediction of a loss, without a bias: what takes several, and what takes matrices."""
    loss = LOSSES.get(kind, MeanSquaredError)()
    names = [f"prediction.{place}" for place in range(loss.arity)]
    nodes = [
        Node("hidden", Dense(3, 5, bias=False)),
        *(Node(name, Dense(5, 4, bias=False), ("hidden",)) for name in names),
    ]
    if kind == "gaussian_nll":
        nodes.append(Node("variance", Softplus()))
        names[1] = "variance"
    term = Term("loss", loss, tuple(names))
    resolved = resolve(tuple(nodes), (term,))
    return Case(
        name=f"{kind}-by-hand",
        nodes=resolved,
        loss=(term,),
        optimizer=OPTIMIZERS.get(kind, SGD)((2.0**-5, 2.0**-6)),
        weights=draw_weights(parameter_shapes(resolved), 1),
        batches=tuple(draw_batch(resolved, (term,), (7, 3), seed) for seed in (2, 3)),
        dtype=dtype,
    )


def drawn(kind: str, seed: int, dtype: str) -> Case:
    """A random network with the kind; whatever the kind is not, the optimizer or the clipping, is plain."""
    case = random_case(seed, kind=None if kind in CLIPS else kind, dtype=dtype)
    if kind in OPTIMIZERS:
        return case
    rate = case.optimizer.learning_rate
    assert isinstance(rate, tuple)
    clip = CLIPS[kind](2.0**-6) if kind in CLIPS else None
    # Losses may be sums, whose gradients are large.
    return replace(case, optimizer=SGD(tuple(one / 16 for one in rate)), clip=clip)


def kinds_of(case: Case) -> set[str]:
    """Every kind that a case has."""
    things = [case.optimizer, case.clip, *(node.layer for node in case.nodes), *(term.loss for term in case.losses)]
    return {thing.kind for thing in things if thing is not None}


def variants(described: type) -> Iterator[dict[str, Any]]:
    """No field changed, then every combination of its conventions, then the same without an epsilon."""
    yield {}
    conventions = convention_fields(described)
    combined = [dict(zip(conventions, values, strict=True)) for values in product(*conventions.values())]
    yield from combined
    if "epsilon" in {field.name for field in fields(described)}:
        yield from ({**one, "epsilon": 0.0} for one in combined)


def attempt(kind: str, described: type, adapter: Adapter) -> Result:
    """Run the first network that the framework can express in every dtype."""
    if kind not in adapter.parts:
        return {"support": "unsupported", "reason": f"{adapter.name} has no {kind!r}"}
    reasons: dict[str, None] = {}
    possible = candidates(kind)
    for changed in variants(described):
        for candidate in possible:
            try:
                case = candidate.case("float64", changed)
            except CaseError:
                continue
            if reason := adapter.unsupported(case):
                reasons[reason] = None
                continue
            changes = {field: value for field, value in changed.items() if differs(described, field, value)}
            runs = {dtype: ran(candidate, dtype, changed, adapter) for dtype in DTYPES}
            support = adapter.parts[kind].support
            refused = refusals(adapter.parts[kind], case, kind)
            return {"support": support, "case": case.name, "changed": changes, "refused": refused, "dtypes": runs}
    own = [reason for reason in reasons if kind in reason] or list(reasons)
    return {"support": "unsupported", "reason": own[0] if own else "no network has it"}


def differs(described: type, name: str, value: Any) -> bool:
    """Whether a field's value is not its default."""
    return next(field for field in fields(described) if field.name == name).default != value


def refusals(part: Part, case: Case, kind: str) -> list[str]:
    """Why the framework lacks some conventions of the kind."""
    things = [*(node.layer for node in case.nodes), *(term.loss for term in case.losses), case.optimizer, case.clip]
    thing = next(thing for thing in things if getattr(thing, "kind", "") == kind)
    found: dict[str, None] = {}
    for name, values in convention_fields(type(thing)).items():
        for value in values:
            try:
                reason = part.limits(replace(thing, **{name: value}))
            except CaseError:
                continue
            if reason:
                found[reason] = None
    return list(found)


def ran(candidate: Candidate, dtype: str, changed: Mapping[str, Any], adapter: Adapter) -> Result:
    """The verdict in one dtype, and the largest local sigmas of the kind's own operations."""
    try:
        case = candidate.case(dtype, changed)
    except CaseError as error:
        return {"verdict": "unsupported", "reason": str(error)}
    if case.name not in built_in():
        case = adapter.followed(case)  # in bfloat16 an input soon lies at a kink exactly, as a bound of hardtanh
    subject = check(case, [adapter.name]).subjects[adapter.name] if changed else compared(case, adapter.name)
    result: Result = {"verdict": subject.verdict}
    if subject.verdict == "agree":
        return {**result, "sigmas": worst(subject, candidate.kind)}
    return {**result, "reason": subject.reason or describe(subject)}


def compared(case: Case, framework: str) -> SubjectAgreement:
    """The case in the framework; a built-in case that several kinds stand in is run once."""
    key = case.name, case.dtype, framework
    if case.name not in built_in():
        return check(case, [framework]).subjects[framework]
    if key not in COMPARED:
        COMPARED[key] = check(case, [framework]).subjects[framework]
    return COMPARED[key]


COMPARED: dict[tuple[str, str, str], SubjectAgreement] = {}


def worst(subject: SubjectAgreement, kind: str) -> float | None:
    """The largest local sigmas of the operations of a kind; None where its values were copied or taken exactly."""
    own = [tensor.local_sigmas for tensor in subject.tensors if tensor.kind == kind]
    return round(max((one for one in own if one is not None), default=0.0), 2)


def versions() -> dict[str, str]:
    """What the results hold for."""
    packages = ("numpy", "torch", "jax", "optax")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


# ------------------------------------------------------------------------------------------------------------ the page


def page(record: Mapping[str, Any]) -> str:
    """The record as Markdown."""
    held = ", ".join(f"{package} {number}" for package, number in record["versions"].items())
    parts = ["# What was run", INTRODUCTION.format(versions=held)]
    for family, kinds in FAMILIES.items():
        listed = {kind: record["kinds"][kind] for kind in kinds if kind in record["kinds"]}
        parts += [f"## {family}", table(listed)]
        parts.append("\n".join(notes(listed)))
    return "\n\n".join(filter(None, parts)) + "\n"


INTRODUCTION = """Written by `make support`, with {versions}, on the CPU.

For each kind the smallest of some random networks around it that the framework can express, or a built-in case, was
run over its steps, and every tensor compared. *native*: the framework's own operation; *composed*: written in its
primitives, with its own differentiation. ✓ is `agree` for every tensor, with the largest local error of the kind's own
operations, in expected rounding errors, of which 8 are allowed. **kink** is what half precision leaves open, an
overflow on the way or a mask: nothing speaks against it. Below each table stands what a framework lacks."""


def table(kinds: Mapping[str, Mapping[str, Result]]) -> str:
    """A family's kinds: for each framework how it has them, and the verdict in each dtype."""
    columns = ["kind", *(column for name in FRAMEWORKS for column in (name, *DTYPES))]
    lines = [f"| {' | '.join(columns)} |", "|---|" + len(FRAMEWORKS) * ("---|" + len(DTYPES) * "--:|")]
    for kind, results in kinds.items():
        cells = [f"`{kind}`"]
        for name in FRAMEWORKS:
            result = results[name]
            runs = result.get("dtypes", {})
            cells += [result["support"], *(cell(runs.get(dtype)) for dtype in DTYPES)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(run: Result | None) -> str:
    """A verdict in few characters."""
    if run is None or run["verdict"] == "unsupported":
        return "–"
    return f"✓ {run['sigmas']:.2g}" if run["verdict"] == "agree" else f"**{run['verdict']}**"


def notes(kinds: Mapping[str, Mapping[str, Result]]) -> Iterator[str]:
    """A line for each kind and framework of which something is to be said."""
    for kind, results in kinds.items():
        for name in FRAMEWORKS:
            if said := list(remarks(kind, name, results[name])):
                yield f"- `{kind}`, {name}: {'; '.join(said)}"


def remarks(kind: str, name: str, result: Result) -> Iterator[str]:
    """What a framework lacks, with which fields a kind was run, and every verdict that is no agreement."""
    if "reason" in result:
        yield escaped(result["reason"])
    if result.get("changed"):
        changed = ", ".join(f"{field} = {json.dumps(value)}" for field, value in result["changed"].items())
        yield f"run with `{changed}`"
    yield from map(escaped, result.get("refused", ()))
    for dtype, run in result.get("dtypes", {}).items():
        if "reason" in run:
            known = KNOWN.get((kind, name, dtype))
            yield f"{dtype}: {escaped(run['reason'])}" + (f". Because {escaped(known)}" if known else "")


def main(arguments: list[str]) -> None:
    """Run what is asked for and write both files after each kind: an interrupted run is taken up by ``--missing``."""
    known = {kind: described for kinds in FAMILIES.values() for kind, described in kinds.items()}
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    results = record.get("kinds", {}) if record.get("versions") == versions() else {}
    results = {kind: result for kind, result in results.items() if kind in known}
    wanted = [name for name in arguments if not name.startswith("--")] or list(known)
    if unknown := set(wanted) - set(known):
        sys.exit(f"error: expected kinds; received {', '.join(sorted(unknown))}")
    if "--missing" in arguments:
        wanted = [kind for kind in wanted if kind not in results]
    adapters = [load_adapter(name) for name in FRAMEWORKS]
    for kind in wanted:
        results[kind] = {adapter.name: attempt(kind, known[kind], adapter) for adapter in adapters}
        print(kind, json.dumps(results[kind]), flush=True)
        record = {"versions": versions(), "kinds": {kind: results[kind] for kind in known if kind in results}}
        write_text(RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
        write_text(PAGE, page(record))


if __name__ == "__main__":
    main(sys.argv[1:])
