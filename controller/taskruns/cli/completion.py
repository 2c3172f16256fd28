"""What kubectl asks a plugin for: the words that could be typed next."""

import sys
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete

from taskruns.cli.main import COMPLETION_VARIABLE, program

_FILES, _NO_FILES = 0, 4
"""What a shell offers beside: cobra's ShellCompDirective, which kubectl reads in the last line."""


def complete() -> int:
    """Print what completes `kubectl taskrun` and the words that follow it; the last is begun."""
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
