"""The names by which the server's load is measured: the tests of the meters and of their page share them."""

from typing import Final

LOAD: Final = frozenset(
    {
        "quartermaster_connections",
        "quartermaster_connections_silent",
        "quartermaster_connections_refused_total",
        "quartermaster_handshakes",
        "quartermaster_newcomers_turned_away_total",
        "quartermaster_connections_closed_total",
        "quartermaster_loop_late_seconds",
        "quartermaster_oldest_order_seconds",
        "quartermaster_draining",
    }
)
