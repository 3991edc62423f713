"""What one contender of a race does to a store: the same function in a thread and in a process.

Run as a module it is such a process: the store and the task come as JSON on the command line, it says
`ready`, waits for a line, and prints its result as JSON.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from storage.errors import AlreadyExistsError, NotFoundError, PreconditionError
from storage.objects import ObjectStore
from storage.open import open_store
from tests.fakes.losing_store import Fault, LosingStore

WRITE_BYTES = 256 << 10
"""Long enough that a copy of it takes more than one step anywhere."""
WATCH_SECONDS = 50
_RECORD_CHARS = 8
_MAX_BYTES = 1 << 22

Result = dict[str, object]


def body_of(version: int) -> bytes:
    """Return a long body that says its version in every record."""
    return f"{version:0{_RECORD_CHARS}d}".encode() * (WRITE_BYTES // _RECORD_CHARS)


def is_whole(body: bytes) -> bool:
    """Say whether the body is one version's, from its first record to its last."""
    return len(body) == WRITE_BYTES and body == body[:_RECORD_CHARS] * (WRITE_BYTES // _RECORD_CHARS)


def create(store: ObjectStore, key: str, me: int) -> Result:
    """Try to create the object, once."""
    return _create(lambda: store.create(key, body_of(me)), me)


def create_stream(store: ObjectStore, key: str, me: int) -> Result:
    """Try to create the object from a stream, once."""
    return _create(lambda: store.create_stream(key, _pieces(me)), me)


def _create(write: Callable[[], object], me: int) -> Result:
    try:
        write()
    except AlreadyExistsError:
        return {"me": me, "won": False}
    return {"me": me, "won": True}


def _pieces(me: int) -> Iterator[bytes]:
    body, step = body_of(me), WRITE_BYTES // 4
    return (body[at : at + step] for at in range(0, WRITE_BYTES, step))


def count(store: ObjectStore, key: str, times: int, *, aloud: bool = False) -> Result:
    """Add one to the counter, so many times, and again for each time that it was changed meanwhile."""
    beaten = 0
    for _ in range(times):
        while True:
            body, info = store.read(key, _MAX_BYTES)
            try:
                store.replace(key, str(int(body) + 1).encode(), info.etag)
            except PreconditionError:
                beaten += 1
                continue
            if aloud:
                _say(int(body) + 1)
            break
    return {"beaten": beaten}


def overwrite(store: ObjectStore, key: str, times: int, done: str) -> Result:
    """Replace the long object by its next version, so many times; then create `done`."""
    for _ in range(times):
        while True:
            body, info = store.read(key, _MAX_BYTES)
            try:
                store.replace(key, body_of(int(body[:_RECORD_CHARS]) + 1), info.etag)
            except PreconditionError:
                continue
            break
    store.create(done, b"done")
    return {}


def bear(store: ObjectStore, key: str, done: str) -> Result:
    """Create the long object from a stream; then create `done`."""
    store.create_stream(key, _pieces(1))
    store.create(done, b"done")
    return {}


def watch(store: ObjectStore, key: str, done: list[str]) -> Result:
    """Read the long object both ways until every `done` exists; report whatever was not whole."""
    reads, deadline = 0, time.monotonic() + WATCH_SECONDS
    while True:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the writers of {key!r} were not done in {WATCH_SECONDS} s")
        finished = all(_exists(store, one) for one in done)
        for read in (_read_streamed, _read):
            body = read(store, key)
            if body is not None and not is_whole(body):
                return {"torn": f"{len(body)} bytes, starts {body[:8]!r}, ends {body[-8:]!r}"}
            reads += body is not None
        if finished:
            return {"reads": reads}


def _read(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.read(key, _MAX_BYTES)[0]
    except NotFoundError:
        return None


def _read_streamed(store: ObjectStore, key: str) -> bytes | None:
    try:
        with store.open(key) as chunks:
            return b"".join(chunks)
    except NotFoundError:
        return None


def _exists(store: ObjectStore, key: str) -> bool:
    try:
        store.head(key)
    except NotFoundError:
        return False
    return True


TASKS: Mapping[str, Callable[..., Result]] = {
    task.__name__: task for task in (create, create_stream, count, overwrite, bear, watch)
}


def main(folder: str, task: str, arguments: str) -> None:
    """Be one contender on the store in `folder`, whose name says whether it is a losing one."""
    root = Path(folder)
    losing = root.name in {fault.value for fault in Fault}
    store: ObjectStore = LosingStore(root) if losing else open_store(f"file:{root}", base=root)
    _say("ready")
    sys.stdin.readline()
    _say(json.dumps(TASKS[task](store, **json.loads(arguments))))


def _say(line: object) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:4])
