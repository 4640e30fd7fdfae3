"""What would keep a reader from a page: axe-core's rules, the contrast of every text, and where the keyboard gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")

OURS = ("contrast", "focus", "tables")

THEIRS = {rule: {"enabled": False} for rule in ("color-contrast", "empty-table-header")}
"""Rules of axe-core's that are looked at here: the one takes minutes for a lesson, the other does not read MathML."""


def problems(page: Any) -> list[str]:
    """What is wrong with a page for somebody, everything on it unfolded; each a line."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page.evaluate(SCRIPT)
    page.evaluate("accessibility.unfold()")
    violations = axe.Axe().run(page, options={"resultTypes": ["violations"], "rules": THEIRS}).response["violations"]
    found = [f"{one['id']}: {one['help']}: {node['html'][:100]}" for one in violations for node in one["nodes"]]
    for looked_for in OURS:
        seen, wrong = page.evaluate(f"accessibility.{looked_for}()")
        assert seen
        found += wrong
    return found
