"""What no file of ours says: where it was written, where packages come from, what is still to be done."""

import re

from tests.house.tree import ROOT, tracked

# Put together from pieces, so that this file does not say them either.
_HOSTS = (
    "py" + "pi.org",
    "pythonhosted" + ".org",
    "proxy.golang" + ".org",
    "registry.npm" + "js.org",
    "crates" + ".io",
)
_PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "/t" + "mp/")
_UNDONE = ("TO" + "DO", "FIX" + "ME", "XX" + "X")
_WORDS = re.compile(
    "|".join([*map(re.escape, _HOSTS + _PLACES), *(rf"# {word}\b|\b{word}[:(]" for word in _UNDONE)])
)


def said(text: str) -> list[str]:
    """Return the forbidden words in a text."""
    return _WORDS.findall(text)


def test_no_file_names_a_machine_a_registry_or_an_unfinished_thing() -> None:
    """No text file that git keeps names a folder of a machine, a registry's host or a thing left undone."""
    found: list[str] = []
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            found.extend(f"{path.relative_to(ROOT)}:{number} says {word}" for word in said(line))
    assert "\n".join(found) == ""


def test_the_words_are_found() -> None:
    """A line with one of them is caught."""
    assert [bool(said(f"see {word}x")) for word in _HOSTS + _PLACES] == [True] * len(_HOSTS + _PLACES)
    assert [bool(said(f"# {word}: later")) for word in _UNDONE] == [True] * len(_UNDONE)
