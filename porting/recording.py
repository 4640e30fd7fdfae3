"""A model of somebody's own, run a few times: what it makes, and how far rounding alone moves that."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..adapters import NotInstalled
from ..adapters.modules import DTYPES, Ran, Recorder, Start, named
from ..cases.tables import shown
from ..reference import Trace
from ..reference.dtypes import held, limits
from ..reference.errors import CaseError, listed
from ..reference.layers import Array
from ..reference.trace import Model
from ..traces import load_trace
from .maps import Map, arrays_of

DRAWS = 3
"""In how many directions the numbers that a model starts from are moved."""
STRIDE = 2.0**-26
"""By how much of themselves, in float64: the root of its unit of rounding, so that its square is no more than that."""
STATISTICS = ("mean", "running_mean", "running_var", "var")
"""Buffers that are drawn too, by the end of their names."""


def record_module(
    module: Any,
    inputs: Any,
    *,
    loss: Callable[..., Any],
    targets: Any = None,
    optimizer: Any = None,
    parameters: Any = None,
    dtype: str = "float64",
    steps: int = 1,
    probe: int | None = None,
    weights: Trace | str | os.PathLike[str] | None = None,
    map: Map | str | os.PathLike[str] | None = None,
) -> Trace:
    """Record a model; see ``crosscheck.record_module``."""
    if dtype not in DTYPES:
        raise CaseError(f"one of {listed(DTYPES)}", shown(dtype), key="dtype")
    if not isinstance(steps, int) or steps < 1:
        raise CaseError("a whole number of at least 1", shown(steps), key="steps")
    if probe is not None and weights is not None:
        raise CaseError("a probe, or the weights of a trace", "both", key="probe")
    if map is not None and weights is None:
        raise CaseError("the weights of a trace, which the map is for", "none", key="weights")
    recorder = recorder_of(module, parameters, loss, optimizer)
    start = start_of(recorder, inputs, targets)
    if probe is not None:
        start = probed(start, probe)
    if weights is not None:
        start = with_weights(start, weights, map)
    start = rounded(start, dtype)
    ran = recorder.run(start, dtype, steps, first=True)
    rounding = measured(recorder, start, ran, dtype, steps)
    model = Model(recorder.name, dtype, steps, ran.precision, dict(recorder.kinds), rounding, ran.unseen)
    return trace_of(recorder, start, ran, model)


def start_of(recorder: Recorder, inputs: Any, targets: Any) -> Start:
    """What a model as it is found, and what it is given, come to."""
    given = (
        {name: as_array(value, name) for name, value in named(some, what).items()}
        for some, what in ((inputs, "input"), (targets, "target"))
    )
    return Start(recorder.parameters, recorder.statistics, *given)


def trace_of(recorder: Recorder, start: Start, ran: Ran, model: Model) -> Trace:
    """What was run, as a trace."""
    environment = {**recorder.environment(), "precision": ran.precision}
    given = {name: np.array(array) for name, array in start.given.items()}
    return Trace(recorder.source, model=model, environment=environment, tensors=ran.tensors, given=given)


def recorder_of(module: Any, parameters: Any, loss: Callable[..., Any], optimizer: Any) -> Recorder:
    """The model in its framework, which has been imported, or there would be no model of it.

    Raises:
        CaseError: it is none of what can be recorded.
        NotInstalled: a framework is not here.
    """
    if parameters is None and "torch" in sys.modules:
        from ..adapters.torch.modules import TorchModule

        if TorchModule.takes(module):
            return TorchModule(module, loss, optimizer)
    try:
        if parameters is None and "flax" in sys.modules:
            from ..adapters.jax.nnx import NnxModule

            if NnxModule.takes(module):
                return NnxModule(module, loss, optimizer)
        if callable(module) and parameters is not None:
            from ..adapters.jax.modules import JaxFunction

            return JaxFunction(module, parameters, loss, optimizer)
    except ImportError as error:
        raise NotInstalled(f"{error}: pip install 'crosscheck[flax]'") from error
    expected = "a torch.nn.Module, a flax nnx Module, or a function of JAX with its parameters"
    raise CaseError(
        expected, f"{type(module).__name__}{'' if parameters is None else ' with parameters'}", key="module"
    )


def as_array(value: Any, name: str) -> Array:
    """An array of NumPy's, of numbers or truth values, of whatever array a framework has."""
    detached = value.detach().cpu() if hasattr(value, "detach") else value
    array: Array = held(np.asarray(detached))
    if array.dtype.kind not in "fiub":
        raise CaseError(
            "arrays of numbers (several in a list or a table)", f"{array.dtype} of {type(value).__name__}", key=name
        )
    return array


def rounded(start: Start, dtype: str) -> Start:
    """The start with its numbers in the dtype: everyone's exact inputs."""

    def cast(given: Mapping[str, Array]) -> dict[str, Array]:
        return {name: array.astype(dtype) if array.dtype.kind == "f" else array for name, array in given.items()}

    return Start(cast(start.parameters), cast(start.statistics), cast(start.inputs), cast(start.targets))


# ------------------------------------------------------------------------------------------------------------ weights


def probed(start: Start, seed: int) -> Start:
    """The start with every parameter drawn anew, about as large as it was, each element another.

    So no layout can be taken for another: not a square matrix for its transpose, nor one gate's bias for the next's.
    """
    if not isinstance(seed, int) or seed < 0:
        raise CaseError("a whole number of at least 0", shown(seed), key="probe")
    random = np.random.Generator(np.random.PCG64(seed))

    def drawn(array: Array) -> Array:
        numbers = random.normal(size=array.shape)
        spread = float(array.std()) or 0.1 * (abs(float(array.mean())) or 1.0)
        return (float(array.mean()) + spread * numbers).astype(np.float32).astype(array.dtype)

    def near(array: Array) -> Array:
        moved: Array = array + (np.abs(array) + (array == 0)) * 0.1 * random.uniform(-1, 1, array.shape)
        return moved.astype(np.float32).astype(array.dtype)

    parameters = {n: drawn(a) if a.size and a.dtype.kind == "f" else a for n, a in start.parameters.items()}
    statistics = {
        n: near(a) if n.rpartition(".")[2] in STATISTICS and a.dtype.kind == "f" else a
        for n, a in start.statistics.items()
    }
    return Start(parameters, statistics, start.inputs, start.targets)


def with_weights(
    start: Start, weights: Trace | str | os.PathLike[str], map: Map | str | os.PathLike[str] | None
) -> Start:
    """The start with the parameters and buffers that a trace has, through a map; what that does not mention stays.

    Raises:
        CaseError: a name that is not there, a shape that does not fit.
    """
    trace = weights if isinstance(weights, Trace) else load_trace(weights)
    if trace.model is None:
        raise CaseError("a trace that record_module made", "one of a case", key="weights")
    theirs = arrays_of(trace)["parameters"]
    own = {**start.parameters, **start.statistics}
    if map is None:
        found, file = {name: array for name, array in theirs.items() if name in own}, ""
        if not found:
            raise CaseError("weights of the same names, or a map", "none of them and no map", key="weights")
    else:
        loaded = map if isinstance(map, Map) else Map.load(map)
        found, file = loaded.laid_out(theirs), loaded.file
    for name, array in found.items():
        if name not in own:
            raise CaseError(f"one of {listed(own)}", repr(name), key="b", file=file)
        if array.shape != own[name].shape:
            raise CaseError(f"{name!r} of shape {own[name].shape}", f"shape {array.shape}", key=name, file=file)
    parameters, statistics = (
        {name: np.array(found.get(name, array), order="C") for name, array in some.items()}
        for some in (start.parameters, start.statistics)
    )
    return Start(parameters, statistics, start.inputs, start.targets)


# ----------------------------------------------------------------------------------------------------------- rounding


def measured(recorder: Recorder, start: Start, ran: Ran, dtype: str, steps: int) -> dict[str, float]:
    """How far rounding moved any element of each tensor.

    In float32: how far it is from a run of the same in float64, and so again from numbers that are moved by one unit
    of their rounding.

    In float64 there is nothing to compare with. But of three runs on a line, from numbers that are moved by a little
    this way, not at all, and as much that way, the middle one is half way between the others but for what bends:
    the curvature, which takes the square of that little, and rounding. That needs no idea of what the model does, and
    where it computes a part in float32, as some do whatever they are given, it shows just behind it.

    Of all of these the largest counts, and at least one rounding of the largest element. What is not finite has no
    bound.
    """
    random = np.random.Generator(np.random.PCG64(0))
    unit = limits(dtype)[0]
    found = {name: floor_of(array, unit) for name, array in ran.tensors.items()}

    def see(one: Ran, other: Ran, third: Ran | None = None) -> None:
        for name in found:
            arrays = (run.tensors[name] for run in (one, other, third) if run)
            found[name] = max(found[name], apart(*arrays))

    if dtype == "float64":
        for _ in range(DRAWS):
            signs = start.changed(lambda array: random.choice((-1.0, 1.0), array.shape))
            behind = start.changed(lambda array, sign: array * (1 - STRIDE * sign), signs)
            before = start.changed(lambda array, sign: array * (1 + STRIDE * sign), signs)
            see(recorder.run(behind, dtype, steps), recorder.run(before, dtype, steps), ran)
    else:
        see(ran, recorder.run(start, "float64", steps))
        for _ in range(DRAWS):
            signs = start.changed(lambda array: random.choice((-1.0, 1.0), array.shape))
            moved_one = start.changed(lambda array, sign: (array * (1 + 2 * unit * sign)).astype(dtype), signs)
            see(recorder.run(moved_one, dtype, steps), recorder.run(moved_one, "float64", steps))
    return {name: off for name, off in found.items() if np.isfinite(off)}


def floor_of(array: Array, unit: float) -> float:
    """One rounding of the largest element of a tensor; of what does not round, nothing."""
    return unit * float(np.max(np.abs(array[np.isfinite(array)]), initial=0)) if array.dtype.kind == "f" else 0.0


def apart(one: Array, other: Array, middle: Array | None = None) -> float:
    """The largest difference of two arrays, or of their mean from a third.

    It is infinite unless they are finite in the same places, and the same elsewhere.
    """
    with np.errstate(all="ignore"):
        wide, right = one.astype(np.float64), other.astype(np.float64)
        same = (wide == right) | (np.isnan(wide) & np.isnan(right))
        if middle is None:
            distance = np.where(same, 0, np.abs(wide - right))
        else:
            same &= (middle == wide) | (np.isnan(wide) & np.isnan(middle))
            distance = np.where(same, 0, np.abs((wide - middle) + (right - middle)) / 2)
    largest = float(np.max(distance, initial=0))
    return largest if np.isfinite(largest) else float("inf")
