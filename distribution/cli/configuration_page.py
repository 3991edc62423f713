"""Writes `docs/configuration.md` from the settings themselves, so that the page cannot say anything else.

`python -m distribution.cli.configuration_page docs/configuration.md`; a test compares page and settings.
"""

import dataclasses
import sys
from pathlib import Path

from distribution.setting_values import Setting
from distribution.settings import SECTIONS, every_setting

_HEAD = """\
# Configuration

One TOML file, given to `quartermaster serve`, and the environment, which wins over the file. A name that is
not listed here is refused, and the nearest listed one is named. A relative path starts at the folder of the
settings file. `quartermaster init` writes a file that works.

This page is generated from `distribution/setting_sections.py` (`python -m distribution.cli.configuration_page
docs/configuration.md`); a test compares the two.
"""

_FOOT = """\

## Variables of the operators' commands

These are read by the commands that speak to the operators' API, never by the server: `QUARTERMASTER_URL`,
`QUARTERMASTER_TRUST`, `QUARTERMASTER_TOKEN_FILE` and `QUARTERMASTER_PROFILE` stand for the options
`--server`, `--trust`, `--token-file` and `--profile`, `QUARTERMASTER_PUBLISHER_HOME` for `--home`. Every
other variable that starts with `QUARTERMASTER_` and is not listed above is refused by the server; on
Kubernetes set `enableServiceLinks: false` if a service's name starts with `quartermaster`, because the
variables it injects would be such names.
"""


def render() -> str:
    """Return the page as Markdown."""
    settings = list(every_setting())
    parts = [_HEAD]
    for section, kind in SECTIONS.items():
        parts.append(f"\n## [{section}]\n\n{(kind.__doc__ or '').strip()}\n\n")
        parts.append("| Key | Default | Environment | What it decides |\n|-|-|-|-|\n")
        parts.extend(_row(setting) for setting in settings if setting.section == section)
    parts.append(_FOOT)
    return "".join(parts)


def _row(setting: Setting) -> str:
    if setting.default is dataclasses.MISSING:
        default = "**required**"
    else:
        default = "none" if setting.default is None else f"`{setting.default}`"
    return f"| `{setting.key}` | {default} | `{setting.variable}` | {setting.described.text} |\n"


def main(arguments: list[str]) -> int:
    """Write the page to the path in `arguments`; return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m distribution.cli.configuration_page PATH", file=sys.stderr)  # noqa: T201 - a command's output
        return 2
    Path(arguments[0]).write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
