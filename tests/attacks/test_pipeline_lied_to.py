"""A server that lies to a pipeline, with every online key in its hands.

The pipeline's key is what it wants: a signature over something that the pipeline did not mean. Each case ends
in a refusal before the key is used, or with nothing signed but the pipeline's own digest; what was published
stays published.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from distribution.catalog.catalogue import load
from distribution.catalog.delegation import target_file
from distribution.domain.package import Digest, Version
from distribution.errors import ConflictError, InvalidError, UnverifiedError
from distribution.pipeline import state
from distribution.pipeline.guard import set_floor
from keys.metadata import MetaFile, Root, Snapshot, Targets, Timestamp, read, sign
from tests.fakes.publisher_home import V1, V2, Publisher, publisher
from tests.fakes.publishing import NOW, YEAR, World, artifact, role_bytes, signer

EVIL = artifact("acme/otelcol/6.6.6/linux-amd64/otelcol", b"evil")
V3 = "acme/otelcol/3.0.0/linux-amd64/otelcol"


@pytest.fixture
def acme(tmp_path: Path) -> Publisher:
    """A publisher that has published two versions: its role is at version 3."""
    made = publisher(tmp_path / "acme")
    made.publish(V1, b"one")
    made.publish(V2, b"two")
    made.server.submissions.clear()
    return made


def show(made: Publisher, **roles: bytes) -> None:
    """Show these role files as current, by newer snapshot and timestamp that the online keys signed."""
    current = made.server.world.repository.current()
    meta = dict(current.snapshot.meta)
    for name, raw in roles.items():
        role = name.replace("_", "-")
        version = read(Targets, raw).signed.version
        meta[f"{role}.json"] = MetaFile(version)
        made.server.overlay[f"metadata/{version}.{role}.json"] = raw
    number = current.snapshot.version + 10
    snapshot = sign(Snapshot(version=number, expires=NOW + YEAR, meta=meta), [signer("snapshot")])
    made.server.overlay[f"metadata/{number}.snapshot.json"] = snapshot
    timestamp = Timestamp(version=number, expires=NOW + YEAR, snapshot_meta=MetaFile(number))
    made.server.overlay["metadata/timestamp.json"] = sign(timestamp, [signer("timestamp")])


def forget(acme: Publisher) -> None:
    """The pipeline runs on a fresh machine: the TUF client remembers nothing, the key's state does."""
    shutil.rmtree(acme.folder / "metadata")


def require_unharmed(acme: Publisher) -> None:
    """Nothing was signed, and both releases are as they were."""
    assert acme.server.submissions == []
    assert state.load(acme.release_seat.state_file).highest_version == 3
    world: World = acme.server.world
    catalogue = load(world.store, world.root, NOW)
    for path, text, body in ((V1, "1.0.0", b"one"), (V2, "2.0.0", b"two")):
        release = catalogue.find("acme", "otelcol", Version.parse(text))
        assert release.artifacts["linux-amd64"] == artifact(path, body)


def old(acme: Publisher, version: int = 2) -> bytes:
    return acme.server.world.store.read(f"metadata/{version}.acme.json", 99_999)[0]


def with_extra(acme: Publisher, version: int, key: str) -> bytes:
    """Return the current role with one more target, signed by a key the server has."""
    listed = read(Targets, old(acme, 3)).signed.targets
    return role_bytes("acme", version, [*listed.values(), target_file(EVIL)], key=key)


def test_a_foreign_digest(acme: Publisher) -> None:
    """The answer to the upload names another file's digest."""
    acme.server.lie_about_digest = EVIL.sha256
    with pytest.raises(UnverifiedError, match=f"has sha256 {EVIL.sha256}, this file has"):
        acme.publish(V3, b"three")
    require_unharmed(acme)


def test_other_bytes_are_stored(acme: Publisher) -> None:
    """The server stores other bytes and says nothing: what is signed is still the pipeline's own digest."""

    def upload(path: str, digest: Digest, length: int, chunks: Iterable[bytes]) -> Digest:
        b"".join(chunks)
        acme.server.world.store.create(f"targets/acme/otelcol/3.0.0/linux-amd64/{digest}.otelcol", b"evil")
        return digest

    acme.server.upload = upload  # type: ignore[method-assign] # the server lies from here on
    with pytest.raises(UnverifiedError, match="has 4 bytes in the store, its role says 5"):
        acme.publish(V3, b"three")
    [submitted] = acme.server.submissions
    own = read(Targets, submitted).signed.targets[V3].hashes
    assert own == {"sha256": hashlib.sha256(b"three").hexdigest()}


def test_an_old_role(acme: Publisher) -> None:
    """Signed on the old list, the newest release would be gone."""
    show(acme, acme=old(acme))
    with pytest.raises(UnverifiedError):
        acme.publish(V3, b"three")
    require_unharmed(acme)


def test_an_old_role_to_a_pipeline_without_a_memory(acme: Publisher) -> None:
    """What the key signed last is kept beside the key, not in the client's cache."""
    forget(acme)
    show(acme, acme=old(acme))
    with pytest.raises(UnverifiedError, match="role acme v2 is shown as current, this key signed v3"):
        acme.publish(V3, b"three")
    require_unharmed(acme)


def test_an_old_timestamp(acme: Publisher) -> None:
    """A withheld update: the state of yesterday, in full and well signed."""
    before = acme.server.world.store.read("metadata/timestamp.json", 9999)[0]
    acme.publish(V3, b"three")
    acme.server.submissions.clear()
    acme.server.overlay["metadata/timestamp.json"] = before
    with pytest.raises(UnverifiedError, match="New timestamp version"):
        acme.publish(V3.replace("3.0.0", "4.0.0"), b"four")
    assert acme.server.submissions == []


def test_a_frozen_timestamp(acme: Publisher) -> None:
    """The same state for ever: it expires."""
    with pytest.raises(UnverifiedError, match="expired"):
        acme.publish(V3, b"three", now=NOW + timedelta(days=2))
    require_unharmed(acme)


@pytest.mark.parametrize("key", ["snapshot", "timestamp", "stranger"])
@pytest.mark.parametrize("version", [3, 4])
def test_extra_targets(acme: Publisher, key: str, version: int) -> None:
    """A role with one more target, to be signed again by who may."""
    forget(acme)
    show(acme, acme=with_extra(acme, version, key))
    with pytest.raises(UnverifiedError, match="role acme does not verify"):
        acme.publish(V3, b"three")
    require_unharmed(acme)


def test_extra_targets_under_the_old_signature(acme: Publisher) -> None:
    """The signature of the true list does not cover the longer one."""
    raw = old(acme, 3)
    forged = raw.replace(
        b'"targets":{', b'"targets":{"acme/otelcol/6.6.6/any/x":{"hashes":{"sha256":"00"},"length":1},', 1
    )
    assert forged != raw
    forget(acme)
    show(acme, acme=forged)
    with pytest.raises(UnverifiedError):
        acme.publish(V3, b"three")
    require_unharmed(acme)


def test_a_delegation_to_the_servers_own_key(acme: Publisher) -> None:
    """The server signs a `targets` that makes its key the publisher's."""
    targets = read(Targets, acme.server.world.repository.current().targets_bytes).signed
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    key = signer("snapshot").public_key
    targets.delegations.keys[key.keyid] = key
    targets.delegations.roles["acme"].keyids = [key.keyid]
    targets.version += 1
    show(acme, targets=sign(targets, [signer("snapshot")]), acme=with_extra(acme, 4, "snapshot"))
    with pytest.raises(UnverifiedError):
        acme.publish(V3, b"three")
    require_unharmed(acme)


def test_another_root(acme: Publisher) -> None:
    """A second root, signed by the server alone, to a pipeline that pinned the first."""
    root = read(Root, acme.server.world.root).signed
    root.version = 2
    acme.server.overlay["metadata/2.root.json"] = sign(root, [signer("snapshot"), signer("timestamp")])
    with pytest.raises(UnverifiedError):
        acme.publish(V3, b"three")
    require_unharmed(acme)


def test_another_first_root(acme: Publisher) -> None:
    """A fresh pipeline is shown another root than the one its trust file pins."""
    (acme.folder / "root.json").unlink()
    pin = hashlib.sha256(acme.server.world.root).hexdigest()
    acme.server.overlay["metadata/1.root.json"] = World(now=NOW - timedelta(days=1)).root
    with pytest.raises(UnverifiedError, match=f"pinned is {pin}"):
        acme.home.pin_root(acme.server, 1, pin)
    assert acme.server.submissions == []


@pytest.mark.parametrize("error", [ConflictError("taken"), InvalidError("no")])
def test_two_roles_of_one_version(acme: Publisher, error: Exception) -> None:
    """The server keeps what it is handed and denies it: no version is ever signed for two contents."""

    def deny(body: bytes) -> None:
        raise error

    acme.server.before_submit = deny
    for number in range(2):
        with pytest.raises(type(error)):
            acme.publish(V3.replace("3.0.0", f"3.{number}.0"), b"%d" % number)
    contents: dict[int, set[bytes]] = {}
    for body in acme.server.submissions:
        contents.setdefault(read(Targets, body).signed.version, set()).add(body)
    assert {len(bodies) for bodies in contents.values()} == {1}


def test_a_publication_that_is_only_said(acme: Publisher) -> None:
    """The server takes the role and goes on showing the old state to everyone."""
    acme.server.overlay["metadata/timestamp.json"] = acme.server.world.store.read(
        "metadata/timestamp.json", 9999
    )[0]
    with pytest.raises(UnverifiedError, match="role acme v3 is shown as current, this key signed v4"):
        acme.publish(V3, b"three")


def test_an_old_guard(acme: Publisher) -> None:
    """A floor cannot be forgotten by raising another on an old guard."""
    seat, tools = acme.guard_seat, acme.tools()
    set_floor(seat, "otelcol", Version.parse("2.0.0"), tools)
    acme.server.submissions.clear()
    forget(acme)
    show(acme, acme_guard=acme.server.world.store.read("metadata/1.acme-guard.json", 99_999)[0])
    with pytest.raises(UnverifiedError, match="role acme-guard v1 is shown as current, this key signed v2"):
        set_floor(acme.guard_seat, "otelcol", Version.parse("1.0.0"), tools)
    assert acme.server.submissions == []


def no_timestamp(acme: Publisher) -> None:
    acme.server.world.store.delete("metadata/timestamp.json")


def no_role(acme: Publisher) -> None:
    acme.server.world.store.delete("metadata/3.acme.json")


@pytest.mark.parametrize("withhold", [no_timestamp, no_role])
def test_a_withheld_file(acme: Publisher, withhold: Callable[[Publisher], None]) -> None:
    """Without the whole picture nothing is signed."""
    withhold(acme)
    forget(acme)
    with pytest.raises(UnverifiedError, match="cannot be read as a whole"):
        acme.publish(V3, b"three")
    assert acme.server.submissions == []
