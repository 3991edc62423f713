"""What is known to be secret is found wherever it is said again, in each form in which it is met."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.config_tree import Tree
from distribution.domain.known_secrets import (
    Known,
    Sought,
    as_reported,
    pieces_of,
    told_in,
    without,
    words_without,
)
from distribution.domain.secrets import REDACTED, redacted, spoken

SECRET = "hunter2-hunter2"
URL = f"https://user:pw@in.example/ingest/{SECRET}"


def test_what_is_known_is_taken_out() -> None:
    """As a scalar, as a line of one, and a part anywhere: the longer one first, or a piece of it stays."""
    found = Known(frozenset({"whole-one"}), ("part-one",), Known(frozenset({"123456"}), ("part-one-more",)))
    tree: Tree = {
        "a": ["whole-one", "whole-one-more", "x part-one-more y", 123456, 123457, None, True],
        "whole-one": "say\n  whole-one\nwhole-one 2",
    }
    assert without(tree, found) == {
        "a": [REDACTED, "whole-one-more", f"x {REDACTED} y", REDACTED, 123457, None, True],
        "whole-one": f"say\n  {REDACTED}\nwhole-one 2",
    }
    assert words_without("so whole-one, part-one-more", found) == f"so {REDACTED}, {REDACTED}"
    assert "whole" not in repr(found)
    assert "part-" not in repr(found)


def test_what_is_looked_for() -> None:
    """Scalars that are long enough and no reference; pieces around references, and defaults in them."""
    assert told_in({"a": "short", "b": "${env:TOKEN}", "c": "long-enough", "d": 1234567, "e": True}) == {
        "long-enough",
        "1234567",
    }
    texts = ["before-it-is ${env:X:-default-it-is} and-behind-it", "no-reference-in-it", "a${x}b", "${x}"]
    assert pieces_of(texts) == {"before-it-is", "default-it-is", "and-behind-it"}
    assert as_reported(frozenset({"a$$b", "c"})) == {"a$$b", "a$b", "c"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (URL, f"cannot reach {URL}: refused"),
        (f"opaque;{SECRET}", f"bad password: opaque;{SECRET}"),
        (f"{'x' * 9_000}{URL}", f"cannot reach {'x' * 9_000}{URL}"),
    ],
)
def test_rest_of_a_secret_that_lost_what_looks_like_one(text: str, words: str) -> None:
    """It was taken out of words and documents when they came, and what is left was declared since."""
    found = Known(as_reported(frozenset({text})))
    assert SECRET not in words_without(spoken(words), found)
    assert without(redacted({"endpoint": text}), found) == {"endpoint": REDACTED}


@pytest.mark.parametrize("text", [f"Bearer {SECRET}", f"password={SECRET}", "https://user:pw@", "a b c d"])
def test_nothing_is_left_that_could_be_looked_for(text: str) -> None:
    """Where all of it is taken out anyway, or what is left stands everywhere."""
    assert as_reported(frozenset({text}), least=12) == {text}


def test_words_that_are_cut_within_a_secret() -> None:
    """What is there of it goes, from six characters on; the end of a text that is whole stays."""
    found = Known(frozenset({SECRET}), base=Known(frozenset({URL})))
    for text, clean in (
        ("at https://us", f"at {REDACTED}"),
        (f"at {URL} or https:", f"at {REDACTED} or {REDACTED}"),
        ("at https", "at https"),
        ("at hunter2-hun", f"at {REDACTED}"),
        ("at hunter2-hut", "at hunter2-hut"),
    ):
        assert words_without(text, found, cut=True) == clean
    assert words_without("at https://us", found) == "at https://us"
    assert words_without("", found, cut=True) == ""
    assert [found.begun_at_end(text) for text in (f"at {SECRET}", f"at {URL}", SECRET[:9])] == [18, 52, 0]


@given(
    st.lists(st.text("ab", min_size=1, max_size=9), max_size=40),
    st.text("ab", max_size=300) | st.text("ab", max_size=9),
)
def test_many_are_found_as_each_would_be(texts: list[str], text: str) -> None:
    """By how they begin, or one by one: it is the same."""
    found = Sought(texts).within(text)
    assert found == Sought(one for one in texts if one in text).texts
    assert list(found) == sorted(found, key=lambda one: (-len(one), one))


def test_nothing_known_leaves_a_tree_as_it_is() -> None:
    """So does what is known and does not stand in it."""
    tree: Tree = {"a": ["b", 1, None]}
    assert without(tree, Known()) == without(tree, Known(parts=(SECRET,))) == tree
