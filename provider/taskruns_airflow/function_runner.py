"""Program that the container of a @task.taskrun executes: runs a function from its source text.

The text of this file is sent to the image's Python 3. It uses only the standard library and
nothing that is newer than Python 3.6. Exit codes: 0 on success; 1 if the function raised; the
function's own code if it called `sys.exit`; 143 on SIGTERM.
"""

import ast
import json
import linecache
import signal
import sys
import traceback
import types
from typing import Any


def compile_function(source: str, file: str, line: int, flags: int) -> types.CodeType:
    """Compile a function's text, without annotations and with the line numbers of its file."""
    indented = source[:1].isspace()
    text = "if 1:\n" + source if indented else source
    tree = compile(text, file, "exec", flags | ast.PyCF_ONLY_AST, True)  # noqa: FBT003
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    function = next(node for node in ast.walk(tree) if isinstance(node, kinds))
    function.returns = None
    for node in ast.walk(function.args):
        if isinstance(node, ast.arg):
            node.annotation = None
    ast.increment_lineno(tree, line - 1 - indented)
    code: types.CodeType = compile(tree, file, "exec", flags, True)  # noqa: FBT003
    return code


def load(call: "dict[str, Any]") -> Any:
    """Return the function, with its source registered so that tracebacks show its lines."""
    source, file, line = call["source"], call["file"], call["line"]
    lines = ["\n"] * (line - 1) + source.splitlines(keepends=True)
    linecache.cache[file] = (len(source), None, lines, file)
    module = types.ModuleType("taskrun")
    sys.modules[module.__name__] = module
    exec(compile_function(source, file, line, call["flags"]), module.__dict__)  # noqa: S102
    return module.__dict__[call["name"]]


def run(call: "dict[str, Any]") -> Any:
    """Return the function's value; if it raises, print the traceback and exit with code 1."""
    try:
        value = load(call)(*call["args"], **call["kwargs"])
        if hasattr(value, "__await__"):
            import asyncio  # noqa: PLC0415  # few functions are asynchronous

            value = asyncio.new_event_loop().run_until_complete(value)
    except Exception as error:  # noqa: BLE001  # any exception is printed and ends the task
        trace = error.__traceback__
        traceback.print_exception(type(error), error, trace and trace.tb_next)
        sys.exit(1)
    return value


def write_result(value: Any, path: str, most: int) -> None:
    """Write a result as JSON to `path`; exit with a message if it has more than `most` bytes."""
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        sys.exit(
            f"The function's result is not JSON: {error}. Return a JSON value, or set "
            "do_xcom_push=False."
        )
    if len(text) > most:
        sys.exit(
            f"The function's result has {len(text)} bytes of JSON; the limit is {most}. "
            "Store the data elsewhere, and return its location."
        )
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    CALL = json.loads(sys.argv[1])
    RESULT = run(CALL)
    if CALL["result"]:
        write_result(RESULT, CALL["result"], CALL["most"])
