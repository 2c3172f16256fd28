"""Names of TaskRuns, as people type them."""

import re

from taskruns.api import names

NAME_HINT = (
    f"write at most {names.MAX_LABEL_LENGTH} lower-case letters, digits, - and ., with a letter or "
    "a digit at both ends"
)


def is_name(name: str) -> bool:
    """Return whether a TaskRun can have this name."""
    return len(name) <= names.MAX_LABEL_LENGTH and bool(re.fullmatch(names.NAME, name))


def suggested(name: str) -> str:
    """Return a valid name that is like one that is not; empty where nothing is left of it."""
    letters = re.sub(r"[^a-z0-9.]+", "-", name.lower())[: names.MAX_LABEL_LENGTH]
    found = re.sub(r"[-.]*\.[-.]*", ".", letters).strip("-.")
    return found if is_name(found) else ""
