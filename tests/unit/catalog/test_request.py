"""A publisher's request and the proof in it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from distribution.catalog.delegation import guard_role, target_file
from distribution.catalog.request import REQUEST_MAX_BYTES, PublisherRequest, named
from distribution.domain.guard import Guard
from distribution.domain.package import Version
from distribution.errors import InvalidError, UnverifiedError
from tests.fakes.publishing import artifact, guard_file, request, role_bytes, signer

EXTRA = named("acme", ("otelcol",))


def asked() -> PublisherRequest:
    return request("acme", ("otelcol",))


def test_a_request_round_trips_with_its_proof() -> None:
    """The file is read back as it was made, and asks for exactly two delegations."""
    made = asked()
    assert PublisherRequest.parse(made.to_bytes()) == made
    release, guard = made.delegations()
    assert (release.role, release.paths) == ("acme", ("acme/otelcol/*/*/*",))
    assert (guard.role, guard.paths) == ("acme-guard", ("guard/acme/guard.json",))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("publisher", "other"),
        ("packages", ["other"]),
        ("packages", ["otelcol", "other"]),
        ("release_key", "guard_key"),
        ("release_role", "guard_role"),
    ],
)
def test_a_request_for_another_name_is_refused(field: str, value: object) -> None:
    """First roles prove for one publisher and its packages, and cannot be shown again for more."""
    fields: dict[str, Any] = json.loads(asked().to_bytes())
    fields[field] = fields.get(value, value) if isinstance(value, str) else value
    with pytest.raises((InvalidError, UnverifiedError)):
        PublisherRequest.parse(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("packages", []),
        ("packages", ["b", "a"]),
        ("packages", [1]),
        ("packages", ["../x"]),
        ("publisher", "root"),
        ("release_key", []),
        ("release_key", {}),
        ("release_role", "not base64!"),
        ("more", 1),
    ],
)
def test_a_request_of_another_shape_is_refused(field: str, value: object) -> None:
    """Every field is there, is of its kind, and there is no other."""
    fields = {**json.loads(asked().to_bytes()), field: value}
    with pytest.raises(InvalidError):
        PublisherRequest.parse(json.dumps(fields).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b" " * (REQUEST_MAX_BYTES + 1)])
def test_what_is_no_request_is_refused(raw: bytes) -> None:
    """Garbage, or more than a request can be."""
    with pytest.raises(InvalidError):
        PublisherRequest.parse(raw)


def test_a_key_in_another_spelling_is_refused() -> None:
    """The delegation would list a second keyid for one key."""
    fields = json.loads(asked().to_bytes())
    fields["release_key"]["keyid"] = "0" * 64
    with pytest.raises(UnverifiedError, match="is not written as we write it"):
        PublisherRequest.parse(json.dumps(fields).encode())


def test_one_key_for_both_roles_is_refused() -> None:
    """Who can publish must not be able to unforbid."""
    key = signer("acme").public_key
    with pytest.raises(InvalidError, match="asks for one key in both its roles"):
        replace(asked(), guard_key=key).require_proof()


def test_a_key_that_did_not_sign_is_refused() -> None:
    """Asking for somebody else's key does not show that one holds it."""
    forged = role_bytes("acme", 1, [], key="stranger", extra=EXTRA)
    with pytest.raises(UnverifiedError, match="request of publisher acme"):
        replace(asked(), release_role=forged).require_proof()


def test_a_role_signed_for_nobody_is_refused() -> None:
    """An ordinary role of the key is no request."""
    with pytest.raises(UnverifiedError, match="first role was signed for None"):
        replace(asked(), release_role=role_bytes("acme", 1, [])).require_proof()


def test_a_first_release_role_lists_nothing() -> None:
    """Releases are published, not slipped in with the delegation."""
    path = "acme/otelcol/1.0.0/any/otelcol"
    slipped = role_bytes("acme", 1, [target_file(artifact(path, b"x"))], extra=EXTRA)
    with pytest.raises(InvalidError, match="lists targets, expected none"):
        replace(asked(), release_role=slipped).require_proof()


def test_a_guard_file_is_the_signed_one() -> None:
    """Other bytes than the guard role names."""
    other = Guard({"otelcol": Version.parse("1.0.0")})
    with pytest.raises(UnverifiedError, match="is not the signed one"):
        replace(asked(), guard_file=other.to_bytes()).require_proof()
    role = role_bytes(guard_role("acme"), 1, [guard_file("acme", other)], extra=EXTRA)
    replace(asked(), guard_role=role, guard_file=other.to_bytes()).require_proof()
