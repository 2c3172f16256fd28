"""An unreadable log does not prevent the end of an attempt or its deletion."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from taskruns.core.unstructured import Draft, stamp
from taskruns.engines.docker import runtime
from taskruns.engines.docker.connection import NoDaemon
from taskruns.engines.docker.container import LABEL_POD_UID
from taskruns.engines.docker.daemon import Daemon, DaemonError
from taskruns.engines.docker.kubelet import Kubelet
from taskruns.engines.docker.runtime import Runtime
from taskruns.engines.docker.state_file import StateFile

NOW = datetime(2026, 1, 1, 10, tzinfo=UTC)
NO_DRIVER = DaemonError(501, "configured logging driver does not support reading")
BROKEN = NoDaemon("Docker does not answer at unix:///d.sock")


class FakeDaemon:
    """Daemon with one ended container whose log and files cannot be read."""

    local = True

    def __init__(self, error: Exception | None, code: int = 3, *, answers: bool = True) -> None:
        self.error = error
        self.code = code
        self.answers = answers
        self.removed = False

    async def inspect(self, _name: str) -> dict[str, Any] | None:
        state = {"Status": "exited", "ExitCode": self.code, "FinishedAt": stamp(NOW)}
        labels = {LABEL_POD_UID: "pod-1"}
        return None if self.removed else {"Config": {"Labels": labels}, "State": state}

    async def log_tail(self, _name: str) -> bytes:
        return await self._raise()

    async def end_of_file(self, _name: str, _path: str, _limit: int) -> bytes:
        return await self._raise()

    async def _raise(self) -> bytes:
        if self.error is None:
            await asyncio.Event().wait()
            raise AssertionError
        raise self.error

    async def check(self) -> str:
        if not self.answers:
            raise NoDaemon("Docker does not answer at all")
        return "29"

    async def remove(self, _name: str) -> None:
        self.removed = True


def a_pod(**main: Any) -> Draft:
    container = {"name": "main", "image": "i", **main}
    return {
        "metadata": {"name": "hello-1", "namespace": "default", "uid": "pod-1"},
        "spec": {"nodeName": "docker", "containers": [container]},
        "status": {"phase": "Running"},
    }


async def sync(tmp_path: Path, daemon: FakeDaemon, pod: Draft) -> dict[str, Draft]:
    file = StateFile(tmp_path, "default", "hello")
    async with file.change() as record:
        record.pods["hello-1"] = pod
    docker = cast(Daemon, daemon)
    await Kubelet(file, docker, Runtime(file, docker, lambda: NOW)).sync()
    return (await file.read()).pods


def ending(pod: Draft) -> Any:
    return pod["status"]["containerStatuses"][0]["state"]["terminated"]


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (NO_DRIVER, "keeps no log of this container: configured logging driver"),
        (DaemonError(404, "no such container"), "cannot be read: no such container"),
        (DaemonError(500, "open json.log: input/output error"), "input/output error"),
        (BROKEN, "does not answer"),
        (None, "no answer within"),
    ],
    ids=["no driver", "gone", "broken file", "broken stream", "silence"],
)
async def test_a_failure_without_a_log_ends_at_once_with_the_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception | None, word: str
) -> None:
    monkeypatch.setattr(runtime, "_READ_SECONDS", 0.01)
    pods = await sync(tmp_path, FakeDaemon(error), a_pod())
    assert pods["hello-1"]["status"]["phase"] == "Failed"
    assert ending(pods["hello-1"])["exitCode"] == 3
    assert word in ending(pods["hello-1"])["message"]


async def test_an_unavailable_daemon_is_awaited(tmp_path: Path) -> None:
    daemon = FakeDaemon(BROKEN, answers=False)
    with pytest.raises(NoDaemon, match="at all"):
        await sync(tmp_path, daemon, a_pod())


async def test_a_run_with_an_unreadable_log_can_be_deleted(tmp_path: Path) -> None:
    daemon, pod = FakeDaemon(NO_DRIVER), a_pod()
    pod["metadata"]["deletionTimestamp"] = stamp(NOW)
    assert await sync(tmp_path, daemon, pod) == {}
    assert daemon.removed


async def test_an_unreadable_result_does_not_prevent_the_end_of_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pod = a_pod(terminationMessagePath="/out/result")
    pods = await sync(tmp_path, FakeDaemon(DaemonError(500, "no space"), code=0), pod)
    assert pods["hello-1"]["status"]["phase"] == "Succeeded"
    assert "message" not in ending(pods["hello-1"])
    assert "/out/result cannot be read: no space" in caplog.text


async def test_with_policy_file_the_log_is_not_read(tmp_path: Path) -> None:
    daemon = FakeDaemon(AssertionError("read"))
    pods = await sync(tmp_path, daemon, a_pod(terminationMessagePolicy="File"))
    assert "message" not in ending(pods["hello-1"])


async def test_an_unreadable_result_file_counts_as_empty(
    tmp_path: Path,
) -> None:
    words = StateFile(tmp_path, "default", "hello").message_file("pod-1")
    words.mkdir(parents=True)  # root cannot read a folder, as others cannot read a locked file
    pods = await sync(tmp_path, FakeDaemon(NO_DRIVER), a_pod())
    assert ending(pods["hello-1"])["exitCode"] == 3
