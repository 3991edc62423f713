"""Variables: which there are, where they stand, and that no value is ever more than a value."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.config_template import (
    VALUE_MAX_CHARS,
    Facts,
    Hole,
    Quoting,
    Source,
    Variable,
    filled,
    quoted,
    require_value,
    split,
    variables,
)
from distribution.errors import InvalidError, PolicyError
from distribution.flows.configuration import yaml_text

UID = UUID(int=7)
SITE = Variable(Source.LABEL, "site")


def fill(quoting: Quoting, value: str, variable: Variable = SITE, before: str = "") -> str:
    facts = Facts(UID, {"site": value}, {"site": value}, {"site": value})
    parts = (before, variable) if before else (variable,)
    return filled(("<", Hole(parts, quoting), ">"), facts).decode()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("plain", ("plain",)),
        ("${qm:uid}", (Variable(Source.UID),)),
        ("a ${qm:label.site} b", ("a ", SITE, " b")),
        ("${qm:attribute.host.name}", (Variable(Source.ATTRIBUTE, "host.name"),)),
        ("${qm:value.k8s.io/zone}", (Variable(Source.VALUE, "k8s.io/zone"),)),
        ("${env:HOME}", ("${env:HOME}",)),
        ("$${qm:uid}", ("$${qm:uid}",)),
        ("$$${qm:uid}x", ("$$", Variable(Source.UID), "x")),
        ("${env:X:-${qm:label.site}}", ("${env:X:-", SITE, "}")),
        ("", ("",)),
    ],
)
def test_where_variables_stand(text: str, parts: tuple[str | Variable, ...]) -> None:
    """Ours are found, others' are left; an even number of dollar signs makes none."""
    assert split(text) == parts


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("${qm:}", "is not uid"),
        ("${qm:nobody.x}", "is not uid"),
        ("${qm:label}", "is not uid"),
        ("${qm:uid.x}", "is not uid"),
        ("${qm:label. x}", "is not uid"),
        ("${qm:label.site", "is not closed"),
    ],
)
def test_what_is_no_variable(text: str, why: str) -> None:
    """What looks like ours and is not, is refused instead of passed on."""
    with pytest.raises(InvalidError, match=why):
        split(text)


def test_variables_are_written_as_they_are_read() -> None:
    """The word of a variable reads as the variable again."""
    found = [Variable(Source.UID), SITE, Variable(Source.ATTRIBUTE, "a.b"), Variable(Source.VALUE, "x")]
    assert [split(str(one)) for one in found] == [(one,) for one in found]
    assert variables([("a", Hole(("x", *found), Quoting.YAML))]) == frozenset(found)


@pytest.mark.parametrize(
    ("quoting", "value", "expected"),
    [
        (Quoting.YAML, "12", '<"12">'),
        (Quoting.ALONE, "12", "<12>"),
        (Quoting.ALONE, "-7", "<-7>"),
        (Quoting.ALONE, "true", "<true>"),
        (Quoting.ALONE, "007", '<"007">'),
        (Quoting.ALONE, "yes", '<"yes">'),
        (Quoting.ALONE, "1e3", '<"1e3">'),
        (Quoting.ALONE, "", '<"">'),
        (Quoting.YAML, 'a"b\\c: {', '<"a\\"b\\\\c: {">'),
        (Quoting.JSON, 'a"bé', '<"a\\"b\\u00e9">'),
        (Quoting.BLOCK, "a-1", '<"a-1">'),
        (Quoting.BARE, "a/b.c_d-1", "<a/b.c_d-1>"),
    ],
)
def test_how_a_value_is_written(quoting: Quoting, value: str, expected: str) -> None:
    """Quoted, except for a whole number or a truth that stands alone; bare where nothing can be quoted."""
    assert fill(quoting, value) == expected


@pytest.mark.parametrize(
    ("quoting", "value"),
    [
        *(
            (quoting, value)
            for quoting in Quoting
            for value in ("a\nb", "${env:X}", "x\x00", "\u2028", "x" * 1025)
        ),
        *((Quoting.BARE, value) for value in ("a b", "a: b", "", "'", "é")),
        *((Quoting.BLOCK, value) for value in ("a: b", "- a", "#")),
    ],
)
def test_a_value_that_may_not_stand_there(quoting: Quoting, value: str) -> None:
    """Lines, references, what does not print, and what could not be quoted are refused, and not told."""
    with pytest.raises(PolicyError) as caught:
        fill(quoting, value)
    assert len(value) == 1 or not value or value not in str(caught.value)


@pytest.mark.parametrize("value", ["evil.example/x", "a b", "a:b", "a@b", "-x", "", "é", "a" * 254, '"'])
@pytest.mark.parametrize("quoting", list(Quoting))
def test_what_agents_say_is_a_plain_word(quoting: Quoting, value: str) -> None:
    """What an agent says of itself makes no host, path or query of a template, however it is quoted."""
    with pytest.raises(PolicyError, match="letters, digits and"):
        fill(quoting, value, Variable(Source.ATTRIBUTE, "site"), "https://")


def test_a_value_that_nobody_says() -> None:
    """The variable and its source are named."""
    with pytest.raises(PolicyError, match="agent has no label 'site'"):
        filled((Hole((SITE,), Quoting.YAML),), Facts(UID))
    assert filled((Hole((Variable(Source.UID),), Quoting.BARE),), Facts(UID)) == str(UID).encode()


def test_values_are_not_shown() -> None:
    """An agent's values may be secrets."""
    assert "hunter2" not in repr(Facts(UID, values={"x": "hunter2"}))
    with pytest.raises(PolicyError) as caught:
        require_value("hunter2" * VALUE_MAX_CHARS, "value 'x'")
    assert "hunter2" not in str(caught.value)


@given(st.text())
def test_quoted_text_reads_the_same(text: str) -> None:
    """Whatever the text, YAML reads the quoted one as it was; half of a surrogate pair is no text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert yaml_text.read(quoted(text)) == text


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_every_value_is_one_scalar(value: str) -> None:
    """Put in anywhere, a value is that one scalar or a refusal: never a key, a list, another line."""
    for quoting in (Quoting.YAML, Quoting.ALONE, Quoting.JSON):
        try:
            text = fill(quoting, value)[1:-1]
        except PolicyError:
            continue
        found = json.loads(text) if quoting is Quoting.JSON else yaml_text.read(f"a: [{text}, x]\nb: 1\n")
        if quoting is Quoting.JSON:
            assert found == value
        else:
            assert found in ({"a": [value, "x"], "b": 1}, {"a": [yaml_text.scalar(value), "x"], "b": 1})
