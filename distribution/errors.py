"""What the service refuses: one base, and first of all whose fault it is.

A message is public: lower case, no period, names the object and both values. Private detail goes into
the cause or the log.
"""


class DistributionError(Exception):
    """Base of every error that distribution raises."""


class PeerError(DistributionError):
    """An agent sent what the protocol forbids."""


class MalformedError(PeerError):
    """Bytes that are no OpAMP message: truncated, text, garbage, a wrong header."""


class OversizedError(PeerError):
    """A message or body over its limit."""


class CallerError(DistributionError):
    """An operator or a pipeline asked for what cannot be done as asked."""


class InvalidError(CallerError):
    """A value that was given does not parse or does not fit its place."""


class UnknownError(CallerError):
    """The thing that was named does not exist."""


class ConflictError(CallerError):
    """Somebody else was first; read again and decide again."""


class UnauthenticatedError(CallerError):
    """The caller presented no token, or one that is unknown, expired or revoked."""


class ForbiddenError(CallerError):
    """The token's scope does not cover this."""


class BusyError(CallerError):
    """The server does as much of this as it may at once; nothing was done, come again later."""


class TurnedAwayError(DistributionError):
    """A peer is not served now and is to come again; nothing of what it sent was taken."""

    def __init__(self, message: str, retry_after: int = 5) -> None:
        """Keep the pause it is asked for, in seconds."""
        super().__init__(message)
        self.retry_after = retry_after


class TooOftenError(TurnedAwayError):
    """This peer, or all of them together, ask for this more often than is allowed."""


class OverloadedError(TurnedAwayError):
    """The server bears no more newcomers now, or stops."""


class UnverifiedError(DistributionError):
    """Bytes or metadata do not verify from the pinned root; nothing was changed."""


class PolicyError(DistributionError):
    """A verified thing that this host or this fleet's policy refuses (floor, mark, path, platform, type)."""


class InsecureOfferError(PolicyError):
    """Connection settings of ours that a known client would read as insecure; they are not offered."""


class HostError(DistributionError):
    """This host did not do what it was asked: a program that does not start, a folder in use, a bad file."""


class UnreachableError(DistributionError):
    """The other side did not answer, or answered that it cannot now. Worth trying again later."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Keep the pause the other side asked for, in seconds, if it did."""
        super().__init__(message)
        self.retry_after = retry_after


class SettingsError(DistributionError):
    """The settings are wrong: an unknown key, a missing or a bad value."""
