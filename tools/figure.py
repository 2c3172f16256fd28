"""The figure in `docs/architecture.md`: every situation with its rules, read from the code itself.

A situation is named by its class and the first sentence of its docstring, a rule by the first line
of its own; rules stand in the order in which they are asked.
"""

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

from taskruns.core import rules
from taskruns.core.situation import Situation
from tools.writing import framed

PAGE = "docs/architecture.md"

WIDE = '%%{init: {"flowchart": {"wrappingWidth": 560}}}%%'
"""One rule, one line: what Mermaid breaks by itself is hard to read."""

Rule = Callable[..., Any]


def page(root: Path) -> str:
    """The page on the architecture, with the figure in its frame drawn anew."""
    return framed((root / PAGE).read_text(), "figure", figure())


def figure() -> str:
    """The figure in Mermaid's notation, fenced."""
    lines = [WIDE, "flowchart LR", '  look(["decide(run, pods, now)"])']
    for situation in get_args(Situation):
        name = situation.__name__
        asked = "<br/>".join(
            f"{number} · {_first_line(rule)}"
            for number, rule in enumerate(_rules_of(situation), start=1)
        )
        lines += [
            f'  look --> {name}["<b>{name}</b><br/>{_first_sentence(situation)}"]',
            f'  {name} --> {name}Rules["{asked}"]',
            f"  style {name}Rules text-align:left",
        ]
    return "\n".join(["```mermaid", *lines, "```", ""])


def _rules_of(situation: type) -> Iterator[Rule]:
    for rule in _all_rules():
        if get_type_hints(rule)["situation"] is situation:
            yield rule


def _all_rules() -> Iterator[Rule]:
    """Yield the rules of every module in `core.rules`, each tuple in its own order."""
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
    """Make text fit between the quotes of a Mermaid label."""
    return text.replace("`", "").replace('"', "#quot;").replace("<", "&lt;")
