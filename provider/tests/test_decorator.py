"""Tests of @task.taskrun, and of the program that runs the function without Airflow."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, wraps
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, task

from taskruns_airflow.decorator import TaskRunDecoratedOperator, taskrun_task
from taskruns_airflow.failures import TaskRunMisconfigured
from taskruns_airflow.function_source import MAX_CALL_BYTES, PROGRAM, Function, as_json
from taskruns_airflow.identity import Try

OWN = Try("sales", "load", "manual", -1, 1, 0, "2026-11-25T04:00:00.000001+00:00", "i1")
OUTSIDE = 3


@pytest.fixture
def dag() -> DAG:
    return DAG("sales", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC))


def operator(function: Any, *args: Any, **kwargs: Any) -> TaskRunDecoratedOperator:
    return TaskRunDecoratedOperator(
        task_id="load", image="a", python_callable=function, op_args=args, op_kwargs=kwargs
    )


def run_in_container(function: Any, *args: Any, result: Path | str = "", **kwargs: Any) -> Any:
    """Run a function as in a container: in a Python that has only the standard library."""
    call = Function.of(function).call(args, kwargs, str(result))
    program = [sys.executable, "-I", "-S", "-u", "-c", PROGRAM.read_text(), call]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def add(a: "Missing", b: int = 2, *, c: int = 3) -> "Missing":  # type: ignore[name-defined]  # noqa: F821
    """Add."""
    import math  # noqa: PLC0415  # the function is sent without its module's imports

    print(f"costs ${a}", "$(HOME)", "é")
    return {"sum": math.fsum((a, b, c)), "text": """
at the margin"""}  # fmt: skip


def test_a_function_runs_with_its_arguments_and_writes_json(tmp_path: Path) -> None:
    done = run_in_container(add, 1, c=5, result=tmp_path / "return.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "costs $1 $(HOME) é\n"
    left = json.loads((tmp_path / "return.json").read_text())
    assert left == {"sum": 8.0, "text": "\nat the margin"}


def test_without_a_result_nothing_is_written() -> None:
    assert run_in_container(add, 1).returncode == 0


def test_an_exception_shows_the_functions_own_lines_and_ends_with_1() -> None:
    def divide(a: int) -> float:
        return a / 0  # by nothing

    done = run_in_container(divide, 1)
    assert done.returncode == 1
    assert "in divide\n    return a / 0  # by nothing\n" in done.stderr
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
    place = f'File "test_decorator.py", line {divide.__code__.co_firstlineno + 1}, in divide'
    assert place in done.stderr
    assert "<string>" not in done.stderr


def test_wrong_arguments_are_reported() -> None:
    done = run_in_container(add)
    assert done.returncode == 1
    assert done.stderr == "TypeError: add() missing 1 required positional argument: 'a'\n"


def test_a_function_may_choose_its_exit_code() -> None:
    def leave() -> None:
        raise SystemExit(99)

    assert run_in_container(leave).returncode == 99


def test_a_coroutine_is_run_to_its_end(tmp_path: Path) -> None:
    async def later() -> str:
        import asyncio  # noqa: PLC0415

        await asyncio.sleep(0)
        return "done"

    assert run_in_container(later, result=tmp_path / "r").stderr == ""
    assert (tmp_path / "r").read_text() == '"done"'


def test_a_function_cleans_up_on_sigterm() -> None:
    def wait() -> None:
        import signal  # noqa: PLC0415

        try:
            print("waiting")
            signal.pause()
        finally:
            print("cleaned up")

    call = Function.of(wait).call((), {}, "")
    program = [sys.executable, "-I", "-u", "-c", PROGRAM.read_text(), call]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "waiting\n"
        started.send_signal(signal.SIGTERM)
        assert started.stdout.read() == "cleaned up\n"
    assert started.returncode == 143


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("object()", "not JSON: Object of type object"),
        ("float('nan')", "not JSON"),
        ("'x' * 5000", "5002 bytes of JSON; the limit is 4095"),
    ],
)
def test_a_result_that_cannot_be_stored_is_an_error_with_advice(
    tmp_path: Path, text: str, sentence: str
) -> None:
    def returns(text: str) -> Any:
        return eval(text)

    done = run_in_container(returns, text, result=tmp_path / "r")
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (tmp_path / "r").exists()


def closure() -> Any:
    inside = 4

    def takes() -> int:
        return inside

    return takes


def outside() -> int:
    return OUTSIDE


def outside_by_default(a: int = OUTSIDE) -> int:
    return a


def outside_in_a_class() -> Any:
    class Inner:
        a = 1
        b = a + OUTSIDE

    return Inner


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (outside, "outside: uses OUTSIDE of the DAG's file"),
        (outside_by_default, "uses OUTSIDE"),
        (outside_in_a_class, "uses OUTSIDE"),
        (closure(), "uses inside"),
        (lambda: 1, "<lambda>: is not a function"),
        (print, "print: is not a function"),
        (json.JSONDecoder().decode, "decode: "),
    ],
)
def test_a_function_that_needs_its_module_is_refused_when_the_dag_is_parsed(
    function: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        Function.of(function)


made = 0


def whole(n: int) -> int:
    global made  # noqa: PLW0603
    made = n

    class Inner:
        a = 1
        b = a + 1

    def inner(n: int) -> int:
        return n if n < 2 else inner(n - 1) + made

    return inner(n) + Inner.b + (whole(n - 1) if n else 0)


def test_names_that_a_function_defines_are_allowed() -> None:
    assert Function.of(whole).name == "whole"


Work = Callable[[], int]


def named(**_: Any) -> Callable[[Work], Work]:
    return lambda function: function


class Decorators:
    taskrun = staticmethod(named)
    also = staticmethod(named)


alias = named()


@Decorators.also()
@Decorators.taskrun(
    image="a",
)
def under_another() -> int:
    return 1


@Decorators.taskrun()
@cache
def with_its_own() -> int:
    return 1


@alias
def under_an_alias() -> int:
    return 1


def test_decorators_down_to_task_taskrun_are_not_sent() -> None:
    assert Function.of(under_another).source == "def under_another() -> int:\n    return 1\n"
    assert Function.of(under_an_alias).source.startswith("def under_an_alias")
    with pytest.raises(ValueError, match="with_its_own: uses cache of"):
        Function.of(with_its_own)


def test_the_wrapped_function_is_sent() -> None:
    @wraps(outside_by_default)
    def wrapper() -> None: ...

    with pytest.raises(ValueError, match="outside_by_default: "):
        Function.of(wrapper)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": [1, {1, 2}]}, r"x\['a'\]\[1\]: set; pass a JSON value"),
        (datetime(2026, 1, 1, tzinfo=UTC), "x: datetime; "),
        ({1: "secret"}, "x: a mapping with keys that are not strings"),
        (float("nan"), "x: float, which is not finite"),
        (b"secret", "x: bytes"),
    ],
)
def test_an_argument_that_is_not_json_is_refused_by_place_and_type(
    value: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as refusal:
        as_json(value, "x")
    assert "secret" not in str(refusal.value)


def test_sequences_become_lists() -> None:
    assert as_json({"a": (1, None, True, 1.5)}, "x") == {"a": [1, None, True, 1.5]}


def test_a_call_that_is_too_long_is_refused_with_its_length() -> None:
    assert len(Function.of(add).call(["x" * 120_000], {}, "")) <= MAX_CALL_BYTES
    with pytest.raises(ValueError, match="the limit is 131071: store large data"):
        Function.of(add).call(["x" * 131_000], {}, "")


def test_kubernetes_expands_no_variable_in_a_call() -> None:
    assert "$" not in PROGRAM.read_text()
    call = Function.of(add).call(["$(HOME) é"], {}, "")
    assert "$" not in call
    assert call.isascii()


def test_the_task_run_executes_the_program_with_the_call(dag: DAG) -> None:
    @taskrun_task(image="python:3.13-slim", env={"A": "b"}, python_command=["conda", "python"])
    def load(a: str, ds: str | None = None) -> str:
        return f"{a} {ds}"

    with dag:
        load("{{ params.x }}")
    made = dag.get_task("load")
    assert isinstance(made, TaskRunDecoratedOperator)
    made.render_template_fields({"params": {"x": "b"}})
    spec = made.build_task_run(OWN, {"ds": "2026-01-01", "ti": None})["spec"]
    assert spec["command"] == ["conda", "python", "-u", "-c", PROGRAM.read_text()]
    call = json.loads(spec["args"][0])
    assert (call["args"], call["kwargs"]) == ([], {"a": "b", "ds": "2026-01-01"}) or (
        call["args"],
        call["kwargs"],
    ) == (["b"], {"ds": "2026-01-01"})
    assert call["result"] == "/airflow/xcom/return.json" == spec["resultPath"]
    assert spec["env"] == [{"name": "A", "value": "b"}]


def test_a_python_command_of_the_wrong_type_fails_the_task_by_its_name(dag: DAG) -> None:
    @taskrun_task(image="python:3.13-slim", python_command=3)
    def load() -> None:
        pass

    with dag:
        load()
    made = dag.get_task("load")
    assert isinstance(made, TaskRunDecoratedOperator)
    with pytest.raises(TaskRunMisconfigured, match="python_command: is of type int; write a str"):
        made.build_task_run(OWN)


def test_the_argument_name_is_the_prefix_of_the_task_runs_name(dag: DAG) -> None:
    @taskrun_task(image="python:3.13-slim", name="{{ params.x }}-work")
    def load() -> None: ...

    with dag:
        load()
    made = dag.get_task("load")
    assert isinstance(made, TaskRunDecoratedOperator)
    made.render_template_fields({"params": {"x": "Big"}})
    run = made.build_task_run(OWN, {"ti": None})
    assert run["metadata"]["name"] == OWN.named("big-work")


def test_airflow_registers_the_decorator(dag: DAG) -> None:
    with dag:

        @task.taskrun(image="a", do_xcom_push=False)
        def load() -> None: ...

        load()
    made = dag.get_task("load")
    assert isinstance(made, TaskRunDecoratedOperator)
    assert json.loads(made.build_task_run(OWN)["spec"]["args"][0])["result"] == ""


def test_a_task_can_be_mapped(dag: DAG) -> None:
    with dag:
        mapped = taskrun_task(image="a", multiple_outputs=False)(add).expand(a=[1, 2])
    assert mapped.operator.task_id == "add"  # type: ignore[attr-defined]


def test_command_and_arguments_are_refused() -> None:
    with pytest.raises(
        ValueError, match="arguments: cannot be set, because the container runs the function"
    ):
        TaskRunDecoratedOperator(task_id="load", python_callable=add, arguments=["a"], op_args=[1])


def test_arguments_that_are_not_json_fail_the_task_as_misconfigured() -> None:
    with pytest.raises(TaskRunMisconfigured, match="argument b: set"):
        operator(add, 1, b={1}).build_task_run(OWN)
