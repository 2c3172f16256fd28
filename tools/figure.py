"""Generator of the figure in `docs/architecture.md`, which shows every situation with its rules.

A situation is shown by its class name and the first sentence of its docstring, a rule by the first
line of its docstring. Rules are listed in the order of evaluation.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from taskruns.core import rules
from taskruns.core.decide import decide
from taskruns.core.situation import Situation
from tools.writing import framed

PAGE = "docs/architecture.md"

WIDE = '%%{init: {"flowchart": {"wrappingWidth": 560}}}%%'
"""Mermaid setting that keeps each rule on one line, because wrapped rules are hard to read."""

Rule = Callable[..., Any]


def page(root: Path) -> str:
    """Return the page on the architecture with a new figure."""
    return framed((root / PAGE).read_text(), "figure", figure())


def figure() -> str:
    """Return the figure as a fenced Mermaid block."""
    lines = [WIDE, "flowchart LR", f'  look(["{signature()}"])']
    for situation in get_args(Situation):
        name = situation.__name__
        rule_lines = "<br/>".join(
            f"{number} · {_first_line(rule)}"
            for number, rule in enumerate(_rules_of(situation), start=1)
        )
        lines += [
            f'  look --> {name}["<b>{name}</b><br/>{_first_sentence(situation)}"]',
            f'  {name} --> {name}Rules["{rule_lines}"]',
            f"  style {name}Rules text-align:left",
        ]
    return "\n".join(["```mermaid", *lines, "```", ""])


def signature() -> str:
    """Return the call of `decide` with the names of its parameters."""
    return f"decide({', '.join(inspect.signature(decide).parameters)})"


def _rules_of(situation: type) -> Iterator[Rule]:
    for rule in _all_rules():
        if get_type_hints(rule)["situation"] is situation:
            yield rule


def _all_rules() -> Iterator[Rule]:
    """Yield the rules of every module in `core.rules`, in order of evaluation."""
    for module in pkgutil.iter_modules(rules.__path__, f"{rules.__name__}."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if name.endswith("RULES"):
                yield from value


def _first_line(rule: Rule) -> str:
    return _quotable(inspect.getdoc(rule) or rule.__name__).partition("\n")[0].rstrip(".")


def _first_sentence(situation: type) -> str:
    text = " ".join((inspect.getdoc(situation) or "").split())
    return _quotable(re.split(r"(?<=[.:;]) ", text)[0].rstrip(".:;"))


def _quotable(text: str) -> str:
    """Escape a text for a quoted Mermaid label."""
    return text.replace("`", "").replace('"', "#quot;").replace("<", "&lt;")
