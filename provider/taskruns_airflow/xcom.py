"""The result of a run as the value of an XCom."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from taskruns.api.conditions import ConditionType
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.failures import TaskRunResultInvalid

_MAX_SHOWN = 80
MAX_DEPTH = 100
"""Deepest nesting of an XCom value, in levels. Airflow serializes XComs by recursion, and pydantic,
which reads them in its API server, refuses values from about 200 levels on."""

_INTEGERS = range(-(2**63), 2**64)
"""Integers that msgpack can hold; Airflow 3 sends XComs from a task to its supervisor in it."""

_RESERVED_KEYS = frozenset({"__classname__", "__id__"})
_RESERVED_PAIR = frozenset({"__type", "__var"})
"""Keys by which Airflow's serializer recognises objects of other classes (airflow.sdk.serde)."""

_ADVICE = (
    "Write less, or store the data elsewhere and write where it is; "
    "or set do_xcom_push=False if no other task needs it"
)


def result_of(run: TaskRun) -> Any:
    """Return the result of a successful run, parsed from JSON; None if the run left none.

    Raises:
        TaskRunResultInvalid: The result was too large to be stored, is not JSON (RFC 8259), or
            holds a value that Airflow or its database cannot store.
    """
    for condition in run.status.conditions or []:
        if condition.type == ConditionType.RESULT_STORED and condition.status == "False":
            path = run.spec.result_path or "the result file"
            # The first sentence has the cause. The advice after it is not for Airflow: see _ADVICE.
            cause = condition.message.partition(". ")[0].rstrip(".")
            raise TaskRunResultInvalid(f"{cause} (file {path}). {_ADVICE}.")
    text = run.status.result
    if text is None or not text.strip():
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _invalid(f"is nested more than {MAX_DEPTH} levels deep", text) from None
    except ValueError as error:
        raise TaskRunResultInvalid(
            f"The result is not JSON ({error}): {_shown(text)}. Write JSON, such as a string in "
            "quotes; or set do_xcom_push=False to leave the result in the TaskRun's status."
        ) from error
    if problem := find_unstorable(value):
        raise _invalid(problem, text)
    return value


def find_unstorable(value: Any) -> str | None:
    """Return why Airflow or its database cannot store a JSON value as an XCom; None if they can.

    The answer completes a sentence that begins with "The result".
    """
    for part, depth in _walk(value):
        if depth > MAX_DEPTH and isinstance(part, Mapping | list):
            return f"is nested more than {MAX_DEPTH} levels deep"
        if isinstance(part, str) and (problem := _find_text_problem(part)):
            return problem
        if isinstance(part, float) and not math.isfinite(part):
            return "holds a number that is too large for a float"
        if isinstance(part, int) and part not in _INTEGERS:
            return "holds an integer of more than 64 bits; write it as a string"
        if isinstance(part, Mapping) and (
            part.keys() & _RESERVED_KEYS or part.keys() >= _RESERVED_PAIR
        ):
            used = sorted(part.keys() & (_RESERVED_KEYS | _RESERVED_PAIR))
            return f"uses keys that Airflow reserves for itself: {', '.join(used)}"
    return None


def _find_text_problem(text: str) -> str | None:
    if "\0" in text:
        return "holds the character NUL, which PostgreSQL does not store"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "holds half of a surrogate pair, which UTF-8 does not have"
    return None


def _walk(value: Any) -> Iterator[tuple[Any, int]]:
    """Yield every key and value of a JSON value with its level, from 1; without recursion."""
    pending = [(value, 1)]
    while pending:
        part, depth = pending.pop()
        yield part, depth
        if isinstance(part, Mapping):
            pending.extend((child, depth + 1) for pair in part.items() for child in pair)
        elif isinstance(part, list):
            pending.extend((child, depth + 1) for child in part)


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON value")


def _invalid(problem: str, text: str) -> TaskRunResultInvalid:
    return TaskRunResultInvalid(
        f"The result {problem}: {_shown(text)}. "
        "Write another value; or set do_xcom_push=False if no other task needs it."
    )


def _shown(text: str) -> str:
    shown = text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}..."
    return repr(shown)
