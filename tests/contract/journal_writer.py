"""A program that appends to a journal and acknowledges on standard output what was committed.

`python -m tests.contract.journal_writer URL ACTOR COUNT`; a count of 0 goes on until it is killed. Each line
is `number hash`, written in one piece after the commit returned.
"""

import itertools
import os
import sys
from datetime import UTC, datetime

from storage.database import Database
from storage.journal import append


def main(url: str, actor: str, count: int) -> None:
    """Append one entry a transaction; pairs of entries every third time, so that some commits hold two."""
    database = Database.open(url)
    for turn in itertools.islice(itertools.count(), count or None):
        with database.write() as connection:
            made = [
                append(
                    connection,
                    kind="journal.checked",
                    actor=actor,
                    subject=f"turn:{turn}",
                    detail={"turn": turn},
                    at=datetime.now(UTC),
                )
                for _ in range(2 if turn % 3 == 0 else 1)
            ]
        os.write(1, "".join(f"{entry.number} {entry.hash}\n" for entry in made).encode())
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
