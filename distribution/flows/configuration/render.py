"""Versions made ready: where their variables stand, so that putting values in needs no YAML any more.

A document keeps its shape whatever is put in: each scalar with a variable is cut out where it is written and
written anew (`domain.config_template`). That this is so is not believed: with values made to break it, what
was filled must read as the same tree with the values in their places, or the object is refused.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from distribution.domain.config_template import (
    MARK,
    Facts,
    Hole,
    Quoting,
    Template,
    Variable,
    filled,
    split,
    variables,
)
from distribution.domain.config_tree import Tree, scalars, shown
from distribution.domain.configuration import ConfigObject, ConfigVersion
from distribution.domain.known_secrets import as_reported, told_of
from distribution.errors import InvalidError, PolicyError
from distribution.flows.configuration import yaml_text
from distribution.flows.configuration.text import Form, decoded, form_of, read, told

_JSON_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"(?P<key>\s*:)?')
_PROBES: Final = ("a1", "12", "true", 'x": y', "- 'z", "{[&*!|>%@`# , ", "é\\u0022")


@dataclass(frozen=True, slots=True)
class Ready:
    """One version, ready to be put together. An object without variables has no template."""

    version: ConfigVersion
    templates: Mapping[str, Template]
    variables: frozenset[Variable]
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Scalars and lines of a version that carries a secret (`text.told`)."""
    unfilled: tuple[tuple[str | Variable, ...], ...] = field(default=(), repr=False)
    """Those of them that have variables."""

    def secrets_for(self, facts: Facts) -> frozenset[str]:
        """Return what is secret in the version's objects for one agent. Joins texts alone."""
        if not self.unfilled:
            return self.secrets
        filled = ("".join(_filled(parts, facts)) for parts in self.unfilled)
        return self.secrets | as_reported(told_of(filled))

    def objects(self, facts: Facts) -> dict[str, ConfigObject]:
        """Return the version's objects for one agent. Raises PolicyError: a value is missing or unfit."""
        try:
            return {
                key: ConfigObject(filled(self.templates[key], facts), one.content_type, one.role)
                if key in self.templates
                else one
                for key, one in self.version.objects.items()
            }
        except PolicyError as exc:
            raise PolicyError(f"configuration {self.version}: {exc}") from exc


def ready(version: ConfigVersion) -> Ready:
    """Make a version ready. Raises InvalidError: a variable stands where none may, or is none of ours."""
    templates: dict[str, Template] = {}
    for key, one in version.objects.items():
        try:
            template = template_of(one)
        except InvalidError as exc:
            raise InvalidError(f"object {key!r}: {exc}") from exc
        if template is not None:
            templates[key] = template
    secrets = told(version.objects.values()).texts if version.secret else frozenset[str]()
    unfilled = tuple(_unfilled(secrets))
    return Ready(version, templates, variables(templates.values()), as_reported(secrets), unfilled)


def template_of(one: ConfigObject) -> Template | None:
    """Return the object's text with holes for its variables, None if it has none. Raises InvalidError."""
    if MARK.encode() not in one.body:
        return None
    form, text = form_of(one.content_type), decoded(one.body)
    template = _of_yaml(text) if form is Form.YAML else _of_json(text) if form is Form.JSON else _bare(text)
    if not variables([template]):
        return None
    if form is not Form.OTHER:
        _require_shape(one, form, template)
    return template


def standing_in(template: Template, text: str) -> bytes:
    """Return the text with `text` in place of every variable. Raises PolicyError: it may not stand there."""
    return filled(template, _everything(text))


def _unfilled(secrets: frozenset[str]) -> Iterator[tuple[str | Variable, ...]]:
    for text in sorted(secrets):
        parts = split(text) if MARK in text else ()
        if any(isinstance(part, Variable) for part in parts):
            yield parts


def _filled(parts: tuple[str | Variable, ...], facts: Facts) -> Iterator[str]:
    for part in parts:
        yield part if isinstance(part, str) else facts.get(part) or ""


def _of_yaml(text: str) -> Template:
    pieces: list[str | Hole] = []
    at = 0
    for span in yaml_text.spans(text):
        parts = split(span.value) if MARK in span.value else ()
        if not any(isinstance(part, Variable) for part in parts):
            continue
        raw = text[span.start : span.end]
        if span.is_key:
            raise InvalidError(f"line {span.line}: a variable stands in a key, expected in a value")
        if raw[0] in "&!":
            raise InvalidError(f"line {span.line}: a value with a variable has an anchor or a tag")
        quoting = Quoting.BLOCK if span.block else Quoting.YAML
        if span.plain and len(parts) == 1:
            quoting = Quoting.ALONE
        pieces += [text[at : span.start], Hole(parts, quoting, "\n" if raw.endswith("\n") else "")]
        at = span.end
    return (*pieces, text[at:])


def _of_json(text: str) -> Template:
    pieces: list[str | Hole] = []
    at = 0
    for found in _JSON_TEXT.finditer(text):
        raw = found[0][: found.start("key") - found.start()] if found["key"] else found[0]
        parts = split(json.loads(raw)) if MARK in raw else ()
        if not any(isinstance(part, Variable) for part in parts):
            continue
        if found["key"]:
            raise InvalidError("a variable stands in a key, expected in a value")
        pieces += [text[at : found.start()], Hole(parts, Quoting.JSON)]
        at = found.end()
    return (*pieces, text[at:])


def _bare(text: str) -> Template:
    return (Hole(split(text), Quoting.BARE),)


def _require_shape(one: ConfigObject, form: Form, template: Template) -> None:
    before = list(scalars(read(one.body, form)))
    for probe in _PROBES:
        facts = _everything(probe)
        try:
            after = list(scalars(read(filled(template, facts), form)))
        except PolicyError:
            continue  # it may not stand there at all
        for (place, wanted), (place_after, found) in zip(before, after, strict=False):
            text = _expected(wanted, facts)
            if place != place_after or found not in (text, yaml_text.scalar(str(text))):
                raise InvalidError(f"{shown(place_after)} does not keep its place when values are put in")
        if len(before) != len(after):
            raise InvalidError("a value that is put in alters what the document says")


def _expected(wanted: Tree, facts: Facts) -> object:
    if not isinstance(wanted, str) or MARK not in wanted:
        return wanted
    return "".join(_filled(split(wanted), facts))


class _Always(dict[str, str]):
    """The same value under every name."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get(self, key: str, default: object = None) -> str:  # noqa: ARG002 - a dictionary's signature
        return self._text


def _everything(text: str) -> Facts:
    always = _Always(text)
    return Facts(UUID(int=0), always, always, always)
