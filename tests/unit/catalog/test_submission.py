"""Which signed roles may be committed, and which are somebody's mistake, race or attack."""

from datetime import timedelta

import pytest

from distribution.catalog import submission
from distribution.catalog.delegation import target_file
from distribution.catalog.submission import VERSION_LEAP_MAX, Accepted
from distribution.domain.guard import GUARD_MAX_BYTES, Guard, Moved, guard_path
from distribution.domain.package import PackageType, Version
from distribution.errors import ConflictError, InvalidError, UnknownError, UnverifiedError
from keys.metadata import TargetFile
from tests.fakes.memory_store import MemoryStore
from tests.fakes.publishing import NOW, World, artifact, guard_file, role_bytes

V1, V2 = "acme/otelcol/1.0.0/linux-amd64/otelcol", "acme/otelcol/2.0.0/linux-amd64/otelcol"


@pytest.fixture
def made() -> World:
    """A publisher with version 1.0.0 published, in version 2 of its role."""
    world = World()
    world.add_publisher()
    world.release("acme", {V1: b"one"})
    return world


def accept(made: World, body: bytes, role: str = "acme", at: timedelta = timedelta()) -> Accepted:
    return submission.accept(made.store, made.repository.current(), role, body, NOW + at)


def listing(*files: tuple[str, bytes]) -> list[TargetFile]:
    return [target_file(artifact(path, body)) for path, body in files]


def test_a_new_release_is_accepted_and_named(made: World) -> None:
    """What it adds comes back, for the journal and for eyes."""
    made.upload(V2, b"two")
    body = made.next_release_role("acme", {V2: b"two"})
    assert accept(made, body) == Accepted("acme", "acme", 3, body, added=(artifact(V2, b"two"),))


def test_the_current_role_again_is_already_current(made: World) -> None:
    """A retry is told from a new submission."""
    raw, _ = made.store.read("metadata/2.acme.json", 9999)
    assert accept(made, raw) == Accepted("acme", "acme", 2, raw, already_current=True)


def test_a_role_signed_again_adds_nothing(made: World) -> None:
    """Renewal moves the version and the expiry, not the list."""
    accepted = accept(made, made.next_release_role("acme", {}))
    assert (accepted.version, accepted.added, accepted.already_current) == (3, (), False)


def test_a_first_role_may_come_without_one_before(made: World) -> None:
    """A publisher whose release role is not in the snapshot starts from nothing."""
    current = made.repository.current()
    del current.snapshot.meta["acme.json"]
    accepted = submission.accept(
        made.store, current, "acme", role_bytes("acme", 1, listing((V1, b"one"))), NOW
    )
    assert accepted.added == (artifact(V1, b"one"),)


@pytest.mark.parametrize("version", [1, 2])
def test_a_version_that_is_taken_is_a_conflict(made: World, version: int) -> None:
    """Both versions are named."""
    with pytest.raises(ConflictError, match=f"role acme v{version} was submitted, v2 is current"):
        accept(made, role_bytes("acme", version, listing((V1, b"one"))))


def test_a_version_may_skip_but_not_run_away(made: World) -> None:
    """Skipping passes an orphan; an absurd version would lock the publisher out."""
    highest = 2 + VERSION_LEAP_MAX
    assert accept(made, role_bytes("acme", highest, listing((V1, b"one")))).version == highest
    with pytest.raises(InvalidError, match=f"at most v{highest} may follow v2"):
        accept(made, role_bytes("acme", highest + 1, listing((V1, b"one"))))


def test_a_list_without_what_is_current_is_a_conflict(made: World) -> None:
    """Whoever signed on an older list would take a release away."""
    with pytest.raises(ConflictError, match=f"role acme v3 lacks '{V1}', which v2 lists"):
        accept(made, role_bytes("acme", 3, []))


@pytest.mark.parametrize("kind", list(PackageType))
def test_a_published_target_stays_as_it_is(made: World, kind: PackageType) -> None:
    """Neither its digest nor its type changes."""
    body = b"one" if kind is PackageType.ADDON else b"eno"
    made.upload(V1, body)
    with pytest.raises(ConflictError, match="is published with sha256"):
        accept(made, role_bytes("acme", 3, [target_file(artifact(V1, body, kind))]))


def test_bytes_must_be_there(made: World) -> None:
    """A role over bytes that were not uploaded would be an offer nobody can take."""
    with pytest.raises(UnknownError, match="were not uploaded"):
        accept(made, made.next_release_role("acme", {V2: b"two"}))


def test_bytes_must_be_the_signed_ones(made: World) -> None:
    """A length or a stored body that differs from the signature."""
    assert isinstance(made.store, MemoryStore)
    made.upload(V2, b"two")
    short = target_file(artifact(V2, b"two"))
    short.length = 2
    with pytest.raises(UnverifiedError, match="has 3 bytes in the store, its role says 2"):
        accept(made, role_bytes("acme", 3, [*listing((V1, b"one")), short]))
    [key] = [key for key in made.store.bodies if "/2.0.0/" in key]
    made.store.bodies[key] = b"owt"
    with pytest.raises(UnverifiedError, match="its role says"):
        accept(made, made.next_release_role("acme", {V2: b"two"}))


def test_two_files_for_one_platform_are_refused(made: World) -> None:
    """The release as a whole has to make sense."""
    twin = "acme/otelcol/1.0.0/linux-amd64/twin"
    made.upload(twin, b"twin")
    with pytest.raises(InvalidError, match="has two files"):
        accept(made, made.next_release_role("acme", {twin: b"twin"}))


@pytest.mark.parametrize(
    ("body", "at"),
    [
        (role_bytes("acme", 3, [], key="acme-guard"), timedelta()),
        (role_bytes("acme", 3, []), timedelta(days=400)),
        (b"{}", timedelta()),
    ],
)
def test_what_does_not_verify_is_refused(made: World, body: bytes, at: timedelta) -> None:
    """Another key's signature, an expired role, garbage."""
    with pytest.raises(UnverifiedError, match="submitted role"):
        accept(made, body, at=at)


@pytest.mark.parametrize(
    ("role", "error"), [("stranger", UnknownError), ("targets", InvalidError), ("../acme", InvalidError)]
)
def test_a_role_of_no_publisher_is_refused(made: World, role: str, error: type[Exception]) -> None:
    """Only publishers' roles are submitted."""
    with pytest.raises(error):
        accept(made, role_bytes("acme", 3, []), role)


def guarding(made: World, raw: bytes, version: int = 2) -> bytes:
    made.upload(guard_path("acme"), raw)
    target = TargetFile.from_data(guard_path("acme"), raw, ["sha256"])
    return role_bytes("acme-guard", version, [target])


def test_a_guard_is_accepted_with_its_floors(made: World) -> None:
    """The bytes are read and understood before they bind anyone."""
    guard = Guard({"otelcol": Version.parse("1.0.0")})
    accepted = accept(made, guarding(made, guard.to_bytes()), "acme-guard")
    assert (accepted.publisher, accepted.role, accepted.guard) == ("acme", "acme-guard", guard)


@pytest.mark.parametrize("raw", [b"{}", b" " * (GUARD_MAX_BYTES + 1)])
def test_a_guard_that_no_agent_would_understand_is_refused(made: World, raw: bytes) -> None:
    """It would stop every install of the publisher."""
    with pytest.raises(InvalidError):
        accept(made, guarding(made, raw), "acme-guard")


def test_a_guard_without_its_bytes_is_refused(made: World) -> None:
    """The same rule as for packages."""
    body = role_bytes("acme-guard", 2, [guard_file("acme", Guard({"x": Version.parse("1.0.0")}))])
    with pytest.raises(UnknownError, match="were not uploaded"):
        accept(made, body, "acme-guard")


def test_a_new_floor_of_a_package_the_publisher_does_not_have_is_refused(made: World) -> None:
    """It would look like a closed hole and forbid nothing."""
    guard = Guard({"otelcl": Version.parse("2.0.0")})
    with pytest.raises(InvalidError, match=r"package 'otelcl' is none of publisher 'acme', .*\['otelcol'\]"):
        accept(made, guarding(made, guard.to_bytes()), "acme-guard")


def test_floors_that_moved_come_with_what_they_were(made: World) -> None:
    """Up, down and signed again are told apart; each is compared with the guard that is current."""
    low, high = Version.parse("1.0.5"), Version.parse("1.1.0")
    first = accept(made, body := guarding(made, Guard({"otelcol": high}).to_bytes()), "acme-guard")
    assert first.moved == (Moved("otelcol", None, high),)
    made.submit("acme-guard", body)
    again = guarding(made, Guard({"otelcol": high}).to_bytes(), version=3)
    assert accept(made, again, "acme-guard").moved == ()
    lowered = guarding(made, Guard({"otelcol": low}).to_bytes(), version=3)
    assert accept(made, lowered, "acme-guard").moved == (Moved("otelcol", high, low),)


def test_a_floor_that_an_earlier_server_took_stays_readable(made: World) -> None:
    """A guard with the floor of a package that is none is signed again, and moved, as before."""
    stray = Guard({"otelcl": Version.parse("2.0.0")})
    body = guarding(made, stray.to_bytes())
    made.repository.commit({"acme-guard": body}, NOW, based_on=made.repository.current())
    again = guarding(made, stray.to_bytes(), version=3)
    assert accept(made, again, "acme-guard").guard == stray
    lowered = guarding(made, Guard({"otelcl": Version.parse("0.0.0")}).to_bytes(), version=3)
    assert [moved.lowered for moved in accept(made, lowered, "acme-guard").moved] == [True]


def test_a_guard_that_cannot_be_read_may_be_repaired(made: World) -> None:
    """There are no floors to compare with; the new ones count as raised from none."""
    body = guarding(made, b"{}")
    made.repository.commit({"acme-guard": body}, NOW, based_on=made.repository.current())
    guard = Guard({"otelcol": Version.parse("1.0.0")})
    repaired = accept(made, guarding(made, guard.to_bytes(), version=3), "acme-guard")
    assert repaired.moved == (Moved("otelcol", None, Version.parse("1.0.0")),)
