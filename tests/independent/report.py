"""Write what is found of the mistakes in the two independent implementations as a table in Markdown.

python tests/independent/report.py reports/samples/independent.md
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from .judging import MISTAKES, WRITTEN, failing, is_named, wrong_step

NOTE = """\
The faults of `crosscheck faults` are planted in the reference, whose lines the diagnosis replays: that it names them
could be symmetry. So the same kinds of mistakes are planted in two training steps that were written without it, one in
NumPy and one on torch tensors. Detected: the run is refused. Localised: the operations that are wrong are named, and
no others. Named: the right mistake, or the right convention, is among the causes of each of them.

The library of faults was extended after the first run, in which 66 of the 84 were named: the figure below is what it
does now, and no longer blind.
"""


def page() -> str:
    """The report."""
    rows = [row(name, mistake) for name, mistake in MISTAKES]
    counts = [sum(found[place] == "yes" for found in rows) for place in (4, 5, 6)]
    totals = ", ".join(f"{count} of {len(rows)} {what}" for count, what in zip(counts, COLUMNS[4:], strict=False))
    table = [COLUMNS, tuple("---" for _ in COLUMNS), *rows]
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in table)
    return f"# Mistakes in independent implementations\n\n{NOTE}\n{totals}.\n\n{lines}\n"


COLUMNS = ("written in", "#", "mistake", "network", "detected", "localised", "named", "said")


def row(name: str, mistake: str) -> Sequence[str]:
    """One mistake in one implementation."""
    network, _, number, operations = WRITTEN[name].PLANTED[mistake]
    found = wrong_step(name, mistake)
    verdicts = (found.verdict == "disagree", failing(found) == operations, is_named(name, mistake))
    said = ", ".join(dict.fromkeys(f"{one.kind}: {one.cause}" for one in found.diagnosis))
    return (name, str(number), mistake, network, *("yes" if holds else "no" for holds in verdicts), said)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
