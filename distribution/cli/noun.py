"""How every noun of the command line begins: a group of commands that explains itself."""

import typer


def noun(text: str) -> typer.Typer:
    """Return a group of commands with this help; a group it stays, however few commands it has."""
    group = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=text)

    @group.callback(help=text)
    def _group() -> None:
        pass

    return group
