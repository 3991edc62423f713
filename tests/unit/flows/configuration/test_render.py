"""Versions made ready: variables cut out where they stand, and no value alters what a document says."""

import json
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.config_template import Facts, Hole, Quoting, Source, Variable
from distribution.domain.configuration import ConfigObject, ConfigVersion
from distribution.errors import InvalidError, PolicyError
from distribution.flows.configuration import render
from distribution.flows.configuration.render import ready, standing_in, template_of
from distribution.flows.configuration.text import Form, read

UID = UUID(int=7)


def yaml(text: str) -> ConfigObject:
    return ConfigObject(text.encode(), "text/yaml")


def fill(one: ConfigObject, **labels: str) -> str:
    found = ready(ConfigVersion("base", 1, {"": one}))
    return found.objects(Facts(UID, labels))[""].body.decode()


def test_what_has_no_variable_is_passed_on_as_it_is() -> None:
    """The very bytes, whatever they are: comments, references of others, no text at all."""
    found = [
        yaml("a: ${env:X} # so\n"),
        yaml("# ${qm:uid}\na: 1"),
        yaml("a: $${qm:uid}"),
        ConfigObject(b"\xff\x00"),
    ]
    for one in found:
        assert template_of(one) is None
        assert ready(ConfigVersion("base", 1, {"": one})).objects(Facts(UID))[""] is one


def test_a_document_keeps_all_but_the_values() -> None:
    """Comments, order and style stay; each scalar with a variable is written anew."""
    text = (
        "# head\na: ${qm:label.x} # one\nb: 'at ${qm:label.x}'\nc:\n  - |\n    line ${qm:label.x}\n    more\n"
        '  - >-\n    folded ${qm:label.x}\n  - {d: "${qm:label.x}", e: &k [x]}\nf: *k\n'
        "g: two\n  ${qm:label.x}\n"
    )
    assert fill(yaml(text), x="v") == (
        '# head\na: "v" # one\nb: "at v"\nc:\n  - "line v\\u000amore\\u000a"\n'
        '  - "folded v"\n  - {d: "v", e: &k [x]}\nf: *k\ng: "two v"\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        "a: ${qm:uid}\r\nb: 'x ${qm:uid}'\r\nc: |\r\n  t ${qm:uid}\r\nd: 1\r\n",
        "\ufeffa: ${qm:uid}\nb: ${qm:uid}",
        "\U0001f600: 'é\U0001f600 ${qm:uid}'\nb: [\"${qm:uid}\", x]\n",
        "- ${qm:uid}\n-   ${qm:uid}   # c\n- a:   ${qm:uid}\n",
        "a: |+\n  ${qm:uid}\n\n\nb: >2\n     x ${qm:uid}\nc: 1",
        "%YAML 1.1\n---\na: ${qm:uid}\n...\n",
    ],
    ids=["line ends", "mark", "beyond the plane", "list", "block texts", "directives"],
)
def test_wherever_it_is_written(text: str) -> None:
    """Whatever lies before it, the right piece is cut out: what is filled reads as it should."""
    found = read(fill(yaml(text)).encode(), Form.YAML)
    assert found == read(text.replace("${qm:uid}", str(UID)).encode(), Form.YAML)


def test_json() -> None:
    """In JSON a value is a text, with its quotation marks escaped."""
    one = ConfigObject(b'{"a": "x ${qm:label.x}", "b": [1, "${qm:label.x}"], "c": "$${qm:uid}"}', "json")
    assert json.loads(fill(one, x='"}, {')) == {"a": 'x "}, {', "b": [1, '"}, {'], "c": "$${qm:uid}"}


def test_other_texts() -> None:
    """Where nothing can be quoted only plain words are put in."""
    one = ConfigObject(b"host = '${qm:label.x}'\n", "application/toml")
    assert fill(one, x="web-1") == "host = 'web-1'\n"
    with pytest.raises(PolicyError, match=r"configuration base@1: .* where nothing is quoted"):
        fill(one, x="' or")


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (yaml("${qm:label.x}: 1"), "line 1: a variable stands in a key"),
        (yaml("a:\n  b: &k ${qm:label.x}"), "line 2: a value with a variable has an anchor or a tag"),
        (yaml("a: !!str ${qm:label.x}"), "an anchor or a tag"),
        (yaml("a: ${qm:label.x"), "is not closed"),
        (yaml("a: ${qm:nobody}"), "is not uid"),
        (yaml("a: ${qm:uid}\nb: ["), "text is not YAML"),
        (ConfigObject(b'{"${qm:uid}" : 1}', "json"), "a variable stands in a key"),
        (ConfigObject(b"x ${qm:nobody}", "text/plain"), "is not uid"),
        (ConfigObject(b"${qm:uid}\xff", "text/plain"), "is not UTF-8"),
    ],
)
def test_where_no_variable_may_stand(one: ConfigObject, why: str) -> None:
    """A key, an anchored or a tagged value, and what is no variable are refused; the object is named."""
    with pytest.raises(InvalidError, match=f"object 'o': .*{why}"):
        ready(ConfigVersion("base", 1, {"o": one}))


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [("b: ", "\nc: 1", "b does not keep its place"), ("a: ", "", "alters what the document says")],
    ids=["another place", "a part lost"],
)
def test_a_template_that_would_alter_the_document_is_found_out(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str, why: str
) -> None:
    """The check of the shape does not believe the cutting."""
    hole = Hole((Variable(Source.LABEL, "x"),), Quoting.YAML)
    monkeypatch.setattr(render, "_of_yaml", lambda _text: (before, hole, after))
    with pytest.raises(InvalidError, match=why):
        template_of(yaml("a: ${qm:label.x}\nc: 1"))


def test_a_stand_in_for_every_variable() -> None:
    """For a validator: the same text for every variable."""
    template = template_of(yaml("a: ${qm:label.x}\nb: ${qm:uid}/${qm:value.y}"))
    assert template is not None
    assert standing_in(template, "1") == b'a: 1\nb: "00000000-0000-0000-0000-000000000000/1"'


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="$"), max_size=30),
    st.sampled_from(
        ["a: {}", "- {}", "a: 'x {} y'", 'a: ["{}", b]', "a:\n  b: x {}\n  c: d", "a: |\n  x {}\n"]
    ),
)
def test_no_value_alters_a_document(value: str, document: str) -> None:
    """Whatever an operator or a token calls a label: it is a value at its place, or refused."""
    text = document.replace("{}", "${qm:label.x}")
    try:
        found = read(fill(yaml(text), x=value).encode(), Form.YAML)
    except PolicyError:
        return
    expected = read(text.encode(), Form.YAML)
    assert _shape(found) == _shape(expected)


def _shape(tree: object) -> object:
    if isinstance(tree, dict):
        return {key: _shape(one) for key, one in tree.items()}
    return [_shape(one) for one in tree] if isinstance(tree, list) else "scalar"


def test_secrets_with_variables() -> None:
    """They are filled with an agent's facts; what is no variable, though it looks like one, stays."""
    objects = {
        "": yaml("a: hunter2-${qm:label.x}\nb: $${qm:none} hunter2\nc: '${qm:label.x}'\nd: hunter2-too"),
        "t": ConfigObject(b"tier = ${qm:value.y}", "text/plain"),
    }
    facts = Facts(UID, {"x": "v"}, {}, {"y": "gold"})
    found = ready(ConfigVersion("base", 1, objects, secret=True))
    assert found.secrets_for(facts) - found.secrets == {"hunter2-v", "tier = gold", "[REDACTED] = gold"}
    assert {"hunter2-too", "$${qm:none} hunter2", "${qm:none} hunter2"} < found.secrets
    openly = ready(ConfigVersion("base", 1, objects))
    assert openly.secrets_for(facts) == frozenset()
    assert "hunter2" not in repr(found).replace(repr(found.templates), "")
