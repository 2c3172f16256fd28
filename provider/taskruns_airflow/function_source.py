"""A Python function as text that a container can run: what is sent, and what is refused.

What is sent is the function's own source, from its first decorator after `@task.taskrun` on, and
its arguments as JSON. Nothing is pickled, so that the image needs no package of Airflow's.
"""

import __future__

import ast
import builtins
import dis
import inspect
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from taskruns_airflow.function_runner import compile_function

PROGRAM = Path(__file__).with_name("function_runner.py")
"""What runs it in the container."""

MOST_OF_A_RESULT = 4095
"""Bytes that a TaskRun keeps of a result."""

MOST_OF_A_CALL = 128 * 1024 - 1
"""Bytes that Linux takes as one argument of a program."""

_DECORATOR = "taskrun"
_MODULE_NAMES = {*dir(builtins), "__name__", "__doc__"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function's source, as it is sent."""

    name: str
    source: str
    file: str
    line: int
    flags: int
    """What its file has imported of `__future__` that changes how it is compiled."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Function":
        """Read a function's source.

        Raises:
            ValueError: it cannot run by itself; the message says why, and what to do.
        """
        function = inspect.unwrap(function)
        name = getattr(function, "__name__", type(function).__name__)
        if not inspect.isfunction(function) or name == "<lambda>":
            raise ValueError(f"{name}: not a function that was made by `def`, so it has no source")
        try:
            lines, line = inspect.getsourcelines(function)
        except OSError:
            raise ValueError(f"{name}: its source is nowhere to be found") from None
        flags = function.__code__.co_flags & __future__.annotations.compiler_flag
        first = _first_line(lines)
        file = Path(function.__code__.co_filename).name
        found = cls(name, "".join(lines[first:]), file, max(line, 1) + first, flags)
        found.check()
        return found

    def check(self) -> None:
        """Refuse names that the container does not have.

        Raises:
            ValueError: it uses some.
        """
        code = compile_function(self.source, self.file, self.line, self.flags)
        if missing := sorted(_names(code) - _MODULE_NAMES - {self.name}):
            raise ValueError(
                f"{self.name}: uses {', '.join(missing)} of the DAG's file, and the container gets "
                "this function alone: import or define it inside, or pass it as an argument"
            )

    def call(self, args: Iterable[Any], kwargs: Mapping[str, Any], result_path: str) -> str:
        """Return the call as one argument for the program; JSON, in ASCII and without a `$`.

        Kubernetes would take `$(NAME)` in an argument for a variable.

        Raises:
            ValueError: an argument is not JSON, or all of it is too long. No value is told.
        """
        call = {
            "name": self.name,
            "source": self.source,
            "file": self.file,
            "line": self.line,
            "flags": self.flags,
            "args": [as_json(each, f"argument {n}") for n, each in enumerate(args, start=1)],
            "kwargs": {name: as_json(each, f"argument {name}") for name, each in kwargs.items()},
            "result": result_path,
            "most": MOST_OF_A_RESULT,
        }
        text = json.dumps(call).replace("$", "\\u0024")
        if len(text) > MOST_OF_A_CALL:
            raise ValueError(
                f"{self.name}: source and arguments take {len(text)} bytes, and {MOST_OF_A_CALL} "
                "are the limit: store what is large, and pass where it is"
            )
        return text


def as_json(value: Any, place: str) -> Any:
    """Return a value as JSON has it: sequences become lists, and nothing else changes.

    Raises:
        ValueError: it has a part that is not JSON, which is named by its place and type.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: as_json(each, f"{place}[{key!r}]") for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [as_json(each, f"{place}[{n}]") for n, each in enumerate(value)]
    what = "a mapping with keys that are no text" if isinstance(value, Mapping) else ""
    what = what or f"{type(value).__name__}{', which is not finite' * isinstance(value, float)}"
    raise ValueError(f"{place}: {what}: pass what JSON can hold, such as its text")


def _first_line(lines: Sequence[str]) -> int:
    """Return where the text begins that is left without `@task.taskrun` and what is above it."""
    indented = lines[0][:1].isspace()
    text = "".join(lines)
    tree = ast.parse("if 1:\n" + text if indented else text)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    function = next(node for node in ast.walk(tree) if isinstance(node, kinds))
    named = [n for n, each in enumerate(function.decorator_list, 1) if _is_ours(each)]
    # Under another name, it is the outermost.
    own = function.decorator_list[named[-1] if named else 1 :]
    return (own[0].lineno if own else function.lineno) - 1 - indented


def _is_ours(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr == _DECORATOR


def _names(code: CodeType) -> set[str]:
    """Return the names that code, and code inside it, takes from its module without making them."""
    used: set[str] = set()
    made: set[str] = set()
    for each in _nested(code):
        told = [(step.opname, step.argval) for step in dis.get_instructions(each)]
        own = {name for name_of, name in told if name_of == "STORE_NAME"}
        used |= {name for name_of, name in told if name_of == "LOAD_GLOBAL"}
        used |= {name for name_of, name in told if name_of == "LOAD_NAME"} - own
        made |= {name for name_of, name in told if name_of == "STORE_GLOBAL"}
    return used - made


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)
