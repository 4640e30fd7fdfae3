"""Whole networks: the built-in small ones are what the functions give, and the large ones are those of their papers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases import drawing, networks
from crosscheck.reference.network import parameter_shapes

BETAS = {"beta1": 0.875, "beta2": 0.984375, "epsilon": 2.0**-10}
RATES = (2.0**-5, 2.0**-6)
ADAMW = cc.AdamW(RATES, **BETAS, weight_decay=2.0**-4)
MOMENTUM = cc.SGD((2.0**-3, 2.0**-4), 0.5)

SMALL: dict[str, dict[str, Any]] = {
    "gpt2": {
        "layers": 2,
        "width": 6,
        "heads": 3,
        "hidden": 11,
        "vocabulary": 9,
        "places": 7,
        "length": 5,
        "batch": 4,
        "optimizer": ADAMW,
        "seed": 101,
    },
    "llama": {
        "layers": 1,
        "width": 8,
        "heads": 6,
        "key_heads": 3,
        "head_width": 2,
        "hidden": 7,
        "vocabulary": 11,
        "length": 5,
        "batch": 4,
        "optimizer": ADAMW,
        "seed": 111,
    },
    "vit": {
        "layers": 1,
        "width": 6,
        "heads": 3,
        "hidden": 11,
        "channels": 2,
        "size": (4, 12),
        "patch": (2, 3),
        "classes": 5,
        "batch": 4,
        "optimizer": ADAMW,
        "seed": 121,
    },
    "lenet": {
        "channels": 2,
        "size": (8, 7),
        "maps": (3, 5),
        "kernel": (3, 2),
        "padding": (1, 0),
        "hidden": (7, 6),
        "classes": 8,
        "batch": 4,
        "optimizer": MOMENTUM,
        "seed": 131,
    },
    "resnet": {
        "depth": 6,
        "channels": 2,
        "size": (5, 6),
        "widths": (3, 4),
        "classes": 5,
        "batch": 6,
        "optimizer": MOMENTUM,
        "seed": 152,
    },
    "autoencoder": {
        "channels": 2,
        "size": (5, 6),
        "maps": (4, 5),
        "kernel": (3, 2),
        "padding": (1, 0),
        "code": 7,
        "batch": 3,
        "optimizer": cc.Adam(RATES, **BETAS),
        "seed": 154,
    },
}
"""The sizes of each built-in network, its optimizer and its seed."""

IMAGES = frozenset({"size", "patch", "kernel", "padding"})
"""Sizes that are height and width."""

PUBLISHED: dict[str, tuple[Callable[[], cc.Case], int]] = {
    "gpt2": (networks.gpt2, 124_439_808),
    "gpt2-medium": (lambda: networks.gpt2(layers=24, width=1024, heads=16), 354_823_168),
    "llama-3-8b": (networks.llama, 8_030_261_248),
    "resnet-20": (lambda: networks.resnet(depth=20), 272_474),
    # The symbol that tells the class, and its position, are not there.
    "vit-b-16": (networks.vit, 86_567_656 - 2 * 768),
    # The second convolution of LeNet-5 sees fewer maps, its subsampling has 2 weights a map.
    "lenet-5": (networks.lenet, 61_706),
}
"""Numbers of weights that others report."""


def small(name: str, **others: Any) -> cc.Case:
    make: Callable[..., cc.Case] = getattr(networks, name)
    return make(**SMALL[name], steps=2, **others)


@pytest.mark.parametrize("name", SMALL)
def test_a_built_in_network_is_what_its_function_gives(name: str) -> None:
    case = cc.load_case(name)
    assert cc.cases.same_case(case, small(name, dtype="float64", about=case.about))


@pytest.mark.parametrize("name", SMALL)
def test_nothing_hides_behind_equal_sizes(name: str) -> None:
    sizes: list[int] = []
    for key, value in SMALL[name].items():
        if key in IMAGES:
            assert value[0] != value[1]
        elif key not in ("layers", "depth", "optimizer", "seed"):
            sizes += value if isinstance(value, tuple) else (value,)
    assert len(set(sizes)) == len(sizes)
    assert 1 not in sizes
    assert len(set(cc.load_case(name).learning_rates)) == 2


def without_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a case only describe its weights: of eight billion none is drawn."""

    def described(**fields: Any) -> Any:
        return {**fields, "parameters": parameter_shapes(fields["nodes"])}

    monkeypatch.setattr(networks, "Case", described)
    monkeypatch.setattr(networks, "draw_weights", lambda shapes, seed: {})


@pytest.mark.parametrize("name", PUBLISHED)
def test_numbers_of_weights_are_the_published_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_numbers(monkeypatch)
    make, weights = PUBLISHED[name]
    case: Any = make()
    assert sum(map(prod, case["parameters"].values())) == weights
    assert f"{weights:,} weights" in case["about"]


def test_the_output_of_gpt2_is_tied_and_that_of_llama_is_not() -> None:
    assert small("gpt2").nodes[-1].parameters == {"weight": "tokens.weight"}
    assert "logits.weight" in small("llama").parameters


def test_llama_groups_its_queries() -> None:
    case = small("llama")
    shapes = case.shapes(case.batch(0).inputs.shape)
    assert (shapes["b0.q.turned"][1], shapes["b0.k.turned"][1], shapes["b0.v.heads"][1]) == (6, 3, 3)


def test_the_places_of_the_vision_transformer_are_its_patches_row_by_row() -> None:
    case = small("vit", dtype="float64")
    trace = cc.record(case)
    rows, columns = trace["0/forward/patches"].shape[2:]
    patches = trace["0/forward/patches"].transpose(0, 2, 3, 1).reshape(4, rows * columns, -1)
    assert np.array_equal(trace["0/forward/places"], patches)
    assert trace["0/forward/mean"] == pytest.approx(trace["0/forward/norm"].mean(axis=1))


@pytest.mark.parametrize("size", [(5, 6), (8, 9), (7, 4)])
def test_the_autoencoder_gives_images_of_the_size_that_it_takes(size: tuple[int, int]) -> None:
    case = networks.autoencoder(**{**SMALL["autoencoder"], "size": size}, steps=2)
    (batch,) = case.batches
    assert case.shapes(batch.inputs.shape)["y"] == batch.inputs.shape == (3, 2, *size)
    assert np.array_equal(batch.inputs, batch.target("loss"))
    assert 0 < batch.inputs.min() < batch.inputs.max() < 1


@pytest.mark.parametrize(
    ("make", "key"),
    [
        (lambda: networks.resnet(depth=9), "depth"),
        (lambda: networks.resnet(depth=2), "depth"),
        (lambda: networks.resnet(widths=()), "widths"),
        (lambda: networks.lenet(size=(4, 4)), "nodes.b"),
        (lambda: networks.gpt2(layers=1, width=10, heads=3, vocabulary=7), "heads"),
        (lambda: networks.gpt2(layers=1, width=6, heads=3, vocabulary=7, places=5, length=6), "places"),
    ],
)
def test_sizes_that_do_not_fit(make: Callable[[], cc.Case], key: str) -> None:
    with pytest.raises(cc.CaseError, match=key):
        make()


def test_drawing_scales_what_it_draws() -> None:
    shapes: Mapping[str, tuple[int, ...]] = {"weight": (400, 3), "bias": (500,)}
    drawn = drawing.draw_weights(shapes, seed=3)
    assert drawn["weight"].std() == pytest.approx(1 / 20, rel=0.1)
    assert drawn["bias"].std() == pytest.approx(0.5, rel=0.1)
