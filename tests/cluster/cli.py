"""Command line of the test cluster: results on standard output, progress on standard error.

Exit codes: 0 success; 1 failure, with a message on standard error; 2 wrong usage; from `status`
also 3 if the cluster is down, and 4 if some components are not healthy.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cluster import binary, control_plane, place, release
from tests.cluster.cluster import Cluster
from tests.cluster.driver import AUTO, DRIVERS
from tests.cluster.error import ClusterError
from tests.cluster.progress import Progress
from tests.cluster.python_base import PYTHONS
from tests.cluster.status import DEGRADED, DOWN, READY

EXIT_CODES = {READY: 0, DOWN: 3, DEGRADED: 4}
INTERRUPTED = 130
Command = Callable[[argparse.Namespace], int]


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    args = parser().parse_args(argv)
    command: Command = args.command
    try:
        return command(args)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted: the same command continues from here", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    program = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description="A real Kubernetes on this machine, for tests and the demo: etcd, the control "
        "plane and a kubelet that runs real Pods, built from package registries alone.",
        epilog=__doc__.split("\n\n", 1)[1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = program.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_up(commands)
    _add(commands, "down", down, "stop the cluster and remove it; the cache is kept")
    status_parser = _add(commands, "status", status, "show the state of each component")
    status_parser.add_argument("--json", action="store_true", help="print JSON")
    _add(commands, "kubeconfig", kubeconfig, "print the path of the administrator's kubeconfig")
    _add(commands, "env", env, 'print shell settings: eval "$(python -m tests.cluster env)"')
    load = _add(commands, "load-image", load_image, "load image archives into the cluster")
    load.add_argument("archives", nargs="+", type=Path, metavar="TAR", help="from `docker save`")
    python = _add(commands, "load-python", load_python, "build and load the image python:3.x-slim")
    _add_suite(python)
    _add_build_image(commands)
    _add_component_commands(commands)
    list_parser = commands.add_parser("list", help="list the clusters of this user and their state")
    list_parser.set_defaults(command=list_clusters)
    build_parser = commands.add_parser(
        "build", help="only build the programs into the cache", description=binary.__doc__
    )
    build_parser.set_defaults(command=build)
    return program


def _add_up(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    up_parser = _add(commands, "up", up, "start the cluster, or its missing components")
    up_parser.add_argument(
        "--driver",
        choices=(AUTO, *DRIVERS),
        default=AUTO,
        help="local: processes of this machine; kind: a container, needs Docker and a registry; "
        "auto: kind if its prerequisites are met, else local (default: auto)",
    )


def _add_component_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
) -> None:
    for name, command, text in (
        ("start", start, "start one component, and wait until it is ready"),
        ("stop", stop, "stop one component, for example to test a failure"),
    ):
        added = _add(commands, name, command, text)
        added.add_argument("component", choices=control_plane.NAMES)
        if command is stop:
            added.add_argument("--kill", action="store_true", help="kill it, as in a crash")


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Command,
    text: str,
) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=text, description=text)
    added.add_argument("--name", default="test", help="name of the cluster (default: test)")
    added.set_defaults(command=command)
    return added


def _add_suite(added: argparse.ArgumentParser) -> None:
    added.add_argument(
        "--suite",
        choices=PYTHONS,
        default="trixie",
        help="Debian release of the Python packages (default: trixie, with Python 3.13)",
    )


def _add_build_image(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    text = "build an image from a Dockerfile and load it into the cluster"
    added = _add(commands, "build-image", build_image, text)
    added.add_argument("--tag", required=True, help="tag of the image")
    added.add_argument("--file", type=Path, help="the Dockerfile (default: DIR/Dockerfile)")
    added.add_argument(
        "--context", type=Path, default=Path(), metavar="DIR", help="folder of the build context"
    )
    added.add_argument(
        "--build-arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="repeatable; if the Dockerfile declares ARG BASE and none is given, BASE is a base "
        "image of Debian packages",
    )


def up(args: argparse.Namespace) -> int:
    cluster = Cluster(args.name, args.driver)
    cluster.up()
    print(f'export KUBECONFIG="{cluster.kubeconfig}"')
    return 0


def down(args: argparse.Namespace) -> int:
    Cluster(args.name).down()
    return 0


def status(args: argparse.Namespace) -> int:
    cluster_status = Cluster(args.name).status()
    print(cluster_status.as_json() if args.json else cluster_status.as_table())
    return EXIT_CODES[cluster_status.state]


def kubeconfig(args: argparse.Namespace) -> int:
    print(_existing(args.name).kubeconfig)
    return 0


def _existing(name: str) -> Cluster:
    cluster = Cluster(name)
    if not cluster.kubeconfig.exists():
        raise ClusterError(
            f"there is no cluster {name!r}: run `python -m tests.cluster up --name {name}`"
        )
    return cluster


def env(args: argparse.Namespace) -> int:
    cluster = _existing(args.name)
    print(f'export KUBECONFIG="{cluster.kubeconfig}"')
    print(f'export PATH="{cluster.bin_dir}:$PATH"')
    return 0


def load_image(args: argparse.Namespace) -> int:
    for archive in args.archives:
        Cluster(args.name).load_image(archive)
    return 0


def load_python(args: argparse.Namespace) -> int:
    print(Cluster(args.name).load_python(args.suite))
    return 0


def build_image(args: argparse.Namespace) -> int:
    pairs = [argument.partition("=") for argument in args.build_arg]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise ClusterError(f"--build-arg {wrong[0]!r} has no value: write NAME=VALUE")
    build_args = {name: value for name, _, value in pairs}
    print(Cluster(args.name).build_image(args.tag, args.context, args.file, build_args))
    return 0


def start(args: argparse.Namespace) -> int:
    Cluster(args.name).start(args.component)
    return 0


def stop(args: argparse.Namespace) -> int:
    Cluster(args.name).stop(args.component, grace=0 if args.kill else 20)
    return 0


def list_clusters(_: argparse.Namespace) -> int:
    for name in place.all_names():
        cluster_status = Cluster(name).status()
        print(f"{name:<30} {cluster_status.state:<9} {cluster_status.server}")
    return 0


def build(_: argparse.Namespace) -> int:
    progress = Progress()
    others = (module for module in binary.ALL if module is not binary.KUBERNETES)
    for module in (release.of(release.requested()), *others):
        print(binary.build(module, progress))
    return 0
