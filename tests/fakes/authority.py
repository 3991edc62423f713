"""An authority at work: a database in a folder, a small CA, a clock that is set by hand, tokens on demand."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from keys import ledger, tokens
from keys.admission import Admission
from keys.authority import Authority
from keys.certificate import BearerId, Issued
from keys.gateways import Admits
from keys.grants import Grants
from keys.identity import AgentId
from keys.issuer import Issuer
from keys.known_tokens import KnownTokens
from keys.ledger import Credential
from keys.profile import AgentProfile
from keys.tokens import TokenState
from storage.database import Database
from tests.fakes.certificates import DOMAIN, NOW, Serials, SmallCa, csr, small_ca
from tests.fakes.databases import journalled, opened

SECRET = "s3cret-" + "x" * 36
BEARER_SECRET = "b3arer-" + "y" * 36


class HandClock:
    """A clock that moves when it is told to."""

    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        self.now += by
        return self.now


class AtWork:
    """Everything an authority stands on; `restart` builds it anew on the same database."""

    def __init__(self, database: Database, ca: SmallCa, profile: AgentProfile) -> None:
        self.database = database
        self.ca = ca
        self.profile = profile
        self.clock = HandClock()
        self.serials = Serials()
        self.restart()

    def restart(self, *, database: Database | None = None, issuer: Issuer | None = None) -> None:
        self.admission = Admission(self.database, self.clock)
        self.known_tokens = KnownTokens(self.database, self.clock)
        self.authority = Authority(
            database or self.database,
            issuer or self.ca.issuer,
            self.profile,
            self.admission,
            self.serials,
        )
        self.grants = Grants(database or self.database, self.admission)

    def bearer(
        self,
        who: AgentId,
        token_id: str = "b1",
        *,
        new: bool = True,
        labels: Mapping[str, str] | None = None,
        life: timedelta = timedelta(days=30),
        secret: str = BEARER_SECRET,
    ) -> str:
        """Give an agent a bearer token and return it as its client presents it."""
        self.grants.create_token(
            who,
            token=BearerId(token_id),
            secret=secret,
            new=new,
            labels=labels or {},
            expires_at=self.clock() + life,
            actor="operator:ann",
            now=self.clock(),
        )
        return f"{token_id}.{secret}"

    def gateway(
        self, who: AgentId, admits: Admits = Admits.LISTED, labels: Mapping[str, str] | None = None
    ) -> None:
        """Make an enrolled agent a gateway."""
        self.grants.grant_gateway(who, admits, labels or {}, "operator:ann", self.clock())

    def token(
        self,
        token_id: str = "t1",
        *,
        uses: int = 1,
        labels: Mapping[str, str] | None = None,
        life: timedelta = timedelta(hours=1),
    ) -> str:
        """Create a token and return it as an agent presents it."""
        salt, expires_at = bytes(range(16)), self.clock() + life
        with self.database.write() as connection:
            tokens.create(
                connection,
                token_id=token_id,
                secret=SECRET,
                salt=salt,
                labels=labels or {},
                expires_at=expires_at,
                uses=uses,
                actor="operator:ann",
                now=self.clock(),
            )
        self.known_tokens.add(token_id, salt=salt, secret=SECRET, expires_at=expires_at)
        return f"{token_id}.{SECRET}"

    def enroll(self, key: ec.EllipticCurvePrivateKey, who: AgentId, token: str) -> Issued:
        """Enroll as a good agent would."""
        return self.authority.enroll(csr(key, who), token, who, self.clock())

    def token_state(self, token_id: str = "t1") -> TokenState:
        """Return what the database knows of a token."""
        with self.database.read() as connection:
            return next(state for state in tokens.all_tokens(connection) if state.token_id == token_id)

    def credentials(self, who: AgentId) -> list[Credential]:
        """Return an agent's rows of the ledger."""
        with self.database.read() as connection:
            return ledger.credentials_of(connection, who)

    def kinds(self) -> list[str]:
        """Return what was journalled, in order."""
        return [entry.kind for entry in journalled(self.database)]


@contextmanager
def at_work(
    folder: Path, *, ca: SmallCa | None = None, profile: AgentProfile | None = None
) -> Iterator[AtWork]:
    """Open an authority on a new database in `folder`."""
    with opened(folder) as database:
        yield AtWork(database, ca or small_ca(), profile or AgentProfile(DOMAIN))
