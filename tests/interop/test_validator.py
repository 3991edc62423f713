"""The collector's own `validate` as the validator of configurations."""

import pytest

from distribution.domain.configuration import ConfigObject
from distribution.flows.configuration.check import check
from distribution.flows.configuration.validator import CommandValidator
from tests.interop import parts

PIPELINE = "service: {pipelines: {logs: {receivers: [nop], exporters: [nop, otlphttp]}}}\n"
GOOD = {
    "": "receivers: {nop: }\nexporters:\n  nop:\n  otlphttp:\n    endpoint: https://${qm:label.site}.example:4318\n"
    '    headers: {authorization: "Bearer ${env:TOKEN}"}\n    timeout: ${env:TIMEOUT:-10s}\n',
    "pipelines": PIPELINE,
}


@pytest.fixture(scope="module")
def validator() -> CommandValidator:
    """The real collector, as the settings would name it."""
    return CommandValidator((str(parts.require(parts.COLLECTOR_1_0)), "validate", "--config={file}"), 60)


def objects(**texts: str) -> dict[str, ConfigObject]:
    found = {**GOOD, **texts}
    return {key: ConfigObject(text.encode(), "text/yaml") for key, text in found.items()}


def test_a_good_one(validator: CommandValidator) -> None:
    """Several objects, variables and references are no trouble: each has a stand-in."""
    found = validator.judge(check("base", objects(), secret=False))
    assert (found.valid, found.words) == (True, "")


@pytest.mark.parametrize(
    ("pipelines", "words"),
    [
        (PIPELINE.replace("[nop,", "[nosuch,"), 'references exporter "nosuch" which is not configured'),
        (f"{PIPELINE}receivers: {{nosuch: }}\n", 'unknown type: "nosuch"'),
        ("service: {pipelines: {logs: {receivers: [nop]}}}\n", "must have at least one exporter"),
    ],
    ids=["not configured", "unknown type", "half a pipeline"],
)
def test_bad_ones_in_its_own_words(validator: CommandValidator, pipelines: str, words: str) -> None:
    """Well-formed YAML that the collector could not run is refused, and it says why."""
    found = validator.judge(check("base", objects(pipelines=pipelines), secret=False))
    assert not found.valid
    assert words in found.words
