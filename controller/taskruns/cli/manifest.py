"""TaskRuns from files or from command-line arguments, with names, variables and secrets."""

import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from taskruns.api import names
from taskruns.cli.exit_status import CommandError, ExitCode
from taskruns.core.unstructured import Object, mapping, text

if TYPE_CHECKING:
    from taskruns.cli.yaml_source import Document


def read_variables(arguments: Sequence[str], file: str | None) -> dict[str, str]:
    """Read NAME=VALUE pairs, those of the file first, by the rules of the docker command.

    NAME alone takes the value from this process's environment, and is left out if it is not set
    there.
    """
    lines = [*(_lines_of(file) if file else ()), *arguments]
    variables: dict[str, str] = {}
    for line in lines:
        name, equals, value = line.partition("=")
        if not name or "\0" in line:
            raise click.UsageError("a variable needs a name: write NAME=VALUE")
        if equals:
            variables[name] = value
        elif name in os.environ:
            variables[name] = os.environ[name]
    return variables


def _lines_of(file: str) -> Iterator[str]:
    """Yield the lines of an environment file, without comments and empty lines."""
    try:
        content = Path(file).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise click.UsageError(f"--env-file {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.UsageError(f"--env-file {file} is not valid UTF-8") from error
    for number, line in enumerate(content.split("\n"), 1):
        entry = line.removesuffix("\r").lstrip()
        if not entry or entry.startswith("#"):
            continue
        name = entry.partition("=")[0]
        if not name or any(letter.isspace() for letter in name):
            raise click.UsageError(f"--env-file {file}:{number}: write NAME=VALUE, or NAME alone")
        yield entry


def read_secrets(arguments: Sequence[str]) -> dict[tuple[str, str], str]:
    """Read NAME/KEY=VALUE pairs, which replace the Secrets of a cluster.

    Returns:
        The values, by the Secret's name and key.
    """
    pairs: dict[tuple[str, str], str] = {}
    for item in arguments:
        key, equals, value = item.partition("=")
        name, slash, part = key.partition("/")
        if not (equals and slash):
            raise click.UsageError("--secret: write NAME/KEY=VALUE")
        pairs[name, part] = value
    return pairs


_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
"""Characters of generated suffixes; without vowels and look-alikes, as in Kubernetes."""
_PREFIX_LETTERS = 50
"""Maximum length of the prefix of a generated name, so that the name fits into a label."""

_FILLED_IN = re.compile(r"\$(?=[$(])")
"""Dollar signs that the kubelet would expand: those of `$$` and `$(NAME)`."""

_OF_ONE_RUN = (names.ANNOTATION_COLLECTED, "kubectl.kubernetes.io/last-applied-configuration")
"""Annotations that are not copied to a rerun, because they describe one TaskRun only."""


def read_manifest(path: str) -> "Document":
    """Read one TaskRun from a YAML or JSON file, or from standard input.

    Raises:
        CommandError: the file cannot be read or is not YAML, or it does not contain exactly one
            TaskRun.
    """
    # Slow import, which a run without a file does not need.
    from taskruns.cli.yaml_source import STANDARD_INPUT, read_documents  # noqa: PLC0415

    documents = read_documents(path)
    if len(documents) != 1 or not isinstance(documents[0].content, dict):
        where = "standard input" if path == STANDARD_INPUT else path
        raise CommandError(f"{where} must contain exactly one TaskRun", ExitCode.USAGE)
    return documents[0]


def manifest_of(image: str, command: Sequence[str]) -> dict[str, Any]:
    """Return a TaskRun that runs a command in an image; without a command, the image's own.

    The words are taken literally, so `$$` and `$(NAME)` are not expanded.
    """
    words = [_literal(word) for word in command]
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"generateName": "run-"},
        "spec": {"image": image} | ({"command": words} if words else {}),
    }


def named(manifest: Object, name: str | None = None) -> dict[str, Any]:
    """Return the TaskRun with a name.

    The name is the argument, else the TaskRun's own, else generated from its generateName as the
    apiserver does. Invalid metadata is returned unchanged.
    """
    original = manifest.get("metadata")
    if original is not None and not isinstance(original, Mapping):
        return dict(manifest)
    metadata = dict(original or {})
    if name or not metadata.get("name"):
        prefix = metadata.pop("generateName", None) or "run-"
        suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))
        metadata["name"] = name or f"{prefix}{suffix}"
    return {**manifest, "metadata": metadata}


def repeated(run: Object, name: str | None) -> dict[str, Any]:
    """Return a new TaskRun with the same spec.

    Args:
        run: the TaskRun to repeat.
        name: name of the new TaskRun; None appends a random suffix to the old name.
    """
    metadata = mapping(run.get("metadata"))
    prefix = {"generateName": f"{text(metadata.get('name'))[:_PREFIX_LETTERS]}-"}
    annotations = mapping(metadata.get("annotations")).items()
    kept = {
        "labels": dict(mapping(metadata.get("labels"))),
        "annotations": {key: value for key, value in annotations if key not in _OF_ONE_RUN},
    }
    spec = {
        key: value
        for key, value in mapping(run.get("spec")).items()
        if key not in ("cancel", "suspend")
    }
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "spec": spec}
    return named({**body, "metadata": {**prefix, **kept}}, name)


def _literal(value: str) -> str:
    """Escape a text so that the kubelet expands nothing in it."""
    return _FILLED_IN.sub("$$", value)


def with_variables(manifest: Object, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the TaskRun with additional environment variables, whose values are taken literally.

    They replace variables of the same name. New variables come first, so that the TaskRun's own
    variables may refer to them.
    """
    spec = dict(mapping(manifest.get("spec")))
    own = spec.get("env") or []
    if not isinstance(own, list) or not variables:  # validation reports an invalid list later
        return dict(manifest)
    entries = {name: {"name": name, "value": _literal(v)} for name, v in variables.items()}
    known = [text(mapping(each).get("name")) for each in own]
    more = [each for name, each in entries.items() if name not in known]
    kept = [entries.get(name, each) for name, each in zip(known, own, strict=True)]
    return {**manifest, "spec": spec | {"env": [*more, *kept]}}


def check_namespace(manifest: Object, namespace: str) -> None:
    """Check that the TaskRun's namespace is the namespace that it runs in, as kubectl does.

    Raises:
        CommandError: the namespaces differ.
    """
    own = mapping(manifest.get("metadata")).get("namespace")
    if own and own != namespace:
        raise CommandError(
            f"metadata.namespace {own} does not match namespace {namespace}: use -n {own}"
        )
