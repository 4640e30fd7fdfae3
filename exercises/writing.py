"""From a case to the folder of an exercise: a step with blanks, two cases, and how it is judged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from ..cases import built_in, load_case, save_case
from ..cases.drawing import draw_batch
from ..cases.files import write_text
from ..comparison.running import run
from ..reference import Batch, Case, CaseError
from .kinds import DIVISORS, FUSED, LAYERS, LOSSES, OPTIMIZERS, Group, Line, filled, groups, names, variable
from .sheet import Phase

ROWS = 3
STEPS = 2
SEED = 5
POINTS = {
    "predict": 10,
    "forward": 5,
    "last": 5,
    "middle": 20,
    "first": 20,
    "update": 10,
    "more": 10,
    "detective": 10,
    "fused": 10,
}


def write_exercise(case: Case, folder: Path) -> Path:
    """Write the exercise of a case into a folder, which must not hold one already.

    Raises:
        CaseError: a case that no exercise can be made of; a folder in which there are files.
        OSError: the folder cannot be made or written to.
    """
    pages = files_of(case)
    if folder.exists() and any(folder.iterdir()):
        raise CaseError("an empty folder, or none", "files in it", file=str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    save_case(single(case), folder / "case.toml")
    save_case(several(case), folder / "case-batch.toml")
    for name, text in pages.items():
        write_text(folder / name, text)
    return folder


def files_of(case: Case) -> dict[str, str]:
    """The files of an exercise but for its cases, by name."""
    one, more = single(case), several(case)
    parts = groups(more)
    shapes = {variable("input"): one.batch(0).inputs.shape, **one.parameters}
    middle = [part.name for part in parts[1:-1]]
    return {
        "README.md": rendered(
            "README.md",
            title=case.name,
            about=case.about.rstrip("."),
            shapes=shapes.items(),
            rows=len(more.batch(0).inputs),
            steps=more.steps,
            first=parts[0].name,
            middle=" and ".join(middle),
            fuse=fuses(more),
        ),
        "step.py": step_of(case, solved=False),
        "detective.py": step_of(case, solved=True, slip=slipping(parts)),
        **({"fused.py": step_of(case, solved=False, fused=True)} if fuses(more) else {}),
        "check.toml": rendered("check.toml", name=case.name, phases=phases(more, parts)),
    }


def single(case: Case) -> Case:
    """The case with its first row alone, for one step."""
    if case.steps == 1 and len(case.batch(0).inputs) == 1:
        return case
    batch = case.batch(0)
    first = Batch(batch.inputs[:1], np.asarray(batch.targets)[:1])
    return replace(case.with_steps(1), batches=(first,))


def several(case: Case) -> Case:
    """The case where it has several rows and steps, or its companion, ``article-batch`` of ``article``."""
    if case.steps > 1 and len(case.batch(0).inputs) > 1:
        return case
    if f"{case.name}-batch" in built_in():
        return load_case(f"{case.name}-batch", dtype=case.dtype)
    inputs = (ROWS, *case.batch(0).inputs.shape[1:])
    batches = tuple(draw_batch(case.nodes, case.loss, inputs, SEED + step) for step in range(STEPS))
    rate = case.learning_rates[0]
    optimizer = replace(case.optimizer, learning_rate=(rate, rate / 4))
    about = f"{case.about.rstrip('.')}; {ROWS} rows, {STEPS} steps"
    return replace(case, name=f"{case.name}-batch", about=about, batches=batches, steps=STEPS, optimizer=optimizer)


def fuses(case: Case) -> bool:
    """Whether a case ends in a softmax and a cross-entropy, whose gradients are simpler together than each alone."""
    return (case.nodes[-1].layer.kind, case.loss.kind) == ("softmax", "cross_entropy")  # type: ignore[union-attr]


def step_of(case: Case, *, solved: bool, slip: str = "", fused: bool = False) -> str:
    """The training step in plain NumPy, with blanks unless ``solved``; a ``slip`` is a weight whose line is wrong.

    Where softmax and loss are ``fused``, the one line for both is the only blank.

    Raises:
        CaseError: a case that no exercise can be made of.
    """
    more = several(case)
    parts = groups(more)
    last = more.nodes[-1].name
    divided = {"x": variable(last), "dx": f"d{variable(last)}", **DIVISORS[more.loss.reduction]}  # type: ignore[union-attr]
    loss = LOSSES[more.loss.kind]  # type: ignore[union-attr]
    optimizer = OPTIMIZERS[more.optimizer.kind]
    numbers = {name: getattr(more.optimizer, name) for name in optimizer.follows if name != "learning_rate"}
    kept = {"t": "step", "m": "first_moment", "v": "second_moment"} if optimizer.forward else {}
    remembered = ", ".join(f'f"{{name}}.{slot}": {name}' for name, slot in kept.items())
    backward: list[dict[str, Any]] = [
        {
            "heading": f"{part.name}{': given' if given else ''}",
            "given": given,
            "told": part is not parts[0],
            "lines": [
                *([filled(line, divided) for line in loss.backward] if given and not fused else []),
                *(slipped(line, slip) for line in lines_of(part)),
            ],
        }
        for part in reversed(parts)
        for given in [part is parts[-1]]
    ]
    if fused:
        both = filled(FUSED, {**names(more.nodes[-1]), **divided, "dx": names(more.nodes[-1])["dx"]})
        backward[0]["lines"][0] = both if solved else both._replace(code="...")
    return rendered(
        "step.py",
        title=case.name,
        about=case.about.rstrip(".") + ".",
        solved=solved or fused,
        predictions=[(json.dumps(question), repr(answer)) for question, answer in predictions(single(case)).items()],
        forward=[filled(line, names(node)) for node in more.nodes for line in LAYERS[node.layer.kind].forward],
        loss=[filled(line, divided) for line in loss.forward],
        backward=backward,
        trained=json.dumps(more.trained),
        optimizer={
            "given": optimizer.forward,
            "lines": [filled(line, numbers) for line in optimizer.backward],
            "remembered": f"{{{remembered}}}" if kept else "",
        },
        outputs=[(node.name, variable(node.name)) for node in more.nodes],
        deltas=[
            (name, "..." if fused and name == last else f"d{variable(name)}")
            for name in (*(node.name for node in reversed(more.nodes)), "input")
        ],
    )


def lines_of(part: Group) -> list[Line]:
    """The backward of a group, from its last node to its first."""
    return [filled(line, names(node)) for node in reversed(part.nodes) for line in LAYERS[node.layer.kind].backward]


def slipping(parts: Sequence[Group]) -> str:
    """The bias whose line is wrong in the faulty step: one in the middle, if there is a middle."""
    return parts[-2 if len(parts) > 2 else -1].nodes[0].parameters["bias"]


def slipped(line: Line, slip: str) -> Line:
    """The line, averaging where it should add up if it is the one that is wrong."""
    wrong = slip and line.target == f'gradients["{slip}"]'
    return Line(line.target, line.code.replace(".sum(", ".mean(") if wrong else line.code, line.task)


def predictions(case: Case) -> dict[str, Any]:
    """What is asked before anything is written, and the answers."""
    asked: dict[str, Any] = {f"the shape of the gradient of {name}": shape for name, shape in case.parameters.items()}
    bias = list(case.parameters)[-1]
    sign = int(np.sign(run(case)[f"0/gradient/{bias}"][0]))
    return {**asked, f"the sign of the first number in the gradient of {bias}, -1, 0 or 1": sign}


def phases(more: Case, parts: Sequence[Group]) -> list[Phase]:
    """What is judged, one thing learned after the other."""

    def made(part: Group) -> list[str]:
        tensors = [f"0/backward/{node.takes[0]}" for node in reversed(part.nodes)]
        tensors += [f"0/backward/{more.nodes[-1].name}"] if part is parts[-1] else []
        return tensors + [f"0/gradient/{name}" for node in part.nodes for name in node.parameters.values()]

    def of(part: Group, name: str, points: str) -> Phase:
        return Phase(name=name, points=POINTS[points], tensors=made(part))

    def rows(name: str, points: float, *tensors: str, **others: Any) -> Phase:
        return Phase(name=name, points=points, case="case-batch.toml", tensors=list(tensors), **others)

    updates = ["0/state/*", "0/update/*"]
    both = [f"[0-9]/backward/{more.nodes[-1].takes[0]}", "[0-9]/update/*"]
    more_points = POINTS["more"] / 2 if fuses(more) else POINTS["more"]  # a hundred in all
    written = [tensor for part in parts[-2::-1] for tensor in made(part)]

    return [
        Phase(name="predict shapes and a sign", points=POINTS["predict"], predict=True),
        Phase(name="forward", points=POINTS["forward"], tensors=["0/forward/*"]),
        of(parts[-1], f"the last layer, {parts[-1].name}", "last"),
        *(of(part, f"layer {part.name}", "middle") for part in parts[-2:0:-1]),
        of(parts[0], f"the first layer, {parts[0].name}", "first"),
        Phase(name="update", points=POINTS["update"], tensors=updates),
        rows("several rows", more_points, *written, *updates),
        rows("the next step", more_points, "[1-9]/*"),
        rows("detective", POINTS["detective"], "*", file="detective.py", whole=True),
        *(
            [rows("softmax and loss in one line", POINTS["fused"], *both, file="fused.py", whole=True)]
            if fuses(more)
            else []
        ),
    ]


@cache
def environment() -> Environment:
    """The templates. What they make is text and code, so that nothing is escaped."""
    return Environment(
        loader=PackageLoader("crosscheck.exercises"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def rendered(name: str, /, **context: Any) -> str:
    """One file of an exercise."""
    return environment().get_template(f"{name}.jinja").render(**context)
