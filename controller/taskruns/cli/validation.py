"""What the apiserver would say to a TaskRun, said without one: the CRD's schema and its rules.

Both are the ones that the CRD is generated from, so nothing is written down twice: the schema is
read by jsonschema and the rules by CEL itself. What only a cluster can know is not looked at: the
fields below `template`, quantities, whether a Secret is there, quotas and policies.
"""

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_optional
from jsonschema import Draft4Validator
from pydantic import ValidationError
from typing_extensions import override

from taskruns.api import names
from taskruns.api.crd import resource_schema
from taskruns.api.rules import RULES
from taskruns.api.schema import PRESERVED, Schema
from taskruns.cli.document import Document, Place
from taskruns.cli.ending import CommandError
from taskruns.cli.rendering import pod_of
from taskruns.core.pods import InvalidTemplate
from taskruns.core.wire import mapping, text

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_LIST_TYPE, _LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"
_OF_A_CHANGE = "oldSelf"
"""What a rule names that looks at a change; a new TaskRun is none."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and what to write instead."""

    place: Place
    message: str

    @override
    def __str__(self) -> str:
        where = written(self.place)
        return f"{where}: {self.message}" if where else self.message


def problems(document: Document) -> list[Problem]:
    """Return what is wrong with a TaskRun; nothing where the apiserver would take it."""
    found = [*_of_head(document.content)]
    if isinstance(document.content, Mapping) and "spec" in document.content:
        found += _of_schema(document.content)
    for look in (_of_rules, _of_pod):
        if not found:  # each relies on what was looked at before
            found += look(document.content)
    return found


def refuse_invalid(document: Document) -> None:
    """Raise CommandError with the first problem, if there is one."""
    for problem in problems(document):
        raise CommandError(f"{document.where}:{document.line(problem.place)}: {problem}")


def written(place: Place) -> str:
    """Write a place as `spec.env[0].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


def _of_head(content: Any) -> Iterator[Problem]:
    if not isinstance(content, Mapping):
        yield Problem((), "this is no TaskRun: `taskrun new` writes one to begin with")
        return
    for key, value in (("apiVersion", names.API_VERSION), ("kind", names.KIND)):
        if content.get(key) != value:
            yield Problem((key,), f"write {value}")
    for key in content.keys() - set(_TOP):
        yield Problem((key,), _unknown(key, _TOP))
    if not isinstance(content.get("spec"), Mapping):
        yield Problem(("spec",), "say what to run: write at least spec.image")
    metadata = content.get("metadata")
    name = mapping(metadata).get("name")
    if name is None and not mapping(metadata).get("generateName"):
        yield Problem(("metadata",), "write a name, or a generateName")
    elif name is not None and not (isinstance(name, str) and re.fullmatch(names.NAME, name)):
        yield Problem(("metadata", "name"), "write lower-case letters, digits, - and .")


def _of_schema(content: Mapping[str, Any]) -> Iterator[Problem]:
    schema, checker = _spec_schema()
    errors = sorted(checker.iter_errors(content["spec"]), key=lambda e: [*map(str, e.path)])
    for error in errors:
        place: Place = ("spec", *error.path)
        for sentence, below in _sentences(error):
            yield Problem((*place, *below), sentence)
    if not errors:
        yield from _of_lists(schema, content["spec"], ("spec",))


@cache
def _spec_schema() -> tuple[Schema, Draft4Validator]:
    """Return the schema of a spec and what checks by it, made once for all documents."""
    schema = resource_schema()["properties"]["spec"]
    return schema, Draft4Validator(_strict(schema))


def _strict(schema: Any) -> Any:
    """Return a schema that lets no unknown field in where the CRD would drop it."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    closed = isinstance(schema.get("properties"), dict) and not schema.get(PRESERVED)
    return strict | ({"additionalProperties": False} if closed and "type" in schema else {})


_WORDS: Mapping[str, Callable[[Any], str]] = {
    "enum": lambda words: f"write one of {', '.join(words)}",
    "minimum": lambda bound: f"write at least {bound:g}",
    "maximum": lambda bound: f"write at most {bound:g}",
    "minLength": lambda _: "it is empty: write something, or leave it out",
    "minItems": lambda _: "it is empty: write an item, or leave it out",
    "maxLength": lambda bound: f"it is too long: write at most {bound} characters",
    "maxItems": lambda bound: f"it has too many items: write at most {bound}",
    "pattern": lambda pattern: f"write what matches {pattern}",
}


def _sentences(error: Any) -> Iterator[tuple[str, Place]]:
    """Say what is wrong, and at which place below, in the words of the CRD's own refusals."""
    keyword, bound = error.validator, error.validator_value
    if keyword == "required":
        for name in bound:
            if name not in error.instance:
                yield "it is missing", (name,)
    elif keyword == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in error.instance:
            if name not in known:
                yield _unknown(name, known), (name,)
    elif keyword == "type":
        quoted = bound == "string" and isinstance(error.instance, int | float)
        yield f"it must be of type {bound}" + (": put it in quotes" if quoted else ""), ()
    else:
        say = _WORDS.get(keyword)
        yield (say(bound) if say else error.message), ()


def _unknown(name: str, known: Any) -> str:
    near = difflib.get_close_matches(name, known, 1)
    return "there is no such field" + (f": did you mean {near[0]}?" if near else "")


def _of_lists(schema: Schema, value: Any, place: Place) -> Iterator[Problem]:
    """Look for what stands twice in lists that are sets, or maps by a key."""
    for name, below in schema.get("properties", {}).items():
        if isinstance(value, Mapping) and name in value:
            yield from _of_lists(below, value[name], (*place, name))
    if not isinstance(value, list):
        return
    keys = schema.get(_LIST_KEYS, ())
    if keys or schema.get(_LIST_TYPE) == "set":
        seen = []
        for index, item in enumerate(value):
            identity = [item.get(key) for key in keys] if keys else item
            if identity in seen:
                yield Problem((*place, index), "it stands there twice: leave one out")
            seen.append(identity)
    for index, item in enumerate(value):
        yield from _of_lists(schema.get("items", {}), item, (*place, index))


def _of_rules(content: Any) -> Iterator[Problem]:
    named = "name" in mapping(content.get("metadata"))
    known = _without_nulls(content)
    for at, rules in RULES.items():
        for place, value in _values(known, at):
            for rule in rules:
                if _OF_A_CHANGE in rule.holds or not (at or named):
                    continue
                if _compiled(rule.holds).eval(data={"self": value}).value() is not True:
                    below = (rule.field,) if rule.field else ()
                    yield Problem((*place, *below), rule.message)


@cache
def _compiled(holds: str) -> Any:
    """Return a rule as CEL evaluates it, made once for all documents."""
    return _language().compile(holds)


@cache
def _language() -> Any:
    return cel.NewEnv(variables={"self": cel.Type.DYN}, extensions=[ext_optional.ExtOptional()])


def _without_nulls(found: Any) -> Any:
    """Leave out the fields that are null, as the apiserver's rules do not see them."""
    if isinstance(found, Mapping):
        return {key: _without_nulls(value) for key, value in found.items() if value is not None}
    return [_without_nulls(item) for item in found] if isinstance(found, list) else found


def _values(content: Any, at: str) -> list[tuple[Place, Any]]:
    """Find what stands at a place such as `spec.podFailurePolicy.rules[]`."""
    found: list[tuple[Place, Any]] = [((), content)]
    for part in filter(None, at.split(".")):
        name = part.removesuffix("[]")
        found = [((*p, name), v[name]) for p, v in found if isinstance(v, Mapping) and name in v]
        if part != name:
            found = [((*p, i), item) for p, v in found for i, item in enumerate(v)]
    return found


def _of_pod(content: Any) -> Iterator[Problem]:
    """Look whether a Pod comes of it."""
    try:
        pod_of(content)
    except InvalidTemplate as error:
        yield Problem(("spec", "template"), str(error))
    except ValidationError as error:
        for each in error.errors(include_url=False, include_input=False):
            yield Problem(each["loc"], text(each["msg"]))
