"""The reference keeps to the documented subset of NumPy: it runs on poison, which raises at everything else."""

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.arithmetic.base import ATTRIBUTES, ELEMENTARY, FUNCTIONS, METHODS, UFUNC_METHODS, UFUNCS, Outside, raw
from crosscheck.arithmetic.poison import Poison
from crosscheck.reference import Layer, Loss, Optimizer, elementary, part_one, train
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from samples import ALONE, LAYERS, LOSSES, I, N, O, require_alike

Array = NDArray[Any]

BESIDE = frozenset("abs inf pi cos arange full errstate random ndarray".split())
"""What the source may also spell: it makes plain integers, draws data or sets NumPy up."""

lifted = Poison.lift
unwrapped = raw


def require_poison(**arrays: Any) -> None:
    """Complain of every array that went in as poison and came out as something else."""
    lost = {name: type(array).__name__ for name, array in arrays.items() if not isinstance(array, Poison)}
    assert not lost, f"the class was lost: {lost}"


# ---------------------------------------------------------------------------------------------- the reference, poisoned

OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": cc.SGD(0.125),
    "sgd-everything": cc.SGD((0.125, 0.0625), momentum=0.9, dampening=0.3, weight_decay=0.1),
    "sgd-nesterov": cc.SGD(0.125, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": cc.Adam(0.125),
    "adagrad": cc.Adagrad((0.125, 0.0625), epsilon=1e-3, weight_decay=0.1),
    "adagrad-root": cc.Adagrad(0.125, epsilon=1e-3, initial_accumulator=0.1, epsilon_in="root"),
    "rmsprop": cc.RMSprop(0.125, epsilon=1e-3),
    "rmsprop-everything": cc.RMSprop(0.125, rho=0.9, momentum=0.9, epsilon=1e-3, centred=True, epsilon_in="root"),
    "rmsprop-velocity": cc.RMSprop(0.125, momentum=0.9, epsilon=1e-3, rate_in="velocity"),
    "adadelta": cc.Adadelta((0.125, 0.0625), rho=0.75, epsilon=1e-3, weight_decay=0.1),
    "adamw": cc.AdamW((0.125, 0.0625), epsilon=1e-3, weight_decay=0.1),
    "adam-conventions": cc.Adam(0.125, epsilon=1e-3, epsilon_in="root", bias_correction=False),
    "adam-uncorrected": cc.Adam(0.125, beta2=0.9, epsilon=1e-3, epsilon_in="uncorrected"),
    "amsgrad": cc.AMSGrad(0.125, beta2=0.9, epsilon=1e-3),
    "amsgrad-corrected": cc.AMSGrad(0.125, beta2=0.9, epsilon=1e-3, maximum_of="corrected"),
    "adamax": cc.Adamax(0.125, epsilon=1e-3),
    "adamax-outside": cc.Adamax(0.125, epsilon=1e-3, epsilon_in="outside"),
    "nadam": cc.NAdam(0.125, beta2=0.9, epsilon=1e-3),
    "nadam-constant": cc.NAdam(0.125, beta2=0.9, epsilon=1e-3, momentum_schedule="constant"),
    "radam": cc.RAdam(0.125, beta2=0.9, epsilon=1e-3),
    "radam-uncorrected": cc.RAdam(0.125, beta2=0.5, epsilon=1e-3, epsilon_in="uncorrected"),
    "lamb": cc.Lamb((0.125, 0.0625), beta2=0.9, epsilon=1e-3, weight_decay=0.1),
    "lion": cc.Lion((0.125, 0.0625), weight_decay=0.1),
    "rprop": cc.Rprop(0.125),
    "rprop-late": cc.Rprop(0.125, largest=0.13, applies="last"),
    "adafactor": cc.Adafactor((0.125, 0.0625), epsilon=1e-3, weight_decay=0.1),
    "adafactor-plain": cc.Adafactor(0.125, epsilon=1e-2, epsilon_in="squares", rate="plain"),
    "muon": cc.Muon((0.125, 0.0625), epsilon=1e-3, weight_decay=0.1),
    "muon-tall": cc.Muon(0.125, nesterov=False, iterations=2, epsilon=1e-3, scale="match_rms"),
    "adam-everything": cc.Adam((0.125, 0.0625), beta1=0.5, beta2=0.75, epsilon=1e-3, weight_decay=0.1),
}

every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


def draw(generator: np.random.Generator, shape: tuple[int, ...], dtype: str = "float64") -> Any:
    return lifted(generator.standard_normal(shape).astype(dtype))


@every_dtype
@pytest.mark.parametrize(("layer", "shapes"), LAYERS.values(), ids=LAYERS)
def test_a_layer_runs_on_poison(layer: Layer, shapes: tuple[tuple[int, ...], ...], dtype: str) -> None:
    require_runs_on_poison(layer, shapes, dtype)


def require_runs_on_poison(layer: Layer, shapes: tuple[tuple[int, ...], ...], dtype: str = "float64") -> None:
    generator = np.random.Generator(np.random.PCG64(10))
    params = {name: draw(generator, shape, dtype) for name, shape in layer.parameters().items()}
    params |= {name: lifted(np.full(shape, value, dtype)) for name, (shape, value) in layer.statistics().items()}
    shaped = {name: layer.given_shape(name, *shapes) for name in layer.given}
    params |= {name: lifted(layer.draw_given(generator, name, shape).astype(dtype)) for name, shape in shaped.items()}
    drawn = [layer.draw_input(generator, shape) for shape in shapes]
    inputs = drawn if layer.integer_inputs else [lifted(x.astype(dtype)) for x in drawn]
    dy = draw(generator, layer.output_shape(*shapes), dtype)
    found = made_by(layer, inputs, params, dy)
    require_poison(**{str(place): array for place, array in enumerate(found)})
    expected = made_by(layer, unwrapped(inputs), {name: unwrapped(array) for name, array in params.items()}, raw(dy))
    for ours, ordinary in zip(found, expected, strict=True):
        np.testing.assert_array_equal(unwrapped(ours), ordinary)


def made_by(layer: Layer, inputs: list[Any], params: dict[str, Any], dy: Any) -> list[Any]:
    """Output, statistics and gradients."""
    y, saved = layer.forward(*inputs, params)
    dx, dparams = layer.backward(dy, saved, params)
    dinputs = [] if layer.integer_inputs else dx if isinstance(dx, tuple) else [dx]
    return [y, *layer.updated_statistics(saved, params).values(), *dinputs, *dparams.values()]


@every_dtype
@pytest.mark.parametrize("loss", {**LOSSES, **ALONE}.values(), ids=[*LOSSES, *ALONE])
def test_a_loss_runs_on_poison(loss: Loss, dtype: str) -> None:
    generator = np.random.Generator(np.random.PCG64(11))
    predictions = [generator.dirichlet(np.ones(O), N).astype(dtype) for _ in range(loss.arity)]
    target = loss.draw_target(generator, *(prediction.shape for prediction in predictions))
    target = target if loss.integer_targets else target.astype(dtype)
    value, saved = loss.forward(*map(lifted, predictions), lifted(target))
    gradients = each(loss.backward(saved))
    require_poison(value=value, **{f"gradient {place}": gradient for place, gradient in enumerate(gradients)})

    expected, saved = loss.forward(*predictions, target)
    np.testing.assert_array_equal(unwrapped(value), expected)
    for gradient, ordinary in zip(gradients, each(loss.backward(saved)), strict=True):
        np.testing.assert_array_equal(unwrapped(gradient), ordinary)


def each(gradients: Any) -> tuple[Any, ...]:
    """The gradient with respect to each prediction."""
    return gradients if isinstance(gradients, tuple) else (gradients,)


@every_dtype
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_runs_on_poison(optimizer: Optimizer, dtype: str) -> None:
    generator = np.random.Generator(np.random.PCG64(12))
    weight = draw(generator, (I, O), dtype)
    plain, slots = unwrapped(weight), optimizer.slots(weight)
    plain_slots = optimizer.slots(plain)
    for rate in optimizer.learning_rates(2):
        require_poison(weight=weight, **slots)
        gradient = draw(generator, (I, O), dtype)
        weight, slots = optimizer.update(weight, gradient, slots, rate)
        plain, plain_slots = optimizer.update(plain, unwrapped(gradient), plain_slots, rate)
        require_alike(unwrapped(weight), plain)
    require_poison(weight=weight, **slots)


def network(loss: Loss, optimizer: Optimizer) -> cc.Case:
    """Layers that take rows, with a residual, a value used twice, a shared and a frozen parameter, over two steps."""
    nodes = (
        cc.Node("left", cc.Dense(I, O)),
        cc.Node("right", cc.Dense(I, O), takes=("input",), parameters={"weight": "left.weight"}),
        cc.Node("tanh", cc.Tanh(), takes=("left",)),
        cc.Node("sigmoid", cc.Sigmoid(), takes=("right",)),
        cc.Node("joined", cc.Add(), takes=("tanh", "sigmoid")),
        cc.Node("twice", cc.Add(), takes=("joined", "joined")),
        cc.Node("relu", cc.Relu()),
        cc.Node("out", cc.Dense(O, 4)),
        cc.Node("softmax", cc.Softmax()),
    )
    generator = np.random.Generator(np.random.PCG64(13))
    shapes = {"left.weight": (I, O), "left.bias": (O,), "right.bias": (O,), "out.weight": (O, 4), "out.bias": (4,)}
    return cc.Case(
        name="every-layer",
        nodes=nodes,
        loss=loss,
        optimizer=optimizer,
        weights={name: generator.standard_normal(shape) for name, shape in shapes.items()},
        batches=(cc.Batch(generator.standard_normal((N, I)), loss.draw_target(generator, (N, 4))),),
        steps=2,
        frozen=("left.bias", "right.bias", "out.bias") if optimizer.kind == "muon" else ("left.bias",),
    )


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_a_training_run_is_poison_from_end_to_end(loss: Loss, optimizer: Optimizer) -> None:
    require_trains_on_poison(network(loss, optimizer))


@pytest.mark.parametrize("name", ["attention", "convolutional"])
def test_a_case_with_the_other_layers_is_poison_from_end_to_end(name: str) -> None:
    require_trains_on_poison(cc.load_case(name))


def require_trains_on_poison(case: cc.Case) -> None:
    kept: dict[str, Any] = {}

    def keep(name: str, made: Array) -> Array:
        if name.split("/")[1] in ("data", "initial"):
            kept[name] = lifted(made)
        else:
            require_poison(**{name: made})
            kept[name] = made
        return kept[name]  # type: ignore[no-any-return]

    train(case, keep)
    trace = cc.record(case)
    assert kept.keys() == {*trace.given, *trace.tensors}
    for name, array in kept.items():
        require_alike(unwrapped(array), trace[name])


@pytest.mark.parametrize("function", [part_one.softmax_jacobian, part_one.composed, part_one.composed_jacobian])
def test_the_first_part_of_the_article_runs_on_poison(function: Callable[[Any], Any]) -> None:
    x = np.array([0.5, -0.25, 0.75, 0.125])
    found = function(lifted(x))
    require_poison(found=found)
    np.testing.assert_array_equal(unwrapped(found), function(x))


def test_everything_is_poisoned() -> None:
    assert {layer.kind for layer, _ in LAYERS.values()} == set(cc.LAYERS)
    assert {loss.kind for loss in [*LOSSES.values(), *ALONE.values()]} == set(cc.LOSSES)
    assert {optimizer.kind for optimizer in OPTIMIZERS.values()} == set(cc.OPTIMIZERS)


# ------------------------------------------------------------------------------------------------- the source, read

REFERENCE = Path(train.__code__.co_filename).parent
SOURCES = sorted(path for path in REFERENCE.rglob("*.py") if path.name not in ("case.py", "dtypes.py"))
"""All but case.py, which turns what people give into arrays."""


def spelled(source: str) -> set[str]:
    """Every ``np.NAME`` in some code, and every module that it imports beside NumPy that computes."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy"):
            found.add(node.attr)
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found |= {name for name in names if name in ("math", "cmath", "scipy", "fractions", "decimal")}
    return found - {"__version__"}


@pytest.mark.parametrize("path", SOURCES, ids=[path.relative_to(REFERENCE).as_posix() for path in SOURCES])
def test_the_source_spells_nothing_else(path: Path) -> None:
    outside = spelled(path.read_text(encoding="utf-8")) - UFUNCS - FUNCTIONS - BESIDE
    assert not outside, f"numpy.{outside} is outside the subset"


def test_the_sources_are_found() -> None:
    assert {"classification.py", "adam.py", "step.py", "activations.py"} <= {path.name for path in SOURCES}


def test_a_name_outside_the_subset_is_seen_in_the_source() -> None:
    assert spelled("import math\nimport numpy as np\ny = np.einsum('i->', np.exp(x))") == {"math", "einsum", "exp"}


# ----------------------------------------------------------------------------------------------- the document, read

DOCUMENT = Path(__file__).parents[1] / "docs" / "decisions" / "numpy-subset.md"


def documented() -> dict[str, set[str]]:
    """The lists of the document: the names in backticks under each heading in bold."""
    text = DOCUMENT.read_text(encoding="utf-8").partition("## The subset")[2].partition("\n## ")[0]
    items = re.findall(r"^- \*\*(.+?)\*\*: (.+?)(?=^- |^$)", text, flags=re.MULTILINE | re.DOTALL)
    return {title: set(re.findall(r"`([^`]+)`", names)) for title, names in items}


def test_the_document_lists_what_poison_allows() -> None:
    assert documented() == {
        "Ufuncs": UFUNCS,
        "Ufunc methods": UFUNC_METHODS,
        "Functions": FUNCTIONS,
        "Elementary": ELEMENTARY,
        "Methods": METHODS,
        "Attributes": ATTRIBUTES,
        "Beside the arithmetic": BESIDE,
    }


def test_every_name_of_the_subset_is_numpys() -> None:
    assert all(isinstance(getattr(np, name), np.ufunc) for name in UFUNCS)
    assert all(callable(getattr(getattr(np, ufunc), method)) for ufunc, method in (n.split(".") for n in UFUNC_METHODS))
    assert all(callable(getattr(np, name)) for name in FUNCTIONS - {"sliding_window_view"})
    assert all(callable(getattr(np.ndarray, name)) for name in METHODS)
    assert not any(callable(getattr(np.ndarray, name)) for name in ATTRIBUTES)
    assert all(hasattr(np, name) for name in BESIDE)
    assert all(callable(getattr(elementary, name)) and not hasattr(np, name) for name in ELEMENTARY)


# ------------------------------------------------------------------------------------------------- poison, checked


def poison() -> Any:
    return lifted(np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]]))


OUTSIDE: dict[str, Callable[[Any], object]] = {
    "einsum": lambda x: np.einsum("ij->i", x),
    "tensordot": lambda x: np.tensordot(x, x, 2),
    "dot": lambda x: np.dot(x, x.T),
    "x.dot": lambda x: x.dot(x.T),
    "clip": lambda x: np.clip(x, 0, 1),
    "x.clip": lambda x: x.clip(0, 1),
    "sign": np.sign,
    "var": np.var,
    "x.var": lambda x: x.var(),
    "x.std": lambda x: x.std(),
    "x.min": lambda x: x.min(),
    "cumsum": np.cumsum,
    "sinh": np.sinh,
    "minimum": lambda x: np.minimum(x, 0),
    "isnan": np.isnan,
    "linalg.norm": np.linalg.norm,
    "floor division": lambda x: x // 2,
    "mean of float16": lambda x: lifted(unwrapped(x).astype("float16")).mean(),
    "power of arrays": lambda x: x**x,
    "fractional power": lambda x: x**1.5,
    "boolean indexing": lambda x: x[x > 0],
    "assignment by mask": lambda x: x.__setitem__(x > 0, 0),
    "indexing by a list": lambda x: x[[0, 1]],
    "assignment of a plain array": lambda x: x.__setitem__(0, np.ones(3)),
    "and of masks": lambda x: (x > 0) & (x < 2),
    "not of a mask": lambda x: ~(x > 0),
    "sum of a mask": lambda x: (x > 0).sum(),
    "mask plus number": lambda x: (x > 0) + 1,
    "truth of a mask": lambda x: bool(x > 0),
    "if": lambda x: 1 if x[0, 0] > 0 else 0,
    "float()": lambda x: float(x[0, 0]),
    "int()": lambda x: int(x[0, 0]),
    "math.exp": lambda x: math.exp(x[0, 0]),
    "range()": lambda x: range(x[0, 0]),
    "iteration": lambda x: list(x),
    "unpacking": lambda x: (lambda a, b: a)(*x),
    "in": lambda x: 1.0 in x,
    "x.astype": lambda x: x.astype("float32"),
    "x.item": lambda x: x[0, 0].item(),
    "x.tolist": lambda x: x.tolist(),
    "x.fill": lambda x: x.fill(0),
    "x.flat": lambda x: x.flat[0],
    "x.put": lambda x: x.put([0], [1]),
    "x.round": lambda x: x.round(),
    "x.view": lambda x: x.view(np.ndarray),
    "x.ravel": lambda x: x.ravel(),
    "x.shape =": lambda x: setattr(x, "shape", (6,)),
    "sum in another dtype": lambda x: x.sum(dtype="float32"),
    "zeros_like in another dtype": lambda x: np.zeros_like(x, dtype="float32"),
    "where=": lambda x: np.add(x, x, where=np.array([True, False, True])),
    "out= a plain array": lambda x: np.add(x, x, out=np.zeros((2, 3))),
    "in place into a plain array": lambda x: np.zeros((2, 3)).__iadd__(x),
    "a plain array beside it": lambda x: x + np.ones(3),
    "a NumPy number beside it": lambda x: x * np.sqrt(2.0),
    "a class lost on the way": lambda x: np.asarray(x) * x,
    "concatenation with a plain array": lambda x: np.concatenate([x, np.ones((1, 3))]),
    "where of a plain array": lambda x: np.where(x > 0, x, np.zeros((2, 3))),
}


@pytest.mark.parametrize("outside", OUTSIDE.values(), ids=OUTSIDE)
def test_poison_raises_at(outside: Callable[[Any], object]) -> None:
    with pytest.raises(Outside):
        outside(poison())


LOSING: dict[str, Callable[[Any], object]] = {
    "asarray": np.asarray,
    "array": np.array,
    "ascontiguousarray": np.ascontiguousarray,
    "a list of arrays": lambda x: np.array([x, x]),
    "as_strided": lambda x: np.lib.stride_tricks.as_strided(x, (2,), (8,)),
}


@pytest.mark.parametrize("lose", LOSING.values(), ids=LOSING)
def test_a_lost_class_is_seen(lose: Callable[[Any], object]) -> None:
    with pytest.raises(AssertionError, match="the class was lost"):
        require_poison(y=lose(poison()))


INSIDE: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: -(x * 2 + 1 - x / 3) @ (x**2).T,
    "power of a number": lambda x: 0.5**x,
    "elementary": lambda x: (
        np.exp(np.tanh(x)) + np.sqrt(np.square(x)) + np.log(np.abs(x)) + np.arctan(x) + elementary.erf(x)
    ),
    "elementary near 0": lambda x: np.expm1(x) + np.log1p(np.abs(x)),
    "overlaid": lambda x: elementary.overlaid([x, 2 * x], [(slice(0, 2),), (slice(1, 3),)], (3, 3)),
    "waves": lambda x: np.sin(x) * np.cos(x),
    "mask": lambda x: np.where(x > 0, x, np.zeros_like(x)) + (x < 0) * x,
    "maximum": lambda x: np.maximum(x, 0) - x.max(axis=-1, keepdims=True),
    "sums": lambda x: x.sum(axis=0) + x.mean(axis=0) + x.sum(),
    "scatter": lambda x: (y := x.copy(), np.add.at(y, np.array([0, 0]), x), y)[2],
    "in place": lambda x: (y := x.copy(), y.__iadd__(x), y.__setitem__((slice(None), 0), x[:, 1]), y)[3],
    "structure": lambda x: np.concatenate([x.T.reshape(2, 3), x.transpose(1, 0).swapaxes(0, 1)])[..., None],
    "stack": lambda x: np.stack([x, np.broadcast_to(x[0], (2, 3))]),
    "gather": lambda x: np.take_along_axis(x, np.argmax(x, axis=1)[:, None], axis=1) + x.copy()[np.array([0, 1]), :1],
    "put": lambda x: (y := np.empty_like(x), np.put_along_axis(y, np.array([[0, 1, 2]] * 2), x, axis=1), y)[2],
    "window": lambda x: sliding_window_view(np.pad(x, 1), (2, 2)),
    "like": lambda x: np.full_like(x, 2) * np.ones_like(x) + np.zeros_like(x, shape=()),
}


@pytest.mark.parametrize("inside", INSIDE.values(), ids=INSIDE)
def test_poison_takes(inside: Callable[[Any], Any]) -> None:
    found, expected = inside(poison()), inside(unwrapped(poison()))
    require_poison(found=found)
    np.testing.assert_array_equal(unwrapped(found), expected)


@dataclass(frozen=True)
class Wrong(Layer):
    """A layer that computes tanh as it should not."""

    kind: ClassVar[str] = "wrong"

    how: str

    def forward(self, x: Array, params: Any) -> tuple[Array, Array]:
        tanh = {
            "asarray": lambda: np.tanh(np.asarray(x)),
            "into a plain array": lambda: np.tanh(self.filled(x)),
            "element by element": lambda: np.array([[math.tanh(value) for value in row] for row in x]),
            "after clipping": lambda: np.tanh(np.clip(x, -9, 9)),
        }
        y = tanh[self.how]()
        return y, y

    def filled(self, x: Array) -> Array:
        plain = np.zeros(x.shape)
        plain[:] = x
        return plain

    def backward(self, dy: Array, y: Array, params: Any) -> tuple[Array, dict[str, Array]]:
        return dy * (1 - y * y), {}


@pytest.mark.parametrize("how", ["asarray", "into a plain array", "element by element", "after clipping"])
def test_a_layer_that_leaves_the_subset_is_caught(how: str) -> None:
    with pytest.raises((Outside, AssertionError)):
        require_runs_on_poison(Wrong(how), ((N, O),))
