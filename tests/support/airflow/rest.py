"""Airflow's REST API, as far as tests ask it: DAG runs, task instances, logs, XComs, clears."""

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
    """The API server does not answer, or not yet."""


class Rest:
    """Requests as an administrator, whom this Airflow takes everybody for."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._token = ""

    def dags(self) -> set[str]:
        """The ids of all DAGs that can be run."""
        return {each["dag_id"] for each in self._get("/dags?limit=1000")["dags"]}

    def resume(self, dag_id: str) -> None:
        """Let a DAG run that is paused, as new ones are."""
        self._ask("PATCH", f"/dags/{dag_id}", {"is_paused": False})

    def trigger(self, dag_id: str, run_id: str) -> None:
        """Start a DAG run, now; asked again where a server busy with tasks does not answer."""
        asked = {"dag_run_id": run_id, "logical_date": None}
        for last in (False, False, True):
            try:
                self._ask("POST", f"/dags/{dag_id}/dagRuns", asked)
            except Unanswered:
                if last:
                    raise
            except urllib.error.HTTPError as error:
                if error.code == _CONFLICT:
                    return  # it had got through
                raise
            else:
                return

    def delete(self, dag_id: str, run_id: str) -> None:
        """Delete a DAG run that has ended."""
        self._ask("DELETE", f"/dags/{dag_id}/dagRuns/{quote(run_id)}")

    def dag_run(self, dag_id: str, run_id: str) -> Object:
        return self._get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}")

    def instances(self, dag_id: str, run_id: str) -> list[Object]:
        """All task instances of a DAG run, mapped ones each for itself."""
        found = self._get(f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances?limit=1000")
        instances: list[Object] = found["task_instances"]
        return instances

    def log(
        self, dag_id: str, run_id: str, task_id: str, try_number: int, map_index: int = -1
    ) -> list[Object]:
        """What the page of a task shows as the log of one try, entry by entry."""
        place = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
        asked = f"full_content=true&map_index={map_index}"
        found = self._look(f"{place}/logs/{try_number}?{asked}")
        return found["content"] if found else []

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str) -> Any:
        """An XCom's value; None where there is none."""
        place = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
        found = self._look(f"{place}/xcomEntries/{key}?deserialize=true")
        return found["value"] if found else None

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Set a task's state, as the buttons of its page do."""
        place = f"/dags/{dag_id}/dagRuns/{quote(run_id)}/taskInstances/{task_id}"
        self._ask("PATCH", place, {"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_id: str) -> None:
        """Have a task done anew, whatever its state."""
        asked = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": [task_id],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._ask("POST", f"/dags/{dag_id}/clearTaskInstances", asked)

    def _look(self, path: str) -> Object | None:
        """Ask for what may not be there yet."""
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
                found: Object = json.loads(answer.read() or b"{}")
                return found
        except urllib.error.HTTPError as error:
            error.add_note(error.read().decode(errors="replace"))
            raise
        except (urllib.error.URLError, OSError) as error:
            raise Unanswered(str(error)) from error
