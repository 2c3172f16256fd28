"""Completion of `kubectl taskrun`, in the format that kubectl expects from plugins."""

import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from taskruns.cli.main import COMPLETION_VARIABLE, program

_FILES, _NO_FILES = 0, 4
"""Values of cobra's ShellCompDirective, which kubectl reads in the last line of the output."""


def complete() -> int:
    """Print the completions for the words after `kubectl taskrun`; the last word is incomplete."""
    items = _items(sys.argv[1:])
    for item in items:
        if item.type == "plain":
            click.echo("\t".join(filter(None, (item.value, item.help))))
    click.echo(f":{_FILES if any(item.type == 'file' for item in items) else _NO_FILES}")
    return 0


def _items(words: Sequence[str]) -> list[CompletionItem]:
    *before, begun = words or [""]
    asking = ShellComplete(program, {}, "kubectl taskrun", COMPLETION_VARIABLE)
    return asking.get_completions([*before], begun)
