"""`python -m tools.demo up|down`: from nothing to finished tasks on a real Kubernetes, and back.

It needs no packages. It may be interrupted and run again at any point: every step continues
from the present state.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from tests.cluster import Cluster, ClusterError, place
from tools.demo import preflight, waiting
from tools.demo.commands import CommandFailed, Commands
from tools.demo.following import Ended, Following, TooSlow
from tools.demo.screen import Screen

ROOT = Path(__file__).resolve().parents[2]
VARIABLE, DEFAULT = "TASKRUNS_DEMO_CLUSTER", "demo"
NAME = os.environ.get(VARIABLE, DEFAULT)
NAMESPACE = "taskruns-system"
IMAGE = "taskruns/controller:0.1.0"
SAMPLES = ("hello", "result", "failing")
GONE_WITHIN = 60
"""Timeout for the deletion of a finished sample's Pod, in seconds."""

INTERRUPTED = 130
"""Exit code that shells use for a program ended by Ctrl-C."""


class Demo:
    """The steps of the demo. Each is safe to repeat."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.cluster = Cluster(NAME)
        self.commands = Commands(self.cluster)

    def up(self) -> None:
        """Create all missing parts, run the samples, and print the next commands to try."""
        began = time.monotonic()
        driver = preflight.check(self.cluster)
        way = preflight.describe(driver)
        with self.screen.step(f"1/5  A real Kubernetes, {way}: cluster {NAME}"):
            self.cluster.up(progress=self.screen.progress)
        with self.screen.step("2/5  The controller's image, from the project's Dockerfile"):
            image = self.cluster.build_image(IMAGE, ROOT, progress=self.screen.progress)
        with self.screen.step("3/5  taskruns, installed with Helm"):
            self._install(image)
        with self.screen.step("4/5  Three tasks, followed to their end"):
            ended = self._run_samples()
        with self.screen.step("5/5  What they left behind"):
            self._show_pods_gone(ended)
        self._show_next_steps(time.monotonic() - began)

    def down(self) -> None:
        """Remove the cluster and everything on it."""
        if not self.cluster.place.folder.exists():
            self.screen.line(f"There is no cluster {NAME}{_other_clusters()}.")
        with self.screen.step(f"Taking down the cluster {NAME}"):
            self.cluster.down(progress=self.screen.progress)
        self.screen.line(
            f"\nWhat was built stays cached, so `{make('demo')}` is quick from now on."
        )

    def _install(self, image: str) -> None:
        line = f"helm upgrade --install taskruns charts/taskruns --namespace {NAMESPACE}"
        line += " --create-namespace --wait"
        self._clear_interrupted_install()
        self.screen.command(line)
        # The image's id is an annotation, so that a new image with the old tag replaces the Pod.
        try:
            with self._reporting():
                self.commands.run(
                    line.replace("charts/taskruns", str(ROOT / "charts/taskruns")),
                    "--timeout=3m",
                    "--set-string",
                    f"podAnnotations.image={image}",
                )
        except CommandFailed as error:
            state = waiting.describe(self.commands, NAMESPACE)
            raise CommandFailed(f"{error}\n{state}") from error
        self.screen.command(f"kubectl get pods --namespace {NAMESPACE}")
        self.screen.output(self.commands.run(f"kubectl get pods --namespace {NAMESPACE}"))

    def _clear_interrupted_install(self) -> None:
        """Uninstall a release that was interrupted halfway, because Helm refuses to upgrade it."""
        releases = json.loads(
            self.commands.run(
                f"helm list --namespace {NAMESPACE} --pending --uninstalling --output json"
            )
        )
        if releases:
            line = f"helm uninstall taskruns --namespace {NAMESPACE} --wait"
            self.screen.progress("removing an earlier installation that was interrupted")
            self.screen.command(line)
            self.commands.run(line)

    def _run_samples(self) -> Mapping[str, Ended]:
        named = " ".join(SAMPLES)
        self.commands.run(f"kubectl delete taskruns {named} --ignore-not-found --wait")
        for name in SAMPLES:
            path = f"manifests/samples/{name}.yaml"
            self.screen.command(f"kubectl apply --filename {path}")
            self.commands.run("kubectl apply --filename", str(ROOT / path))
        self.screen.output("Their changes, as kubectl get taskruns --watch shows them:")
        with self._reporting():
            ended = Following(self.commands, self.screen).until_all_end(SAMPLES)
        for name in SAMPLES:
            self._show_end(ended[name])
        return ended

    def _reporting(self) -> AbstractContextManager[None]:
        return waiting.reporting(self.commands, self.screen, NAMESPACE)

    def _show_end(self, run: Ended) -> None:
        self.screen.line()
        self.screen.command(f"kubectl logs {run.status['podName']}")
        self.screen.output(run.log or "(nothing)")
        field = "result" if "result" in run.status else "message"
        self.screen.command(f"kubectl get taskrun {run.name} --output jsonpath={{.status.{field}}}")
        self.screen.output(run.status[field])

    def _show_pods_gone(self, ended: Mapping[str, Ended]) -> None:
        self.screen.output("A finished Pod is kept for half a minute, so that its log can be read.")
        self.screen.output(
            "A client that has read the log annotates the TaskRun; the Pod is then deleted:"
        )
        runs = [ended[name] for name in SAMPLES]
        for run in runs:
            collected = f"taskruns.dev/collected={run.status['podUID']}"
            self.screen.command(f"kubectl annotate taskrun {run.name} {collected}")
            self.commands.run(f"kubectl annotate taskrun {run.name} {collected} --overwrite")
        for run in runs:
            self.commands.run(
                f"kubectl wait --for=delete pod/{run.status['podName']} --timeout={GONE_WITHIN}s"
            )
        self.screen.command("kubectl get pods")
        self.screen.output(self.commands.run("kubectl get pods") or "No resources found.")
        self.screen.command("kubectl get taskruns")
        self.screen.output(self.commands.run("kubectl get taskruns"))

    def _show_next_steps(self, seconds: float) -> None:
        minutes, rest = divmod(round(seconds), 60)
        self.screen.title(f"Done in {minutes}m{rest:02}s. Commands to try next:")
        self.screen.output(
            f"export KUBECONFIG={self.cluster.kubeconfig}\n"
            f"export PATH={self.cluster.bin_dir}:$PATH\n"
            "kubectl get trun                                    # the runs of this demo\n"
            "kubectl apply -f manifests/samples/retries.yaml     # fails twice, then succeeds\n"
            "kubectl get trun --watch\n"
            "kubectl explain trun.spec                           # every field, to write your own\n"
        )
        self.screen.line(
            "\nREADME.md has the next steps; docs/reasons.md lists every reason of an end."
            f"\nTo remove the cluster: {make('demo-down')}"
        )


def make(target: str, name: str = NAME) -> str:
    """Return the command for a make target, for the cluster of that name."""
    return f"make {target}" if name == DEFAULT else f"{VARIABLE}={name} make {target}"


def _other_clusters() -> str:
    """Return the clusters that exist, and how to name one, as the end of a sentence."""
    names = ", ".join(place.all_names())
    return f"; clusters of this user: {names} (choose one by {VARIABLE}=NAME)" if names else ""


def main() -> int:
    """Run the demo, and print errors as one sentence."""
    parser = argparse.ArgumentParser(prog="python -m tools.demo", description=__doc__)
    parser.add_argument("action", choices=("up", "down"), nargs="?", default="up")
    action = parser.parse_args().action
    screen = Screen()
    try:
        demo = Demo(screen)
        demo.up() if action == "up" else demo.down()
    except KeyboardInterrupt:
        screen.line(
            f"\nInterrupted. `{make('demo')}` continues from here, and finished builds are kept; "
            f"`{make('demo-down')}` removes the cluster."
        )
        return INTERRUPTED
    except (ClusterError, CommandFailed, TooSlow, subprocess.SubprocessError, OSError) as error:
        screen.problem(str(error))
        screen.line(
            f"`{make('demo')}` retries from here; `{make('demo-down')}` removes the cluster."
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
