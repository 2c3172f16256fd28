"""What a task left as its result, as the value of an XCom."""

import json
from typing import Any

from taskruns.api.conditions import ConditionType
from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.failures import TaskRunResultInvalid

_SHOWN = 80


def result_of(run: TaskRun) -> Any:
    """Return what a successful run left as JSON; None where it left nothing.

    Raises:
        TaskRunResultInvalid: it was too large to be kept, or is not JSON.
    """
    for condition in run.status.conditions or []:
        if condition.type == ConditionType.RESULT_STORED and condition.status == "False":
            raise TaskRunResultInvalid(condition.message)
    text = run.status.result
    if text is None or not text.strip():
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
        raise TaskRunResultInvalid(
            f"The result is not JSON ({error}): {shown!r}. Write JSON, such as a text in quotes; "
            "or set do_xcom_push=False, and the result stays in the TaskRun's status alone."
        ) from error
