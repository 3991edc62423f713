"""A stolen server that signs with the online keys: it re-signs, rolls back, leaves out, withholds metadata.

Snapshot and timestamp say which versions of the publishers' roles are current; they can mint nothing, and
they cannot go back. Each attempt ends in a refusal, and the version that ran goes on running.
"""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import MetaFile, Root, TargetFile

from distribution.domain.offer import DOWNGRADE_HEADER
from tests.fakes.agent_world import path_of
from tests.fakes.besieged_agent import Besieged, besieged, program, repository
from tests.fakes.tuf_repository import TufRepository, sign


@pytest.fixture
def tuf() -> TufRepository:
    return repository()


@pytest.fixture
def agent(tmp_path: Path, tuf: TufRepository) -> Iterator[Besieged]:
    with besieged(tmp_path, tuf) as found:
        yield found


def test_a_release_minted_with_the_online_keys(agent: Besieged, tuf: TufRepository) -> None:
    """The server signs a release role with its own snapshot key: the delegation knows another key."""
    minted = copy.deepcopy(tuf.release)
    minted.targets = {path_of("6.6.6"): TargetFile.from_data(path_of("6.6.6"), b"evil", ["sha256"])}
    tuf.files[f"metadata/{minted.version}.acme.json"] = sign(minted, tuf.snapshot_signer)
    tuf.snapshot.meta["acme.json"] = MetaFile(minted.version)
    tuf.resign_online()
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer, "version", "6.6.6")))
    agent.require_refused("does not verify from the pinned root", "acme was signed by 0/1 keys")


def test_a_root_of_its_own(agent: Besieged, tuf: TufRepository) -> None:
    """The server serves a next root signed by itself: the pinned root's key did not sign it."""
    own = CryptoSigner.generate_ecdsa()
    root = Root(version=2, expires=tuf.timestamp.expires, consistent_snapshot=True)
    for role in ("root", "targets", "snapshot", "timestamp"):
        root.add_key(own.public_key, role)
    tuf.files["metadata/2.root.json"] = sign(root, own)
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("does not verify from the pinned root", "root was signed by 0/1 keys")


def test_a_floor_that_the_server_hides(agent: Besieged, tuf: TufRepository) -> None:
    """The server goes back to the guard of before the floor: the agent has seen a newer snapshot."""
    before = dict(tuf.files)
    tuf.set_floors({"collector": "1.0.0"})
    tuf.publish()
    agent.hear(agent.message(agent.world.offered("0.9.0", downgrade=True)))
    guard_before = tuf.guard.version - 2
    tuf.snapshot.meta["acme-guard.json"] = MetaFile(guard_before)
    tuf.resign_online()
    assert f"metadata/{guard_before}.acme-guard.json" in before
    agent.hear(
        agent.lie("0.9.0", lambda offer: offer.file.headers.headers.add(key=DOWNGRADE_HEADER, value="0.9.0"))
    )
    agent.require_refused(
        "does not verify", f"acme-guard.json version {guard_before}, got {guard_before + 1}"
    )


def test_metadata_rolled_back(agent: Besieged, tuf: TufRepository) -> None:
    """The whole repository of an earlier day is served again: the agent has seen a newer timestamp."""
    earlier = dict(tuf.files)
    tuf.add_release(path_of("1.2.0"), program("1.2.0"))
    tuf.publish()
    seen = tuf.timestamp.version - 1
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer, "version", "7.0.0")))
    tuf.files = earlier
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("does not verify from the pinned root", f"timestamp version {seen - 1}", str(seen))


def test_a_release_role_rolled_back(agent: Besieged, tuf: TufRepository) -> None:
    """The server signs a new snapshot that names an older release role: it may only go forward."""
    tuf.add_release(path_of("1.2.0"), program("1.2.0"))
    tuf.publish()
    agent.hear(agent.lie("1.1.0", lambda offer: setattr(offer, "version", "7.0.0")))
    tuf.snapshot.meta["acme.json"] = MetaFile(1)
    tuf.resign_online()
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("does not verify from the pinned root", "acme.json version 1, got 3")


def test_metadata_that_is_frozen_until_it_expired(agent: Besieged, tuf: TufRepository) -> None:
    """Expired metadata installs nothing new, says so, and stops nothing."""
    tuf.expire_online()
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("expired", "nothing new is installed")


def test_a_guard_left_out_of_the_snapshot(agent: Besieged, tuf: TufRepository) -> None:
    """The server signs a snapshot without the guard role: a role may not vanish."""
    del tuf.snapshot.meta["acme-guard.json"]
    tuf.resign_online()
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("acme-guard")


def test_a_guard_left_out_before_the_agent_saw_one(agent: Besieged, tuf: TufRepository) -> None:
    """An agent without any memory of the guard refuses all the same: no guard, no installation."""
    for file in (agent.world.root / "tuf").glob("*.json"):
        if not file.is_symlink():
            file.unlink()
    del tuf.snapshot.meta["acme-guard.json"]
    tuf.resign_online()
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("acme-guard was delegated but is not part of snapshot")


def test_a_guard_document_withheld(agent: Besieged, tuf: TufRepository) -> None:
    """The signed guard's bytes are not served: without having read it nothing is installed."""
    [guard] = [name for name in tuf.files if name.endswith(".guard.json") and name.startswith("targets/")]
    del tuf.files[guard]
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused(guard, "404")


def test_a_guard_document_of_the_servers_own(agent: Besieged, tuf: TufRepository) -> None:
    """Other bytes for the guard document do not have its signed digest."""
    [guard] = [name for name in tuf.files if name.endswith(".guard.json") and name.startswith("targets/")]
    assert tuf.files[guard] == b'{"floors": {}}'
    tuf.files[guard] = b'{"floors":{} }'
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    signed = tuf.guard.targets["guard/acme/guard.json"].hashes["sha256"]
    agent.require_refused("does not verify from the pinned root", "guard/acme", signed)


def test_a_guard_that_nobody_signed(agent: Besieged, tuf: TufRepository) -> None:
    """A guard role without the document is a missing guard."""
    tuf.guard.targets = {}
    tuf.publish()
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("guard guard/acme/guard.json is missing")


def test_a_guard_in_words_this_agent_does_not_know(agent: Besieged, tuf: TufRepository) -> None:
    """A prohibition that is not understood forbids everything."""
    tuf.set_guard(b'{"floors": {}, "yanked": ["1.1.0"]}')
    tuf.publish()
    agent.hear(agent.message(agent.world.offered("1.1.0")))
    agent.require_refused("guard guard/acme/guard.json cannot be read")
