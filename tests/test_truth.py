"""Truth: enclosed where that can be done, said to be less where it cannot, and who is nearest to it."""

from __future__ import annotations

from dataclasses import replace

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.arithmetic.counting import multiply_adds
from crosscheck.comparison import truth as module
from crosscheck.comparison.truth import truth_of
from crosscheck.rendering.as_json import document
from crosscheck.rendering.terminal import to_text

NAME = "0/gradient/k.weight"


def test_truth_is_certified_to_many_digits() -> None:
    pytest.importorskip("flint")
    truth = truth_of(cc.load_case("article"))
    assert truth.how == "balls of 200 bits"
    assert truth.digits >= 50
    standing = truth.furthest(cc.record("article"), "float64")
    assert 0 < standing.roundoffs < 10
    assert standing.tensor in cc.record("article").tensors


def test_distance_is_that_of_the_worst_element() -> None:
    pytest.importorskip("flint")
    case = cc.load_case("article")
    truth = truth_of(case)
    array = np.array(cc.record(case)[NAME])
    array[1, 2] += 1e-6
    assert truth.distance(NAME, array) == pytest.approx(1e-6, rel=1e-6)
    assert truth.distance(NAME, array[:2]) == np.inf
    unit = np.finfo(np.float64).eps / 2
    assert truth.roundoffs(NAME, array, "float64") == pytest.approx(1e-6 / (unit * truth.largest[NAME]), rel=1e-6)


def test_float32_is_further_from_the_truth_than_float64() -> None:
    pytest.importorskip("flint")
    single = cc.load_case("mlp", dtype="float32")
    truth = truth_of(single)
    near, far = cc.record(replace(single, dtype="float64")), cc.record(single)
    for name in far:
        assert truth.distance(name, np.asarray(near[name])) <= truth.distance(name, np.asarray(far[name])) + 1e-15


def test_what_was_not_certified_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda package: None)
    truth = truth_of(cc.load_case("article"))
    assert truth.how == "longdouble, not certified: python-flint is not installed"
    assert truth.digits == 0
    assert truth.furthest(cc.record("article"), "float64").roundoffs < 10


def test_large_cases_are_not_enclosed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CERTIFIED_UP_TO", 100)
    assert truth_of(cc.load_case("article")).how == "longdouble, not certified: 1.1e+02 multiply-adds"
    monkeypatch.setattr(module, "EXTENDED_UP_TO", 100)
    assert truth_of(cc.load_case("article")).how == "float64, not certified: 1.1e+02 multiply-adds"


def test_multiply_adds_are_counted() -> None:
    """2 x 4 + 4 x 4 + 4 x 3 weights, used forward and, backward, for the weights and for the inputs."""
    assert multiply_adds(cc.load_case("article")) == 3 * 36
    assert multiply_adds(cc.load_case("article-batch")) == 2 * 3 * 3 * 36


def test_every_party_and_the_nearest_are_reported() -> None:
    pytest.importorskip("flint")
    pytest.importorskip("torch")
    agreement = cc.check("article", ["torch"], truth=True)
    assert agreement.truth is not None
    assert set(agreement.truth.distances) == {"reference", "torch"}
    assert agreement.truth.distances[agreement.truth.nearest] == min(agreement.truth.distances.values())
    for tensor in agreement.subjects["torch"].tensors:
        assert tensor.truth_distance is not None
        assert tensor.reference_truth_distance is not None
    text = to_text(agreement, top=1)
    assert f"certified to {agreement.truth.digits} digits; nearest: {agreement.truth.nearest}" in text
    assert "torch: at most" in text
    assert document(agreement)["truth"]["digits"] == agreement.truth.digits


def test_without_truth_nothing_is_said_of_it() -> None:
    pytest.importorskip("torch")
    agreement = cc.check("article", ["torch"])
    assert agreement.truth is None
    assert document(agreement)["truth"] is None
    assert agreement.subjects["torch"].tensors[0].truth_distance is None
