"""`quartermaster guard`: what a publisher forbids."""

from typing import Annotated

import typer

from distribution.cli.noun import noun
from distribution.cli.output import Json, show_json, tell
from distribution.cli.pipelines import HomeOption, home_and_root, tools
from distribution.cli.session import Session
from distribution.domain.package import Version, require_name
from distribution.pipeline.guard import set_floor

app = noun("The guard: what a publisher forbids, whoever offers it.")


@app.command()
def floor(
    context: typer.Context,
    package: Annotated[str, typer.Argument(help="The package's name.")],
    version: Annotated[str, typer.Argument(help="The lowest version that may be newly installed.")],
    home: HomeOption,
    allow_lowering_the_floor: Annotated[
        bool, typer.Option("--allow-lowering-the-floor", help="Let forbidden versions in again.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Move the floor of a package, up unless it is asked for: signed here, by the guard key."""
    session: Session = context.obj
    opened, root = home_and_root(session, home)
    done = set_floor(
        opened.guard_seat(root),
        require_name(package),
        Version.parse(version),
        tools(session),
        allow_lowering_the_floor=allow_lowering_the_floor,
    )
    before = None if done.before is None else str(done.before)
    if as_json:
        show_json(
            {
                "package": package,
                "floor": str(done.floor),
                "before": before,
                "role_version": done.role_version,
            }
        )
    else:
        tell(f"floor of {opened.publisher}/{package} is {done.floor}, it was {before or 'none'}")
