"""From a task in Airflow's pages to its TaskRun in somebody's dashboard."""

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom
from typing_extensions import override

XCOM_LINK = "taskrun_link"
"""Where a task leaves its link: made from `dashboard` in the connection's extra."""


def link_to(dashboard: str, *, namespace: str, name: str) -> str:
    """Return where a dashboard shows a TaskRun; empty where no dashboard is named.

    Raises:
        ValueError: the dashboard's address has other placeholders than there are.
    """
    try:
        return dashboard.format(namespace=namespace, name=name)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise ValueError(
            f"dashboard {dashboard!r}: write {{namespace}} and {{name}} in it and no other "
            f"placeholder; a brace that stands for itself is doubled ({error!r})"
        ) from None


class TaskRunLink(BaseOperatorLink):
    """Leads to the TaskRun, where the connection says where dashboards are."""

    name = "TaskRun"

    @override
    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return str(XCom.get_value(key=XCOM_LINK, ti_key=ti_key) or "")
