"""What the operators' API answers, as models: for its document alone. Answers are made where they are known.

A model has every field of its answer and forbids others; `tests/unit/transport/operators/test_openapi.py` and
the run of schemathesis compare them with what is answered.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from distribution.domain.package import PackageType

Moment = str
Pairs = dict[str, str]


class Shape(BaseModel):
    """One answer."""

    model_config = ConfigDict(extra="forbid")


class Fault(Shape):
    """What went wrong: a word for programs, a sentence for people."""

    code: str
    message: str


class ErrorAnswer(Shape):
    """Every refusal."""

    error: Fault


class Token(Shape):
    """An enrollment token, without its secret."""

    token_id: str
    labels: Pairs
    uses: int
    used: int
    expires_at: Moment
    created_at: Moment
    created_by: str
    revoked_at: Moment | None


class NewToken(Token):
    """The one answer that has the secret."""

    secret: str


class Tokens(Shape):
    """All enrollment tokens."""

    tokens: list[Token]


class Operator(Shape):
    """An operator's token, without its secret."""

    name: str
    scopes: list[str]
    created_at: Moment
    created_by: str
    expires_at: Moment
    revoked_at: Moment | None


class NewOperator(Operator):
    """The one answer that has the token."""

    token: str


class Operators(Shape):
    """All operators."""

    operators: list[Operator]


class RevokedOperator(Shape):
    """Whose token is revoked."""

    name: str
    revoked: Literal[True]


class File(Shape):
    """One file of a release; `length` in bytes."""

    path: str
    length: int
    sha256: str


class Release(Shape):
    """A signed release."""

    publisher: str
    package: str
    version: str
    type: PackageType
    below_floor: bool
    files: dict[str, File]


class CatalogueState(Shape):
    """Which metadata verified, and until when."""

    snapshot_version: int
    verified_until: Moment


class Releases(CatalogueState):
    """The releases that verify."""

    releases: list[Release]


class Publisher(Shape):
    """A publisher; without the rest where it does not verify."""

    name: str
    verified: bool
    problem: str = ""
    packages: list[str] = Field(default_factory=list)
    floors: Pairs = Field(default_factory=dict)
    releases: int = 0
    release_key: str = ""
    guard_key: str = ""


class Publishers(CatalogueState):
    """All publishers."""

    publishers: list[Publisher]


class AddedPublishers(Shape):
    """The publishers that are new, and the metadata that brought them."""

    publishers: list[str]
    snapshot_version: int
    timestamp_version: int


class Trust(Shape):
    """What agents and operators pin."""

    trust_domain: str
    ca_pem: str
    tuf_root_version: int
    tuf_root_sha256: str
    agents_url: str
    downloads_url: str
    operators_url: str


class JournalEntry(Shape):
    """One entry; `detail` depends on its kind."""

    number: int
    at: Moment
    kind: str
    actor: str
    subject: str
    detail: dict[str, Any]
    previous_hash: str
    hash: str


class Journal(Shape):
    """A page of the journal; `next` is the `after` of the next page, or the `before` where that was asked."""

    entries: list[JournalEntry]
    next: int | None


class JournalWhole(Shape):
    """That the journal is whole, up to which entry."""

    whole: Literal[True]
    entries: int
    hash: str


class StoredFile(Shape):
    """A file that was taken in; `length` in bytes."""

    path: str
    length: int
    sha256: str


class OpenApi(BaseModel):
    """An OpenAPI document."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]


class Submitted(Shape):
    """A signed role that was committed."""

    role: str
    snapshot_version: int
    timestamp_version: int
    releases: list[str]
