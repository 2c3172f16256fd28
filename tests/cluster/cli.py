"""The command line: one subcommand a verb, answers on standard output, progress on standard error.

Exit codes: 0 well; 1 it failed, and a sentence said why; 2 wrong usage; from `status` also 3 when
the cluster is down and 4 when only a part of it is well.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from tests.cluster import binary, control_plane
from tests.cluster.cluster import Cluster
from tests.cluster.error import ClusterError
from tests.cluster.progress import Progress
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
        print("interrupted: the same command goes on from here", file=sys.stderr)
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
    _add(commands, "up", up, "start the cluster, or what is missing of it; quick when it runs")
    _add(commands, "down", down, "stop the cluster and remove everything of it but the cache")
    status_parser = _add(commands, "status", status, "tell how each component is doing")
    status_parser.add_argument("--json", action="store_true", help="for a program to read")
    _add(commands, "kubeconfig", kubeconfig, "print the path of the administrator's kubeconfig")
    _add(commands, "env", env, 'print shell settings: eval "$(python -m tests.cluster env)"')
    load = _add(commands, "load-image", load_image, "load image archives into the cluster")
    load.add_argument("archives", nargs="+", type=Path, metavar="TAR", help="from `docker save`")
    for name, command, text in (
        ("start", start, "start one component again, and wait until it answers"),
        ("stop", stop, "stop one component, as a test of a failure would"),
    ):
        one = _add(commands, name, command, text)
        one.add_argument("component", choices=control_plane.NAMES)
    build_parser = commands.add_parser(
        "build", help="only build the programs into the cache", description=binary.__doc__
    )
    build_parser.set_defaults(command=build)
    return program


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    command: Command,
    text: str,
) -> argparse.ArgumentParser:
    added = commands.add_parser(name, help=text, description=text)
    added.add_argument(
        "--name", default="test", help="which cluster; several live side by side (default: test)"
    )
    added.set_defaults(command=command)
    return added


def up(args: argparse.Namespace) -> int:
    cluster = Cluster(args.name)
    cluster.up()
    print(f'export KUBECONFIG="{cluster.kubeconfig}"')
    return 0


def down(args: argparse.Namespace) -> int:
    Cluster(args.name).down()
    return 0


def status(args: argparse.Namespace) -> int:
    found = Cluster(args.name).status()
    print(found.as_json() if args.json else found.as_table())
    return EXIT_CODES[found.state]


def kubeconfig(args: argparse.Namespace) -> int:
    print(_existing(args.name).kubeconfig)
    return 0


def _existing(name: str) -> Cluster:
    cluster = Cluster(name)
    if not cluster.kubeconfig.exists():
        raise ClusterError(f"no kubeconfig yet: `python -m tests.cluster up --name {name}` first")
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


def start(args: argparse.Namespace) -> int:
    Cluster(args.name).start(args.component)
    return 0


def stop(args: argparse.Namespace) -> int:
    Cluster(args.name).stop(args.component)
    return 0


def build(_: argparse.Namespace) -> int:
    progress = Progress()
    for module in binary.ALL:
        print(binary.build(module, progress))
    return 0
