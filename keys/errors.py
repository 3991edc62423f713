"""What keys refuse. The first split is whose fault it is; every message names the object and both values."""


class KeysError(Exception):
    """Base of every error that keys raises."""


class RefusedError(KeysError):
    """The peer asked for something policy forbids (a CSR, a token, a renewal). Its message may be shown."""


class UnknownError(RefusedError):
    """What an operator named (an agent, token, gateway, request) does not exist. Its message may be shown."""


class TokenRefusedError(RefusedError):
    """The enrollment token is unknown, spent, expired or revoked. Its message may be shown.

    `token_id` is set where such a token exists, and never to what a stranger sent.
    """

    def __init__(self, message: str, token_id: str | None = None) -> None:
        super().__init__(message)
        self.token_id = token_id


class NotAdmittedError(RefusedError):
    """The certificate is not its agent's current or next one in the ledger. Its message may be shown."""


class TakenError(RefusedError):
    """The instance uid is another enrolled agent's: whoever asks needs another. Its message may be shown."""


class LintError(KeysError):
    """A certificate that was about to be signed does not have the shape of its profile."""


class IssuerError(KeysError):
    """The issuing CA cannot sign this: it ends too early, or it is not the kind of CA its work needs."""


class CustodyError(KeysError):
    """A private key cannot be opened, or is not of the kind its role needs."""


class RoleMisuseError(KeysError):
    """A key stands where it must not: a server's key in an offline role, or the other way round."""


class TrustError(KeysError):
    """Two statements of what to trust differ, or a pin does not match."""
