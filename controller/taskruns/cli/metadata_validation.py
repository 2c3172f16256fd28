"""What stands above a TaskRun's spec, its kind and metadata: rules of every object, in no CRD."""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from taskruns.api import names
from taskruns.cli.yaml_source import Place
from taskruns.core.unstructured import mapping

_TOP = ("apiVersion", "kind", "metadata", "spec", "status")
_METADATA = frozenset(
    """annotations creationTimestamp deletionGracePeriodSeconds deletionTimestamp finalizers
    generateName generation labels managedFields name namespace ownerReferences resourceVersion
    selfLink uid""".split()  # noqa: SIM905 - so many names read best as words
)
_TEXTS = ("generateName", "name", "namespace")
_WORD = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_KEY = re.compile(rf"((?=.{{1,253}}/){names.NAME}/)?{_WORD}")
_LABEL = re.compile(rf"({_WORD})?")
_MOST_BYTES_OF_ANNOTATIONS = 256 * 1024

Said = tuple[Place, str]
"""A place, and what is wrong there."""


def misplaced(content: Any) -> Iterator[Said]:
    """Say what is wrong with a document beside its spec."""
    if not isinstance(content, Mapping):
        yield (), "this is no TaskRun: `taskrun new` writes one to begin with"
        return
    for key, value in (("apiVersion", names.API_VERSION), ("kind", names.KIND)):
        if content.get(key) != value:
            yield (key,), f"write {value}"
    for key in content.keys() - set(_TOP):
        yield (key,), unknown(key, _TOP)
    if not isinstance(content.get("spec"), Mapping):
        yield ("spec",), "say what to run: write at least spec.image"
    metadata = content.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        yield ("metadata",), "it must be of type object"
        return
    for place, sentence in _of_metadata(mapping(metadata)):
        yield ("metadata", *place), sentence


def without_nulls(metadata: Any) -> Any:
    """Return metadata as an apiserver reads it: a null is nothing, or the empty text of a label."""
    if not isinstance(metadata, Mapping):
        return metadata
    known = {key: value for key, value in metadata.items() if value is not None}
    for kind in ("labels", "annotations"):
        if isinstance(found := known.get(kind), Mapping):
            known[kind] = {key: "" if value is None else value for key, value in found.items()}
    return known


def unknown(name: str, known: Collection[str]) -> str:
    """Say that there is no such field, and which was perhaps meant."""
    near = difflib.get_close_matches(name, known, 1)
    return "there is no such field" + (f": did you mean {near[0]}?" if near else "")


def _of_metadata(metadata: Mapping[str, Any]) -> Iterator[Said]:
    for key in metadata.keys() - _METADATA:
        yield (key,), unknown(key, _METADATA)
    for key in _TEXTS:
        if not isinstance(metadata.get(key, ""), str):
            yield (key,), "it must be of type string: put it in quotes"
            return
    yield from _of_names(metadata.get("name"), metadata.get("generateName"))
    for kind in ("labels", "annotations"):
        for place, sentence in _of_words(metadata.get(kind, {}), labels=kind == "labels"):
            yield (kind, *place), sentence


def _of_names(name: str | None, prefix: str | None) -> Iterator[Said]:
    if not name and not prefix:
        yield (), "write a name, or a generateName"
    elif name and not re.fullmatch(names.NAME, name):
        yield ("name",), "write lower-case letters, digits, - and ."
    elif prefix and not re.fullmatch(names.NAME, re.sub("-$", "0", prefix)):
        yield ("generateName",), "write lower-case letters, digits, - and .; it may end with -"


def _of_words(found: Any, *, labels: bool) -> Iterator[Said]:
    """Look at labels or annotations: their keys are alike, their values not."""
    if not isinstance(found, Mapping):
        yield (), "it must be of type object"
        return
    for key, value in found.items():
        if not _KEY.fullmatch(key if labels else key.lower()):  # as the apiserver does
            yield (key,), "write a key such as team or example.com/team"
        elif not isinstance(value, str):
            yield (key,), "it must be of type string: put it in quotes"
        elif labels and not _LABEL.fullmatch(value):
            yield (key,), "write at most 63 letters, digits, -, _ and .; none of these at an end"
    texts = [text for pair in found.items() for text in pair if isinstance(text, str)]
    if not labels and sum(len(text.encode()) for text in texts) > _MOST_BYTES_OF_ANNOTATIONS:
        yield (), "they are too long: write 256 KiB at most"
