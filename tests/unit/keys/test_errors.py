"""keys/errors.py."""

from keys.errors import KeysError, NotAdmittedError, RefusedError, TokenRefusedError


def test_a_refused_token_is_named_only_if_it_exists() -> None:
    """A token's refusal carries the id of a token of ours, and nothing for a stranger's text."""
    assert TokenRefusedError("no", "t1").token_id == "t1"
    assert TokenRefusedError("no").token_id is None
    assert str(TokenRefusedError("no", "t1")) == "no"


def test_refusals_are_one_family() -> None:
    """Whoever catches a refusal catches those of tokens and of admission too."""
    assert issubclass(TokenRefusedError, RefusedError)
    assert issubclass(NotAdmittedError, RefusedError)
    assert issubclass(RefusedError, KeysError)
