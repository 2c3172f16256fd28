"""Source text and arguments of a Python function, as they are sent to a container.

The container gets the function's own source, without `@task.taskrun` and the decorators above it,
and its arguments as JSON. Nothing is pickled, so the image needs no package of Airflow.
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
"""The program that runs the function in the container."""

MAX_RESULT_BYTES = 4095
"""Maximum size of a TaskRun's result, in bytes."""

MAX_CALL_BYTES = 128 * 1024 - 1
"""Maximum size of one program argument on Linux, in bytes."""

_DECORATOR = "taskrun"
_MODULE_NAMES = {*dir(builtins), "__name__", "__doc__"}


@dataclass(frozen=True, slots=True)
class Function:
    """A function's source and its place in its file."""

    name: str
    source: str
    file: str
    line: int
    flags: int
    """Compiler flags for the `__future__` imports of its file."""

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Function":
        """Read a function's source.

        Raises:
            ValueError: The function has no source, or uses names of its file.
        """
        function = inspect.unwrap(function)
        name = getattr(function, "__name__", type(function).__name__)
        if not inspect.isfunction(function) or name == "<lambda>":
            raise ValueError(f"{name}: is not a function defined by `def`, so it has no source")
        try:
            lines, line = inspect.getsourcelines(function)
        except OSError:
            raise ValueError(f"{name}: its source cannot be found") from None
        flags = function.__code__.co_flags & __future__.annotations.compiler_flag
        first = _first_line(lines)
        file = Path(function.__code__.co_filename).name
        source = cls(name, "".join(lines[first:]), file, max(line, 1) + first, flags)
        source.check()
        return source

    def check(self) -> None:
        """Ensure that the function uses no names of its file.

        Raises:
            ValueError: It uses some.
        """
        code = compile_function(self.source, self.file, self.line, self.flags)
        if missing := sorted(_names(code) - _MODULE_NAMES - {self.name}):
            raise ValueError(
                f"{self.name}: uses {', '.join(missing)} of the DAG's file, which the container "
                "does not have: import or define it in the function, or pass it as an argument"
            )

    def call(self, args: Iterable[Any], kwargs: Mapping[str, Any], result_path: str) -> str:
        """Return the call as one program argument: JSON, in ASCII and without a `$`.

        Kubernetes would expand `$(NAME)` in an argument.

        Raises:
            ValueError: An argument cannot be JSON, or the call is too long. The message contains
                no values.
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
            "most": MAX_RESULT_BYTES,
        }
        text = json.dumps(call).replace("$", "\\u0024")
        if len(text) > MAX_CALL_BYTES:
            raise ValueError(
                f"{self.name}: source and arguments have {len(text)} bytes; the limit is "
                f"{MAX_CALL_BYTES}: store large data elsewhere, and pass its location"
            )
        return text


def as_json(value: Any, place: str) -> Any:
    """Return a value in JSON types: sequences become lists, and nothing else changes.

    Raises:
        ValueError: A part cannot be JSON; the message names its place and type.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: as_json(each, f"{place}[{key!r}]") for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [as_json(each, f"{place}[{n}]") for n, each in enumerate(value)]
    fault = "a mapping with keys that are not strings" if isinstance(value, Mapping) else ""
    fault = fault or f"{type(value).__name__}{', which is not finite' * isinstance(value, float)}"
    raise ValueError(f"{place}: {fault}; pass a JSON value, such as a string")


def _first_line(lines: Sequence[str]) -> int:
    """Return the index of the first line after `@task.taskrun` and the decorators above it."""
    text = "".join(lines)
    lines_before = 0
    if lines[0][:1].isspace():
        # A function inside another one, or in a `with` block, is indented. The parser accepts
        # indented source only as the body of a block, so `if 1:` is put before it.
        text = f"if 1:\n{text}"
        lines_before = 1
    tree = ast.parse(text)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    function = next(node for node in ast.walk(tree) if isinstance(node, kinds))
    named = [n for n, each in enumerate(function.decorator_list, 1) if _is_ours(each)]
    # An alias of the decorator is not recognised; it is then taken to be the outermost one.
    own = function.decorator_list[named[-1] if named else 1 :]
    first_line = own[0].lineno if own else function.lineno
    return first_line - 1 - lines_before


def _is_ours(decorator: ast.expr) -> bool:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return isinstance(called, ast.Attribute) and called.attr == _DECORATOR


def _names(code: CodeType) -> set[str]:
    """Return the global names that code, nested code included, reads but never assigns."""
    used: set[str] = set()
    made: set[str] = set()
    for each in _nested(code):
        steps = [(step.opname, step.argval) for step in dis.get_instructions(each)]
        own = {name for name_of, name in steps if name_of == "STORE_NAME"}
        used |= {name for name_of, name in steps if name_of == "LOAD_GLOBAL"}
        used |= {name for name_of, name in steps if name_of == "LOAD_NAME"} - own
        made |= {name for name_of, name in steps if name_of == "STORE_GLOBAL"}
    return used - made


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)
