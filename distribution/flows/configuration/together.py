"""Several configurations that one agent is given are judged as the one that it gets, before it gets it.

Rules:

1. Where a validator is set, nothing that is put together of several versions is offered before the validator
   found the whole valid. Each version was judged alone before it was assigned.
2. The whole is named by its versions in their order, by which the object of each key is decided; so agents
   that are given the same share one judgement, whatever their variables are.
3. At an assignment the wholes that the selectors make certain are judged at once, and a bad one is refused.
   Others come from labels and attributes that agents have by themselves: those are judged when one shows up.
4. Judgements are kept in memory, so many and no more; after a restart they are made again. What agents say
   of themselves makes wholes too: few wait at a time, and one is judged after the other.
"""

import logging
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from distribution.domain.config_choice import Assignment, choose, combine
from distribution.domain.config_template import variables
from distribution.domain.configuration import ConfigVersion
from distribution.errors import BusyError, HostError, PolicyError
from distribution.fleet.configurations import Judgement
from distribution.flows.configuration.render import Ready
from distribution.flows.configuration.validator import NoValidator, Validator

JUDGED_MAX: Final = 1_000
WAITING_MAX: Final = 64

AT_ASSIGNMENT_MAX: Final = 8
"""Wholes that are judged while an operator waits; the others are when an agent is to get them."""

Part: TypeAlias = tuple[Assignment, Ready]
_Whole: TypeAlias = tuple[tuple[str, int], ...]

logger = logging.getLogger(__name__)


class Together:
    """The judgements of wholes. Thread-safe; `require` is for the event loop."""

    def __init__(self, validator: Validator) -> None:
        self.validator = validator
        self._lock = threading.Lock()
        self._judged: OrderedDict[_Whole, Judgement] = OrderedDict()
        self._waiting: dict[_Whole, Ready] = {}

    def require(self, parts: Sequence[Part]) -> None:
        """Check that these versions, lowest priority first, were found valid as one; memory only.

        Raises:
            PolicyError: they were refused, or are still to be judged, by `judge_waiting`.
        """
        if len(parts) < 2 or not self.validator.name:  # noqa: PLR2004 - one alone was judged when it was made
            return
        whole = _whole(parts)
        with self._lock:
            found = self._judged.get(whole)
            if found is None and len(self._waiting) < WAITING_MAX:
                self._waiting[whole] = as_one(parts)
        if found is None:
            raise PolicyError(f"configurations {_named(parts)} wait to be validated together")
        if not found.valid:
            raise PolicyError(refusal(parts, found))

    def judge(self, parts: Sequence[Part]) -> Judgement:
        """Return what the validator finds of these as one, asked now if it was not before. Blocking.

        Raises: as `Validator.judge`; PolicyError: two of equal priority have an object of the same key.
        """
        whole = _whole(parts)
        with self._lock:
            found = self._judged.get(whole)
        return found if found is not None else self._ask(whole, as_one(parts))

    def judge_waiting(self) -> bool:
        """Judge what waits; return whether any agent may be decided anew now. Blocking.

        Where the validator cannot be asked now, all goes on waiting.
        """
        with self._lock:
            waiting = list(self._waiting.items())
        done = 0
        try:
            for whole, one in waiting:
                self._ask(whole, one)
                done += 1
        except (BusyError, HostError):
            logger.warning("configurations wait to be validated together", exc_info=True)
        return done > 0

    def _ask(self, whole: _Whole, one: Ready) -> Judgement:
        found = self.validator.judge(one)
        with self._lock:
            self._waiting.pop(whole, None)
            self._judged[whole] = found
            while len(self._judged) > JUDGED_MAX:
                self._judged.popitem(last=False)
        return found


def nothing_set() -> Together:
    """Return the judgements of a server without a validator: nothing is asked for."""
    return Together(NoValidator())


def as_one(parts: Sequence[Part]) -> Ready:
    """Return the one configuration that these make, as it goes to the validator.

    Raises:
        PolicyError: two of equal priority have an object of the same key.
    """
    made = combine([(one, found.version.objects) for one, found in parts])
    templates = {
        key: found.templates[key]
        for _, found in parts
        for key, body in found.version.objects.items()
        if made.objects[key] is body and key in found.templates
    }
    secret = any(found.version.secret for _, found in parts)
    version = ConfigVersion(made.origin, 0, made.objects, secret=secret)
    return Ready(version, templates, variables(templates.values()))


def certain(wanted: Assignment, others: Iterable[Assignment]) -> Iterator[tuple[Assignment, ...]]:
    """Yield what agents are given together by an assignment, as far as selectors alone say it.

    For the agents of its own selector, and for those of each narrower one: by exactly the labels and
    attributes that it names. Where that is not decided (a tie) nothing is yielded: nothing would be offered.
    """
    all_of = [wanted, *(one for one in others if one.name != wanted.name)]
    told: set[tuple[str, ...]] = set()
    for one in all_of:
        if not wanted.applies_to(one.labels, one.attributes):
            continue
        try:
            found = choose(all_of, one.labels, one.attributes)
        except PolicyError:
            continue
        names = tuple(each.name for each in found)
        if len(found) > 1 and wanted in found and names not in told:
            told.add(names)
            yield found


def refusal(parts: Sequence[Part], found: Judgement) -> str:
    """Return in words that these were refused as one."""
    return f"configurations {_named(parts)} together were refused by {found.validator!r}: {found.words}"


def _whole(parts: Sequence[Part]) -> _Whole:
    return tuple((one.config, one.number) for one, _ in parts)


def _named(parts: Sequence[Part]) -> str:
    return " and ".join(str(one) for one, _ in parts)
