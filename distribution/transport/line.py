"""Who waits for one of few places, and who is next: fair between origins, and between networks. Pure.

Rules:

1. A place goes to the network that holds the fewest; those that hold as many take turns, and within a network
   its origins do, whoever came first of each. A long line of one origin is its own affair.
2. An origin never takes the last places: of four that others leave it holds three at most, so that the next
   one finds a place at once. Whoever would fill them all needs a handful of origins.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

Who = TypeVar("Who")

_NETWORKS_AT_ONCE: Final = 8


def _itself(origin: str) -> str:
    return origin


class Line(Generic[Who]):
    """The places, and those who wait for one."""

    def __init__(self, places: int, network_of: Callable[[str], str] = _itself) -> None:
        """`network_of` tells to which network an origin belongs."""
        self._places = places
        self._network_of = network_of
        self._waiting: dict[str, OrderedDict[str, deque[Who]]] = {}
        """By network, and within it by origin, whose turn it is first."""
        self._levels: dict[int, OrderedDict[str, None]] = {}
        """Networks that wait, by how many places they hold."""
        self._held: Counter[str] = Counter()
        self._held_by_network: Counter[str] = Counter()
        self._size = 0
        self.taken = 0
        """Places that are taken."""

    def __len__(self) -> int:
        """How many wait."""
        return self._size

    def __iter__(self) -> Iterator[Who]:
        """All that wait, in no order that matters."""
        for origins in self._waiting.values():
            for own in origins.values():
                yield from own

    def join(self, origin: str, who: Who) -> None:
        """Stand behind those of the same origin."""
        network = self._network_of(origin)
        origins = self._waiting.get(network)
        if origins is None:
            origins = self._waiting[network] = OrderedDict()
            self._enter(network)
        origins.setdefault(origin, deque()).append(who)
        self._size += 1

    def next(self) -> Who | None:
        """Take a place for whoever's turn it is; return None where nobody waits who may have one."""
        origin = self._turn(self._places - self.taken)
        if origin is None:
            return None
        network = self._network_of(origin)
        origins = self._waiting[network]
        own = origins[origin]
        who = own.popleft()
        origins.move_to_end(origin)
        if not own:
            del origins[origin]
        self._size -= 1
        self._count(origin, network, 1)
        return who

    def leave(self, origin: str) -> None:
        """Give a place of this origin back."""
        self._count(origin, self._network_of(origin), -1)

    def heir(self, origin: str) -> str | None:
        """Return which origin would come in now if this one gave a place back, None if nobody would."""
        return self._turn(self._places - self.taken + 1, leaving=origin)

    def is_greedy(self, origin: str, beside: str) -> bool:
        """Whether its network holds many places, and no fewer than the other's would, had that one of them.

        Of a fleet that comes from many networks at once none is greedy, however unevenly they are served.
        """
        own, other = self._network_of(origin), self._network_of(beside)
        held = self._held_by_network[own]
        many = held > self._places // _NETWORKS_AT_ONCE
        return own != other and many and held - 1 >= self._held_by_network[other] + 1

    def clear(self) -> None:
        """Nobody waits any more; places stay taken."""
        self._waiting.clear()
        self._levels.clear()
        self._size = 0

    def _turn(self, free: int, leaving: str | None = None) -> str | None:
        """Return the first origin that may have a place; few are passed over, for they hold some."""
        if free <= 0:
            return None
        for level in sorted(self._levels):
            for network in self._levels[level]:
                for origin in self._waiting[network]:
                    held = self._held[origin] - (origin == leaving)
                    left_by_others = free + held
                    if held < left_by_others - left_by_others // 4:
                        return origin
        return None

    def _count(self, origin: str, network: str, more: int) -> None:
        self._exit(network)
        self.taken += more
        for held, who in ((self._held, origin), (self._held_by_network, network)):
            held[who] += more
            if not held[who]:
                del held[who]
        if self._waiting.get(network):
            self._enter(network)
        else:
            self._waiting.pop(network, None)

    def _enter(self, network: str) -> None:
        self._levels.setdefault(self._held_by_network[network], OrderedDict())[network] = None

    def _exit(self, network: str) -> None:
        level = self._held_by_network[network]
        if network in self._levels.get(level, ()):
            del self._levels[level][network]
            if not self._levels[level]:
                del self._levels[level]
