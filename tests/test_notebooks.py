"""Notebooks: an agreement and a trace show themselves, and the tutorial runs from top to bottom."""

from __future__ import annotations

import re
from pathlib import Path

import crosscheck as cc
import nbformat
import pytest
from agreements import HOSTILE, agreement_with, hostile
from crosscheck.reference.errors import printable
from markupsafe import escape
from nbclient import NotebookClient

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"


def test_an_agreement_shows_its_verdict_its_diagnosis_and_the_worst_tensors() -> None:
    shown = agreement_with(lambda array: -array)._repr_html_()
    assert "<strong>article, float64, 1 step: it does not agree</strong>" in shown
    assert "<details open>" in shown
    assert "<strong>-1 times what is expected</strong> (signature)" in shown
    rows = re.findall(r"<th scope=\"row\"><code>(.*?)</code></th><td>(.*?)</td>", shown)
    assert rows[0] == ("0/gradient/o.weight", "✗ disagree")
    assert len(rows) == 12
    assert "The 12 worst of 26 tensors." in shown


def test_a_trace_shows_every_tensor_with_its_first_elements() -> None:
    shown = cc.record("article")._repr_html_()
    assert "reference, article: 26 tensors" in shown
    assert len(re.findall("<tr>", shown)) == 1 + 26
    assert "<code>0.29228 0.0300101 0.67771</code>" in shown
    assert "0.934121 -0.899871 0.071399 0.637053</code>" in shown


@pytest.mark.parametrize("adapter", ["torch", "jax"])
def test_the_trace_of_a_framework_shows_itself_too(adapter: str) -> None:
    pytest.importorskip(adapter)
    assert f"{adapter}, article: 26 tensors" in cc.record("article", adapter)._repr_html_()


def test_hostile_names_are_text_in_a_notebook() -> None:
    shown = hostile(agreement_with(lambda array: -array))._repr_html_()
    assert str(escape(printable(HOSTILE))) in shown
    assert not re.search(r"<(img|script)|[\x1b\u202e]", shown)
    trace = cc.Trace(HOSTILE, tensors={f"0/forward/{HOSTILE}": cc.record("article")["0/forward/j"]})
    assert not re.search(r"<(img|script)|[\x1b\u202e]", trace._repr_html_())


def test_the_tutorial_is_kept_without_outputs() -> None:
    notebook = nbformat.read(TUTORIAL, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) > 5
    assert not any(cell.outputs or cell.execution_count for cell in code)


def test_the_tutorial_runs(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    notebook = nbformat.read(TUTORIAL, as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [
        output["data"]["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "text/html" in output.get("data", {})
    ]
    assert len(shown) == 3
    assert "reference, article: 26 tensors" in shown[0]
    assert "article, float64, 1 step: everything compared agrees" in shown[1]
    assert "<strong>diagonal_jacobian</strong> (fault)" in shown[2]
