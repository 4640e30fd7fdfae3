"""An agreement as JSON, schema 1. NaN and infinities, which JSON lacks, are the strings "nan", "inf" and "-inf"."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

from ..comparison.agreement import Agreement, SubjectAgreement, TensorAgreement

SCHEMA = 1


def to_json(agreement: Agreement) -> str:
    """The whole agreement as a JSON document."""
    return json.dumps(document(agreement), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document(agreement: Agreement) -> dict[str, Any]:
    """The whole agreement as what JSON can hold."""
    return {
        "schema": SCHEMA,
        "case": agreement.case,
        "about": agreement.about,
        "dtype": agreement.dtype,
        "steps": agreement.steps,
        "agrees": agreement.ok,
        "environment": plain(agreement.environment),
        "truth": plain(vars(agreement.truth)) if agreement.truth else None,
        "subjects": {name: subject_document(subject) for name, subject in agreement.subjects.items()},
    }


def subject_document(subject: SubjectAgreement) -> dict[str, Any]:
    return {
        "version": subject.version,
        "verdict": subject.verdict,
        "reason": subject.reason,
        "first_divergence": subject.first_divergence,
        "environment": plain(subject.environment),
        "diagnosis": [plain(vars(found)) for found in subject.diagnosis],
        "tensors": [tensor_document(tensor) for tensor in subject.tensors],
    }


def tensor_document(tensor: TensorAgreement) -> dict[str, Any]:
    return {field.name: plain(getattr(tensor, field.name)) for field in fields(tensor)}


def plain(value: Any) -> Any:
    """A value as what JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    return value
