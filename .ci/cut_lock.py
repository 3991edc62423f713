"""Cut a piece out of the hashed lock: `cut_lock.py [--whole] NAME... <requirements.lock`.

Alone, a name cuts its own pin. With `--whole` it brings what it requires, as the lock's own "via" lines tell.
`--project` stands for what pyproject.toml's project requires, `--extra NAME` for one of its extras.
Needs nothing but the standard library, because it runs before anything is installed.
"""

# ruff: noqa: INP001 - a script beside other scripts, no package

import re
import sys
import tomllib
from pathlib import Path

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def canonical(name: str) -> str:
    """Return a distribution's name as the lock spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lock: str) -> dict[str, str]:
    """Return the lock cut into one block of lines a pin, by name."""
    blocks = (block for block in re.split(r"(?m)^(?=[A-Za-z0-9])", lock) if "==" in block)
    return {canonical(block.partition("==")[0].partition("[")[0]): block for block in blocks}


def wanted_by(block: str) -> set[str]:
    """Return the names that a pin is there for."""
    comments = re.findall(r"(?m)^ +# +(?:via +)?(\S+)", block)
    return {canonical(name) for name in comments if _NAME.fullmatch(name) and name != "via"}


def whole(blocks: dict[str, str], names: set[str]) -> set[str]:
    """Return these names and everything they require, directly or not."""
    while more := {name for name, block in blocks.items() if wanted_by(block) & names} - names:
        names = names | more
    return names


def required(extra: str | None) -> set[str]:
    """Return the names that the project, or one of its extras, requires."""
    text = (Path(__file__).resolve().parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {canonical(match[0]) for line in lines if (match := _NAME.match(line))}


def main(arguments: list[str], lock: str) -> str:
    """Return the lines of the lock that the arguments ask for.

    Raises:
        KeyError: a name is not pinned; the message says which.
    """
    blocks, names, words = pins(lock), set[str](), iter(arguments)
    for word in words:
        if word == "--project":
            names |= required(None)
        elif word == "--extra":
            names |= required(next(words))
        elif word != "--whole":
            names.add(canonical(word))
    if missing := sorted(names - blocks.keys()):
        raise KeyError(f"the lock pins no {', '.join(missing)}")
    chosen = whole(blocks, names) if "--whole" in arguments else names
    return "".join(block for name, block in blocks.items() if name in chosen)


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:], sys.stdin.read()))
