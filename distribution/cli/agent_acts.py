"""`quartermaster agents revoke`, `reset` and `restart`: what is done to one agent at once."""

from typing import Annotated, Any

import typer

from distribution.cli.output import Json, show_json, tell
from keys.certificate import Reason

Uid = Annotated[str, typer.Argument(help="The agent's instance uid.")]


def revoke(
    context: typer.Context,
    uid: Uid,
    reason: Annotated[Reason, typer.Option(help="Why (RFC 5280 5.3.1).")] = Reason.UNSPECIFIED,
    ban: Annotated[bool, typer.Option("--ban", help="Never let it enroll again.")] = False,
    as_json: Json = False,
) -> None:
    """Take an agent's credentials away and cut its connections, now."""
    found = context.obj.api.post(f"/agents/{uid}/revoke", {"reason": reason.value, "ban": ban})
    banned = found["banned"]
    lift = " --lift-ban" if banned else ""
    _told(found, "banned" if banned else "revoked", f"it stays out until `agents reset {uid}{lift}`", as_json)


def reset(
    context: typer.Context,
    uid: Uid,
    lift_ban: Annotated[bool, typer.Option("--lift-ban", help="Even if it is banned.")] = False,
    leave_given: Annotated[
        bool,
        typer.Option(
            "--leave-given-to-next-holder",
            help="Dangerous: whoever enrolls under the uid next gets the labels and values it was given.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Take away an agent's credentials, and what it was given, so that its uid may be enrolled anew."""
    body = {"lift_ban": lift_ban, "leave_given_to_next_holder": leave_given}
    hint = (
        "it may come again by an enrollment token (`token create`, and on its host "
        "`quartermaster-agent enroll TOKEN --again`), by `agents certify` for another key, "
        f"or by `agents token create {uid}`"
    )
    _told(context.obj.api.post(f"/agents/{uid}/reset", body), "reset", hint, as_json)


def restart(context: typer.Context, uid: Uid, as_json: Json = False) -> None:
    """Have a connected agent restart what it runs, once."""
    found = context.obj.api.post(f"/agents/{uid}/restart", {})
    if as_json:
        show_json(found)
    else:
        tell(f"agent {found['agent']} is told to restart with its next message, until {found['until']}")


def _told(found: Any, what: str, hint: str, as_json: bool) -> None:
    if as_json:
        show_json(found)
        return
    ended = [f"serial {serial}" for serial in found["serials"]]
    ended += [f"bearer token {token}" for token in found["tokens"]]
    tell(
        f"agent {found['agent']} is {what}: {', '.join(ended) or 'nothing left'} ended; "
        f"{found['connections_cut']} connection(s) cut in {found['elapsed_ms']} ms"
    )
    for note in found.get("notes", ()):
        tell(note)
    tell(hint)
