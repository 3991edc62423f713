"""Which tests of real programs belong together, when several run at the same time.

Tests of one group run one after the other in one process, in the order in which they stand. A group is:

1. the clients that others wrote, who share one installation and one record of what each was seen to do, and
   at its end the page that is compared with the record;
2. what needs both versions of a collector on each kind of store;
3. else one file; but each test of a file in `ALONE` sets up all that it needs, and is a group of its own.
"""

from pathlib import PurePath

from xdist.scheduler import LoadScopeScheduling

CLIENTS = "clients"
_CLIENTS = ("test_bridge", "test_clients_", "test_java_", "test_node_", "test_opamp", "test_supervisor")
PAGE = "test_clients_page.py"
ALONE = ("test_demo.py", "test_postgresql_away.py")
LONGEST_FIRST = (CLIENTS, "test_dockerfile.py", "test_postgresql.py", "test_real_collector.py")
"""The groups that begin before all others, in this order."""


def group_of(nodeid: str) -> str:
    """Return the group of a test."""
    file = PurePath(nodeid.partition("::")[0]).name
    if file.startswith(_CLIENTS):
        return CLIENTS
    return nodeid if file in ALONE else file


def place_of(nodeid: str) -> tuple[int, bool]:
    """Return what orders tests: the longest groups come first, and the page is the last of its group."""
    group = group_of(nodeid)
    rank = LONGEST_FIRST.index(group) if group in LONGEST_FIRST else len(LONGEST_FIRST)
    return rank, PurePath(nodeid.partition("::")[0]).name == PAGE


class ByGroup(LoadScopeScheduling):
    """Hands out whole groups."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
