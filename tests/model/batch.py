"""One batch of histories: checked, counted, and reduced to a short script if one fails."""

import pprint
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Model
from tests.model.strategies import Step

HISTORIES = 50
STEPS = 60

HEAD = "from tests.model import Model, Script\n\n"


@dataclass(frozen=True, slots=True)
class Result:
    """The counts of a batch, and its failure."""

    batch: int
    totals: Counter[str] = field(default_factory=Counter)
    summary: str = ""
    """Violated invariant; empty if all histories have passed."""
    traceback: str = ""
    script: str = ""
    """Program that replays the shortest history that was found to fail."""


def check(first: int, batch: int, *, shorten: bool = True) -> Result:
    """Check the histories of a batch, which depends on its two numbers only."""
    chosen = settings(
        max_examples=HISTORIES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    counted: type[Model] = type("Counted", (Model,), {"totals": Counter()})
    machine = seed(first * 1_000_003 + batch)(counted)
    try:
        run_state_machine_as_test(machine, settings=chosen)
    except Exception as error:  # noqa: BLE001 - any error of the product is a finding
        history = counted.last
        if shorten:
            error, history = shortest(error, history)
        text = "".join(traceback.format_exception(error)).partition("Failing test case")[0]
        return Result(batch, counted.totals, _summary(error), text, _script(history))
    return Result(batch, counted.totals)


def shortest(error: Exception, history: list[Step]) -> tuple[Exception, list[Step]]:
    """Remove steps and arguments from a failing history while it fails in the same way."""
    size = len(history) // 2
    while size:
        for start in range(0, len(history), size):
            fewer = [*history[:start], *history[start + size :]]
            if (found := failure(fewer)) is not None and _kind(found) == _kind(error):
                return shortest(found, fewer)
        size //= 2
    for fewer in _with_fewer_arguments(history):
        if (found := failure(fewer)) is not None and _kind(found) == _kind(error):
            return shortest(found, fewer)
    return error, history


def failure(history: list[Step]) -> Exception | None:
    try:
        Model.replay(history)
    except Exception as error:  # noqa: BLE001 - as in check
        return error
    return None


def _with_fewer_arguments(history: list[Step]) -> Iterator[list[Step]]:
    """Yield the history with one request, one script or one field of a spec less."""
    for index, (name, arguments) in enumerate(history):
        for key, value in arguments.items():
            smaller: list[object] = []
            if isinstance(value, list) and len(value) > 1:
                smaller = [[*value[:i], *value[i + 1 :]] for i in range(len(value))]
            elif isinstance(value, dict):
                optional = [each for each in value if each != "backoffLimit"]
                smaller = [{k: v for k, v in value.items() if k != each} for each in optional]
            elif key == "behind" and value:
                smaller = [0]
            for each in smaller:
                yield [*history[:index], (name, {**arguments, key: each}), *history[index + 1 :]]


def _kind(error: Exception) -> str:
    """Return the part of a message that does not depend on the history."""
    return _summary(error).partition(": {")[0]


def _summary(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"


def _script(history: list[Step]) -> str:
    return f"{HEAD}Model.replay({pprint.pformat(history, width=96)})\n"
