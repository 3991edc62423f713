"""The probe refuses a store for each condition that it ignores."""

import pytest

from storage.errors import UnsuitableError
from storage.probe import require_conditional_writes
from tests.fakes.careless_store import CarelessStore


@pytest.mark.parametrize("method", ["create", "create_stream", "replace"])
def test_a_store_that_ignores_one_condition_is_refused(method: str) -> None:
    """The error names the method; the probe's object is removed."""
    store = CarelessStore(method)
    with pytest.raises(UnsuitableError, match=f"{method} overwrote"):
        require_conditional_writes(store, "nonce")
    assert store.bodies == {}


def test_a_store_that_returns_other_bytes_is_refused() -> None:
    """What was written must come back."""
    with pytest.raises(UnsuitableError, match="holds"):
        require_conditional_writes(CarelessStore(mangles=True), "nonce")


def test_a_store_whose_tags_wander_is_refused() -> None:
    """The tag that a write returned is the tag that a description repeats."""
    store = CarelessStore(wandering_tags=True)
    with pytest.raises(UnsuitableError, match="another tag"):
        require_conditional_writes(store, "nonce")


def test_a_careful_store_is_accepted() -> None:
    """Nothing is raised, nothing is left."""
    store = CarelessStore()
    require_conditional_writes(store, "nonce")
    assert store.bodies == {}
