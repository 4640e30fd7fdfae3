"""A lesson in the terminal: the same cards, one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from ..lesson.lesson import (
    Card,
    Excerpt,
    Framework,
    Grid,
    Lesson,
    Made,
    Opening,
    Piece,
    Question,
    Seen,
    Stage,
    Story,
    Switch,
    Term,
    called_in_print,
)
from ..reference.errors import printable
from .catalogue import entry
from .lesson_words import choices, said_in, said_of
from .numbers import digits
from .words import shape

STYLES = {"good": "green", "bad": "bold red", "open": "yellow"}


def screens(lesson: Lesson) -> Iterator[RenderableType]:
    """The lesson, screen by screen."""
    yield opening_screen(lesson)
    for piece in lesson.pieces.get("part one", ()):
        yield Group(heading(f"Part I: {piece.title}"), *piece_parts(piece, lesson.frameworks))
    asked: set[tuple[str, str]] = set()
    stops = list(lesson.stops())
    for place, stop in enumerate(stops, 1):
        step = f"step {stop.step + 1}, " if lesson.case.steps > 1 else ""
        title = heading(f"{stop.title}  ({step}{stop.phase}, {place} of {len(stops)})")
        if stop.kind == "card":
            key = stop.phase, getattr(stop.what.thing, "kind", "")
            question = stop.what.question if key not in asked else None
            asked |= {key} if question else set()
            yield Group(title, *card_parts(lesson, stop.what, question))
        elif stop.kind == "keeps":
            yield Group(title, *keeps_parts(lesson))
        elif stop.kind == "switch":
            yield Group(title, *switch_parts(stop.what))
        else:
            yield Group(title, *piece_parts(stop.what))
    if lesson.followed and lesson.followed.gains:
        yield followed_screen(lesson)
    yield Group(heading("What if it were wrong?"), *(story_parts(story) for story in lesson.stories))
    for piece in lesson.pieces.get("batch", ()):
        yield Group(heading(f"Three rows, two steps: {piece.title}"), *piece_parts(piece))
    yield matrix_screen(lesson)


def heading(text: str) -> Rule:
    """A line with a title in it."""
    return Rule(Text(printable(text), style="bold"), align="left", style="dim")


def paragraph(text: str, style: str = "") -> Text:
    """Words."""
    return Text(printable(text.replace("``", "")), style=style)


def opening_screen(lesson: Lesson) -> RenderableType:
    """What the lesson is of, and its first question."""
    case = lesson.case
    parts: list[RenderableType] = [heading(f"{case.name}: a training step, taken apart"), paragraph(case.about)]
    for framework in lesson.frameworks:
        told = framework.reason or f"{framework.version}, {framework.verdict}"
        parts.append(paragraph(f"{called_in_print(framework.name)}: {told}", "yellow" if framework.reason else "dim"))
    parts += [paragraph(text, "dim") for text in lesson.left_out]
    if lesson.hook:
        parts += [Text(), paragraph("Two results of one backward pass, and one of them is wrong: which?")]
        parts.append(question_part(lesson.hook, answered=False))
    return Group(*parts)


def piece_parts(piece: Piece, frameworks: Sequence[Framework] = ()) -> Iterator[RenderableType]:
    """A short lesson."""
    for text in piece.text:
        yield paragraph(text)
    for formula in piece.formulas:
        yield Text(f"    {formula}", style="bold")
    for grid in piece.grids:
        yield grid_part(grid)
    for framework in frameworks:
        if framework.name in piece.theirs:
            colour, glyph, words = said_of(piece.theirs[framework.name])
            yield Text.assemble(f"{called_in_print(framework.name):16}", (f"{glyph} {words}", STYLES[colour]))


def switch_parts(switch: Switch) -> Iterator[RenderableType]:
    """Both ways of the update, side by side."""
    yield paragraph(switch.about)
    drawn = Table("", "all gradients first", "updated immediately", "off by", box=box.SIMPLE_HEAD, pad_edge=False)
    for row in switch.rows:
        both = (", ".join(digits(value, 4) for value in values) for values in (row.first, row.at_once))
        drawn.add_row(printable(", ".join(filter(None, (str(row.symbol), row.part)))), *both, digits(row.apart, 4))
    drawn.add_row("loss after the step", *(digits(loss, 9) for loss in switch.loss), "", style="bold")
    yield drawn
    if switch.note:
        yield paragraph(switch.note)


def grid_part(grid: Grid) -> Table:
    """A small table."""
    drawn = Table(box=box.SIMPLE_HEAD, title=printable(grid.caption), title_justify="left", pad_edge=False)
    drawn.add_column("")
    for column in grid.columns:
        drawn.add_column(column, justify="right")
    for name, values in grid.rows:
        drawn.add_row(name, *map(digits, values))
    return drawn


def card_parts(lesson: Lesson, card: Card, question: Question | None) -> Iterator[RenderableType]:
    """One operation: what it takes, its rule, the reference's lines, its numbers, what the frameworks do."""
    for text in card.notes:
        yield paragraph(f"Note: {text}", "yellow")
    for read in card.reads:
        yield excerpt_part(read, "takes")
    for formula, aside in rule_of(card):
        yield Text.assemble((f"    {formula}", "bold"), f"  {aside}" if aside else "")
    if choices(card.thing):
        yield paragraph(f"    here with {choices(card.thing)}", "dim")
    yield Padding(Syntax(card.code.text, "python", background_color="default", word_wrap=True), (1, 0, 0, 4))
    yield paragraph(f"    {card.code.place}", "dim")
    if question:
        yield Text()
        yield question_part(question, answered=True)
    for made in card.makes:
        yield excerpt_part(made.excerpt, "makes", card.lit)
    yield from lit_parts(lesson, card)
    for framework in lesson.frameworks:
        stages, update = card.stages.get(framework.name), card.update.get(framework.name)
        if stages:
            yield Text.assemble((f"  {called_in_print(framework.name)}  ", "bold"), " → ".join(s.name for s in stages))
            yield from (stage_part(stage) for stage in stages if card.phase == "backward")
        elif card.writes.get(framework.name):
            names = ", ".join(card.writes[framework.name])
            yield Text.assemble(
                (f"  {called_in_print(framework.name)}  ", "bold"), f"writes down for the way back: {names}"
            )
        elif update:
            yield Text.assemble((f"  {called_in_print(framework.name)}  ", "bold"), framework.optimizer)
            yield from (paragraph(f"      {line}") for line in update)


def rule_of(card: Card) -> list[tuple[str, str]]:
    """The formulas of a card in the form of code, with the case's names in them."""
    if card.thing is None:
        return []
    block = entry(type(card.thing)).formula
    lines = (
        [(line, "") for line in block.splitlines()] if "\n" in block else said_in(card.thing, card.phase == "backward")
    )
    names = {name: str(value) for name, value in card.letters.items()}
    return [(re.sub(r"[A-Za-z]\w*", lambda found: names.get(found[0], found[0]), line), aside) for line, aside in lines]


def excerpt_part(shown: Excerpt, what: str, lit: tuple[str, tuple[int, ...]] | None = None) -> RenderableType:
    """A tensor as a table."""
    part = f", in part: {shown.part}" if shown.part else ""
    drawn = Table(box=None, show_header=any(shown.columns), pad_edge=False, padding=(0, 2, 0, 0))
    if any(shown.rows):
        drawn.add_column("", style="dim")
    for column in shown.columns:
        drawn.add_column(column, justify="right", header_style="dim")
    wide = len(shown.columns) > 4
    for row, (values, indices) in enumerate(zip(shown.values, shown.indices, strict=True)):
        cells = [
            Text(digits(float(v), 4 if wide else 8), style="reverse" if lit == (shown.name, index) else "")
            for v, index in zip(values, indices, strict=True)
        ]
        drawn.add_row(*([shown.rows[row]] if any(shown.rows) else []), *cells)
    title = Text.assemble(
        (f"  {what} ", "dim"), (printable(str(shown.symbol)), "bold"), f"  {shape(shown.shape)}{part}"
    )
    return Group(title, Padding(drawn, (0, 0, 0, 6)))


def lit_parts(lesson: Lesson, card: Card) -> Iterator[RenderableType]:
    """The number that is followed: opened, and what everyone has for it."""
    made = next(one for one in card.makes if one.excerpt.name == card.lit[0])
    opening = made.openings.get(card.lit[1])
    if opening:
        yield Text.assemble("  ", (opening_text(opening), "cyan"))
    place = next(p for p, (index, _) in enumerate(made.excerpt.cells()) if index == card.lit[1])
    own = float(made.excerpt.values.ravel()[place])
    yield paragraph(f"  {'by hand':16}{own!r}")
    for framework in lesson.frameworks:
        if framework.reason:
            yield paragraph(f"  {called_in_print(framework.name):16}{framework.reason}", "yellow")
            continue
        yield theirs_part(card, made, place, framework.name)


def theirs_part(card: Card, made: Made, place: int, framework: str) -> Text:
    """The number in a framework, and what is said of its tensors."""
    colour, glyph, words = said_of([one.theirs[framework] for one in card.makes])
    values = made.theirs[framework].values
    number = "" if values is None else f"{float(values.ravel()[place])!r:26}"
    return Text.assemble(f"  {called_in_print(framework):16}{number}", (f"{glyph} {words}", STYLES[colour]))


def opening_text(opening: Opening) -> str:
    """An element opened, in one line."""
    if opening.words and not opening.terms:
        return f"{opening.left} = {opening.words} = {digits(opening.value)}"
    names = " + ".join(" · ".join(str(name) for name, _ in term.factors) for term in opening.terms)
    numbers = " + ".join(map(product_text, opening.terms))
    return f"{opening.left} = {names}\n    = {numbers} = {digits(opening.value)}"


def product_text(term: Term) -> str:
    """A product in numbers."""
    return " · ".join(f"({digits(value)})" if value < 0 else digits(value) for _, value in term.factors)


def stage_part(stage: Stage) -> Text:
    """What arrives at an operation of a framework, and what leaves it."""
    takes, gives, keeps = (", ".join(map(seen_text, arrays)) for arrays in (stage.takes, stage.gives, stage.keeps))
    kept = f"; kept {keeps}" if keeps else ""
    return Text(f"      {stage.name}: {takes or 'nothing'} → {gives or 'nothing'}{kept}", style="dim")


def seen_text(seen: Seen) -> str:
    """An array inside a framework."""
    turned = "ᵀ" if seen.transposed else ""
    if seen.symbol:
        return printable(f"{seen.symbol}{turned}")
    return f"({shape(seen.shape)})" if seen.shape else "a number"


def question_part(question: Question, *, answered: bool) -> RenderableType:
    """Something to predict, and the answer at once or not."""
    part = f", {question.part}" if question.part else ""
    lines = [Text(f"  Predict: which is {question.of}{part}?", style="yellow")]
    for place, option in enumerate(question.options):
        lines.append(Text(f"    {'ABCD'[place]}  {', '.join(map(digits, option.numbers))}"))
    if answered:
        for place, option in enumerate(question.options):
            told = (
                f"✗ {'ABCD'[place]} is what {option.mistake} makes" if option.mistake else f"✓ {'ABCD'[place]} is right"
            )
            lines.append(Text(f"      {told}", style="dim"))
    return Group(*lines)


def keeps_parts(lesson: Lesson) -> Iterator[RenderableType]:
    """What every framework keeps for the backward."""
    names = [framework.name for framework in lesson.frameworks if not framework.reason]
    drawn = Table("layer", *map(called_in_print, names), box=box.SIMPLE_HEAD, pad_edge=False)
    for one in lesson.keeps:
        kept = [", ".join(map(seen_text, one.frameworks.get(name, ()))) or "nothing" for name in names]
        drawn.add_row(printable(one.title), *map(printable, kept))
    yield drawn


def followed_screen(lesson: Lesson) -> RenderableType:
    """The number that was followed, as a product."""
    followed = lesson.followed
    assert followed is not None
    drawn = Table("factor", "number", "product so far", "over all paths", box=box.SIMPLE_HEAD, pad_edge=False)
    for gain in followed.gains:
        drawn.add_row(str(gain.factor), digits(gain.value), digits(gain.along), digits(gain.total))
    after = (
        ""
        if followed.after is None
        else f"; the weight goes from {digits(followed.before)} to {digits(followed.after)}"
    )
    told = f"{followed.paths} paths add up to {digits(followed.gradient)}{after}"
    return Group(heading(f"{followed.name}, all the way"), drawn, paragraph(told))


def story_parts(story: Story) -> RenderableType:
    """One mistake, in a few lines."""
    origin = [str(change.symbol) for change in story.changes if change.state == "origin"]
    lines = [Text.assemble((f"✗ {story.label}", "bold"), f"  {story.about}".replace("``", ""))]
    lines.append(
        Text(f"    wrong: {', '.join(origin)}; behind it {len(story.changes) - len(origin)} more", style="dim")
    )
    for found in story.diagnosis or ():
        lines.append(Text(f"    the checker: {found.operation}: {found.cause} ({found.kind})", style="yellow"))
    return Group(*lines)


def matrix_screen(lesson: Lesson) -> RenderableType:
    """Which mistakes the case can show."""
    cases = list(next(iter(lesson.matrix.values()), {}))
    drawn = Table("mistake", *cases, box=box.SIMPLE_HEAD, pad_edge=False)
    words = {True: Text("✓ shows", "green"), False: Text("– hidden", "yellow"), None: Text("· cannot happen", "dim")}
    for name, row in lesson.matrix.items():
        drawn.add_row(name, *(words[shown] for shown in row.values()))
    return Group(heading("What this case can show"), drawn)
