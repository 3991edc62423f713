"""The trust file of an operator whose server answers nobody."""

from keys.trust import Trust
from tests.fakes.certificates import small_ca


def a_trust() -> Trust:
    """Return what an operator trusts, with addresses that lead nowhere."""
    return Trust(
        trust_domain="fleet.example",
        ca_pem=small_ca().root_pem,
        tuf_root_version=1,
        tuf_root_sha256="0" * 64,
        agents_url="wss://qm:4320/v1/opamp",
        downloads_url="https://qm:4321",
        operators_url="https://qm:4322",
    )
