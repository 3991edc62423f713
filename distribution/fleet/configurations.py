"""Configurations remembered: named versions that never change, and how each was judged.

Rules: a version and its objects are written in one transaction, under the next number of its name; nothing is
ever deleted. The same content again is the version that is there. What a validator said stands beside a
version, with which validator it was; only that may change. Bodies of a version that carries a secret lie here
sealed. Journal entries are the flow's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    RowMapping,
    Select,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    update,
)

from distribution.domain.configuration import ConfigObject, ConfigVersion, content_digest
from distribution.errors import UnknownError
from keys.sealing import Seal
from storage.database import UtcDateTime, metadata

versions: Final = Table(
    "config_versions",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
    Column("secret", Boolean, nullable=False),
    Column("variables", JSON, nullable=False),
    Column("validator", Text, nullable=False),
    Column("valid", Boolean, nullable=False),
    Column("words", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", String(200), nullable=False),
    Index("ix_config_versions_content", "name", "digest", unique=True),
)

objects: Final = Table(
    "config_objects",
    metadata,
    Column("name", String(63), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", String(255), primary_key=True),
    Column("role", String(255), nullable=False),
    Column("content_type", String(255), nullable=False),
    Column("body", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found of a version. `validator` is the command that judged it, empty if only we did."""

    valid: bool
    validator: str = ""
    words: str = ""
    """The validator's own."""


@dataclass(frozen=True, slots=True)
class KnownVersion:
    """A version without its objects, for lists. `created_at` is aware UTC; `digest` is hexadecimal."""

    name: str
    number: int
    digest: str
    secret: bool
    variables: tuple[str, ...]
    """As they are written: `${qm:uid}`."""
    judgement: Judgement
    created_at: datetime
    created_by: str


def add(
    connection: Connection,
    name: str,
    content: Mapping[str, ConfigObject],
    *,
    secret: bool,
    variables: Iterable[str],
    judgement: Judgement,
    seal: Seal,
    actor: str,
    now: datetime,
) -> KnownVersion:
    """Write the next version of a configuration, new or not. Raises: as `Database.write`."""
    last = connection.scalar(select(func.max(versions.c.number)).where(versions.c.name == name)) or 0
    digest = content_digest(content, secret=secret).hex()
    made = KnownVersion(name, last + 1, digest, secret, tuple(variables), judgement, now, actor)
    connection.execute(
        insert(versions).values(
            name=name,
            number=made.number,
            digest=digest,
            secret=secret,
            variables=list(made.variables),
            validator=judgement.validator,
            valid=judgement.valid,
            words=judgement.words,
            created_at=now,
            created_by=actor,
        )
    )
    _add_objects(connection, made, content, seal if secret else None)
    return made


def same(
    connection: Connection, name: str, content: Mapping[str, ConfigObject], *, secret: bool
) -> KnownVersion | None:
    """Return the version of this very content, or None."""
    digest = content_digest(content, secret=secret).hex()
    return _first(connection, select(versions).where(versions.c.name == name, versions.c.digest == digest))


def judge(connection: Connection, name: str, number: int, judgement: Judgement) -> None:
    """Write what was found of a version, over what was found before."""
    connection.execute(
        update(versions)
        .where(versions.c.name == name, versions.c.number == number)
        .values(validator=judgement.validator, valid=judgement.valid, words=judgement.words)
    )


def known(connection: Connection, name: str, number: int | None = None) -> KnownVersion:
    """Return one version, the newest by default. Raises UnknownError."""
    query = select(versions).where(versions.c.name == name)
    if number is not None:
        query = query.where(versions.c.number == number)
    found = _first(connection, query.order_by(versions.c.number.desc()).limit(1))
    if found is None:
        which = f"configuration {name!r}" if number is None else f"configuration {name}@{number}"
        raise UnknownError(f"{which} does not exist")
    return found


def every(connection: Connection, name: str | None = None) -> tuple[KnownVersion, ...]:
    """Return all versions, of all configurations by default, by name and number."""
    query = select(versions).order_by(versions.c.name, versions.c.number)
    if name is not None:
        query = query.where(versions.c.name == name)
    return tuple(_from_row(row) for row in connection.execute(query).mappings())


def secret_ones(connection: Connection) -> frozenset[tuple[str, int]]:
    """Return every version that carries a secret: name and number."""
    rows = connection.execute(select(versions.c.name, versions.c.number).where(versions.c.secret.is_(True)))
    return frozenset((name, number) for name, number in rows)


def read(connection: Connection, name: str, number: int, seal: Seal) -> ConfigVersion:
    """Return one version with its objects. Raises UnknownError; CustodyError: the seal does not open it."""
    found = known(connection, name, number)
    opening = seal if found.secret else None
    return ConfigVersion(name, number, _objects(connection, name, number, opening), secret=found.secret)


def _add_objects(
    connection: Connection, made: KnownVersion, content: Mapping[str, ConfigObject], seal: Seal | None
) -> None:
    rows = [
        {
            "name": made.name,
            "number": made.number,
            "key": key,
            "role": one.role,
            "content_type": one.content_type,
            "body": one.body if seal is None else _sealed(one.body, seal),
        }
        for key, one in sorted(content.items())
    ]
    connection.execute(insert(objects), rows)


def _objects(connection: Connection, name: str, number: int, seal: Seal | None) -> dict[str, ConfigObject]:
    rows = connection.execute(
        select(objects).where(objects.c.name == name, objects.c.number == number).order_by(objects.c.key)
    ).mappings()
    return {
        row["key"]: ConfigObject(
            row["body"] if seal is None else _opened(row["body"], seal), row["content_type"], row["role"]
        )
        for row in rows
    }


def _sealed(body: bytes, seal: Seal) -> bytes:
    return seal.seal(body.decode("latin-1")).encode()


def _opened(body: bytes, seal: Seal) -> bytes:
    return seal.open(body.decode("ascii")).encode("latin-1")


def _first(connection: Connection, query: "Select[tuple[object, ...]]") -> KnownVersion | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else _from_row(row)


def _from_row(row: RowMapping) -> KnownVersion:
    return KnownVersion(
        name=row["name"],
        number=row["number"],
        digest=row["digest"],
        secret=row["secret"],
        variables=tuple(row["variables"]),
        judgement=Judgement(row["valid"], row["validator"], row["words"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
    )
