"""The story of an effective configuration: reported, made safe, kept, and compared with what was intended.

Step 1  It is read, with limits; what cannot be read is treated as text.
Step 2  It is compared as it came, secrets and all, so that another secret is a difference too; of a
        difference it is told where it is, not what.
Step 3  Secrets are taken out, also those that an operator declared before (`declared`); only what is left is
        kept (`fleet.documents`).
Step 4  That an agent was seen to run what was intended is remembered, to tell drift afterwards.

For the worker thread: bytes up to megabytes are parsed here. Agents of one kind report the same, so what was
found is remembered for a while, by the digests of both and by what was hidden.
"""

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from distribution.domain.config_compare import all_differences, first_difference, same_text
from distribution.domain.config_tree import Tree, merged, object_order
from distribution.domain.configuration import (
    Agreement,
    ConfigObject,
    EffectiveSeen,
    RemoteConfig,
    digest_of,
)
from distribution.domain.known_secrets import Known, without, words_without
from distribution.domain.secrets import REDACTED, hidden, redacted, redacted_text
from distribution.errors import InvalidError
from distribution.fleet import agreements, documents
from distribution.fleet.documents import Document, Kind
from distribution.flows.configuration import yaml_text
from distribution.flows.configuration.declared import Declared, all_known
from distribution.flows.configuration.text import Form, form_of, read
from keys.identity import AgentId
from storage.database import Database

OBJECT_MAX_CHARS: Final = 256 << 10
"""Of one object's safe text that is kept; more is cut, and says so."""

OBJECTS_MAX: Final = 64
WHY_MAX_CHARS: Final = 500
REMEMBERED: Final = 256
REMEMBERED_MAX_CHARS: Final = 64 << 10
DIFFERENCES_MAX: Final = 100
_CUT: Final = "\n# more was left out\n"
_NOTHING: Final = Known()

_Which: TypeAlias = tuple[bytes, bytes, frozenset[str], tuple[str, ...], Known, tuple[str, ...]]
"""The digests of both, and all that was hidden: of the intended one, of former versions, of the agent."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What an effective configuration came to, whoever reported it."""

    agreement: Agreement
    why: str
    safe: str


class Examiner:
    """Examines effective configurations. Thread-safe."""

    def __init__(self, database: Database, declared: Declared) -> None:
        self._database = database
        self._declared = declared
        self._found: OrderedDict[_Which, _Found] = OrderedDict()

    def examine(
        self,
        agent: AgentId,
        effective: Mapping[str, ConfigObject],
        intended: RemoteConfig | None,
        now: datetime,
    ) -> EffectiveSeen:
        """Compare, keep what is safe, and return what was seen. Raises: as `Database.write`."""
        digest, wanted = digest_of(effective), b"" if intended is None else intended.digest
        former = self._declared.former
        with self._database.read() as connection:
            given = self._declared.given(connection, agent)
        own = (frozenset[str](), ()) if intended is None else (intended.secrets, intended.secret_parts)
        which = digest, wanted, *own, former, given
        found = self._found.get(which)
        if found is None:
            found = _found(effective, intended, all_known(former, given, intended))
            self._remember(which, found)
        seen = EffectiveSeen(digest, found.agreement, wanted, found.why)
        return self._kept(agent, seen, Document(digest.hex(), found.safe, now), now)

    def again(self, agent: AgentId, intended: RemoteConfig, now: datetime) -> EffectiveSeen | None:
        """Compare the last one that the agent reported with what is intended now, None if it never did.

        An agent whose effective configuration does not change does not report it again. What is compared is
        what was kept, so whatever was taken out of it counts as the same. What is known to be secret by now
        is taken out of it afterwards.
        """
        with self._database.read() as connection:
            kept = documents.find(connection, agent, Kind.EFFECTIVE)
            found = self._declared.known_of(connection, agent, intended)
        if kept is None:
            return None
        agreement, why = compare(objects_in(kept), intended)
        seen = EffectiveSeen(bytes.fromhex(kept.digest), agreement, intended.digest, why)
        return self._kept(agent, seen, cleaned(kept, found), now)

    def _remember(self, which: _Which, found: _Found) -> None:
        if len(found.safe) <= REMEMBERED_MAX_CHARS:
            self._found[which] = found
        while len(self._found) > REMEMBERED:
            self._found.popitem(last=False)

    def _kept(self, agent: AgentId, seen: EffectiveSeen, document: Document, now: datetime) -> EffectiveSeen:
        with self._database.read() as connection:
            same = documents.is_kept(connection, agent, Kind.EFFECTIVE, document)
            agreed = agreements.find(connection, agent) if seen.intended else ""
        agrees, had = seen.agreement is Agreement.AGREES, agreed == seen.intended.hex()
        if not same or (agrees and not had):
            with self._database.write_relaxed() as connection:
                if not same:
                    documents.keep(connection, agent, Kind.EFFECTIVE, document)
                if agrees and not had:
                    agreements.keep(connection, agent, seen.intended.hex(), now)
        return replace(seen, agreed=bool(seen.intended) and (had or agrees))


def compare(effective: Mapping[str, ConfigObject], intended: RemoteConfig | None) -> tuple[Agreement, str]:
    """Return whether the one shows the other, and the first difference in words."""
    if intended is None:
        return Agreement.UNKNOWN, "nothing was intended"
    try:
        why = _first_difference(intended.objects, effective)
    except InvalidError as exc:
        return Agreement.UNKNOWN, f"effective configuration cannot be compared: {exc}"[:WHY_MAX_CHARS]
    return (Agreement.DIFFERS, why[:WHY_MAX_CHARS]) if why else (Agreement.AGREES, "")


def differences(effective: Mapping[str, ConfigObject], intended: RemoteConfig) -> list[str]:
    """Return every difference in words, at most `DIFFERENCES_MAX`; for an operator's eyes, when asked."""
    try:
        wanted, there = _trees(intended.objects, effective)
        if set(wanted) <= set(there):
            return [
                f"object {key!r}: {one}" if key else one
                for key in object_order(wanted)
                for one in all_differences(wanted[key], there[key], DIFFERENCES_MAX)
            ][:DIFFERENCES_MAX]
        whole = merged(wanted[key] for key in object_order(wanted))
        return all_differences(whole, merged(there[key] for key in object_order(there)), DIFFERENCES_MAX)
    except InvalidError as exc:
        return [str(exc)]


def objects_in(kept: Document) -> dict[str, ConfigObject]:
    """Return the objects of an effective configuration as they were kept: secrets out, JSON as YAML."""
    return {
        one["key"]: ConfigObject(
            one["body"].encode(),
            "text/yaml" if form_of(one["content_type"]) is Form.JSON else one["content_type"],
            one["role"],
        )
        for one in json.loads(kept.body)
    }


def cleaned(kept: Document, found: Known) -> Document:
    """Return a document without what is known to be secret by now; the very one if it holds nothing of it."""
    objects = json.loads(kept.body)
    clean = [{**one, "body": _without(one["body"], one["content_type"], found)} for one in objects]
    return kept if clean == objects else replace(kept, body=_packed(clean))


def _without(body: str, content_type: str, found: Known) -> str:
    text = body.removesuffix(_CUT)
    if cut := body[len(text) :]:
        text = text[: found.begun_at_end(text)]
    if form_of(content_type) is Form.OTHER and content_type:
        return words_without(text, found) + cut
    try:
        tree = yaml_text.read(text)  # JSON was kept as YAML
    except InvalidError:
        return words_without(text, found) + cut
    clean = without(tree, found)
    return (text if clean == tree else yaml_text.written(clean)) + cut


def _found(effective: Mapping[str, ConfigObject], intended: RemoteConfig | None, found: Known) -> _Found:
    agreement, why = compare(effective, intended)
    kept = [
        {
            "key": key[:255],
            "role": one.role[:255],
            "content_type": one.content_type[:255],
            "body": safe(one, found=found),
        }
        for key, one in sorted(effective.items())[:OBJECTS_MAX]
    ]
    return _Found(agreement, why, _packed(kept))


def _packed(objects: list[dict[str, str]]) -> str:
    return json.dumps(objects, separators=(",", ":"))


def safe(one: ConfigObject, *, carries_secret: bool = False, found: Known = _NOTHING) -> str:
    """Return an object's text without secrets, as YAML where it is YAML or JSON.

    Of one that is said to carry a secret the shape is left, and of a text that has none, nothing. `found` is
    known to be secret; in a text that cannot be read it is taken out wherever it stands.
    """
    form = form_of(one.content_type)
    try:
        if form is not Form.OTHER or not one.content_type:
            tree = without(read(one.body, form), found)
            text = yaml_text.written(hidden(tree) if carries_secret else redacted(tree))
        else:
            text = REDACTED if carries_secret else _safe_text(one.body, found)
    except InvalidError:
        text = REDACTED if carries_secret else _safe_text(one.body, found)
    return text if len(text) <= OBJECT_MAX_CHARS else f"{text[:OBJECT_MAX_CHARS]}{_CUT}"


def _safe_text(body: bytes, found: Known) -> str:
    cut = len(body) > OBJECT_MAX_CHARS + 1
    raw = body[: OBJECT_MAX_CHARS + 1].decode("utf-8", "ignore" if cut else "replace")  # the rest is not kept
    text = redacted_text(words_without(raw, found, cut=cut))
    return f"{text}{_CUT}" if cut and len(text) <= OBJECT_MAX_CHARS else text


def _first_difference(intended: Mapping[str, ConfigObject], effective: Mapping[str, ConfigObject]) -> str:
    for key, one in sorted(intended.items()):
        if form_of(one.content_type) is Form.OTHER and (why := _other(key, one, effective.get(key))):
            return why
    wanted, there = _trees(intended, effective)
    return first_difference(wanted, there) if wanted else ""


def _other(key: str, one: ConfigObject, reported: ConfigObject | None) -> str:
    if reported is None:
        raise InvalidError(f"object {key!r} is neither YAML nor JSON and not reported")
    same = reported.body.strip() == one.body.strip() or same_text(
        one.body.decode("utf-8", "replace").strip(), reported.body.decode("utf-8", "replace").strip()
    )
    return "" if same else f"object {key!r} is another text"


def _trees(
    intended: Mapping[str, ConfigObject], effective: Mapping[str, ConfigObject]
) -> tuple[dict[str, Tree], dict[str, Tree]]:
    """Return what both say, of the objects that can be read and are needed. Raises InvalidError."""
    forms = {key: form_of(one.content_type) for key, one in intended.items()}
    readable = {key: form for key, form in forms.items() if form is not Form.OTHER}
    wanted = {key: read(intended[key].body, form) for key, form in readable.items()}
    needed: Iterable[str] = readable if set(readable) <= set(effective) else effective
    there: dict[str, Tree] = {}
    for key in needed:
        if key in forms and key not in readable:
            continue  # it was compared as text
        told = form_of(effective[key].content_type)
        try:
            there[key] = read(effective[key].body, readable.get(key, told) if told is Form.OTHER else told)
        except InvalidError as exc:
            raise InvalidError(f"object {key!r}: {exc}") from exc
    return wanted, there
