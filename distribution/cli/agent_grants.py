"""`quartermaster agents certify`, `requests`, `approve` and `token`: credentials from operators."""

from pathlib import Path
from typing import Annotated, Any

import typer

from distribution.cli import reading
from distribution.cli.agent_acts import Uid
from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, show_table, tell
from distribution.errors import InvalidError

_DAY = 86_400
_DAYS_MOST = 1096
_READABLE = 0o644

token = noun("Bearer tokens: for clients that present no certificate.")

GivenLabels = Annotated[
    list[str] | None, typer.Option("--label", help="key=value of an agent that nobody knows yet.")
]


def certify(
    context: typer.Context,
    csr: Annotated[Path, typer.Option(help="The certificate request, PEM (PKCS #10), of a P-256 key.")],
    out: Annotated[Path, typer.Option(help="Where the certificate goes, PEM, leaf first; not overwritten.")],
    uid: Annotated[
        str | None, typer.Option(help="Whose it is, where the request does not name its agent.")
    ] = None,
    label: GivenLabels = None,
    as_json: Json = False,
) -> None:
    """Sign a certificate request from a file; for an agent that has a certificate it is the next one."""
    body = {"csr": _read(csr), "uid": uid, "labels": reading.labels(label)}
    if out.exists():
        raise InvalidError(f"file {str(out)!r} exists, a certificate is not written over it")
    found = context.obj.api.post("/certificates", body)
    _write(out, str(found["chain_pem"]))
    if as_json:
        show_json({name: found[name] for name in found if name != "chain_pem"})
        return
    tell(
        f"agent {found['agent']}: {found['slot']} certificate {found['serial']} until {found['not_after']}, "
        f"written to {out}"
    )
    tell(
        "nothing renews it: have another request of the agent signed before then; its client takes it with "
        "the key of the request, and its first message puts it into force"
    )


def requests(context: typer.Context, as_json: Json = False) -> None:
    """List certificate requests that came through a gateway and wait for `approve`."""
    found = context.obj.api.get("/certificate-requests")
    if as_json:
        show_json(found)
        return
    columns = ("agent", "key", "asked_at", "approved_at")
    show_table(columns, [[one[column] for column in columns] for one in found["requests"]])


def approve(
    context: typer.Context,
    uid: Uid,
    key: Annotated[str, typer.Option(help="SHA-256 of its public key in hex, as the host itself says.")],
    as_json: Json = False,
) -> None:
    """Let an agent behind a gateway have a certificate for this key, when it asks again."""
    found = context.obj.api.post(f"/certificate-requests/{uid}/approve", {"key": key})
    if as_json:
        show_json(found)
    else:
        tell(f"agent {found['agent']}: key {found['key']} is approved; it gets its certificate when it asks")


@token.command()
def create(
    context: typer.Context,
    uid: Annotated[str | None, typer.Argument(help="The agent's instance uid.")] = None,
    new: Annotated[bool, typer.Option("--new", help="For an agent that nobody knows yet.")] = False,
    label: GivenLabels = None,
    valid_days: Annotated[int, typer.Option(min=1, max=_DAYS_MOST, help="How long it is good.")] = 365,
    as_json: Json = False,
) -> None:
    """Make a bearer token of one agent and print it; it is shown only now."""
    if uid is None and not new:
        raise typer.BadParameter("say for whom: an agent's uid, or --new for one that nobody knows yet")
    body = {"uid": uid, "new": new, "labels": reading.labels(label), "lifetime_seconds": valid_days * _DAY}
    made = context.obj.api.post("/bearer-tokens", body)
    if as_json:
        show_json(made)
        return
    tell(
        f"agent {made['agent']}: bearer token {made['token_id']} until {made['expires_at']}; "
        "it is shown only now"
    )
    typer.echo(made["bearer"])


@token.command("list")
def list_(context: typer.Context, uid: Uid, as_json: Json = False) -> None:
    """List an agent's bearer tokens; their secrets are known to nobody here."""
    found = context.obj.api.get(f"/agents/{uid}/bearer-tokens")
    if as_json:
        show_json(found)
        return
    columns = ("token_id", "created_at", "created_by", "expires_at", "revoked_at")
    show_table(columns, [[one[column] for column in columns] for one in found["tokens"]])


@token.command()
def revoke(context: typer.Context, token_id: str, as_json: Json = False) -> None:
    """End one bearer token and cut its connections, now; the agent's other credentials stay."""
    found: Any = context.obj.api.delete(f"/bearer-tokens/{token_id}")
    if as_json:
        show_json(found)
    else:
        tell(
            f"bearer token {found['token_id']} of agent {found['agent']} is revoked; "
            f"{found['connections_cut']} connection(s) cut"
        )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as exc:
        raise InvalidError(f"file {str(path)!r} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise InvalidError(f"file {str(path)!r} is no certificate request in PEM") from exc


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(text)
        path.chmod(_READABLE)
    except OSError as exc:
        raise InvalidError(f"file {str(path)!r} cannot be written: {exc.strerror}") from exc
