"""Learning rates by a rule, against torch's schedulers and optax's functions, step by step and in whole runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.adapters import load_adapter
from crosscheck.reference.optimizers.schedules import Rate, Rounded, Schedule

STEPS = 9

SCHEDULES: dict[str, Schedule] = {
    "constant": cc.Constant(0.3),
    "step": cc.StepDecay(0.3, factor=0.5, every=2),
    "step-every": cc.StepDecay(0.3),
    "exponential": cc.Exponential(0.3, factor=0.75),
    "exponential-rising": cc.Exponential(0.01, factor=1.25),
    "linear": cc.Linear(0.3, steps=5),
    "linear-end": cc.Linear(0.3, steps=20, end=0.1),
    "linear-rising": cc.Linear(0.1, steps=5, end=0.3),
    "cosine": cc.Cosine(0.3, steps=8),
    "cosine-end": cc.Cosine(0.3, steps=11, end=0.1),
    "cosine-stays": cc.Cosine(0.3, steps=3, end=0.1),
    "cosine-rises": cc.Cosine(0.3, steps=3, end=0.1, after="rises"),
    "warmup-constant": cc.Warmup(steps=3, start=0.1, then=cc.Constant(0.3)),
    "warmup-cosine": cc.Warmup(steps=3, start=0.1, then=cc.Cosine(0.3, steps=5)),
    "warmup-linear": cc.Warmup(steps=1, start=0.1, then=cc.Linear(0.3, steps=5)),
    "warmup-step": cc.Warmup(steps=2, start=0.1, then=cc.StepDecay(0.3, factor=0.5, every=3)),
    "warmup-exponential": cc.Warmup(steps=2, start=0.1, then=cc.Exponential(0.3)),
    "warmup-from-0": cc.Warmup(steps=3, then=cc.Cosine(0.3, steps=5)),
    "warmup-twice": cc.Warmup(steps=2, start=0.1, then=cc.Warmup(steps=2, start=0.2, then=cc.Constant(0.3))),
    "warmup-stays": cc.Warmup(steps=2, start=0.1, then=cc.Cosine(0.3, steps=3)),
    "warmup-rises": cc.Warmup(steps=2, start=0.1, then=cc.Cosine(0.3, steps=3, after="rises")),
}

RISES = "torch's CosineAnnealingLR rises again after its end"
STAYS = "optax.cosine_decay_schedule stays at its end"
REFUSED_BY = {
    "torch": {
        "linear-rising": "torch's LinearLR cannot rise above its base rate",
        "cosine-stays": RISES,
        "warmup-stays": RISES,
        "warmup-from-0": "torch's LinearLR starts above 0 and not above its base rate",
        "warmup-twice": "torch's SequentialLR cannot be warmed up by another",
    },
    "jax": {"cosine-rises": STAYS, "warmup-rises": STAYS},
}

every_schedule = pytest.mark.parametrize("name", SCHEDULES)


def scheduled(schedule: Schedule, dtype: str = "float64", steps: int = STEPS) -> cc.Case:
    """A line of one weight, which starts at 0, so that its first update is the rate but for a factor."""
    return cc.Case(
        name="line",
        nodes=(cc.Node("y", cc.Dense(1, 1)),),
        loss=cc.MeanSquaredError("half_sum"),
        optimizer=cc.SGD(schedule),
        weights={"y.weight": [[0.0]], "y.bias": [0.0]},
        batches=(cc.Batch([[1.0]], [[1.0]]),),
        steps=steps,
        dtype=dtype,
        frozen=("y.bias",),
    )


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("framework", REFUSED_BY)
@every_schedule
def test_a_run_with_a_schedule_agrees(framework: str, name: str, dtype: str) -> None:
    pytest.importorskip(framework)
    if framework == "jax":
        pytest.importorskip("optax")
    case = scheduled(SCHEDULES[name], dtype)
    reason = REFUSED_BY[framework].get(name, "")
    assert load_adapter(framework).unsupported(case) == reason
    if not reason:
        (subject,) = cc.check(case, against=[framework]).subjects.values()
        assert subject.verdict == "agree", subject.first_divergence


@every_schedule
def test_the_rates_are_optaxs(name: str) -> None:
    pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import schedule_rates

    if name not in REFUSED_BY["jax"]:
        schedule = SCHEDULES[name]
        np.testing.assert_allclose(schedule_rates(schedule, STEPS), schedule.rates(STEPS), rtol=0, atol=1e-15)


@every_schedule
def test_the_rates_are_torchs(name: str) -> None:
    torch: Any = pytest.importorskip("torch")
    from crosscheck.adapters.torch.parts import build_schedule

    if name in REFUSED_BY["torch"]:
        return
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    scheduler, rates = build_schedule(optimizer, SCHEDULES[name]), []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, SCHEDULES[name].rates(STEPS), rtol=0, atol=1e-15)


@every_schedule
def test_a_schedule_survives_saving(name: str, tmp_path: Path) -> None:
    case = scheduled(SCHEDULES[name])
    cc.save_case(case, tmp_path / "line.toml")
    again = cc.load_case(tmp_path / "line.toml")
    assert again.optimizer == case.optimizer
    assert again.learning_rates == SCHEDULES[name].rates(STEPS)


def test_another_schedule_does_not_agree() -> None:
    """The half wave and the line meet at both ends and in the middle."""
    (case, other) = (scheduled(SCHEDULES[name], steps=3) for name in ("cosine", "linear-end"))
    agreement = cc.compare(cc.record(case), cc.record(other))
    (subject,) = agreement.subjects.values()
    assert subject.first_divergence == "1/update/y.weight"


def test_more_steps_of_the_same_schedule() -> None:
    case = scheduled(SCHEDULES["exponential"], steps=2)
    assert case.with_steps(3).learning_rates == SCHEDULES["exponential"].rates(3)


def test_a_rate_near_the_end_is_known_no_better_than_the_first() -> None:
    *_, last = Rounded(SCHEDULES["linear"]).rates(5)
    assert isinstance(last, Rate)
    assert last == SCHEDULES["linear"].rates(5)[-1]
    assert last.error == 6 * 2**-53 * 0.3


WRONG = {
    '{schedule = "cosin", start = 1.0, steps = 3}': (
        "optimizer.learning_rate.schedule: expected a kind of schedule: 'constant', 'cosine', 'exponential', 'linear', "
        "'step', 'warmup'; received 'cosin' (did you mean 'cosine'?)"
    ),
    "{start = 1.0}": (
        "optimizer.learning_rate.schedule: expected a kind of schedule: 'constant', 'cosine', 'exponential', 'linear', "
        "'step', 'warmup'; received nothing"
    ),
    '{schedule = "cosine", start = 1.0}': ("optimizer.learning_rate.steps: expected a whole number; received nothing"),
    '{schedule = "cosine", start = -1.0, steps = 3}': (
        "optimizer.learning_rate.start: expected a number of at least 0; received -1.0"
    ),
    '{schedule = "cosine", start = 1.0, steps = 0}': (
        "optimizer.learning_rate.steps: expected a whole number of at least 1; received 0"
    ),
    '{schedule = "step", start = 1.0, factor = 0.0}': (
        "optimizer.learning_rate.factor: expected a number above 0; received 0.0"
    ),
    '{schedule = "warmup", steps = 2, then = {schedule = "step", start = 1.0, every = 0}}': (
        "optimizer.learning_rate.then.every: expected a whole number of at least 1; received 0"
    ),
    '{schedule = "warmup", steps = 2, then = 3.0}': (
        "optimizer.learning_rate.then: expected a schedule, a table such as {schedule = 'constant', start = 0.5}; "
        "received 3.0"
    ),
}


@pytest.mark.parametrize(("written", "message"), WRONG.items(), ids=WRONG)
def test_a_schedule_that_is_none_is_refused(written: str, message: str, tmp_path: Path) -> None:
    cc.save_case(scheduled(cc.Constant(0.5)), tmp_path / "line.toml")
    text = (tmp_path / "line.toml").read_text(encoding="utf-8")
    table = '[optimizer.learning_rate]\nschedule = "constant"\nstart = 0.5\n'
    assert table in text
    text = text.replace(table, "").replace('kind = "sgd"\n', f'kind = "sgd"\nlearning_rate = {written}\n')
    (tmp_path / "line.toml").write_text(text, encoding="utf-8")
    with pytest.raises(cc.CaseError) as caught:
        cc.load_case(tmp_path / "line.toml")
    assert str(caught.value).endswith(f"line.toml: {message}")


BOUNDS: dict[str, tuple[str, float, tuple[float, ...]]] = {
    "start": ("a number of at least 0", 0.0, (-5e-324, float("inf"), float("nan"))),
    "end": ("a number of at least 0", 0.0, (-5e-324, float("inf"), float("nan"))),
    "factor": ("a number above 0", 5e-324, (0.0, -0.5, float("inf"), float("nan"))),
    "steps": ("a whole number of at least 1", 1, (0, -1)),
    "every": ("a whole number of at least 1", 1, (0, -1)),
}
"""Of each field, what it must be, the least that it may be, and what it may not."""
ONE_OF_EACH = {schedule.kind: schedule for schedule in SCHEDULES.values()}


@pytest.mark.parametrize(
    ("kind", "field"), [(kind, field) for kind, one in ONE_OF_EACH.items() for field in vars(one) if field in BOUNDS]
)
def test_a_field_of_a_schedule_is_within_its_bounds(kind: str, field: str) -> None:
    expected, least, wrong = BOUNDS[field]
    assert getattr(replace(ONE_OF_EACH[kind], **{field: least}), field) == least  # type: ignore[arg-type]
    for received in wrong:
        with pytest.raises(cc.CaseError) as caught:
            replace(ONE_OF_EACH[kind], **{field: received})  # type: ignore[arg-type]
        assert str(caught.value) == f"{field}: expected {expected}; received {received!r}"


def test_every_schedule_is_tried() -> None:
    assert {schedule.kind for schedule in SCHEDULES.values()} == set(cc.SCHEDULES)


def test_a_schedule_of_a_case_is_data() -> None:
    case = scheduled(SCHEDULES["cosine"])
    assert replace(case).optimizer == case.optimizer
    assert hash(case.optimizer) == hash(cc.SGD(SCHEDULES["cosine"]))
