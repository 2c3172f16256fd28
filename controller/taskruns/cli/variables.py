"""Variables and Secrets' values, as a person hands them over beside a TaskRun."""

import os
from collections.abc import Sequence
from pathlib import Path

import click


def read_variables(given: Sequence[str], file: str | None) -> dict[str, str]:
    """Read NAME=VALUE pairs, those of the file first; NAME alone takes this process's value."""
    lines = list(given)
    if file:
        try:
            found = Path(file).read_text().splitlines()
        except OSError as error:
            raise click.UsageError(f"--env-file {file}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise click.UsageError(f"--env-file {file} is no text") from error
        lines = [line for line in found if line.strip() and not line.startswith("#")] + lines
    pairs = [line.partition("=") for line in lines]
    for name, _, _ in pairs:
        if not name or "\0" in name:
            raise click.UsageError("a variable has a name: write NAME=VALUE")
    return {name: value if equals else os.environ.get(name, "") for name, equals, value in pairs}


def read_secrets(given: Sequence[str]) -> dict[tuple[str, str], str]:
    """Read NAME/KEY=VALUE: what a cluster would keep in a Secret."""
    pairs: dict[tuple[str, str], str] = {}
    for item in given:
        key, equals, value = item.partition("=")
        name, slash, part = key.partition("/")
        if not (equals and slash):
            raise click.UsageError("--secret: write NAME/KEY=VALUE")
        pairs[name, part] = value
    return pairs
