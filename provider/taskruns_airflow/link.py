"""Link from a task in Airflow's UI to its TaskRun in a dashboard."""

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom
from typing_extensions import override

XCOM_LINK = "taskrun_link"
"""XCom key of a task's link, which is built from `dashboard` in the connection's extra."""


def link_to(dashboard: str, *, namespace: str, name: str) -> str:
    """Return the URL of a TaskRun in a dashboard; empty if no dashboard is named.

    Raises:
        ValueError: The dashboard's address has an unknown placeholder.
    """
    try:
        return dashboard.format(namespace=namespace, name=name)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f"dashboard {dashboard!r}: invalid placeholder ({error!r}); use only {{namespace}} and "
            "{name}, and double a literal brace"
        ) from None


class TaskRunLink(BaseOperatorLink):
    """Link to the TaskRun in the dashboard that the connection names."""

    name = "TaskRun"

    @override
    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return str(XCom.get_value(key=XCOM_LINK, ti_key=ti_key) or "")
