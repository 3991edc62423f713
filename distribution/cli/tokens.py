"""`quartermaster token`: enrollment tokens."""

from typing import Annotated

import typer

from distribution.cli import reading
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell
from distribution.cli.session import Session
from distribution.errors import UnverifiedError
from keys.trust import Trust, encode_token, require_same

app = noun("Enrollment tokens: what makes a host an agent.")


@app.command()
def create(
    context: typer.Context,
    label: Annotated[
        list[str] | None, typer.Option(help="key=value that every agent enrolled with it gets.")
    ] = None,
    expires: Annotated[str, typer.Option(help="How long it can be used: 30m, 24h, 7d.")] = "24h",
    uses: Annotated[int, typer.Option(min=1, help="How many hosts may enroll with it.")] = 1,
    as_json: Json = False,
) -> None:
    """Make a token and print it: one string with the endpoints and the pins of CA and TUF root.

    The pins come from your own trust file; if the server's differ, nothing is made.
    """
    session: Session = context.obj
    body = {"labels": reading.labels(label), "uses": uses, "lifetime_seconds": reading.seconds(expires)}
    require_same(session.trust, servers_trust(session))
    made = session.api.post("/enrollment-tokens", body)
    token = encode_token(session.trust, str(made["token_id"]), str(made["secret"]))
    if as_json:
        show_json({**{name: made[name] for name in made if name != "secret"}, "token": token})
        return
    tell(f"token {made['token_id']}, {uses} use(s), until {made['expires_at']}; it is shown only now")
    typer.echo(token)


@app.command("list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List tokens; their secrets are known to nobody here."""
    found = context.obj.api.get("/enrollment-tokens")
    if as_json:
        show_json(found)
        return
    columns = ("token_id", "labels", "used", "uses", "expires_at", "revoked_at", "created_by")
    show_table(columns, [[one[column] for column in columns] for one in found["tokens"]])


@app.command()
def revoke(context: typer.Context, token_id: str, as_json: Json = False) -> None:
    """Let nobody enroll with a token any more; agents that did keep their credentials."""
    found = context.obj.api.delete(f"/enrollment-tokens/{token_id}")
    if as_json:
        show_json(found)
    else:
        tell(f"token {found['token_id']} is revoked; it was used {found['used']} of {found['uses']} times")


def servers_trust(session: Session) -> Trust:
    """Return what the server states to trust. Raises TrustError, UnverifiedError if it is no statement."""
    try:
        return Trust(**session.api.get("/trust"))
    except TypeError as exc:
        raise UnverifiedError(f"server's trust statement has other fields than ours: {exc}") from exc
