"""A publisher's request to be delegated to: its keys, its packages, and proof that it holds both keys. Pure.

The proof is the first version of both roles, signed by the keys asked for; each names the publisher and the
packages under the signature, so a role cannot be shown again for another name. An operator's offline keys
sign the delegation only after `PublisherRequest.parse` has seen that.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from tuf.api.exceptions import LengthOrHashMismatchError

from distribution.catalog.delegation import (
    Publisher,
    artifacts_in,
    guard_role,
    guard_target,
    release_paths,
    require_publisher,
    verifying,
)
from distribution.domain.guard import Guard, guard_path
from distribution.errors import InvalidError, UnverifiedError
from keys.metadata import DelegatedRole, Delegations, Key, Signed, SSlibKey, Targets, read, verify
from keys.roles import Delegation, require_key

REQUEST_MAX_BYTES = 131_072
NAMED_FIELD = "x-quartermaster-publisher"
"""Field of a first role, under its signature: `{"name", "packages"}` of the publisher it was made for."""

_FIELDS = {"publisher", "packages", "release_key", "guard_key", "release_role", "guard_role", "guard_file"}


@dataclass(frozen=True, slots=True)
class PublisherRequest:
    """What `publisher keygen` writes and an operator signs for. Made by `parse`, or by who holds the keys."""

    publisher: str
    packages: tuple[str, ...]
    release_key: SSlibKey
    guard_key: SSlibKey
    release_role: bytes
    guard_role: bytes
    guard_file: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "PublisherRequest":
        """Read a request and check its proof.

        Raises:
            InvalidError: it is no request of ours.
            UnverifiedError: a first role is not signed by the key it asks for, or for another name.
        """
        if len(raw) > REQUEST_MAX_BYTES:
            raise InvalidError(
                f"publisher request has {len(raw)} bytes, at most {REQUEST_MAX_BYTES} are read"
            )
        try:
            found = json.loads(raw)
            request = cls._of(found)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, binascii.Error) as exc:
            raise InvalidError("publisher request does not have its fields and no others") from exc
        request.require_proof()
        return request

    @classmethod
    def _of(cls, found: Mapping[str, object]) -> "PublisherRequest":
        if set(found) != _FIELDS:
            raise KeyError(str(sorted(found)))
        packages = found["packages"]
        if not isinstance(packages, list) or not packages or packages != sorted(set(packages)):
            raise TypeError("packages")
        publisher = require_publisher(str(found["publisher"]))
        release_paths(publisher, packages)
        with verifying(f"request of publisher {publisher}"):
            return cls(
                publisher,
                tuple(packages),
                require_key(_key(found["release_key"])),
                require_key(_key(found["guard_key"])),
                *(_decode(found[name]) for name in ("release_role", "guard_role", "guard_file")),
            )

    def to_bytes(self) -> bytes:
        """Return the request file."""
        fields = {
            "publisher": self.publisher,
            "packages": list(self.packages),
            "release_key": {"keyid": self.release_key.keyid, **self.release_key.to_dict()},
            "guard_key": {"keyid": self.guard_key.keyid, **self.guard_key.to_dict()},
            "release_role": base64.b64encode(self.release_role).decode(),
            "guard_role": base64.b64encode(self.guard_role).decode(),
            "guard_file": base64.b64encode(self.guard_file).decode(),
        }
        return json.dumps(fields, indent=2).encode() + b"\n"

    def delegations(self) -> tuple[Delegation, Delegation]:
        """Return what the offline keys are asked to sign."""
        return (
            Delegation(self.publisher, self.release_key, release_paths(self.publisher, self.packages)),
            Delegation(guard_role(self.publisher), self.guard_key, (guard_path(self.publisher),)),
        )

    def require_proof(self) -> None:
        """Check both first roles. Raises UnverifiedError, or InvalidError for a role of the wrong shape."""
        if self.release_key.keyid == self.guard_key.keyid:
            raise InvalidError(f"publisher {self.publisher} asks for one key in both its roles")
        delegator = _delegator(self.delegations())
        with verifying(f"request of publisher {self.publisher}"):
            release = verify(delegator, self.publisher, read(Targets, self.release_role))
            guard = verify(delegator, guard_role(self.publisher), read(Targets, self.guard_role))
        for role in (release, guard):
            _require_named(role, self.publisher, self.packages)
        publisher = Publisher(self.publisher, self.packages, self.release_key.keyid, self.guard_key.keyid)
        if artifacts_in(publisher, release):
            raise InvalidError(
                f"first release role of publisher {self.publisher} lists targets, expected none"
            )
        Guard.parse(self.guard_file)
        try:
            guard_target(self.publisher, guard).verify_length_and_hashes(self.guard_file)
        except LengthOrHashMismatchError as exc:
            raise UnverifiedError(f"guard file of publisher {self.publisher} is not the signed one") from exc


def named(publisher: str, packages: tuple[str, ...]) -> dict[str, object]:
    """Return the extra field of a first role."""
    return {NAMED_FIELD: {"name": publisher, "packages": list(packages)}}


def _require_named(role: Signed, publisher: str, packages: tuple[str, ...]) -> None:
    found = role.unrecognized_fields.get(NAMED_FIELD)
    expected = named(publisher, packages)[NAMED_FIELD]
    if found != expected:
        raise UnverifiedError(f"first role was signed for {found!r}, the request says {expected!r}")


def _delegator(delegations: tuple[Delegation, Delegation]) -> Targets:
    keys: dict[str, Key] = {each.key.keyid: each.key for each in delegations}
    roles = {
        each.role: DelegatedRole(each.role, [each.key.keyid], 1, terminating=True, paths=list(each.paths))
        for each in delegations
    }
    return Targets(delegations=Delegations(keys, roles))


def _key(found: object) -> Key:
    if not isinstance(found, dict):
        raise TypeError("key")
    fields = dict(found)
    return SSlibKey.from_dict(fields.pop("keyid"), fields)


def _decode(found: object) -> bytes:
    return base64.b64decode(str(found), validate=True)
