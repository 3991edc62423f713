"""What the stories of a talk are made of: what agents may be to have, and all that they may say of it."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from distribution.domain.agent import PackagesReport, PackageState, Plan
from distribution.domain.attempts import numbered
from distribution.domain.configuration import ConfigObject, ConfigState, ConfigStatus, RemoteConfig
from distribution.domain.connections import ConnectionSet, ConnectionState, ConnectionStatus, Destination
from tests.fakes.offers import a_status, an_offer

OFFERS: Final = (an_offer("1.0.0"), an_offer("1.1.0"))
CONFIG: Final = RemoteConfig({"": ConfigObject(b"receivers: {}")}, "base@1")
SETTINGS: Final = ConnectionSet(other={"x": Destination("https://x.example")})
FIRST: Final = timedelta(minutes=2)
PLANS: Final = (
    Plan(None, 30, "no channel applies"),
    Plan(OFFERS[0], 30, retry_first=FIRST),
    Plan(OFFERS[1], 30, retry_first=FIRST),
    Plan(OFFERS[1], 30, config=CONFIG, retry_first=FIRST),
    Plan(OFFERS[1], 30, config=CONFIG, connections=SETTINGS, retry_first=FIRST),
    Plan(None, 30, connections=SETTINGS, retry_first=FIRST),
)


def _words() -> Iterator[dict[str, object]]:
    """Yield all that an agent may say of what it was offered."""
    for offer in OFFERS:
        for state in PackageState:
            yield {"packages": a_status(state, offer)}
    yield {"packages": PackagesReport()}
    for attempt in (1, 2):
        for state in ConfigState:
            yield {"config_status": ConfigStatus(state, numbered(CONFIG.digest, attempt))}
    for said in ConnectionState:
        yield {"connection_status": ConnectionStatus(said, numbered(SETTINGS.digest, 1))}


WORDS: Final = tuple(_words())
