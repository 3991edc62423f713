"""Reading, signing and verifying metadata files."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from keys.errors import RoleMisuseError, TrustError
from keys.metadata import (
    CryptoSigner,
    Metadata,
    Root,
    Signer,
    Snapshot,
    SSlibKey,
    Targets,
    expiry,
    read,
    require_fresh,
    sign,
    verify,
)
from tests.fakes.publishing import NOW, YEAR, World, signer


class BrokenSigner(CryptoSigner):
    """A token that was pulled out."""

    def sign(self, payload: bytes) -> object:  # type: ignore[override] # it never returns
        raise OSError("no token")


def root() -> Root:
    return read(Root, World().root).signed


def test_dates_have_no_microseconds_and_are_utc() -> None:
    """An expiry is UTC to the second, whatever zone the clock has."""
    now = datetime(2026, 3, 1, 13, 0, 0, 999, tzinfo=timezone(timedelta(hours=1)))
    assert expiry(now, timedelta(days=1)) == datetime(2026, 3, 2, 12, 0, 0, tzinfo=UTC)


def test_a_signed_file_is_compact_and_verifies() -> None:
    """What was signed by enough keys of the role reads back and verifies."""
    body = sign(Targets(expires=NOW + YEAR), [signer("targets-1"), signer("targets-2")])
    assert b": " not in body
    assert verify(root(), "targets", read(Targets, body)).version == 1


def test_too_few_signatures_are_refused() -> None:
    """One of two keys does not make a threshold of two."""
    body = sign(Targets(expires=NOW + YEAR), [signer("targets-1")])
    with pytest.raises(TrustError, match="role targets v1 does not verify"):
        verify(root(), "targets", read(Targets, body))


def test_one_signature_counts_once() -> None:
    """The same key twice is one signature."""
    body = sign(Targets(expires=NOW + YEAR), [signer("targets-1"), signer("targets-1")])
    with pytest.raises(TrustError):
        verify(root(), "targets", read(Targets, body))


def test_a_role_nobody_delegated_is_refused() -> None:
    """A name that the delegator does not know verifies nothing."""
    body = sign(Targets(expires=NOW + YEAR), [signer("acme")])
    with pytest.raises(TrustError, match="role acme"):
        verify(root(), "acme", read(Targets, body))


@pytest.mark.parametrize("raw", [b"", b"not json", b"[]", b"{}", b'{"signed":{"_type":"other"}}'])
def test_garbage_is_refused(raw: bytes) -> None:
    """Bytes that are no metadata are a trust error, not a crash."""
    with pytest.raises(TrustError, match="no TUF metadata"):
        read(Targets, raw)


def test_another_kind_of_role_is_refused() -> None:
    """A snapshot cannot stand in for targets."""
    body = Metadata(Snapshot(expires=NOW + YEAR)).to_bytes()
    with pytest.raises(TrustError, match="type 'snapshot', expected 'targets'"):
        read(Targets, body)


def test_expired_metadata_is_refused_with_both_times() -> None:
    """The message names when it ended and when it is now."""
    with pytest.raises(TrustError, match="expired at 2026-03-01T12:00:00Z, it is 2026-03-01T12:00:01Z"):
        require_fresh("targets", Targets(expires=NOW), NOW + timedelta(seconds=1))
    require_fresh("targets", Targets(expires=NOW), NOW - timedelta(seconds=1))


def test_a_signer_that_fails_is_named() -> None:
    """A token that does not answer is an error of ours that names the key."""
    broken: Signer = BrokenSigner(
        signer("acme")._private_key,
        SSlibKey.from_dict(signer("acme").public_key.keyid, signer("acme").public_key.to_dict()),
    )
    with pytest.raises(RoleMisuseError, match="could not sign targets"):
        sign(Targets(expires=NOW), [broken])
