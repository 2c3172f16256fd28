"""Wait with many real triggers in one event loop, as a triggerer does.

`benchmarks.deferral` starts it with Airflow's own Python, and writes the objects to wait for to its
standard input. It prints the processor time and the memory that the wait used.
"""

import argparse
import asyncio
import json
import logging
import re
import resource
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger
from airflow.triggers.base import BaseTrigger

from taskruns_airflow.connection import Access
from taskruns_airflow.trigger import TaskRunTrigger

Make = Callable[[Mapping[str, Any], Path], BaseTrigger]


def task_run_trigger(run: Mapping[str, Any], kubeconfig: Path) -> BaseTrigger:
    """Return TaskRunOperator's trigger, for a run whose log is not followed."""
    return TaskRunTrigger(
        access=Access(config_file=str(kubeconfig)).to_json(),
        namespace=run["namespace"],
        name=run["name"],
        uid=run["uid"],
        logs=None,
    )


def pod_trigger(pod: Mapping[str, Any], kubeconfig: Path) -> BaseTrigger:
    """Return KubernetesPodOperator's trigger, with the operator's defaults."""
    return KubernetesPodTrigger(
        pod_name=pod["name"],
        pod_namespace=pod["namespace"],
        trigger_start_time=datetime.now(UTC),
        base_container_name="base",
        config_dict=yaml.safe_load(kubeconfig.read_text()),
        in_cluster=False,
    )


MAKE: dict[str, Make] = {"taskruns": task_run_trigger, "pods": pod_trigger}


async def wait(triggers: list[BaseTrigger], seconds: float) -> None:
    """Run all triggers for `seconds`.

    Raises:
        RuntimeError: a trigger has ended, although its object has not.
    """
    waits = [asyncio.create_task(_event_of(each)) for each in triggers]
    ended, _ = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for each in waits:
        each.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    if ended:
        raise RuntimeError(f"a trigger has ended: {ended.pop().result()}")


async def _event_of(trigger: BaseTrigger) -> Any:
    return await anext(trigger.run())


def memory() -> float:
    """Return the current memory of the process, in MiB."""
    status = Path("/proc/self/status").read_text()
    (kib,) = re.findall(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kib) / 1024


def cpu() -> float:
    """Return the processor time of the process, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the triggers and print their cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=MAKE)
    parser.add_argument("kubeconfig", type=Path)
    parser.add_argument("seconds", type=float)
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    triggers = [MAKE[args.kind](each, args.kubeconfig) for each in json.load(sys.stdin)]
    memory_before, cpu_before = memory(), cpu()
    grown = asyncio.run(_measured(triggers, args.seconds)) - memory_before
    print(json.dumps({"cpu": cpu() - cpu_before, "memory": grown}))


async def _measured(triggers: list[BaseTrigger], seconds: float) -> float:
    """Run the triggers, and return the peak memory in MiB, sampled every second."""
    peak = memory()

    async def sample() -> None:
        nonlocal peak
        while True:
            await asyncio.sleep(1)
            peak = max(peak, memory())

    sampling = asyncio.create_task(sample())
    try:
        await wait(triggers, seconds)
    finally:
        sampling.cancel()
    return peak


if __name__ == "__main__":
    main()
