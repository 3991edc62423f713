"""`quartermaster status`: one look at a server."""

import typer

from distribution.cli.output import Json, show_fields, show_json
from distribution.cli.session import Session
from distribution.cli.tokens import servers_trust
from keys.trust import require_same


def status(context: typer.Context, as_json: Json = False) -> None:
    """Say whether the server is ready, is the one you trust, and what it serves."""
    session: Session = context.obj
    ready = session.api.probe("/readyz")
    require_same(session.trust, servers_trust(session))
    me = session.api.get("/whoami")
    publishers = session.api.get("/publishers")
    found = {
        "server": session.trust.operators_url,
        "status": ready["status"],
        "checks": ready["checks"],
        "trust": "same as yours",
        "trust_domain": session.trust.trust_domain,
        "you": me["name"],
        "scopes": me["scopes"],
        "publishers": [one["name"] for one in publishers["publishers"]],
        "snapshot_version": publishers["snapshot_version"],
        "verified_until": publishers["verified_until"],
    }
    if as_json:
        show_json(found)
    else:
        show_fields(found)
