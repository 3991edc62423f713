"""Parts that stop as if the power had gone, at a step that is chosen."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from sqlalchemy import Connection

from keys.issuer import Draft, Issuer
from storage.database import Database


class PowerCutError(BaseException):
    """The program ends here; no handler of ours may catch it."""


class Moment(Enum):
    """Before the step has an effect, or after it and before anybody knows."""

    BEFORE = "before"
    AFTER = "after"


class BreakingDatabase(Database):
    """The same database, whose n-th durable transaction from now on is the last."""

    def __init__(self, database: Database, *, write: int, moment: Moment) -> None:
        super().__init__(database._engine)
        self._left = write
        self._moment = moment

    @contextmanager
    def write(self) -> Iterator[Connection]:
        self._left -= 1
        with super().write() as connection:
            yield connection
            if self._left == 0 and self._moment is Moment.BEFORE:
                raise PowerCutError
        if self._left == 0:
            raise PowerCutError


class BreakingIssuer(Issuer):
    """An issuing CA whose next signature is its last."""

    def sign(self, draft: Draft) -> bytes:
        super().sign(draft)
        raise PowerCutError
