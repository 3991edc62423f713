"""Intended against effective: contained or not, and the first place where it is not, without values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.config_compare import all_differences, first_difference, same_text
from distribution.domain.config_tree import Tree, merged, object_order, scalars, shown

COLLECTOR: Tree = {
    "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}, "http": None}}},
    "exporters": {"otlphttp": {"endpoint": "https://host", "headers": {"Authorization": "${env:TOKEN}"}}},
    "service": {
        "extensions": ["health_check"],
        "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlphttp"]}},
    },
}
B: list[Tree] = [{"name": "b", "value": "[REDACTED]"}, {"name": "c", "value": ""}]
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.text("abc:/. ", max_size=6))
TREES: st.SearchStrategy[Tree] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abcdef"), inner, max_size=4)
    ),
    max_leaves=10,
)


def difference(intended: Tree, effective: Tree) -> str:
    return first_difference({"": intended}, {"": effective})


def test_what_a_supervisor_adds() -> None:
    """Its own extension, its telemetry, and what it took out or put in, are no difference."""
    effective: Tree = {
        "extensions": {"opamp": {"server": {}}},
        "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": "0.0.0.0:4317"}, "http": {}}}},
        "exporters": {"otlphttp": {"endpoint": "https://host", "headers": {"Authorization": "[REDACTED]"}}},
        "service": {
            "extensions": ["opamp", "health_check"],
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlphttp"]}},
            "telemetry": {"metrics": {"readers": [{"periodic": {}}]}},
        },
    }
    assert difference(COLLECTOR, effective) == ""


@pytest.mark.parametrize(
    ("intended", "effective"),
    [
        (None, {"sampling_initial": 2, "output_paths": []}),
        ({}, {"timeout": "5s"}),
        (None, "5s"),
        ("60s", "1m0s"),
        ("1.5h", "1h30m0s"),
        ("1000ms", "1s"),
        ("250us", "250µs"),
        ("0s", "0s"),
        ("detailed", "Detailed"),
        ("INFO", "info"),
        ({"authorization": "x"}, [{"name": "[REDACTED]", "value": "[REDACTED]"}]),
        ({"authorization": "x", "b": "[REDACTED]"}, [{"name": "authorization", "value": "[REDACTED]"}, *B]),
    ],
)
def test_what_a_collector_fills_in(intended: Tree, effective: Tree) -> None:
    """Defaults of what was only named, and spans of time in Go's own writing, are no difference."""
    assert difference({"a": {"b": intended}}, {"a": {"b": effective}}) == ""


@pytest.mark.parametrize(
    ("intended", "effective", "why"),
    [
        ({"a": {"b": 1}}, {"a": {}}, "a.b is missing"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b has another value"),
        ({"a": {"b": 1}}, {"a": 1}, "a is a value, intended is a map"),
        ({"a": [1, 2]}, {"a": [1]}, "a has 1 entries, intended are 2"),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a[1].b has another value"),
        ({"a": [1, 2]}, {"a": [2, 1]}, "a[0] has another value"),
        ({"a": 1}, None, "the top is nothing, intended is a map"),
        (
            {"service": {"extensions": ["x"]}},
            {"service": {"extensions": ["y"]}},
            "service.extensions[0] is missing",
        ),
        ({"a": "x"}, {"a": {"b": 1}}, "a is a map, intended is a value"),
        ({"a": "https://${env:H}/x"}, {"a": "https://host/y"}, "a has another value"),
        ({"timeout": "60s"}, {"timeout": "1m1s"}, "timeout has another value"),
        ({"level": "basic"}, {"level": "Detailed"}, "level has another value"),
        ({"key": "a-word"}, {"key": "A-Word"}, "key has another value"),
        ({"timeout": "60"}, {"timeout": "1m0s"}, "timeout has another value"),
        ({"a": {"b": "1"}}, {"a": [{"name": "b", "value": "2"}]}, "a.b has another value"),
        ({"a": {"b": "1"}}, {"a": [{"name": "b"}]}, "a is a list, intended is a map"),
    ],
)
def test_what_differs(intended: Tree, effective: Tree, why: str) -> None:
    """The first place is named, and what is wrong there."""
    assert difference(intended, effective) == why


@pytest.mark.parametrize(
    ("intended", "effective"),
    [
        ({"a": 4317}, {"a": "4317"}),
        ({"a": True}, {"a": "true"}),
        ({"a": 1.0}, {"a": 1}),
        ({"a": None}, {"a": {}}),
        ({"a": []}, {"a": None}),
        ({"a": "${env:X}"}, {"a": {"b": ["whatever"]}}),
        ({"a": "https://${env:H}:4317"}, {"a": "https://host:4317"}),
        ({"a": "cost $$5"}, {"a": "cost $5"}),
        ({"a": "cost $$5"}, {"a": "cost $$5"}),
        ({"a": "https://u:p@host"}, {"a": "https://[REDACTED]@host"}),
        ({"a": {"b": "x"}}, {"a": "[REDACTED]"}),
        (
            {"service": {"telemetry": {"readers": [{"b": 1}]}}},
            {"service": {"telemetry": {"readers": [1, {"b": 1}]}}},
        ),
    ],
)
def test_what_is_the_same(intended: Tree, effective: Tree) -> None:
    """Types that were normalised, references that were looked up, secrets that were taken out."""
    assert difference(intended, effective) == ""


def test_objects_under_the_same_keys() -> None:
    """They are compared one by one, and the key is told; others that the agent has do not matter."""
    intended: dict[str, Tree] = {"ns/a": {"x": 1}, "ns/b": {"x": 2}}
    assert first_difference(intended, {**intended, "ns/c": {}}) == ""
    assert first_difference(intended, {**intended, "ns/b": {"x": 3}}) == "object 'ns/b': x has another value"


def test_objects_that_became_one_document() -> None:
    """Where the agent reports other keys, both are put together as supervisors do."""
    intended: dict[str, Tree] = {"a": {"x": 1, "y": 1}, "b": {"x": 2}, "": {"y": 3}}
    assert first_difference(intended, {"whole": {"x": 2, "y": 3}}) == ""
    assert first_difference(intended, {"whole": {"x": 1, "y": 3}}) == "x has another value"


def test_how_texts_are_merged() -> None:
    """Maps key by key, everything else by the later one; only the list of extensions grows."""
    assert merged([{"a": {"b": 1}, "l": [1]}, {"a": {"c": 2}, "l": [2]}]) == {"a": {"b": 1, "c": 2}, "l": [2]}
    extensions: list[Tree] = [
        {"service": {"extensions": ["x", "y"]}},
        {"service": {"extensions": ["y", "z"]}},
    ]
    assert merged(extensions) == {"service": {"extensions": ["x", "y", "z"]}}
    assert merged([]) is None
    assert object_order(["", "b", "a"]) == ["a", "b", ""]


def test_no_value_is_told() -> None:
    """A difference says where, never what: either side may hold a secret."""
    found = all_differences({"a": "hunter2", "b": ["hunter2"]}, {"a": "hunter3", "b": {"c": "hunter4"}}, 10)
    assert found == ["a has another value", "b is a map, intended is a list"]
    assert all_differences({str(number): 1 for number in range(50)}, {}, 7)[6:] == ["6 is missing"]


def test_places_are_cut() -> None:
    """A key of an agent's choice does not fill a page."""
    assert len(shown(("k" * 10_000,))) < 300
    assert list(scalars({"a": [{"b": 1}, 2]})) == [(("a", "[0]", "b"), 1), (("a", "[1]"), 2)]


@given(TREES)
def test_every_configuration_shows_itself(tree: Tree) -> None:
    """Nothing differs from itself."""
    assert difference(tree, tree) == ""


@given(TREES, st.dictionaries(st.sampled_from("xyz"), TREES))
def test_what_is_added_is_no_difference(tree: Tree, more: dict[str, Tree]) -> None:
    """Keys beside those that were intended do not matter."""
    assert difference({"a": tree}, {"a": tree, **more}) == ""


@given(TREES, st.data())
def test_a_changed_scalar_is_found(tree: Tree, data: st.DataObject) -> None:
    """Whatever scalar is changed, the place that is told is its place; what was left open is the agent's."""
    places = [(place, value) for place, value in scalars({"a": tree}) if value is not None]
    if not places:
        return
    place, value = data.draw(st.sampled_from(places))
    effective = _changed({"a": tree}, place, f"{value}!")
    assert difference({"a": tree}, effective) == f"{shown(place)} {'has another value'}"


def _changed(tree: Tree, place: tuple[str, ...], value: Tree) -> Tree:
    if not place:
        return value
    if isinstance(tree, dict):
        return {key: _changed(one, place[1:], value) if key == place[0] else one for key, one in tree.items()}
    assert isinstance(tree, list)
    number = int(place[0].strip("[]"))
    return [_changed(one, place[1:], value) if at == number else one for at, one in enumerate(tree)]


def test_many_pieces_in_their_order() -> None:
    """Between what must be there anything may stand, but nothing may be there twice."""
    assert same_text("a${x}b${y}c", "a1b2c")
    assert not same_text("a${x}b${y}c", "a1c2b")
    assert not same_text("aa${x}aa", "aaa")
