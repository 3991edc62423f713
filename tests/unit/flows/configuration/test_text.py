"""Configuration texts: what they say is read, what is malformed or a bomb is refused, no value is told."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.config_tree import Tree
from distribution.domain.configuration import ConfigObject
from distribution.errors import InvalidError
from distribution.flows.configuration import yaml_text
from distribution.flows.configuration.text import BYTES_MAX, Form, decoded, form_of, read, told

BOMB = "a: &a [1, 2, 3, 4, 5, 6, 7, 8, 9]\n" + "".join(
    f"k{i}: &k{i} [{', '.join([f'*{before}'] * 9)}]\n"
    for i, before in enumerate(["a", *(f"k{i}" for i in range(8))])
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**9), 10**9),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12),
)
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text("abcXYZ.-_/09", min_size=1), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"a: 1\nb: [x, 2.5, ~, true, 0x1f, 0o17]", {"a": 1, "b": ["x", 2.5, None, True, 31, 15]}),
        (b"a: yes\nb: '1'\nc: 12:30\nd: 2026-01-01", {"a": "yes", "b": "1", "c": "12:30", "d": "2026-01-01"}),
        (b"a: &x {b: 1, c: 2}\nd: {<<: *x, c: 3}", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
        (b"a: {<<: [{b: 1}, {b: 2, c: 3}]}", {"a": {"b": 1, "c": 3}}),
        (b"a: !!str 1\nb: !!int 2\nc: !!map {}\nd: ! 3", {"a": "1", "b": 2, "c": {}, "d": "3"}),
        (b"\xef\xbb\xbfa: 1", {"a": 1}),
        (b"1: a\ntrue: b", {"1": "a", "true": "b"}),
        (b"a: [0777, 08, 1_000, -0]", {"a": [511, 8, 1000, 0]}),
        (b"# nothing", None),
        (b"a: " + b"9" * 60, {"a": "9" * 60}),
    ],
    ids=[
        "kinds",
        "texts",
        "merge",
        "merge of several",
        "tags",
        "mark",
        "keys",
        "older numbers",
        "empty",
        "endless number",
    ],
)
def test_what_a_text_says(text: bytes, expected: Tree) -> None:
    """YAML is read by the core schema, as collectors do."""
    assert read(text, Form.YAML) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"a: 1\na: 2", "line 2: key 'a' is there twice"),
        (b"a: [", "is not YAML: line 2"),
        (b"--- 1\n--- 2", "a second document, at line 2"),
        (b"[" * 65 + b"]" * 65, "nested deeper than 64"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b"a: &a [*a]", "alias 'a' has no anchor before it"),
        (b"? [1]\n: 2", "a key is a map or a list"),
        (b"a: &x 1\n? *x\n: 2", "a key is not a text"),
        (b"a: !!python/object:os.system {}", "is not taken"),
        (b"a: !!binary aGk=", "is not taken"),
        (b"a: {<<: 1}", "a merge key takes maps alone"),
        (b"a: \x01", "is not YAML: control characters"),
        (b"a: \xff", "is not UTF-8 at byte 3"),
        (BOMB.encode(), "more than 50000 values"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_what_is_refused(text: bytes, why: str) -> None:
    """A malformed, ambiguous or explosive text is refused, and the line or the reason is told."""
    with pytest.raises(InvalidError, match=why.replace("(", r"\(")):
        read(text, Form.YAML)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"a": 1, "a": 2}', "key 'a' is there twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"[" * 100_000, "nested deeper than 64"),
        (b"[" * 70 + b"]" * 70, "nested deeper than 64"),
        (b"9" * 5000, "too many digits"),
        (b"{", "is not JSON: line 1"),
        (json.dumps([0] * 50_001).encode(), "more than 50000 values"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else value,
)
def test_what_is_refused_of_json(text: bytes, why: str) -> None:
    """JSON has the same bounds."""
    with pytest.raises(InvalidError, match=why):
        read(text, Form.JSON)


def test_a_value_is_never_told() -> None:
    """A refusal shows where, not what: the text may hold a secret."""
    for text in (b"password: hunter2\n  x: [", b"a: hunter2: 1", b"hunter2\xff"):
        with pytest.raises(InvalidError) as caught:
            read(text, Form.YAML)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None


def test_bytes_are_bounded() -> None:
    """A text larger than a message is not looked at."""
    with pytest.raises(InvalidError, match="at most"):
        decoded(bytes(BYTES_MAX + 1))


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("text/yaml", Form.YAML),
        ("yaml", Form.YAML),
        ("Application/YAML; charset=utf-8", Form.YAML),
        ("json", Form.JSON),
        ("application/json", Form.JSON),
        ("text/plain", Form.OTHER),
        ("", Form.OTHER),
    ],
)
def test_forms(content_type: str, form: Form) -> None:
    """The content type says how bytes are read."""
    assert form_of(content_type) is form


@given(TREES)
def test_what_is_written_reads_the_same(tree: Tree) -> None:
    """A tree that is written as YAML and read again is the same tree."""
    assert read(yaml_text.written(tree).encode(), Form.YAML) == tree


@given(TREES)
def test_json_is_yaml_as_well(tree: Tree) -> None:
    """What JSON says is the same for both readers."""
    text = json.dumps(tree, ensure_ascii=False).encode()
    assert read(text, Form.JSON) == read(text, Form.YAML) == tree


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    """Any bytes are a tree or a refusal."""
    for form in (Form.YAML, Form.JSON):
        try:
            read(body, form)
        except InvalidError:
            continue


def test_spans_know_keys_and_styles() -> None:
    """Each scalar is found where it stands, and whether it is a key, unquoted, or a block text."""
    text = "é: &a x\nb: |\n  y\nc: ['q', {d: e}]\n"
    found = [
        (span.value, text[span.start : span.end], span.is_key, span.plain, span.block)
        for span in yaml_text.spans(text)
    ]
    assert found == [
        ("é", "é", True, True, False),
        ("x", "&a x", False, True, False),
        ("b", "b", True, True, False),
        ("y\n", "|\n  y\n", False, False, True),
        ("c", "c", True, True, False),
        ("q", "'q'", False, False, False),
        ("d", "d", True, True, False),
        ("e", "e", False, True, False),
    ]


def test_what_is_told() -> None:
    """Scalars of YAML and JSON but those that are keys, lines of other texts; without a type, both."""
    objects = [
        ConfigObject(b"parts: {part/one: }\nuses: [part/one, part/two]", "text/yaml"),
        ConfigObject(b'{"a": "of-json"}', "application/json"),
        ConfigObject(b"[site]\n  tier = gold\n", "text/plain"),
        ConfigObject(b"peer: host:4317\n", ""),
        ConfigObject(b"{ no yaml\n", ""),
    ]
    found = told(objects)
    assert found.texts == {
        *("part/two", "of-json", "[site]", "tier = gold", "peer: host:4317", "host:4317", "{ no yaml"),
    }
    assert found.keys == {"parts", "part/one", "uses", "a", "peer"}
    assert "gold" not in repr(found)
    with pytest.raises(InvalidError):
        told([ConfigObject(b"{ no yaml", "text/yaml")])
