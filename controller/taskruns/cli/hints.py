"""Hints for words that another program would understand, or that are mistyped."""

import difflib
from collections.abc import Collection, Sequence
from pathlib import Path
from types import MappingProxyType

_OTHERS = MappingProxyType({
    "ps": "list", "ls": "list", "rm": "delete", "remove": "delete", "stop": "cancel",
    "kill": "cancel", "apply": "run", "create": "run", "start": "run", "exec": "run",
    "inspect": "describe", "show": "describe", "status": "describe", "attach": "follow",
    "watch": "follow", "log": "logs", "retry": "rerun", "restart": "rerun", "pause": "suspend",
    "unpause": "resume", "init": "new", "lint": "validate", "check": "validate",
})  # fmt: skip
"""Commands of docker, kubectl and the like, and what does the same here."""


def unknown_command(word: str, known: Collection[str]) -> str:
    """Say that there is no such command, and which was perhaps meant."""
    near = difflib.get_close_matches(word.lower(), [*known, *_OTHERS], 1)
    meant = _OTHERS.get(near[0], near[0]) if near else ""
    return f"No such command {word!r}." + (f" Did you mean {meant!r}?" if meant else "")


def conflict_of(words: Sequence[str], image: str | None, *, separated: bool) -> str:
    """Say what is wrong with the words of `run`; empty where they are a file, or an image's.

    Args:
        words: the arguments.
        image: the value of --image, if it was given.
        separated: whether `--` was among the words that were typed.
    """
    if image is not None:
        if words and not separated and _is_manifest(words[0]):
            return (
                f"--image runs a command in an image, and {words[0]} is a file: leave --image out "
                "and write spec.image into the file, or put -- before a command of that name. "
                "--name, -e, --env-file and --secret go with a file"
            )
        return ""
    if not words:
        return "name a file, or an image and a command"
    if len(words) > 1:
        image = words[0] if not _is_manifest(words[0]) else "IMAGE"
        command = " ".join(words[1:])
        return (
            "a command is run in an image, a file has its own: write "
            f"`taskrun run --image {image} -- {command}`, or the file alone"
        )
    if not _is_manifest(words[0]) and not Path(words[0]).exists() and "." not in words[0][-5:]:
        return (
            f"there is no file {words[0]}: for an image of that name write "
            f"`taskrun run --image {words[0]}`"
        )
    return ""


def _is_manifest(word: str) -> bool:
    """Return whether a word names a file of a TaskRun rather than a program."""
    return word == "-" or Path(word).suffix in (".yaml", ".yml", ".json")
