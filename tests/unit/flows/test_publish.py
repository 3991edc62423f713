"""What the journal says of a publication: of a guard, which way each floor went, from where and to where."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from distribution.domain.guard import Guard, guard_path
from distribution.domain.package import Version
from tests.fakes.operators_api import Api, operators_api
from tests.fakes.publishing import guard_file, role_bytes

V1 = "/api/v1"
PATH = "acme/otelcol/1.0.0/linux-amd64/otelcol"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with operators_api(tmp_path) as api:
        yield api


def set_floors(api: Api, version: int, **floors: str) -> dict[str, object]:
    guard = Guard({package: Version.parse(text) for package, text in floors.items()})
    assert api.upload(guard_path("acme"), guard.to_bytes()).status_code == 201
    body = role_bytes("acme-guard", version, [guard_file("acme", guard)])
    answer = api.call("PUT", f"{V1}/publishers/acme/roles/acme-guard", "publish:acme", content=body)
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


def told(api: Api) -> tuple[str, str, object, object]:
    entry = api.journal()[-1]
    return entry.kind, entry.subject, entry.detail.get("before"), entry.detail.get("floors")


def test_a_guard_raises_the_floor(api: Api) -> None:
    """Guard file and guard role: releases below are marked, the journal has both floors."""
    api.world.release("acme", {PATH: b"binary"})
    assert set_floors(api, 2, otelcol="1.1.0")["releases"] == []
    assert told(api) == ("guard.raised", "publisher:acme", {"otelcol": None}, {"otelcol": "1.1.0"})
    [found] = api.call("GET", f"{V1}/releases", "read").json()["releases"]
    assert found["below_floor"] is True


def test_a_lowered_floor_is_not_journalled_as_raised(api: Api) -> None:
    """It has a kind of its own, with what the floor was and what it is."""
    set_floors(api, 2, otelcol="1.1.0")
    set_floors(api, 3, otelcol="1.0.5")
    assert told(api) == ("guard.lowered", "publisher:acme", {"otelcol": "1.1.0"}, {"otelcol": "1.0.5"})


def test_a_guard_that_is_only_signed_again_raises_nothing(api: Api) -> None:
    """A renewal says nothing of floors."""
    set_floors(api, 2, otelcol="1.1.0")
    set_floors(api, 3, otelcol="1.1.0")
    assert told(api) == ("role.renewed", "role:acme-guard", None, None)


def test_floors_that_went_both_ways_are_told_apart(api: Api) -> None:
    """One guard that raises one floor and lowers another leaves an entry of each kind."""
    api.world.add_publisher("second", ("agent", "tool"))
    for version, floors in (
        (2, {"agent": "1.0.0", "tool": "2.0.0"}),
        (3, {"agent": "1.5.0", "tool": "1.0.0"}),
    ):
        guard = Guard({package: Version.parse(text) for package, text in floors.items()})
        path, whose = f"{V1}/publishers/second", "publish:second"
        api.world.upload(guard_path("second"), guard.to_bytes())
        body = role_bytes("second-guard", version, [guard_file("second", guard)])
        assert api.call("PUT", f"{path}/roles/second-guard", whose, content=body).status_code == 200
    raised, lowered = api.journal()[-2:]
    assert (raised.kind, raised.detail["before"], raised.detail["floors"]) == (
        "guard.raised",
        {"agent": "1.0.0"},
        {"agent": "1.5.0"},
    )
    assert (lowered.kind, lowered.detail["before"], lowered.detail["floors"]) == (
        "guard.lowered",
        {"tool": "2.0.0"},
        {"tool": "1.0.0"},
    )
