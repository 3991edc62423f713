"""What is asked of a configuration before it may become a version: in this order, the first fault is told.

1  it has objects, each with a body; few enough, small enough, under keys that fit;
2  what is YAML or JSON is well formed, and says something: an empty map stops collectors, and the operator's
   bridge refuses it;
3  its variables are ours and stand in values;
4  it carries no plain secret, unless it was declared to; and then no variable that an agent fills by itself.

Then, where one is set, the external validator: `flows.configuration.validator`.
"""

from collections.abc import Mapping
from typing import Final

from distribution.domain.config_template import Source
from distribution.domain.config_tree import Tree, shown
from distribution.domain.configuration import ConfigObject, ConfigVersion
from distribution.domain.secrets import first_secret
from distribution.errors import InvalidError
from distribution.flows.configuration.render import Ready, ready
from distribution.flows.configuration.text import Form, form_of, read

OBJECTS_MAX: Final = 64
BYTES_MAX: Final = 1 << 20
"""Of all bodies of one version: it goes to each agent in one message, beside other things."""

NAME_MAX_CHARS: Final = 255
"""Of a key, a role or a content type."""


def check(name: str, objects: Mapping[str, ConfigObject], *, secret: bool) -> Ready:
    """Return the configuration made ready. Raises InvalidError: it names the object and the fault."""
    _require_sizes(name, objects)
    for key, one in sorted(objects.items()):
        try:
            tree = _require_says(one)
        except InvalidError as exc:
            raise InvalidError(f"configuration {name!r}, object {key!r}: {exc}") from exc
        if tree is not None and not secret and (place := first_secret(tree)) is not None:
            raise InvalidError(
                f"configuration {name!r}, object {key!r}: {shown(place)} looks like a secret; refer to it by "
                "${env:...}, or declare the configuration secret"
            )
    found = ready(ConfigVersion(name, 0, objects, secret=secret))
    told = sorted(str(one) for one in found.variables if one.source is Source.ATTRIBUTE)
    if secret and told:
        raise InvalidError(
            f"configuration {name!r} is secret, so no value of it is what an agent says of itself: {told[0]}"
        )
    return found


def _require_sizes(name: str, objects: Mapping[str, ConfigObject]) -> None:
    if not 0 < len(objects) <= OBJECTS_MAX:
        raise InvalidError(
            f"configuration {name!r} has {len(objects)} objects, expected from 1 to {OBJECTS_MAX}; "
            "collectors stop on an empty one"
        )
    for key, one in objects.items():
        if max(map(len, (key, one.role, one.content_type))) > NAME_MAX_CHARS:
            raise InvalidError(
                f"configuration {name!r} has a key, role or content type of more than {NAME_MAX_CHARS} "
                "characters"
            )
        if not (key + one.role + one.content_type).isprintable():
            raise InvalidError(f"configuration {name!r} has a key, role or type that does not print: {key!r}")
    total = sum(len(one.body) for one in objects.values())
    if total > BYTES_MAX:
        raise InvalidError(f"configuration {name!r} has {total} bytes, at most {BYTES_MAX} are taken")


def _require_says(one: ConfigObject) -> Tree:
    """Return what is said where it can be read, None where it cannot."""
    form = form_of(one.content_type)
    if not one.body.strip():
        raise InvalidError("body is empty; known clients stop their program on it, or refuse it")
    if form is Form.OTHER:
        return None
    tree = read(one.body, form)
    if tree is None or tree in ({}, [], ""):
        raise InvalidError(f"its {form.value} says nothing; known clients stop their program on it")
    return tree
