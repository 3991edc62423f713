"""Scopes: four fixed ones, each with its own reach."""

import pytest

from distribution.domain.scope import FLEET, READ, SECURITY, Right, Scope, publish, require_any
from distribution.errors import ForbiddenError, InvalidError


@pytest.mark.parametrize("text", ["read", "fleet", "security", "publish:acme"])
def test_a_scope_reads_as_it_is_written(text: str) -> None:
    """Parsing and showing are each other's inverse."""
    assert str(Scope.parse(text)) == text


@pytest.mark.parametrize("text", ["", "admin", "READ", "publish", "publish:", "publish:Acme", "read:acme"])
def test_nothing_else_is_a_scope(text: str) -> None:
    """A scope is one of the four; publishing always names one publisher."""
    with pytest.raises(InvalidError):
        Scope.parse(text)


def test_seeing_is_part_of_every_scope_but_publishing() -> None:
    """Read, fleet and security see everything; a pipeline does not."""
    for text in ("read", "fleet", "security"):
        require_any([Scope.parse(text)], READ, holder="ann")
    with pytest.raises(ForbiddenError):
        require_any([Scope.parse("publish:acme")], READ, holder="ci")


@pytest.mark.parametrize(
    ("held", "needed"),
    [
        ("read", FLEET),
        ("read", SECURITY),
        ("fleet", SECURITY),
        ("security", FLEET),
        ("publish:acme", FLEET),
        ("publish:acme", SECURITY),
        ("publish:acme", publish("other")),
        ("security", publish("acme")),
    ],
)
def test_no_scope_stands_for_another(held: str, needed: frozenset[Scope]) -> None:
    """A refusal names the holder, what it holds and what it would need."""
    with pytest.raises(ForbiddenError) as caught:
        require_any([Scope.parse(held)], needed, holder="ann")
    assert str(caught.value) == f"operator 'ann' holds {held}, this needs {next(iter(needed))}"


def test_one_sufficient_scope_of_many_is_enough() -> None:
    """A token may hold several scopes."""
    require_any([Scope(Right.READ), Scope(Right.PUBLISH, "acme")], publish("acme"), holder="ci")


def test_a_token_without_scopes_is_told_so() -> None:
    """Holding nothing is said in words."""
    with pytest.raises(ForbiddenError, match="holds nothing"):
        require_any([], FLEET, holder="ann")
