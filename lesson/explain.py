"""From a case to its lesson: run it everywhere, look inside, take it apart, follow one number, make it wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np

from ..adapters import ADAPTERS, NotInstalled, Unsupported, load_adapter
from ..comparison.check import FIRST_CHOICE
from ..comparison.compare import Comparison
from ..comparison.running import run
from ..comparison.tolerance import Computed
from ..reference import Case, Trace
from .article import NOTES, UPDATED_AT_ONCE, pieces_of
from .cards import Deck, Subject, shown_of
from .lesson import Followed, Framework, Gain, Lesson, Passing, Term, Unfolded
from .mistakes import Mistakes, visibility
from .openings import Opener
from .switch import switch
from .symbols import Symbols
from .unfolding import LOSS, Derivatives, Element, Path, small_enough

COMPANIONS = {"article": ("article-batch",)}
"""Cases that show what a case cannot."""

SHOWN_PATHS, SHOWN_ELEMENTS = 12, 64
"""How many paths of an element are written out, and of how many elements."""


def explain(
    case: Case, against: Iterable[str] | None = None, *, progress: Callable[[str], None] = lambda what: None
) -> Lesson:
    """The lesson of a case. ``against`` names adapters; by default those of torch and jax, installed or not.

    Raises:
        KeyError: no adapter of a name.
        CaseError: a case that cannot be run as it is written.
    """
    progress("reference")
    trace = run(case)
    frameworks, subjects = [], {}
    comparison = Comparison(trace, Computed())
    for name in dict.fromkeys(FIRST_CHOICE if against is None else against):
        progress(name)
        framework, subject = looked_into(name, case, comparison)
        frameworks.append(framework)
        if subject:
            subjects[name] = subject
    derivatives = Derivatives(case, trace) if small_enough(case, trace) else None
    followed = follow(case, trace, derivatives)
    deck = Deck(case, trace, subjects, derivatives, followed)
    progress("mistakes")
    mistakes = Mistakes(case, trace)
    cards = tuple(
        replace(card, question=mistakes.question(card), notes=NOTES.get((case.name, card.operation), ()))
        for card in deck.cards()
    )
    stories = tuple(mistakes.stories())
    others = [Mistakes(other, run(other)) for other in companions_of(case)]
    progress("lesson")
    return Lesson(
        case=case,
        trace=trace,
        frameworks=tuple(frameworks),
        cards=cards,
        followed=followed,
        unfolded=tuple(unfold(case, trace, derivatives)) if derivatives else (),
        keeps=tuple(deck.keeps()) if any(subject.inside.backward for subject in subjects.values()) else (),
        stories=stories,
        matrix=visibility([mistakes, *others]),
        switch=switch(case, UPDATED_AT_ONCE.get(case.name, "")),
        hook=mistakes.hook("diagonal_jacobian"),
        pieces=pieces_of(case, trace, [*subjects]),
        left_out=tuple(left_out(case, trace, derivatives, mistakes)),
    )


def looked_into(name: str, case: Case, comparison: Comparison) -> tuple[Framework, Subject | None]:
    """What a framework computes and how, or why there is nothing of it."""
    if name not in ADAPTERS:
        raise KeyError(name)
    try:
        adapter = load_adapter(name)
    except NotInstalled as reason:
        return Framework(name, reason=str(reason)), None
    version = str(adapter.environment("cpu")["version"])
    try:
        trace = adapter.record(case)
        inside = adapter.inside(case)
    except Unsupported as reason:
        return Framework(name, version, f"unsupported: {reason}"), None
    except Exception as error:
        return Framework(name, version, f"crashed: {type(error).__name__}: {error}".strip().splitlines()[0]), None
    found = comparison.of(trace, adapter.kinds)
    return Framework(name, version, "", found.verdict, inside.optimizer), Subject(trace, found, inside)


def companions_of(case: Case) -> list[Case]:
    """The built-in cases that belong to one."""
    from ..cases import load_case

    return [load_case(name) for name in COMPANIONS.get(case.name, ())]


def follow(case: Case, trace: Trace, derivatives: Derivatives | None) -> Followed | None:
    """The first element of the first parameter that the loss depends on, and its strongest path to the loss."""
    symbols = Symbols(case)
    for name in case.parameters:
        gradient = np.asarray(trace[f"0/gradient/{name}"])
        for index in np.ndindex(gradient.shape):
            if gradient[index]:
                weight = case.weights[name]
                updated = trace.tensors.get(f"0/update/{name}")
                paths = derivatives.paths(Element(name, index)) if derivatives else []
                return Followed(
                    tensor=name,
                    index=index,
                    name=symbols.element(name, index, weight.shape),
                    before=float(weight[index]),
                    gradient=float(gradient[index]),
                    after=None if updated is None else float(updated[index]),
                    elements=tuple((f.of.name, f.of.index) for f in paths[0].factors) if paths else (),
                    passings=tuple(passings(symbols, derivatives, paths[0])) if derivatives and paths else (),
                    gains=tuple(gains(symbols, derivatives, paths[0])) if derivatives and paths else (),
                    paths=len(paths),
                )
    return None


def passings(symbols: Symbols, derivatives: Derivatives, path: Path) -> Iterator[Passing]:
    """The elements along a path, from the first node to the loss."""
    opener = Opener(symbols, derivatives)
    for factor in reversed(path.factors):
        value = float(np.sum(derivatives.value("loss"))) if factor.of == LOSS else opener.value(factor.of)
        yield Passing(f"0/forward({factor.of.name})", opener.name(factor.of), value)


def gains(symbols: Symbols, derivatives: Derivatives, path: Path) -> Iterator[Gain]:
    """The factors of a path, the loss's own first, each with the product up to it."""
    opener, along = Opener(symbols, derivatives), 1.0
    for factor in path.factors:
        along *= factor.value
        yield Gain(
            operation=f"0/backward({factor.of.name})",
            factor=opener.partial(factor.of, factor.by),
            value=factor.value,
            along=along,
            reached=opener.partial(LOSS, factor.by),
            total=derivatives.totals[factor.by],
        )


def unfold(case: Case, trace: Trace, derivatives: Derivatives) -> Iterator[Unfolded]:
    """The gradients of the parameters, element by element, as sums over paths; the first ones where they are many."""
    opener = Opener(Symbols(case), derivatives)
    places = [(name, index) for name, shape in case.parameters.items() for index in np.ndindex(shape)]
    for name, index in places[:SHOWN_ELEMENTS]:
        element = Element(name, index)
        paths = derivatives.paths(element)
        count = derivatives.counts.get(element, 0)
        terms = tuple(
            Term(tuple((opener.partial(f.of, f.by), f.value) for f in path.factors)) for path in paths[:SHOWN_PATHS]
        )
        total = derivatives.totals.get(element, 0.0)
        yield Unfolded(
            element=opener.partial(LOSS, element),
            tensor=name,
            index=index,
            paths=terms,
            count=count,
            rest=total - sum(term.product for term in terms) if count > len(terms) else 0.0,
            gradient=float(trace[f"0/gradient/{name}"][index]),
        )


def left_out(case: Case, trace: Trace, derivatives: Derivatives | None, mistakes: Mistakes) -> Iterator[str]:
    """What the lesson does not show."""
    shown, all_of_them = shown_of(trace), len(trace.operations)
    if shown < all_of_them:
        yield f"Shown are the first {shown} of {all_of_them} operations."
    if derivatives is None:
        why = "its gradients are of several micro-batches" if case.micro_batches > 1 else "it has too many numbers"
        yield f"The gradients are not unfolded element by element, for {why}: each layer's own step back is shown."
    elif sum(int(np.prod(shape)) for shape in case.parameters.values()) > SHOWN_ELEMENTS:
        yield f"The gradients of the first {SHOWN_ELEMENTS} weights are unfolded path by path."
    if mistakes.elements > 1_000:
        yield "Every mistake is planted at the first place where it can happen, and not at the others."
    if mistakes.asked < len(mistakes.runs):
        yield (
            f"The checker was asked for the cause of the first {mistakes.asked} mistakes; "
            f"crosscheck faults {case.name} asks it for all."
        )
