"""What the lint lets through, whatever it is given; the attack on insecure offers has what it refuses."""

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st

from distribution.domain.connection_lint import require_safe_destination
from distribution.domain.connections import Destination
from distribution.errors import InsecureOfferError

_SCHEMES = st.sampled_from(["https", "http", "ws", "wss", "HTTPS", "HTTP", "ftp", "grpc", ""])
_ODD = st.text(alphabet="ab:/@?#[]%\\ \n\r\t\0\x7fü.", max_size=12) | st.sampled_from(
    ["?token=a", "#a&token=a"]
)
_ENDPOINTS = st.builds(lambda scheme, host, rest: f"{scheme}://{host}/{rest}", _SCHEMES, _ODD, _ODD) | _ODD
_HEADERS = st.dictionaries(_ODD | st.just("Authorization"), _ODD | st.text(max_size=8), max_size=3)
_DESTINATIONS = st.builds(Destination, _ENDPOINTS, _HEADERS, st.just(""), st.just({}), st.booleans())


@given(_DESTINATIONS)
def test_nothing_that_breaks_a_line_or_lacks_tls_passes(target: Destination) -> None:
    """Addresses and headers of one line each, TLS unless the keyword was said, and nobody's password."""
    try:
        require_safe_destination("own_metrics", target, full_url=True)
    except InsecureOfferError:
        return
    parts = urlsplit(target.endpoint)
    assert parts.hostname
    assert parts.scheme == "https" or target.plain_text_is_meant
    assert "@" not in parts.netloc
    assert "token=a" not in target.endpoint
    for text in (target.endpoint, *target.headers, *target.headers.values()):
        assert text.isprintable()
    assert all(name and name.isascii() for name in target.headers)
