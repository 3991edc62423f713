"""Signs the next version of a role, on top of one that this pipeline verified itself, and hands it in.

Step 1  What an earlier run signed and did not hear of again is handed in first, byte by byte the same.
Step 2  The current role is verified from this pipeline's own pinned root, and must not be older than, or
        differ from, the last version that this key signed and the server took.
Step 3  The caller decides what changes, and sees what it decides on.
Step 4  The version is written down, then the key is used, then the signed bytes are written down.
Step 5  They are handed in. Somebody else was first: from step 2, on what that somebody signed.
Step 6  The role is read back and verified: a server that only says it took it is not believed.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from distribution.catalog.delegation import verifying
from distribution.catalog.outsider import Outsider
from distribution.errors import (
    ConflictError,
    InvalidError,
    OversizedError,
    PolicyError,
    UnknownError,
    UnverifiedError,
)
from distribution.pipeline import state as memory
from distribution.pipeline.home import Seat
from distribution.pipeline.ports import PipelineServer, Show, Sleep, Submitted
from distribution.pipeline.state import RoleState
from keys.custody import open_tuf_signer
from keys.metadata import TargetFile, Targets, expiry, read, sign, verify
from keys.roles import PUBLISHER_LIFETIME, require_signers

Decide = Callable[[Outsider, Targets], Mapping[str, TargetFile] | None]
"""Given the verified repository and role, returns all targets of the next version; None to leave it."""

ATTEMPTS = 16
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0
_REFUSALS = (InvalidError, UnknownError, UnverifiedError, OversizedError, PolicyError)


@dataclass(frozen=True, slots=True)
class Signed:
    """The role as it now is. `submitted` is None where nothing had to change."""

    version: int
    submitted: Submitted | None


@dataclass(frozen=True, slots=True)
class Tools:
    """What one run works with: the server, the time (aware UTC), and the world's ear and patience."""

    server: PipelineServer
    now: datetime
    show: Show
    sleep: Sleep


def advance(seat: Seat, decide: Decide, tools: Tools) -> Signed:
    """Sign and hand in the next version of the seat's role, as `decide` says.

    Raises:
        UnverifiedError: what the server shows does not verify, or is older or other than what it took.
        ConflictError: others were first, `ATTEMPTS` times in a row; or what `decide` raised.
        UnreachableError: the server did not answer; what was signed is handed in by the next run.
        InvalidError: the server refused; the version stays used.
    """
    with memory.locked(seat.lock_file):
        state = _resume(seat, memory.load(seat.state_file), tools)
        for attempt in range(ATTEMPTS):
            view = _look(seat, tools)
            role = _verified_role(seat, view, state)
            targets = decide(view, role)
            if targets is None:
                return Signed(role.version, None)
            state = _sign(seat, view, role, targets=targets, state=state, tools=tools)
            try:
                submitted = tools.server.submit_role(seat.publisher, seat.role, state.pending)
            except ConflictError as exc:
                state = _keep(seat, state.refused())
                tools.show(f"somebody else was first: {exc}; signing again on top")
                tools.sleep(min(_FIRST_WAIT_SECONDS * 2**attempt, _LONGEST_WAIT_SECONDS))
                continue
            except _REFUSALS:
                _keep(seat, state.refused())
                raise
            state = _keep(seat, state.taken())
            _verified_role(seat, _look(seat, tools), state)
            return Signed(state.last_version, submitted)
    raise ConflictError(f"role {seat.role}: others were first {ATTEMPTS} times in a row, try again")


def _resume(seat: Seat, state: RoleState, tools: Tools) -> RoleState:
    if not state.pending:
        return state
    tools.show(f"handing in role {seat.role} v{state.highest_version} again, signed by an earlier run")
    try:
        tools.server.submit_role(seat.publisher, seat.role, state.pending)
    except (ConflictError, *_REFUSALS) as exc:
        tools.show(f"role {seat.role} v{state.highest_version} was not taken: {exc}")
        return _keep(seat, state.refused())
    return _keep(seat, state.taken())


def _look(seat: Seat, tools: Tools) -> Outsider:
    return Outsider(tools.server.fetch, seat.root, seat.memory, tools.now)


def _verified_role(seat: Seat, view: Outsider, state: RoleState) -> Targets:
    role = view.role(seat.role)
    if role.version < state.last_version:
        raise UnverifiedError(
            f"role {seat.role} v{role.version} is shown as current, this key signed v{state.last_version}"
        )
    found = hashlib.sha256(view.role_bytes(seat.role)).hexdigest()
    if role.version == state.last_version and found != state.last_sha256:
        raise UnverifiedError(
            f"role {seat.role} v{role.version} has sha256 {found}, this key signed {state.last_sha256}"
        )
    return role


def _sign(
    seat: Seat,
    view: Outsider,
    role: Targets,
    *,
    targets: Mapping[str, TargetFile],
    state: RoleState,
    tools: Tools,
) -> RoleState:
    signer = open_tuf_signer(seat.key_uri)
    with verifying(f"key {seat.key_uri}"):
        require_signers(view.targets, seat.role, [signer])
    version = max(role.version, state.highest_version) + 1
    if role.version > state.last_version > 0:
        tools.show(
            f"role {seat.role} v{role.version} is current, this pipeline last signed v{state.last_version}"
        )
    state = _keep(seat, state.intending(version))
    following = Targets(
        version=version,
        expires=expiry(tools.now, PUBLISHER_LIFETIME),
        targets=dict(targets),
        unrecognized_fields=role.unrecognized_fields,
    )
    body = sign(following, [signer])
    with verifying("role just signed"):
        verify(view.targets, seat.role, read(Targets, body))
    return _keep(seat, state.signed(body))


def _keep(seat: Seat, state: RoleState) -> RoleState:
    memory.save(seat.state_file, state)
    return state
