"""The collector's own `validate` as the validator of configurations."""

import pytest

from distribution.domain.config_choice import Assignment
from distribution.domain.configuration import ConfigObject
from distribution.flows.configuration.check import check
from distribution.flows.configuration.together import Together
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


LATEST_1_2 = "exporters: {otlphttp: {tls: {max_version: '1.2'}}}\n"
EARLIEST_1_3 = "exporters: {otlphttp: {tls: {min_version: '1.3'}}}\n"


@pytest.mark.parametrize(
    ("more", "valid"), [("service: {telemetry: {logs: {level: info}}}\n", True), (LATEST_1_2, False)]
)
def test_several_that_are_good_alone(validator: CommandValidator, more: str, *, valid: bool) -> None:
    """Two versions that the collector would run each by itself, and what it says of both as one."""
    base = check("base", objects(z=EARLIEST_1_3), secret=False)
    extra = check("extra", {f"y{key}": one for key, one in objects(z=more).items()}, secret=False)
    parts = [(Assignment("base", "base", 1), base), (Assignment("extra", "extra", 1), extra)]
    assert [validator.judge(found).valid for _, found in parts] == [True, True]
    found = Together(validator).judge(parts)
    assert (found.valid, "min_version cannot be greater than max_version" in found.words) == (
        valid,
        not valid,
    )
