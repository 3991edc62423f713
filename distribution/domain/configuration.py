"""Remote configuration as values: what an agent is to run, what it says of it, and what was seen to be true.

An empty set of objects is no configuration: known clients stop the collector on one, so it cannot be made.
"Applied" is an agent's word; `Agreement` is what its effective configuration shows.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from distribution.errors import InvalidError


@dataclass(frozen=True, slots=True)
class ConfigObject:
    """One object of a configuration (OpAMP `AgentConfigObject`); its key is the agent's own affair."""

    body: bytes = field(repr=False)
    content_type: str = ""
    role: str = ""


@dataclass(frozen=True)
class RemoteConfig:
    """What one agent is to run, variables put in. Equal agents share one value.

    `origin` says for operators what it came from, such as `base@3, edge@1`. `secrets` are its scalars that an
    operator declared secret, `secret_parts` the values that he gave this agent: not to be kept if reported.
    """

    objects: Mapping[str, ConfigObject]
    origin: str = ""
    secrets: frozenset[str] = field(default=frozenset(), repr=False, compare=False)
    secret_parts: tuple[str, ...] = field(default=(), repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse the empty set. Raises InvalidError."""
        if not self.objects:
            raise InvalidError(f"configuration {self.origin!r} has no objects; an empty one stops collectors")

    @cached_property
    def digest(self) -> bytes:
        """32 bytes over keys, types, roles and bodies; see `domain.attempts` for the hash on the wire."""
        return digest_of(self.objects)


@dataclass(frozen=True, slots=True)
class ConfigVersion:
    """One version of a named configuration, as operators wrote it; it never changes.

    `secret` says that it carries one, so that agents cannot choose it for themselves.
    """

    name: str
    number: int
    objects: Mapping[str, ConfigObject]
    secret: bool = False

    def __str__(self) -> str:
        return f"{self.name}@{self.number}"


def content_digest(objects: Mapping[str, ConfigObject], *, secret: bool) -> bytes:
    """Return 32 bytes that name the content of a version: the same content is the same version."""
    return hashlib.sha256(digest_of(objects) + bytes([secret])).digest()


def digest_of(objects: Mapping[str, ConfigObject]) -> bytes:
    """Return 32 bytes over keys, types, roles and bodies."""
    digest = hashlib.sha256()
    for key, found in sorted(objects.items()):
        for part in (key.encode(), found.content_type.encode(), found.role.encode(), found.body):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.digest()


class ConfigState(Enum):
    """OpAMP `RemoteConfigStatuses`."""

    UNSET = "unset"
    APPLYING = "applying"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """What an agent says of the last remote configuration that it received (its hash, as offered)."""

    state: ConfigState
    hash: bytes = b""
    error: str = ""


class Agreement(Enum):
    """Whether an effective configuration shows what was intended."""

    UNKNOWN = "unknown"
    """It was not compared: nothing was intended, or it cannot be read."""
    AGREES = "agrees"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class EffectiveSeen:
    """What was found in the effective configuration that an agent reported last.

    `digest` is of what was reported (32 bytes); `intended` is the digest of the remote configuration that it
    was compared with, empty if with none.
    """

    digest: bytes
    agreement: Agreement = Agreement.UNKNOWN
    intended: bytes = b""
    why: str = ""
    """The first difference, in words, secrets out."""
    agreed: bool = False
    """Whether one that was reported before showed this same intended configuration."""
