"""What a TUF key must look like, and who may sign what."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from keys.errors import RoleMisuseError
from keys.metadata import Delegations, Key, Root, SSlibKey, Targets, read
from keys.roles import (
    delegated_keys,
    delegated_roles,
    require_key,
    require_signers,
    roles_by_keyid,
    tuf_key,
)
from tests.fakes.publishing import World, signer


def root_and_targets() -> tuple[Root, Targets]:
    world = World()
    world.add_publisher()
    return read(Root, world.root).signed, world.repository.current().targets


def test_a_p256_key_is_written_one_way() -> None:
    """Type, scheme, PEM and keyid are the ones every TUF client reads."""
    key = tuf_key(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert (key.keytype, key.scheme) == ("ecdsa", "ecdsa-sha2-nistp256")
    assert len(key.keyid) == 64
    assert require_key(key) == key


def test_another_curve_is_refused() -> None:
    """P-384 is not read by every client, so it is not made."""
    with pytest.raises(RoleMisuseError, match="secp384r1"):
        tuf_key(ec.generate_private_key(ec.SECP384R1()).public_key())


def altered(**changes: object) -> Key:
    key = signer("acme").public_key
    fields: dict[str, object] = {**key.to_dict(), **changes}
    keyid = str(fields.pop("keyid", key.keyid))
    return SSlibKey.from_dict(keyid, fields)


def pem_of(public: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> str:
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"keyid": "0" * 64}, "is not written as we write it"),
        ({"x-extra": 1}, "is not written as we write it"),
        ({"keyval": {"public": signer("acme").public_key.keyval["public"] + "\n"}}, "is not written as"),
        ({"keyval": {"public": "nonsense"}}, "no readable public key"),
        ({"keytype": "ed25519", "scheme": "ed25519"}, "is ed25519/ed25519, expected ecdsa"),
        ({"scheme": "ecdsa-sha2-nistp384"}, "ecdsa-sha2-nistp384"),
        ({"keyval": {"public": pem_of(ed25519.Ed25519PrivateKey.generate().public_key())}}, "expected P-256"),
        ({"keyval": {"public": pem_of(ec.generate_private_key(ec.SECP384R1()).public_key())}}, "secp384r1"),
    ],
)
def test_a_key_in_another_form_is_refused(changes: dict[str, object], words: str) -> None:
    """A second spelling of a key would be a second keyid for one key."""
    with pytest.raises(RoleMisuseError, match=words):
        require_key(altered(**changes))


def test_delegations_are_read_where_there_are_some() -> None:
    """Roles and keys of `targets`, and nothing where it delegates to nobody."""
    _, targets = root_and_targets()
    assert set(delegated_roles(targets)) == {"acme", "acme-guard"}
    assert set(delegated_keys(targets)) == {
        signer("acme").public_key.keyid,
        signer("acme-guard").public_key.keyid,
    }
    assert delegated_roles(Targets()) == {}
    assert delegated_keys(Targets()) == {}
    empty = Targets(delegations=Delegations({}, roles={}))
    assert delegated_roles(empty) == {}


def test_every_listed_key_is_found_with_its_roles() -> None:
    """The map covers root's roles and the delegated ones."""
    found = roles_by_keyid(*root_and_targets())
    assert found[signer("snapshot").public_key.keyid] == ("snapshot",)
    assert found[signer("acme").public_key.keyid] == ("acme",)
    assert found[signer("root-3").public_key.keyid] == ("root",)


def test_signers_are_checked_before_they_sign() -> None:
    """Own keys and enough of them pass; a stranger, too few, or an unknown role do not."""
    root, _ = root_and_targets()
    require_signers(root, "targets", [signer("targets-1"), signer("targets-3")])
    with pytest.raises(RoleMisuseError, match="is not listed for role targets"):
        require_signers(root, "targets", [signer("targets-1"), signer("root-1")])
    with pytest.raises(RoleMisuseError, match="needs 2 keys, 1 were given"):
        require_signers(root, "targets", [signer("targets-1"), signer("targets-1")])
    with pytest.raises(RoleMisuseError, match="role acme is not delegated"):
        require_signers(root, "acme", [signer("acme")])
