"""The termination message file of a Pod, where two controllers create and remove it at once."""

import threading
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import create_autospec

from taskruns.core.unstructured import Draft
from taskruns.engines.docker.daemon import Daemon
from taskruns.engines.docker.runtime import Runtime
from taskruns.engines.docker.state_file import StateFile

_ROUNDS = 500


def _pod(uid: str) -> Draft:
    return {"metadata": {"name": f"hello-{uid}", "uid": uid}}


def test_two_controllers_may_remove_the_same_file_at_once(tmp_path: Path) -> None:
    file = StateFile(tmp_path, "default", "hello")
    daemon = create_autospec(Daemon)
    errors: list[Exception] = []

    def controller() -> None:
        runtime = Runtime(file, daemon, lambda: datetime.now(UTC))
        try:
            for _ in range(_ROUNDS):
                path = runtime.create_message_file(_pod("1"))
                runtime.clear(_pod("1"))
                assert path.parent.parent.is_dir()
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=controller) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
