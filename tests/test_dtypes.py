"""Everything computes in the dtype of the case and in no other: no silent promotion, no warning."""

from collections.abc import Iterable
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference import DTYPES, Layer, Loss, Optimizer, train
from crosscheck.reference.dtypes import flushes_subnormals, largest, limits, spacing
from numpy.typing import NDArray
from samples import ALONE, LAYERS, LOSSES, I, N, O

Array = NDArray[Any]

# Binary fractions, but for those options whose defaults are none. float16 has no 1e-8 and rounds it to 0.
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": cc.SGD(0.125),
    "sgd-momentum": cc.SGD((0.125, 0.0625, 0.1), momentum=0.9, dampening=0.3, weight_decay=0.1),
    "sgd-nesterov": cc.SGD(0.125, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": cc.Adam((0.125, 0.0625, 0.1), weight_decay=0.1),
    "adam-epsilon": cc.Adam(0.125, epsilon=1e-3),
    "adagrad": cc.Adagrad((0.125, 0.0625, 0.1), epsilon=1e-3, weight_decay=0.1),
    "adagrad-root": cc.Adagrad(0.125, epsilon=1e-3, initial_accumulator=0.1, epsilon_in="root"),
    "rmsprop": cc.RMSprop(0.125, epsilon=1e-3),
    "rmsprop-everything": cc.RMSprop(0.125, rho=0.9, momentum=0.9, epsilon=1e-3, centred=True, epsilon_in="root"),
    "rmsprop-velocity": cc.RMSprop(0.125, momentum=0.9, epsilon=1e-3, rate_in="velocity"),
    "adadelta": cc.Adadelta((0.125, 0.0625, 0.1), rho=0.75, epsilon=1e-3, weight_decay=0.1),
    "adamw": cc.AdamW((0.125, 0.0625, 0.1), epsilon=1e-3, weight_decay=0.1),
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
    "lamb": cc.Lamb((0.125, 0.0625, 0.1), beta2=0.9, epsilon=1e-3, weight_decay=0.1),
    "lion": cc.Lion((0.125, 0.0625, 0.1), weight_decay=0.1),
    "rprop": cc.Rprop(0.125),
    "rprop-late": cc.Rprop(0.125, largest=0.13, applies="last"),
    "adafactor": cc.Adafactor((0.125, 0.0625, 0.1), epsilon=1e-3, weight_decay=0.1),
    "adafactor-plain": cc.Adafactor(0.125, epsilon=1e-2, epsilon_in="squares", rate="plain"),
    "muon": cc.Muon((0.125, 0.0625, 0.1), epsilon=1e-3, weight_decay=0.1),
    "muon-tall": cc.Muon(0.125, nesterov=False, iterations=2, epsilon=1e-3, scale="match_rms"),
}

every_dtype = pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "bfloat16"])  # which NumPy has


def draw(generator: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Array:
    return generator.standard_normal(shape).astype(dtype)


def require_dtype(dtype: str, **arrays: Any) -> None:
    found = {name: str(array.dtype) for name, array in arrays.items() if array.dtype != np.dtype(dtype)}
    assert not found, f"not of {dtype}: {found}"


@every_dtype
@pytest.mark.parametrize(("layer", "shapes"), LAYERS.values(), ids=LAYERS)
def test_a_layer_stays_in_its_dtype(layer: Layer, shapes: tuple[tuple[int, ...], ...], dtype: str) -> None:
    generator = np.random.Generator(np.random.PCG64(6))
    params = {name: draw(generator, shape, dtype) for name, shape in layer.parameters().items()}
    params |= {name: np.full(shape, value, dtype) for name, (shape, value) in layer.statistics().items()}
    shaped = {name: layer.given_shape(name, *shapes) for name in layer.given}
    params |= {name: layer.draw_given(generator, name, shape).astype(dtype) for name, shape in shaped.items()}
    inputs = [layer.draw_input(generator, shape) for shape in shapes]
    inputs = inputs if layer.integer_inputs else [x.astype(dtype) for x in inputs]
    y, saved = layer.forward(*inputs, params)
    dx, dparams = layer.backward(draw(generator, y.shape, dtype), saved, params)
    dinputs = [] if layer.integer_inputs else dx if isinstance(dx, tuple) else [dx]
    require_dtype(dtype, y=y, **{f"dinput {place}": dinput for place, dinput in enumerate(dinputs)}, **dparams)
    require_dtype(dtype, **layer.updated_statistics(saved, params))


@every_dtype
@pytest.mark.parametrize("loss", {**LOSSES, **ALONE}.values(), ids=[*LOSSES, *ALONE])
def test_a_loss_stays_in_its_dtype(loss: Loss, dtype: str) -> None:
    generator = np.random.Generator(np.random.PCG64(7))
    predictions = [generator.dirichlet(np.ones(O), N).astype(dtype) for _ in range(loss.arity)]
    drawn = loss.draw_target(generator, *(prediction.shape for prediction in predictions))
    target = drawn.astype("int64" if loss.integer_targets else dtype)
    value, saved = loss.forward(*predictions, target)
    gradients = loss.backward(saved)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    require_dtype(dtype, loss=value, **{f"gradient {place}": gradient for place, gradient in enumerate(gradients)})


@every_dtype
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_an_optimizer_stays_in_its_dtype(optimizer: Optimizer, dtype: str) -> None:
    generator = np.random.Generator(np.random.PCG64(8))
    weight = draw(generator, (I, O), dtype)
    slots = optimizer.slots(weight)
    require_dtype(dtype, **slots)
    for rate in optimizer.learning_rates(3):
        weight, slots = optimizer.update(weight, draw(generator, (I, O), dtype), slots, rate)
        require_dtype(dtype, weight=weight, **slots)


def network(loss: Loss, optimizer: Optimizer, dtype: str) -> cc.Case:
    """Layers that take rows of numbers, in a network with a residual and a value used twice, over three steps."""
    nodes = (
        cc.Node("in", cc.Dense(I, O)),
        cc.Node("tanh", cc.Tanh()),
        cc.Node("sigmoid", cc.Sigmoid(), takes=("in",)),
        cc.Node("joined", cc.Add(), takes=("tanh", "sigmoid")),
        cc.Node("twice", cc.Add(), takes=("joined", "joined")),
        cc.Node("relu", cc.Relu()),
        cc.Node("out", cc.Dense(O, 4)),
        cc.Node("softmax", cc.Softmax()),
    )
    generator = np.random.Generator(np.random.PCG64(9))
    target = loss.draw_target(generator, (N, 4))
    shapes = {"in.weight": (I, O), "in.bias": (O,), "out.weight": (O, 4), "out.bias": (4,)}
    return cc.Case(
        name="every-layer",
        nodes=nodes,
        loss=loss,
        optimizer=optimizer,
        weights={name: 0.25 * generator.standard_normal(shape) for name, shape in shapes.items()},
        batches=(cc.Batch(generator.standard_normal((N, I)), target),),
        steps=3,
        dtype=dtype,
    )


@every_dtype
@pytest.mark.parametrize("optimizer", ["sgd-momentum", "adam-epsilon"])
@pytest.mark.parametrize(
    "loss", ["cross_entropy-mean", "softmax_cross_entropy-sum-indices", "mean_squared_error-half_sum"]
)
def test_a_whole_network_stays_in_its_dtype(loss: str, optimizer: str, dtype: str) -> None:
    case = network(LOSSES[loss], OPTIMIZERS[optimizer], dtype)
    trace = cc.Trace()
    train(case, trace.keep)  # and not run(case), which silences warnings
    integers = {"0/data/target", "1/data/target", "2/data/target"} if case.loss.integer_targets else set()
    require_dtype(dtype, **trace.tensors, **{n: array for n, array in trace.given.items() if n not in integers})
    assert all(trace[name].dtype == np.int64 for name in integers)
    assert all(np.isfinite(trace[name]).all() for name in trace)


@every_dtype
@pytest.mark.parametrize("name", ["attention", "convolutional"])
def test_a_case_with_the_other_layers_stays_in_its_dtype(name: str, dtype: str) -> None:
    trace = cc.Trace()
    train(cc.load_case(name, dtype=dtype), trace.keep)
    integers = {tensor for tensor, array in trace.given.items() if array.dtype == np.int64}
    indices = {f"{step}/data/{what}" for step in (0, 1) for what in ("input", "target")}
    assert integers == (indices if name == "attention" else set())
    require_dtype(dtype, **trace.tensors, **{n: array for n, array in trace.given.items() if n not in integers})


@every_dtype
def test_a_case_casts_its_numbers_once(dtype: str) -> None:
    case = network(cc.MeanSquaredError(), cc.SGD(0.1), dtype)
    batch = case.batch(0)
    require_dtype(dtype, inputs=batch.inputs, targets=batch.targets, **case.weights)
    again = network(cc.MeanSquaredError(), cc.SGD(0.1), "longdouble")
    np.testing.assert_array_equal(batch.inputs, again.batch(0).inputs.astype("float64").astype(dtype))
    for array in (batch.inputs, batch.targets, *case.weights.values()):
        assert not array.flags.writeable


def test_long_double_is_more_than_double_where_there_is_one() -> None:
    if np.finfo(np.longdouble).eps == np.finfo(np.float64).eps:
        pytest.skip("long double is double on this machine")
    y, _ = cc.Tanh().forward(np.ones(1, np.longdouble), {})
    assert y[0] != np.longdouble(float(y[0]))


def require_covered(what: str, kinds: Iterable[str], tried: Iterable[Any]) -> None:
    assert set(kinds) == {part.kind for part in tried}, f"a {what} is not tried in {__file__}"


def test_everything_is_tried() -> None:
    require_covered("layer", cc.LAYERS, (layer for layer, _ in LAYERS.values()))
    require_covered("loss", cc.LOSSES, [*LOSSES.values(), *ALONE.values()])
    require_covered("optimizer", cc.OPTIMIZERS, OPTIMIZERS.values())


def test_what_is_not_tried_is_complained_of() -> None:
    with pytest.raises(AssertionError, match="a loss is not tried"):
        require_covered("loss", [*cc.LOSSES, "invented"], LOSSES.values())


def test_a_promotion_is_caught() -> None:
    with pytest.raises(AssertionError, match="float64"):
        require_dtype("float32", y=np.ones(3, np.float32) * np.sqrt(2.0))


@pytest.mark.parametrize(
    ("dtype", "bits", "exponent"),
    [("float16", 11, -14), ("bfloat16", 8, -126), ("float32", 24, -126), ("float64", 53, -1022)],
)
def test_limits_follow_from_the_bits_and_the_exponents(dtype: str, bits: int, exponent: int) -> None:
    assert limits(dtype) == (2.0**-bits, 2.0 ** (exponent - bits + 1), 2.0**exponent)
    assert largest(dtype) == (2 - 2.0 ** (1 - bits)) * 2.0 ** (1 - exponent)
    assert spacing(np.array([1.0, 3.0]), dtype).tolist() == [2.0 ** (1 - bits), 2.0 ** (2 - bits)]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "longdouble"])
def test_limits_are_known_to_a_process_that_raises_what_numpy_ignores(dtype: str) -> None:
    with np.errstate(all="raise"):
        assert limits(dtype)[0] > 0
        assert largest(dtype) > 60000
        assert spacing(np.array([1e300, 1e-300]), dtype).shape == (2,)


def test_process_that_takes_subnormal_numbers_for_0_is_seen() -> None:
    torch = pytest.importorskip("torch")
    assert not flushes_subnormals()
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot")
    try:
        assert flushes_subnormals()
    finally:
        torch.set_flush_denormal(False)
