"""What became of planted faults and of correct runs, as tables: in the terminal and as Markdown, from one record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..comparison.coverage import Coverage
from ..comparison.rules import RULES
from ..comparison.trials import Trial, Trials
from .markdown import escaped
from .words import short

VISIBLE, HIDDEN = "●", "○"


@dataclass(frozen=True)
class Section:
    """A table with its title and a note above it; columns after the first ``words`` hold figures."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: int = 1


def render(trials: Trials) -> RenderableType:
    """Everything that was tried, as Rich draws it."""
    parts: list[RenderableType] = []
    for section in sections(trials):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for place, column in enumerate(section.columns):
            word = place < section.words
            table.add_column(column, justify="left" if word else "right", no_wrap=word and place < 2, overflow="fold")
        for row in section.rows:
            table.add_row(*map(Text, row))
        parts += [Text(section.title, style="bold"), Text(section.note, style="dim"), table, Text()]
    for text, holds in trials.gates():
        parts.append(Text(f"{'✓' if holds else '✗'} {text}", style="green" if holds else "bold red"))
    return Group(*parts)


def to_markdown(trials: Trials) -> str:
    """The same as Markdown, what must hold first."""
    gates = "\n".join(f"- {'✓' if holds else '✗'} {escaped(text)}" for text, holds in trials.gates())
    return "\n\n".join(["# Planted faults and correct runs", gates, *map(section_text, sections(trials))]) + "\n"


def coverage_to_markdown(coverage: Coverage) -> str:
    """How far correct code strays, as Markdown."""
    return "# How far correct code strays\n\n" + section_text(coverage_section(coverage)) + "\n"


def to_json(trials: Trials) -> str:
    """Every trial, every correct run and the coverage, as JSON."""
    document = {
        "gates": [{"gate": text, "holds": holds} for text, holds in trials.gates()],
        "trials": [asdict(trial) for trial in trials.trials],
        "correct": [{**asdict(one), "sigmas": finite(one.sigmas)} for one in trials.correct],
        "coverage": [dict(zip(COVERAGE, row, strict=True)) for row in coverage_section(trials.coverage).rows],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def finite(value: float) -> float | str:
    """A number as JSON has it: NaN and infinities as text."""
    return value if abs(value) < float("inf") else str(value)


def section_text(section: Section) -> str:
    """One section as Markdown."""
    rule = ["---" if place < section.words else "--:" for place in range(len(section.columns))]
    lines = [" | ".join(map(escaped, section.columns)), "|".join(rule)]
    lines += [" | ".join(map(escaped, row)) for row in section.rows]
    table = "\n".join(f"| {line} |" if place != 1 else f"|{line}|" for place, line in enumerate(lines))
    return "\n\n".join(filter(None, (f"## {escaped(section.title)}", escaped(section.note), table)))


def sections(trials: Trials) -> list[Section]:
    """The tables that there is something to put into."""
    made = [faults(trials), missed(trials), conventions(trials), rules(trials), alarms(trials), matrix(trials)]
    return [section for section in made if section.rows]


def faults(trials: Trials) -> Section:
    """Each fault: in how many trials it was visible, and how many of those were detected, localised and named."""
    names = list(dict.fromkeys((trial.number, trial.name) for trial in trials.of("fault")))
    rows = []
    for number, name in sorted(names, key=lambda known: (known[0] is None, known)):
        some = [trial for trial in trials.of("fault", trials.dtypes[0]) if trial.name == name]
        row = [str(number or ""), name, str(len(some)), str(sum(trial.visible for trial in some))]
        for dtype in trials.dtypes:
            row += counts([trial for trial in trials.of("fault", dtype) if trial.name == name])
        rows.append(tuple(row))
    columns = [f"{what} in {dtype}" for dtype in trials.dtypes for what in WHAT]
    return Section("Faults", NOTE, ("#", "fault", "planted", "visible", *columns), rows, words=2)


NOTE = (
    "Planted: at how many sites, of all cases. Visible: some tensor of a float64 run differs by more than rounding. "
    "Of the visible, detected: the verdict is disagree; of the detected, localised: what fails is made by the fault "
    "and nothing else; named: the diagnosis of every operation that fails lists it."
)
WHAT = ("detected", "localised", "named")


def counts(some: Sequence[Trial]) -> list[str]:
    """How many were planted, visible, detected, localised and named."""
    visible = [trial for trial in some if trial.visible]
    found = [trial for trial in visible if trial.detected]
    numbers = [
        len(some),
        len(visible),
        len(found),
        sum(one.localised for one in found),
        sum(one.named for one in found),
    ]
    return list(map(str, numbers))


def missed(trials: Trials) -> Section:
    """Every visible fault that was not detected, not localised or not named, and what was said."""
    rows = [
        (trial.name, trial.site, trial.case, trial.dtype, lacking(trial), "; ".join(trial.said))
        for trial in trials.of("fault")
        if trial.visible and not (trial.detected and trial.localised and trial.named)
    ]
    return Section(
        "Missed, misplaced or misnamed", "", ("fault", "site", "case", "dtype", "not", "said"), rows, words=6
    )


def lacking(trial: Trial) -> str:
    """The first thing that a trial was not."""
    return next(what for what in WHAT if not getattr(trial, what))


def conventions(trials: Trials) -> Section:
    """The conventions other than the case's, which must be called that."""
    rows = []
    for dtype in trials.dtypes:
        some = trials.of("convention", dtype)
        found = [trial for trial in some if trial.detected]
        called = sum(any(said.startswith("fault") for said in trial.said) for trial in found)
        rows.append((dtype, *map(str, (len(some), len(found), sum(one.named for one in found), called))))
    columns = ("dtype", "tried", "detected", "called by their name", "called a fault")
    return Section("Conventions", "The case's reference run with another convention, as a subject.", columns, rows)


def rules(trials: Trials) -> Section:
    """The other rules on the same runs."""
    runs = [one for one in trials.correct if one.compared and one.refused]
    dtypes = list(dict.fromkeys([*trials.dtypes, *(one.dtype for one in runs)]))
    columns, cells = ["rule"], [["computed, local, 8 sigma"], *([f"{rule.name}: {rule.about}"] for rule in RULES)]
    for dtype in dtypes:
        visible = [trial for trial in trials.of("fault", dtype) if trial.visible]
        correct = [one for one in runs if one.dtype == dtype]
        columns += [f"{dtype} faults found"] * bool(visible) + [f"{dtype} false alarms"] * bool(correct)
        for row, found, alarmed in zip(
            cells,
            [tell(visible, lambda trial: trial.detected), *(tell(visible, refusing(rule.name)) for rule in RULES)],
            [tell(correct, lambda one: one.alarm), *(tell(correct, refusing(rule.name)) for rule in RULES)],
            strict=True,
        ):
            row += [found] * bool(visible) + [alarmed] * bool(correct)
    return Section(
        "Other rules on the same runs",
        "Theirs end to end, on every tensor of a run: visible faults that they refuse, correct runs that they refuse.",
        tuple(columns),
        [tuple(row) for row in cells] if len(columns) > 1 else [],
    )


def refusing(rule: str) -> Callable[[object], bool]:
    """Whether a rule refuses a run."""
    return lambda one: bool(one.refused[rule])  # type: ignore[attr-defined]


def tell(some: Sequence[object], holds: Callable[..., bool]) -> str:
    """For how many it holds, of how many."""
    return f"{sum(map(holds, some))} of {len(some)}"


def alarms(trials: Trials) -> Section:
    """The correct runs of each framework and dtype, and those that were refused."""
    keys = dict.fromkeys((one.subject, one.dtype) for one in trials.correct)
    rows = []
    for subject, dtype in keys:
        some = [one for one in trials.correct if (one.subject, one.dtype) == (subject, dtype)]
        compared = [one for one in some if one.compared]
        refused = [one for one in compared if one.alarm]
        worst = max((one.sigmas for one in compared), default=0.0)
        which = "; ".join(f"{one.case} {one.verdict} {one.about}".strip() for one in refused[:3])
        left_out = len(some) - len(compared)
        rows.append((subject, dtype, which, str(len(compared)), str(left_out), str(len(refused)), short(worst)))
    columns = ("subject", "dtype", "refused", "compared", "unsupported", "false alarms", "worst sigma")
    return Section(
        "Correct runs", "Random networks, every layer, loss and optimizer among them.", columns, rows, words=3
    )


def matrix(trials: Trials) -> Section:
    """Which case can reveal which fault."""
    cases = list(dict.fromkeys(trial.case for trial in trials.of("fault")))
    marks = {True: VISIBLE, False: HIDDEN, None: ""}
    found = trials.visible_in()
    rows = [(name, *(marks[row.get(case)] for case in cases)) for name, row in found.items()]
    note = f"{VISIBLE} visible there, {HIDDEN} can be planted and changes nothing but rounding."
    return Section("Which case can reveal which fault", note, ("fault", *cases), rows)


COVERAGE = (
    "kind",
    "dtype",
    "subject",
    "networks",
    "elements",
    "worst error / sigma",
    "median sigma / error",
    "refused when scaled",
    "few digits",
    "only rounding",
)


def coverage_section(coverage: Coverage) -> Section:
    """How far each kind of operation strays from the reference's on its own inputs."""
    rows: Iterable[tuple[str, ...]] = (
        (
            kind,
            dtype,
            subject,
            str(len(seen.networks)),
            str(seen.elements),
            short(seen.worst),
            short(seen.median) if seen.median == seen.median else "no error",
            f"{seen.refused} of {seen.tensors}",
            str(seen.few_digits),
            str(seen.rounding),
        )
        for (subject, dtype, kind), seen in coverage.strayed.items()
    )
    note = (
        "Each operation on the subject's own inputs. 8 sigma are allowed. The median is over the elements that are not "
        "exactly what is expected. Refused when scaled: the tensors that would be refused if all of their elements "
        "were larger by a ten thousandth, of those in which that is more than correct code may be off, either way. "
        "Of the others, few digits: the dtype, or the cancellation of nearly equal numbers, leaves fewer than that; "
        "only rounding: 0 in exact arithmetic, as the gradient of a bias that a softmax or a normalisation undoes."
    )
    return Section("By kind, dtype and subject", note, COVERAGE, sorted(rows), words=3)
