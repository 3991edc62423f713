"""Who waits for one of few places, and who is next: fair between origins. Pure.

Rules: the origins that wait take turns, whoever came first of each; a long line of one origin is its own
affair. Of four places an origin holds three at most, so that another one finds a place at once.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

Who = TypeVar("Who")


class Line(Generic[Who]):
    """The places, and those who wait for one."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._of_one = places - places // 4
        self._waiting: OrderedDict[str, deque[Who]] = OrderedDict()
        self._held: Counter[str] = Counter()
        self._size = 0
        self.taken = 0
        """Places that are taken."""

    def __len__(self) -> int:
        """How many wait."""
        return self._size

    def __iter__(self) -> Iterator[Who]:
        """All that wait, in no order that matters."""
        for own in self._waiting.values():
            yield from own

    def join(self, origin: str, who: Who) -> None:
        """Stand behind those of the same origin."""
        self._waiting.setdefault(origin, deque()).append(who)
        self._size += 1

    def next(self) -> Who | None:
        """Take a place for whoever's turn it is; return None where nobody waits who may have one."""
        origin = self._turn() if self.taken < self._places else None
        if origin is None:
            return None
        own = self._waiting[origin]
        who = own.popleft()
        self._waiting.move_to_end(origin)
        if not own:
            del self._waiting[origin]
        self._size -= 1
        self._held[origin] += 1
        self.taken += 1
        return who

    def leave(self, origin: str) -> None:
        """Give a place of this origin back."""
        self.taken -= 1
        self._held[origin] -= 1
        if not self._held[origin]:
            del self._held[origin]

    def wants_place_of(self, origin: str) -> bool:
        """Whether somebody would come in who waits now, if a place of this origin were given back."""
        if self.taken < self._places:  # who waits all the same waits for a place of his own origin
            return origin in self._waiting
        return origin in self._waiting or self._turn() is not None

    def clear(self) -> None:
        """Nobody waits any more; places stay taken."""
        self._waiting.clear()
        self._size = 0

    def _turn(self) -> str | None:
        """Return the first origin that may have another place; few are passed over, for they hold places."""
        return next((origin for origin in self._waiting if self._held[origin] < self._of_one), None)
