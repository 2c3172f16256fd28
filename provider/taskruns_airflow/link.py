"""From a task in Airflow's pages to its TaskRun in somebody's dashboard."""

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperatorLink, XCom
from typing_extensions import override

XCOM_LINK = "taskrun_link"
"""Where a task leaves its link: made from `dashboard` in the connection's extra."""


class TaskRunLink(BaseOperatorLink):
    """Leads to the TaskRun, where the connection says where dashboards are."""

    name = "TaskRun"

    @override
    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        return str(XCom.get_value(key=XCOM_LINK, ti_key=ti_key) or "")
