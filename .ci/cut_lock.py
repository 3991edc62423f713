"""Cut one package's pins out of a hashed requirements file: `cut_lock.py NAME <requirements.lock`.

Needs nothing but the standard library, because it runs before anything is installed.
"""

# ruff: noqa: INP001 - a script beside other scripts, no package

import re
import sys


def cut(lock: str, name: str) -> str:
    """Return the lines that pin `name`, hashes and marker included.

    Raises:
        KeyError: the lock does not pin it.
    """
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", lock)
    found = [block for block in blocks if re.match(rf"{re.escape(name)}==", block)]
    if not found:
        raise KeyError(f"the lock pins no {name!r}")
    return "".join(found)


if __name__ == "__main__":
    sys.stdout.write(cut(sys.stdin.read(), sys.argv[1]))
