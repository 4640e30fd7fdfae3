"""An agreement as JUnit XML: a suite for each subject, a test case for each tensor. CI systems show it."""

from __future__ import annotations

from xml.etree import ElementTree as Xml

from ..comparison.agreement import Agreement, SubjectAgreement, TensorAgreement, describe, explain
from ..comparison.verdicts import HARMLESS
from ..reference.errors import printable

OUTCOMES = {"crashed": "error", "timed out": "error", "unsupported": "skipped", "not compared": "skipped"}
"""What JUnit calls a verdict; every other that is not harmless is a failure."""


def to_junit(agreement: Agreement) -> str:
    """The agreement as a document."""
    suites = Xml.Element("testsuites", name="crosscheck")
    for name, subject in agreement.subjects.items():
        suites.append(suite(agreement, name, subject))
    count(suites)
    Xml.indent(suites)
    return Xml.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def suite(agreement: Agreement, name: str, subject: SubjectAgreement) -> Xml.Element:
    """One subject."""
    within = f"{agreement.case}.{agreement.dtype}.{name}"
    made = Xml.Element("testsuite", name=printable(within))
    settings = Xml.SubElement(made, "properties")
    for key, value in {"version": subject.version, **subject.environment}.items():
        Xml.SubElement(settings, "property", name=printable(key), value=printable(value))
    for tensor in subject.tensors:
        made.append(case_of(within, tensor))
    if not subject.tensors:
        alone = Xml.SubElement(made, "testcase", classname=printable(within), name="all tensors")
        outcome = OUTCOMES.get(subject.verdict, "failure")
        Xml.SubElement(alone, outcome, message=printable(describe(subject)))
    count(made)
    if subject.diagnosis:
        lines = (f"{one.operation}: {one.cause} ({one.kind}), {one.evidence}" for one in subject.diagnosis)
        Xml.SubElement(made, "system-out").text = "\n".join(map(printable, lines))
    return made


def case_of(within: str, tensor: TensorAgreement) -> Xml.Element:
    """One tensor."""
    made = Xml.Element("testcase", classname=printable(f"{within}.{tensor.phase}"), name=printable(tensor.name))
    if tensor.verdict not in HARMLESS:
        message = printable(explain(tensor))
        outcome = Xml.SubElement(made, OUTCOMES.get(tensor.verdict, "failure"), message=message)
        if tensor.operation:
            outcome.text = printable(f"{tensor.name}, made by {tensor.operation} ({tensor.kind}): {message}")
    return made


def count(made: Xml.Element) -> None:
    """Write how many test cases there are, and what became of them."""
    found = [child.tag for one in made.iter("testcase") for child in one]
    made.set("tests", str(sum(1 for _ in made.iter("testcase"))))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        made.set(attribute, str(found.count(tag)))
