r"""Variables in configurations, and what may be put in their place.

A variable is written `${qm:uid}`, `${qm:label.NAME}`, `${qm:attribute.NAME}` or `${qm:value.NAME}`: a scheme
that no collector knows, so it collides with none of theirs (`${env:NAME}`). After an even number of dollar
signs (`$${qm:...}`) it is none and is passed on as written; a collector makes `${qm:...}` of that.

Rules of putting values in, so that no value is ever more than a value:

1. Variables stand in values, never in keys. A YAML or JSON scalar that holds one is written anew, quoted, so
   the document keeps its shape whatever is put in. Where a variable is a whole unquoted YAML scalar and its
   value is a whole number or `true` or `false`, it stays one; everything else is text.
2. No value holds a dollar sign: collectors would look up what follows it. All are printable and short.
3. What an agent says of itself is letters, digits and `._-`, wherever it stands: no host, path or query can
   be made of it that the template does not already begin.
4. In texts of other content types, and in YAML block texts (which are often documents themselves), nothing
   can be quoted, so values there are letters, digits and `._/-`.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, TypeAlias
from uuid import UUID

from distribution.errors import InvalidError, PolicyError

MARK: Final = "${qm:"
"""Texts without it have no variables."""

VALUE_MAX_CHARS: Final = 1024
_VARIABLE = re.compile(r"(?<!\$)(\$+)\{qm:([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
_TOLD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_BARE = re.compile(r"[A-Za-z0-9._/-]{1,256}")
_WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,17})|true|false")


class Source(Enum):
    """Who says what a variable is; the words of its syntax."""

    UID = "uid"
    LABEL = "label"
    """A token or an operator."""
    ATTRIBUTE = "attribute"
    """The agent itself."""
    VALUE = "value"
    """An operator, for this agent alone; it may be a secret."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable; `name` is empty for the uid."""

    source: Source
    name: str = ""

    def __str__(self) -> str:
        return f"{MARK}{self.source.value}{'.' if self.name else ''}{self.name}}}"


class Quoting(Enum):
    """How a scalar with variables is written."""

    YAML = "yaml"
    ALONE = "alone"
    """In YAML, one variable and nothing else, unquoted."""
    BLOCK = "block"
    """A block text of YAML."""
    JSON = "json"
    BARE = "bare"
    """As it is, in a text of another content type."""


@dataclass(frozen=True, slots=True)
class Hole:
    """A scalar that holds variables; `end` is what follows it."""

    parts: tuple[str | Variable, ...]
    quoting: Quoting
    end: str = ""


Template: TypeAlias = tuple[str | Hole, ...]
"""A text: what is passed on as it is, and holes."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one agent, by who says it."""

    uid: UUID
    labels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def get(self, variable: Variable) -> str | None:
        """Return what the variable is for this agent, None if nobody says."""
        match variable.source:
            case Source.UID:
                return str(self.uid)
            case Source.LABEL:
                return self.labels.get(variable.name)
            case Source.ATTRIBUTE:
                return self.attributes.get(variable.name)
            case Source.VALUE:
                return self.values.get(variable.name)


def split(text: str) -> tuple[str | Variable, ...]:
    """Return the text in parts. Raises InvalidError: a variable that is none of ours, or is not closed."""
    parts: list[str | Variable] = []
    at = 0
    for found in _VARIABLE.finditer(text):
        if len(found[1]) % 2 == 0:
            continue
        if not found[3]:
            raise InvalidError(f"variable {found[0][:80]!r} is not closed")
        if before := text[at : found.end(1) - 1]:
            parts.append(before)
        parts.append(_variable(found[2]))
        at = found.end()
    return (*parts, text[at:]) if text[at:] or not parts else tuple(parts)


def variables(templates: Iterable[Template]) -> frozenset[Variable]:
    """Return every variable that is used."""
    return frozenset(
        part
        for template in templates
        for piece in template
        if isinstance(piece, Hole)
        for part in piece.parts
        if isinstance(part, Variable)
    )


def filled(template: Template, facts: Facts) -> bytes:
    """Return the text with the agent's values put in.

    Raises:
        PolicyError: nobody says what a variable is, or its value may not stand where it would.
    """
    return "".join(piece if isinstance(piece, str) else _written(piece, facts) for piece in template).encode()


def quoted(text: str) -> str:
    r"""Return the text as a YAML scalar in double quotes; the unprintable is escaped (YAML 1.2.2, 5.7)."""
    return f'"{"".join(map(_escaped, text))}"'


def _variable(text: str) -> Variable:
    word, dot, name = text.partition(".")
    known = {source.value for source in Source}
    if word not in known or (word == Source.UID.value) is bool(dot) or (dot and not _NAME.fullmatch(name)):
        raise InvalidError(
            f"variable '{MARK}{text[:80]}}}' is not uid, or label, attribute or value with a name, as "
            "${qm:label.site}"
        )
    return Variable(Source(word), name)


def _written(hole: Hole, facts: Facts) -> str:
    text = "".join(_parts(hole, facts))
    match hole.quoting:
        case Quoting.JSON:
            return json.dumps(text) + hole.end
        case Quoting.BARE:
            return text + hole.end
        case Quoting.ALONE if _WHOLE.fullmatch(text):
            return text + hole.end
        case _:
            return quoted(text) + hole.end


def _parts(hole: Hole, facts: Facts) -> Iterator[str]:
    for part in hole.parts:
        yield part if isinstance(part, str) else _value(part, hole.quoting, facts)


def _value(variable: Variable, quoting: Quoting, facts: Facts) -> str:
    value = facts.get(variable)
    if value is None:
        raise PolicyError(f"agent has no {variable.source.value} {variable.name!r}, which {variable} needs")
    if variable.source is Source.ATTRIBUTE:
        fits, rule = _TOLD.fullmatch(value), "letters, digits and '._-', at most 253"
    elif quoting in (Quoting.BARE, Quoting.BLOCK):
        fits, rule = _BARE.fullmatch(value), "letters, digits and '._/-' where nothing is quoted"
    else:
        return require_value(value, str(variable))
    if fits is None:
        raise PolicyError(f"{variable} may be {rule}; what it is for this agent has others")
    return value


def require_value(value: str, what: str) -> str:
    """Return the value if it can stand in a quoted scalar. Raises PolicyError; it does not say the value."""
    if len(value) > VALUE_MAX_CHARS or "$" in value or not value.isprintable():
        raise PolicyError(
            f"{what} may be printable, at most {VALUE_MAX_CHARS} characters, without a dollar sign; what it "
            "is for this agent is not"
        )
    return value


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    return f"\\u{ord(char):04x}" if ord(char) <= 0xFFFF else f"\\U{ord(char):08x}"  # noqa: PLR2004 - as YAML says
