"""The numbers that the article and Mazur print, to the digits that they print, and no tighter."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from crosscheck.cases import load_case
from crosscheck.reference import CrossEntropy, Trace, run
from crosscheck.reference.layers import Array

SCRIPT = Path(__file__).parent.parent / "docs" / "decisions" / "find_article_weights.py"

J_INPUT = [0.93412086, -0.89987134, 0.07139904, 0.63705336]
J_OUTPUT = [0.93412086, 0.0, 0.07139904, 0.63705336]
O_OUTPUT = [0.29228018, 0.03001013, 0.67770969]
O_INPUT_GRADIENT = [-0.70771982, 0.03001013, 0.67770969]


def digits(array: Array, places: int) -> list[str]:
    """The numbers of one row as they are printed with so many decimal places."""
    (row,) = np.atleast_2d(array)
    return [f"{value:.{places}f}" for value in row]


def printed(numbers: list[float], places: int) -> list[str]:
    """The numbers of a text as it prints them."""
    return [f"{number:.{places}f}" for number in numbers]


# The article


@pytest.fixture(scope="module")
def article() -> Trace:
    return run(load_case("article"))


@pytest.mark.parametrize("dtype", ["float64", "longdouble"])
def test_forward_pass_prints_the_article(dtype: str) -> None:
    trace = run(load_case("article", dtype=dtype))
    assert digits(trace["0/forward/j"], 8) == printed(J_INPUT, 8)
    assert digits(trace["0/forward/j.relu"], 8) == printed(J_OUTPUT, 8)
    assert digits(trace["0/forward/o.softmax"], 8) == printed(O_OUTPUT, 8)


def test_forward_pass_in_float32_is_as_near_as_float32_can_be() -> None:
    """Two bits are allowed, since frameworks and processors add up in other orders."""
    trace = run(load_case("article", dtype="float32"))
    for name, numbers in (("j", J_INPUT), ("o.softmax", O_OUTPUT)):
        wanted = np.array(numbers, np.float32)
        assert (np.abs(trace[f"0/forward/{name}"][0] - wanted) <= 2 * np.spacing(np.abs(wanted))).all()


def test_what_follows_from_the_printed_output(article: Trace) -> None:
    case = load_case("article")
    assert f"{article['0/forward/loss']:.5f}" == "1.23004"
    assert digits(article["0/backward/o"], 8) == printed(O_INPUT_GRADIENT, 8)
    assert digits(article["0/gradient/o.bias"], 8) == printed(O_INPUT_GRADIENT, 8)
    update = case.weights["o.bias"] - 0.01 * np.array(O_INPUT_GRADIENT)
    assert digits(article["0/update/o.bias"], 8) == digits(update, 8)


def test_division_by_three_divides_every_gradient_by_three(article: Trace) -> None:
    divided = run(replace(load_case("article"), loss=CrossEntropy("mean_over_outputs")))
    names = [name for name in article if "/gradient/" in name or "/backward/" in name]
    assert names
    for name in names:
        np.testing.assert_allclose(3 * divided[name], article[name], rtol=1e-14, atol=1e-17)


def script() -> ModuleType:
    """The script that found the weights."""
    spec = importlib.util.spec_from_file_location("find_article_weights", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_script_finds_the_committed_weights_again() -> None:
    finder = script()
    found, committed = finder.find(finder.SEED), load_case("article").weights
    assert list(found) == list(committed)
    for name, array in found.items():
        assert array.tolist() == committed[name].tolist()


def test_weights_look_drawn() -> None:
    values = np.abs(np.concatenate([array.ravel() for array in load_case("article").weights.values()]))
    assert values.size == 47
    assert len(np.unique(values)) == values.size
    assert values.min() > 0.001
    assert values.max() < 1


# Mazur


@pytest.fixture(scope="module")
def mazur() -> Trace:
    return run(load_case("mazur").with_steps(2))


@pytest.mark.parametrize(
    ("name", "place", "number"),
    [
        ("0/forward/h.sigmoid", (0, 0), ".593269992"),
        ("0/forward/h.sigmoid", (0, 1), ".596884378"),
        ("0/forward/o.sigmoid", (0, 0), ".75136507"),
        ("0/forward/o.sigmoid", (0, 1), ".772928465"),
        ("0/forward/loss", (), ".298371109"),
        ("0/gradient/o.weight", (0, 0), ".082167041"),
        ("0/gradient/h.weight", (0, 0), ".000438568"),
        ("0/update/o.weight", (0, 0), ".35891648"),
        ("0/update/o.weight", (1, 0), ".408666186"),
        ("0/update/o.weight", (0, 1), ".511301270"),
        ("0/update/o.weight", (1, 1), ".561370121"),
        ("0/update/h.weight", (0, 0), ".149780716"),
        ("0/update/h.weight", (1, 0), ".19956143"),
        ("0/update/h.weight", (0, 1), ".24975114"),
        ("0/update/h.weight", (1, 1), ".29950229"),
    ],
    ids=["h1", "h2", "o1", "o2", "E", "dw5", "dw1", "w5", "w6", "w7", "w8", "w1", "w2", "w3", "w4"],
)
def test_mazur_prints(mazur: Trace, name: str, place: tuple[int, ...], number: str) -> None:
    places = len(number) - 1
    assert f"{mazur[name][place]:.{places}f}" == f"0{number}"


def test_mazur_trains_no_bias(mazur: Trace) -> None:
    assert not [name for name in mazur if "/update/" in name and name.endswith(".bias")]


def in_place(steps: int, *, sequential: bool) -> tuple[float, Array]:
    """Loss and output of Mazur's network after so many steps; weights as nodes by inputs, as he counts them.

    Sequential is what his numbers come from: w5..w8 are updated first, and the hidden layer's errors computed with
    the weights of after instead of those of before.
    """
    x, target = np.array([0.05, 0.10]), np.array([0.01, 0.99])
    w, v = np.array([[0.15, 0.20], [0.25, 0.30]]), np.array([[0.40, 0.45], [0.50, 0.55]])

    def forward() -> tuple[Array, Array]:
        h = 1 / (1 + np.exp(-(w @ x + 0.35)))
        return h, 1 / (1 + np.exp(-(v @ h + 0.60)))

    for _ in range(steps):
        h, o = forward()
        delta = (o - target) * o * (1 - o)
        before = v.copy()
        v -= 0.5 * np.outer(delta, h)
        w -= 0.5 * np.outer(((v if sequential else before).T @ delta) * h * (1 - h), x)
    o = forward()[1]
    return float(((target - o) ** 2).sum() / 2), o


def test_erratum_the_loss_after_one_step(mazur: Trace) -> None:
    """Mazur prints .291027924, which simultaneous updates do not give and sequential ones do."""
    assert float(mazur["1/forward/loss"]) == pytest.approx(0.29102777369359933, rel=1e-15)
    assert in_place(1, sequential=False)[0] == pytest.approx(0.29102777369359933, rel=1e-15)
    loss, _ = in_place(1, sequential=True)
    assert loss == pytest.approx(0.29102792390544, abs=5e-15)
    assert f"{loss:.9f}" == "0.291027924"
    assert f"{mazur['1/forward/loss']:.9f}" != "0.291027924"


def test_erratum_the_outputs_after_ten_thousand_steps() -> None:
    """Printed: .015912196 and .984065734, again those of sequential updates."""
    assert digits(in_place(10_000, sequential=False)[1], 10) == ["0.0159136204", "0.9840642735"]
    _, output = in_place(10_000, sequential=True)
    assert digits(output, 9) == ["0.015912196", "0.984065734"]
    assert digits(output, 10) == ["0.0159121963", "0.9840657345"]
