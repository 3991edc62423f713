"""The catalogue in view: replaced as a whole, never by an older one, never shown beyond its time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from distribution.catalog.catalogue import Catalogue
from distribution.errors import UnverifiedError
from distribution.flows.catalogues import Catalogues
from tests.fakes.publishing import NOW

FIRST = Catalogue(snapshot_version=1, timestamp_version=1, verified_until=NOW + timedelta(days=1))


class Shown:
    """What loading returns; None where it does not verify."""

    def __init__(self) -> None:
        self.catalogue: Catalogue | None = FIRST

    def __call__(self, _now: datetime) -> Catalogue:
        if self.catalogue is None:
            raise UnverifiedError("timestamp has expired")
        return self.catalogue


def test_nothing_is_shown_before_the_first_load() -> None:
    """An empty catalogue would take every package from every agent; there is none instead."""
    with pytest.raises(UnverifiedError, match="not loaded yet"):
        Catalogues(Shown()).current(NOW)


def test_the_newest_is_shown() -> None:
    """A load replaces what was there; an older state that comes late does not."""
    shown = Shown()
    catalogues = Catalogues(shown)
    second = replace(FIRST, timestamp_version=2)
    shown.catalogue = second
    assert catalogues.reload(NOW) == second
    shown.catalogue = FIRST
    assert catalogues.reload(NOW) == second
    assert catalogues.current(NOW) == second


def test_a_state_that_does_not_verify_changes_nothing() -> None:
    """The one that did stays."""
    shown = Shown()
    catalogues = Catalogues(shown)
    catalogues.reload(NOW)
    shown.catalogue = None
    with pytest.raises(UnverifiedError, match="expired"):
        catalogues.reload(NOW)
    assert catalogues.current(NOW) == FIRST


def test_an_expired_catalogue_is_not_shown() -> None:
    """What an agent would refuse is not offered from its second of expiry on."""
    catalogues = Catalogues(Shown())
    catalogues.reload(NOW)
    catalogues.current(FIRST.verified_until - timedelta(seconds=1))
    with pytest.raises(UnverifiedError, match="verified until 2026-03-02T12:00:00Z"):
        catalogues.current(FIRST.verified_until)
