"""The part of Airflow's REST API that tests use: DAG runs, task instances, logs, XComs."""

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote

Object = dict[str, Any]

_SECONDS_PER_REQUEST = 60
_NOT_FOUND = 404
_CONFLICT = 409


class Unanswered(Exception):
    """The API server does not respond, or not yet."""


class Rest:
    """Requests as an administrator; this Airflow treats every caller as one."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._token = ""

    def dags(self) -> set[str]:
        """Return the ids of all DAGs that can be run."""
        return {each["dag_id"] for each in self._get("/dags?limit=1000")["dags"]}

    def resume(self, dag_id: str) -> None:
        """Unpause a DAG; new DAGs are paused."""
        self._ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a DAG run now; try up to three times while a busy server does not respond."""
        body = {"dag_run_id": run_id, "logical_date": None}
        for last in (False, False, True):
            try:
                self._ask("POST", f"/dags/{dag_id}/dagRuns", body)
            except Unanswered:
                if last:
                    raise
            except urllib.error.HTTPError as error:
                if error.code == _CONFLICT:
                    return  # an earlier request had arrived
                raise
            else:
                return

    def delete(self, dag_id: str, run_id: str) -> None:
        """Delete a DAG run that has ended."""
        self._ask("DELETE", f"/dags/{dag_id}/dagRuns/{quote(run_id)}")

    def dag_run(self, dag_id: str, run_id: str) -> Object:
        return self._get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}")

    def instances(self, dag_id: str, run_id: str) -> list[Object]:
        """Return all task instances of a DAG run, mapped ones individually."""
        page = self._get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances?limit=1000")
        instances: list[Object] = page["task_instances"]
        return instances

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int = -1
    ) -> list[Object]:
        """Return the log entries of one try, as the page of the task shows them."""
        place = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
        query = f"full_content=true&map_index={map_index}"
        page = self._look(f"{place}/logs/{try_number}?{query}")
        return page["content"] if page else []

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """Return an XCom's value, or None if there is none."""
        place = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
        entry = self._look(f"{place}/xcomEntries/{key}?deserialize=true")
        return entry["value"] if entry else None

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task's state, as the buttons of its page do."""
        place = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
        self._ask("PATCH", place, {"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Clear a task in any state, so that it runs again."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._ask("POST", f"/dags/{dag_id}/clearTaskInstances", body)

    def _look(self, path: str) -> Object | None:
        """Return the object at a path, or None if it does not exist yet."""
        try:
            return self._get(path)
        except urllib.error.HTTPError as error:
            if error.code == _NOT_FOUND:
                return None
            raise

    def _get(self, path: str) -> Object:
        return self._ask("GET", path)

    def _ask(self, method: str, path: str, body: Object | None = None) -> Object:
        if not self._token:
            self._token = self._send("GET", "/auth/token", None)["access_token"]
        return self._send(method, f"/api/v2{path}", body)

    def _send(self, method: str, path: str, body: Object | None) -> Object:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._address + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS_PER_REQUEST) as answer:
                content: Object = json.loads(answer.read() or b"{}")
                return content
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode(errors="replace"))
            raise
        except (urllib.error.URLError, OSError) as error:
            raise Unanswered(str(error)) from error
