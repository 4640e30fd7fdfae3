"""Layouts: each step does what NumPy does, none invents a number, and what does not fit is refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from crosscheck import CaseError
from crosscheck.porting.layouts import Rival, Step, as_text, laid_out, rivals, woven
from crosscheck.porting.suggesting import layouts_between
from ported import random

X = random(4, 6)
K = random(8, 3, 5, 7)


@pytest.mark.parametrize(
    ("given", "layout", "expected"),
    [
        ([X], [Step(transpose=[1, 0])], [X.T]),
        ([K], [Step(transpose=[2, 3, 1, 0])], [np.moveaxis(K, (0, 1), (3, 2))]),
        ([X], [Step(reshape=[2, 2, 6])], [X.reshape(2, 2, 6)]),
        ([X], [Step(order=[1, 0], axis=0)], [np.concatenate([X[2:], X[:2]])]),
        ([X], [Step(order=[2, 0, 1], axis=1)], [np.concatenate([X[:, 4:], X[:, :2], X[:, 2:4]], 1)]),
        ([X], [Step(flip=[0, 1])], [X[::-1, ::-1]]),
        ([X], [Step(split=1)], [X[:, :2], X[:, 2:4], X[:, 4:]]),
        ([X], [Step(split=1, sizes=[1, 2, 3])], [X[:, :1], X[:, 1:3], X[:, 3:]]),
        ([X, 2 * X], [Step(concatenate=0)], [np.concatenate([X, 2 * X])]),
        ([X, 2 * X], [Step(sum=True)], [3 * X]),
        ([X], [Step(split=1), Step(transpose=[1, 0])], [X.T[:2], X.T[2:4], X.T[4:]]),
        ([X], [], [X]),
    ],
    ids=lambda value: as_text(value) if value and isinstance(value[0], Step) else "",
)
def test_a_step_moves_what_it_says(given: list[np.ndarray], layout: list[Step], expected: list[np.ndarray]) -> None:
    found = laid_out(given, layout, len(expected))
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, rtol=1e-15)
        assert one.shape == other.shape


@pytest.mark.parametrize(
    "step",
    [
        Step(transpose=[0, 2]),
        Step(transpose=[0]),
        Step(transpose=[0, 0]),
        Step(reshape=[5, 5]),
        Step(reshape=[2**39, 2**39]),
        Step(order=[1, 0, 2, 3, 4], axis=0),
        Step(order=[0, 0], axis=0),
        Step(order=[0, 5], axis=0),
        Step(order=[1, 0], axis=7),
        Step(flip=[3]),
        Step(split=0),
        Step(split=3),
        Step(split=0, sizes=[1, 1, 1]),
        Step(split=0, sizes=[4]),
        Step(concatenate=5),
    ],
    ids=lambda step: step.text,
)
def test_what_does_not_fit_is_refused_with_the_step_and_the_shape(step: Step) -> None:
    with pytest.raises(CaseError) as raised:
        laid_out([X], [step], 3)
    assert raised.value.key == "layout.0"
    assert step.text in raised.value.expected
    assert "(4, 6)" in raised.value.received


def test_sums_of_other_shapes_are_no_broadcast() -> None:
    with pytest.raises(CaseError, match="they differ"):
        laid_out([X, X[:1]], [Step(sum=True)], 1)


@pytest.mark.parametrize(
    "step",
    [
        Step(),
        Step(transpose=[0], reshape=[1]),
        Step(axis=1),
        Step(order=[0]),
        Step(flip=[0], axis=1),
        Step(sum=False),
        Step(concatenate=0, sizes=[1]),
    ],
    ids=lambda step: step.text,
)
def test_a_step_does_one_thing(step: Step) -> None:
    with pytest.raises(CaseError, match="one of transpose, reshape, order"):
        _ = step.doing


@pytest.mark.parametrize("shapes", [[(4, 4)], [(12,)], [(6, 4), (6, 4), (6, 4)], [(2, 2, 2, 2)]], ids=str)
def test_every_rival_is_another_order_of_the_same_numbers(shapes: list[tuple[int, ...]]) -> None:
    arrays = [random(*shape, seed=place) for place, shape in enumerate(shapes)]
    found = [*rivals(shapes)]
    assert found
    for rival in found:
        made = rival.applied(arrays)
        assert [array.shape for array in made] == shapes
        flat = np.concatenate([array.ravel() for array in made])
        before = np.concatenate([array.ravel() for array in arrays])
        assert not np.array_equal(flat, before), rival.text
        assert np.array_equal(np.sort(flat), np.sort(before))


def test_the_classics_are_among_the_rivals() -> None:
    square, bias, packed = random(4, 4), random(12), [random(6, 4, seed=seed) for seed in range(3)]
    texts = {rival.text for rival in rivals([(4, 4)])}
    assert "{ transpose = [1, 0] }" in texts
    gates = bias.reshape(3, 4)
    assert any(np.array_equal(r.applied([bias])[0], gates[[0, 2, 1]].ravel()) for r in rivals([(12,)]))
    assert any(np.array_equal(r.applied([bias])[0], gates.T.ravel()) for r in rivals([(12,)]))
    swapped = [rival for rival in rivals([(6, 4)] * 3) if rival.exchanged == (0, 2, 1)]
    assert [array is packed[place] for place, array in zip((0, 2, 1), swapped[0].applied(packed), strict=True)] == [
        True
    ] * 3
    assert np.array_equal(laid_out([square], woven((4, 4), 0, 2), 1)[0], square[[0, 2, 1, 3]])
    assert Rival((Step(flip=[0]),), (1, 0)).text == "in the order [1, 0] and { flip = [0] }"


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ((4, 6), (6, 4), ["{ transpose = [1, 0] }"]),
        ((4, 4), (4, 4), ["", "{ transpose = [1, 0] }"]),
        ((8, 3, 5, 7), (5, 7, 3, 8), ["{ transpose = [2, 3, 1, 0] }"]),
        ((8, 6), (6, 2, 4), ["{ transpose = [1, 0] }, { reshape = [6, 2, 4] }"]),
        ((8,), (2, 4), ["{ reshape = [2, 4] }"]),
        ((4, 6), (4, 5), []),
        ((4, 6), (3, 8), []),
        ((1, 5), (5,), ["{ reshape = [5] }"]),
    ],
)
def test_the_layouts_between_two_shapes(ours: tuple[int, ...], theirs: tuple[int, ...], expected: list[str]) -> None:
    assert [as_text(layout) for layout in layouts_between(ours, theirs)] == expected


def test_layouts_between_two_shapes_differ() -> None:
    numbers = np.arange(24).reshape(2, 3, 4)
    found = [laid_out([numbers], layout, 1)[0] for layout in layouts_between((2, 3, 4), (4, 6))]
    for one, other in pairwise(found):
        assert not np.array_equal(one, other)
