"""Configuration texts by their content type: YAML, JSON, or bytes that are passed on as they are.

YAML is read by `flows.configuration.yaml_text`; what it bounds is bounded for JSON too. Messages name a line
or a key, never a value: values may be secrets.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from distribution.domain.config_tree import Tree, keys_in
from distribution.domain.configuration import ConfigObject
from distribution.domain.known_secrets import told_in, told_of
from distribution.errors import InvalidError
from distribution.flows.configuration import yaml_text
from distribution.flows.configuration.yaml_text import DEPTH_MAX, VALUES_MAX

BYTES_MAX: Final = 4 << 20
"""Of one text; as large as a message of an agent may be."""


class Form(Enum):
    """How the bytes of an object are read."""

    YAML = "YAML"
    JSON = "JSON"
    OTHER = "other"


_FORMS: Final = {
    **dict.fromkeys(
        ("yaml", "text/yaml", "text/x-yaml", "application/yaml", "application/x-yaml"), Form.YAML
    ),
    **dict.fromkeys(("json", "application/json", "text/json"), Form.JSON),
}


def form_of(content_type: str) -> Form:
    """Return how bytes of this content type are read; its parameters do not count."""
    return _FORMS.get(content_type.partition(";")[0].strip().lower(), Form.OTHER)


def read(body: bytes, form: Form) -> Tree:
    """Return what a text of YAML or JSON says.

    Raises:
        InvalidError: it is not one well-formed document of this form, or beyond a limit.
    """
    text = decoded(body)
    return _json(text) if form is Form.JSON else yaml_text.read(text)


def decoded(body: bytes) -> str:
    """Return the bytes as text, without a byte order mark. Raises InvalidError: too many, or not UTF-8."""
    if len(body) > BYTES_MAX:
        raise InvalidError(f"text has {len(body)} bytes, at most {BYTES_MAX} are read")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise InvalidError(f"text is not UTF-8 at byte {exc.start}") from None  # the cause holds the text


@dataclass(frozen=True, slots=True)
class Told:
    """What the objects of a configuration say, as it is looked for where it is not to be shown."""

    texts: frozenset[str] = field(default=frozenset(), repr=False)
    """Scalars; of a text that is neither YAML nor JSON its lines. Short ones and references are left out."""
    keys: frozenset[str] = frozenset()
    """Keys of maps, which are shown: a scalar that is the name of a part is none to hide."""


def told(objects: Iterable[ConfigObject]) -> Told:
    """Return what objects say. Raises InvalidError: one of YAML or JSON cannot be read."""
    texts, keys = set[str](), set[str]()
    for one in objects:
        if form_of(one.content_type) is Form.OTHER:
            texts |= told_of(line.strip() for line in one.body.decode("utf-8", "replace").splitlines())
        for tree in _trees(one):
            texts |= told_in(tree)
            keys |= set(keys_in(tree))
    return Told(frozenset(texts - keys), frozenset(keys))


def _trees(one: ConfigObject) -> Iterator[Tree]:
    """Yield what an object says; one without a type is taken for YAML by collectors, and may be none."""
    form = form_of(one.content_type)
    if form is not Form.OTHER:
        yield read(one.body, form)
    elif not one.content_type:
        try:
            yield read(one.body, form)
        except InvalidError:
            return


def _json(text: str) -> Tree:
    try:
        found: Tree = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except json.JSONDecodeError as exc:
        raise InvalidError(f"text is not JSON: line {exc.lineno}: {exc.msg.lower()}") from None
    except ValueError:
        raise InvalidError("text is not JSON: a number has too many digits") from None
    except RecursionError:
        raise InvalidError(f"text is nested deeper than {DEPTH_MAX}") from None
    _require_bounded(found)
    return found


def _once(pairs: list[tuple[str, Tree]]) -> dict[str, Tree]:
    found: dict[str, Tree] = {}
    for key, value in pairs:
        if key in found:
            raise InvalidError(f"key {key[:80]!r} is there twice in one object")
        found[key] = value
    return found


def _no_constant(name: str) -> Tree:
    raise InvalidError(f"text is not JSON: {name} is no number of JSON")  # RFC 8259 6


def _require_bounded(tree: Tree) -> None:
    level: list[Tree] = [tree]
    count = depth = 0
    while level:
        count, depth = count + len(level), depth + 1
        if count > VALUES_MAX:
            raise InvalidError(f"text has more than {VALUES_MAX} values")
        if depth > DEPTH_MAX + 1:
            raise InvalidError(f"text is nested deeper than {DEPTH_MAX}")
        deeper: list[Tree] = []
        for one in level:
            if isinstance(one, dict):
                deeper.extend(one.values())
            elif isinstance(one, list):
                deeper.extend(one)
        level = deeper
