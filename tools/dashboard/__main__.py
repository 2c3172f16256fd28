"""`make picture`: record some minutes of runs on a new cluster, and draw the dashboard.

The cluster is removed at the end. The responses of Prometheus are kept in .build/picture, and
`--redraw` draws them again.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.cluster import Cluster, ClusterError
from tests.support.cluster import prometheus
from tests.support.cluster.client import Kube
from tests.support.cluster.controller_process import ControllerProcess
from tests.support.cluster.prometheus import Prometheus, Series
from tools.dashboard import grafana
from tools.dashboard.load import Load

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = os.environ.get("TASKRUNS_PICTURE_CLUSTER", "picture")
FOLDER = ROOT / ".build" / "picture"
ANSWERS = FOLDER / "answers.json"
PICTURE = ROOT / "docs" / "dashboard.png"
SCRAPES = 5
"""Interval between scrapes and between the points of a line, in seconds."""


def record(minutes: float) -> None:
    """Run a load for some minutes, and save the responses of Prometheus for each panel."""
    prometheus.install()
    cluster = Cluster(CLUSTER)
    try:
        cluster.up(progress=print)
        cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds/taskruns.yaml"))
        kube = Kube(cluster.kubeconfig)
        controller = ControllerProcess(cluster, "--default-delete-delay=5s")
        with (
            controller.at_work(),
            Prometheus(controller.address("metrics"), SCRAPES) as scraping,
        ):
            load = Load(kube)
            load.prepare()
            print(f"runs for {minutes:g} minutes")
            began = time.time()
            load.pour(minutes * 60)
            ANSWERS.write_text(json.dumps(_query(scraping, began, time.time())))
        kube.close()
    finally:
        cluster.down(progress=print)


def _query(scraping: Prometheus, start: float, end: float) -> dict[str, object]:
    dashboard = json.loads((ROOT / grafana.PATH).read_text())
    answers: dict[str, list[dict[str, object]]] = {}
    for panel in dashboard["panels"]:
        panel_series = answers[str(panel["id"])] = []
        for target in panel.get("targets", ()):
            query = _filled(target["expr"], end - start)
            series = (
                scraping.query_range(query, start, end, SCRAPES)
                if target["range"]
                else scraping.query(query)
            )
            panel_series += [_named(each, target["legendFormat"], start) for each in series]
    steps = int((end - start) / SCRAPES) + 1
    times = [_minutes(start + step * SCRAPES, start) for step in range(steps)]
    return {"times": times, "panels": answers}


def _filled(expression: str, seconds: float) -> str:
    """Replace Grafana's variables; its rate interval covers at least four scrapes."""
    values = {"$__rate_interval": "1m", "$__range": f"{seconds:.0f}s", "$job": ".+"}
    for variable, value in values.items():
        expression = expression.replace(variable, value)
    return expression


def _named(series: Series, legend: str, start: float) -> dict[str, object]:
    labels = series["metric"]
    name = re.sub(r"\{\{(\w+)\}\}", lambda match: labels.get(match[1], ""), legend)
    values = series.get("values") or [series["value"]]
    return {"legend": name, "values": [(_minutes(at, start), float(v)) for at, v in values]}


def _minutes(at: float, start: float) -> float:
    return round((at - start) / 60, 3)


def redraw() -> None:
    """Draw the responses that were saved last."""
    paths = [str(path) for path in (ROOT / grafana.PATH, ANSWERS, PICTURE)]
    python = FOLDER / "bin" / "python"
    subprocess.run([python, "-m", "tools.dashboard.drawing", *paths], cwd=ROOT, check=True)
    print(f"drawn: {PICTURE.relative_to(ROOT)}")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tools.dashboard", description=__doc__)
    parser.add_argument("--minutes", type=float, default=6, help="duration of the recording (6)")
    parser.add_argument("--redraw", action="store_true", help="draw the last recording again")
    arguments = parser.parse_args()
    try:
        if not arguments.redraw:
            record(arguments.minutes)
        redraw()
    except (ClusterError, OSError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
