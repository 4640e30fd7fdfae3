"""A user's own layer as a subject, on a case that is that layer alone: one forward, one backward.

It may be written in any of these ways; ``x`` stands for as many inputs as the layer takes, and ``params`` for a mapping
from the name of each parameter, statistic or mask to its array.

- an object with ``forward(x, params)`` and ``backward(dy, saved, params)``, as the layers here have them;
- an object with ``forward(x)`` and ``backward(dy)``, whose parameters are attributes by the same names: they are set
  before the forward, and their gradients read from the attributes ``dweight``, ``dbias`` ... after the backward;
- anything between: ``forward`` is given ``params`` if it takes one argument more than there are inputs, and returns y
  or (y, saved); ``backward`` is given as many of dy, saved and params as it takes, and returns dx, or dx and a mapping
  from the name of each parameter to its gradient. Of several inputs dx is a tuple;
- a subclass of ``torch.autograd.Function``, or a ``jax.custom_vjp`` function, of inputs and parameters in order.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...reference import Case, Trace
from ...reference.errors import CaseError, listed
from ...reference.layers import Array
from .arrays import keep, kind_of, left_out
from .loading import blaming, file_of

FORMS = "an object with forward and backward, a subclass of torch.autograd.Function or a jax.custom_vjp function"


class Made(NamedTuple):
    """What a layer made: its output, the gradients of its inputs in order, those of its parameters by name."""

    y: Any
    dinputs: Sequence[Any]
    dparams: Mapping[str, Any]


class OwnLayer:
    """A user's layer, in one of the forms that are taken.

    Raises:
        CaseError: it has none of these forms.
    """

    kinds: ClassVar[None] = None

    def __init__(self, layer: Any) -> None:
        self.layer = layer
        self.framework = framework_of(layer)
        by_hand = all(callable(getattr(layer, part, None)) for part in ("forward", "backward"))
        if not self.framework and (isinstance(layer, type) or not by_hand):
            raise CaseError(FORMS, f"the class {layer.__name__}" if isinstance(layer, type) else kind_of(layer))

    @property
    def name(self) -> str:
        """The name of its class, or of the function."""
        return str(getattr(self.layer, "__name__", type(self.layer).__name__))

    def environment(self, device: str) -> dict[str, Any]:
        """Nothing is known of it."""
        return {"version": ""}

    def requires(self, tensor: str) -> bool:
        """All but the statistics, which not every way of writing a layer can hand back."""
        return "/state/" not in tensor

    def record(self, case: Case, device: str = "cpu") -> Trace:
        """Run the last layer of the case forward and backward; what stands around it is as the case has it."""
        *sources, node = case.nodes
        batch = case.batch(0)
        assert not isinstance(batch.targets, Mapping)
        values = {"input": batch.inputs, **{one.name: case.weights[one.parameters["value"]] for one in sources}}
        params = {local: case.weights[name] for local, name in node.parameters.items()}
        others = {local: case.weights[name] for local, name in node.statistics.items()}
        others |= {local: batch.given[name] for local, name in node.given.items()}
        trace = Trace(source=self.name, case=case, environment=self.environment(device))
        trace.keep(f"0/backward/{node.name}", batch.targets, "bfloat16" if case.dtype == "bfloat16" else "")
        with np.errstate(all="ignore"):
            made = self.run([values[name] for name in node.takes], params, others, batch.targets, case.dtype)
        try:
            self.write(made, case, trace)
        except CaseError as error:
            raise error.in_file(self.name) from None
        return trace

    def run(
        self, inputs: list[Array], params: Mapping[str, Array], others: Mapping[str, Array], dy: Array, dtype: str
    ) -> Made:
        """Everything that it makes of copies of its inputs."""
        inputs, dy = [np.array(x) for x in inputs], np.array(dy)
        params = {local: np.array(array) for local, array in params.items()}
        others = {local: np.array(array) for local, array in others.items()}
        if not self.framework:
            with blaming(file_of(type(self.layer).forward)):
                return by_hand(self.layer, inputs, {**params, **others}, tuple(params), dy)
        from importlib import import_module

        run = import_module(f"...{self.framework}.functions", __name__).differentiated
        with blaming(file_of(getattr(self.layer, "forward", self.layer))):
            y, gradients = run(self.layer, [*inputs, *params.values(), *others.values()], dy, dtype)
        return Made(y, gradients[: len(inputs)], dict(zip(params, gradients[len(inputs) :], strict=False)))

    def write(self, made: Made, case: Case, trace: Trace) -> None:
        """Put it all into the trace."""
        node = case.nodes[-1]
        named = {f"forward/{node.name}": made.y}
        if len(made.dinputs) != len(node.takes):
            raise CaseError(f"{len(node.takes)} gradients, one for each input", str(len(made.dinputs)), key="dx")
        if not node.layer.integer_inputs:
            named |= {f"backward/{name}": dx for name, dx in zip(node.takes, made.dinputs, strict=True)}
        for local, gradient in made.dparams.items():
            if local not in node.parameters:
                raise CaseError(f"one of its parameters: {listed(node.parameters)}", repr(local), key="gradients")
            named[f"gradient/{node.parameters[local]}"] = gradient
        for path, value in named.items():
            if not left_out(value):
                keep(trace, f"0/{path}", value, case.dtype, path.partition("/")[2])


def framework_of(layer: Any) -> str:
    """Whose function it is, if it is a framework's; nothing is imported to find out."""
    torch, jax = sys.modules.get("torch"), sys.modules.get("jax")
    if torch and isinstance(layer, type) and issubclass(layer, torch.autograd.Function):
        return "torch"
    return "jax" if jax and isinstance(layer, jax.custom_vjp | jax.custom_jvp) else ""


def by_hand(
    layer: Any, inputs: Sequence[Array], params: Mapping[str, Array], learned: Sequence[str], dy: Array
) -> Made:
    """The forward and the backward of an object."""
    with_params = arguments(layer.forward) > len(inputs)
    if not with_params:
        for name, value in params.items():
            setattr(layer, name, value)
    made = layer.forward(*inputs, *([params] if with_params else []))
    y, saved = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    back = layer.backward(*(dy, saved, params)[: min(arguments(layer.backward), 3)])
    dx, dparams = back if isinstance(back, tuple) and len(back) == 2 and isinstance(back[1], Mapping) else (back, {})
    if not with_params:
        attributes = {name: getattr(layer, f"d{name}", None) for name in learned}
        dparams = {**{name: gradient for name, gradient in attributes.items() if gradient is not None}, **dparams}
    return Made(y, dx if len(inputs) > 1 and isinstance(dx, tuple | list) else (dx,), dparams)


def arguments(function: Callable[..., Any]) -> int:
    """How many arguments a method must be given; one that takes any number takes all that there are."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return sys.maxsize
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(one.kind in positional and one.default is one.empty for one in parameters)
