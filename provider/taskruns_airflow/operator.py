"""TaskRunOperator: creates a TaskRun, waits for it, and reports its outcome to Airflow.

Every DAG processor loads this module, so its imports stay light: the Kubernetes client and the
modules that use it are imported when a task runs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperatorLink, Context, conf
from typing_extensions import override

from taskruns.api.v1alpha1 import TaskRun
from taskruns_airflow.argument_types import (
    check_container_names,
    check_exit_codes,
    check_seconds,
    check_string,
    wrong_type,
)
from taskruns_airflow.connection import Access
from taskruns_airflow.containers import Containers, Shown, names_of
from taskruns_airflow.failures import ExitCodes, TaskRunMisconfigured
from taskruns_airflow.identity import Try
from taskruns_airflow.link import TaskRunLink
from taskruns_airflow.manifest import Object, Order, RunArguments, build, lost_identity
from taskruns_airflow.spec_fields import SPEC_FIELDS
from taskruns_airflow.task_instance import is_of_another_try, try_of

if TYPE_CHECKING:
    from taskruns_airflow.execution import Execution

_ORDERED = tuple(field.name for field in fields(Order))
_CONNECTED = ("taskruns_conn_id", "kubernetes_conn_id", "config_file", "cluster_context")
_NOT_TEMPLATED = {"get_logs", "do_xcom_push", "execution_timeout"}
_TEMPLATE_FILES = (".yaml", ".yml", ".json")

_NO_CONTEXT: Mapping[str, Any] = MappingProxyType({})

_FAILED_DEFERRAL = "__fail__"
"""The `next_method` with which Airflow resumes a task whose deferral timed out or whose trigger
failed."""


class TaskRunOperator(RunArguments):
    """Runs a container to completion as a TaskRun.

    Args:
        name: First part of the names of the TaskRun and its Pods. Default: DAG and task.
        image: The container's image.
        command: Program to run instead of the image's entrypoint, one argument per item.
        arguments: Arguments of the program.
        working_dir: Directory to run in.
        env: Environment variables, as a mapping or as a list of core/v1 EnvVar. A value of the
            mapping is a string, a number, or a core/v1 EnvVarSource:
            `{"secretKeyRef": {"name": "database", "key": "password"}}`.
        env_from: ConfigMaps and Secrets whose keys become variables (core/v1 EnvFromSource).
        container_resources: Requests and limits (core/v1 ResourceRequirements).
        volumes: Volumes of the Pod (core/v1 Volume).
        volume_mounts: Mounts of the volumes in the container (core/v1 VolumeMount).
        image_pull_policy: Always, IfNotPresent or Never.
        image_pull_secrets: Names of Secrets to pull images with.
        security_context: Security context of the container (core/v1 SecurityContext).
        service_account_name: Service account of the Pod.
        node_selector: Labels that a node must have.
        tolerations: Taints that are tolerated (core/v1 Toleration).
        affinity: Rules for choosing a node (core/v1 Affinity).
        priority_class_name: PriorityClass of the Pod.
        template: All other fields of the Pod, as a core/v1 PodTemplateSpec; or the name of a
            .yaml, .yml or .json file that holds one and is rendered as a Jinja template.
        spec: Fields of the TaskRun's spec that have no argument here, by their API names.
        backoff_limit: Number of failures that are retried in the cluster, in addition to Airflow's
            retries.
        disruption_limit: Number of disruptions (evictions, lost nodes) after the start of main
            that are retried in the cluster.
        schedule_timeout_seconds: Time limit for scheduling. Default: no limit.
        startup_timeout_seconds: Time limit for the start of the container. Default: the site
            default.
        pod_gc: When finished Pods are deleted, as in the TaskRun's podGC.
        ttl_seconds_after_finished: How long the finished TaskRun is kept. Default: the site
            default.
        queue_name: Kueue LocalQueue to wait in.
        labels: Labels of the TaskRun and its Pods.
        annotations: Annotations of the TaskRun and its Pods.
        namespace: Namespace to run in. Default: the connection's, or Airflow's own.
        taskruns_conn_id: A connection of type `taskruns`.
        kubernetes_conn_id: A connection of type `kubernetes`. Default: as named in the `taskruns`
            connection.
        in_cluster: Use the cluster that Airflow runs in.
        config_file: A kubeconfig file on the worker and the triggerer.
        cluster_context: Context of the kubeconfig.
        deferrable: Wait in the triggerer instead of a worker. Default: Airflow's setting
            `[operators] default_deferrable`.
        defer_after: Seconds for which the worker itself waits before it defers. A run that ends
            earlier needs one process instead of two, and no triggerer. 0: defer at once.
        get_logs: Copy the container's log to the task's log.
        container_logs: Containers whose logs are copied: one name or several, init containers
            included; True for all that the TaskRun names. With several containers, each line
            begins with the container's name. Default: the main container.
        skip_on_exit_code: Exit codes with which the task is skipped.
        fail_on_exit_code: Exit codes with which the task fails without a retry.
        mutate: Function that is called with the TaskRun, as a dict, before it is created. It may
            change the dict in place or return another. It must keep the name, and the labels and
            annotations that identify the try.
        kwargs: Any argument of BaseOperator. `execution_timeout` becomes the run's
            activeDeadlineSeconds, so that it holds even when Airflow is down. With
            `do_xcom_push`, JSON in /airflow/xcom/return.json becomes the task's XCom.
    """

    template_fields: Collection[str] = (
        *(name for name in _ORDERED if name not in _NOT_TEMPLATED),
        "name",
        "namespace",
        *_CONNECTED,
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **{name: row.renderer for name, row in SPEC_FIELDS.items() if row.renderer},
        "spec": "json",
    }
    template_ext: Sequence[str] = ()
    """Empty, so that a command argument ending in .yaml is not read as a file. `template` reads
    its file by itself."""

    ui_color = "#d9e7f7"
    operator_extra_links: Collection[BaseOperatorLink] = (TaskRunLink(),)

    argument_names: ClassVar[Mapping[str, str]] = {}
    """Argument names for messages, keyed by field of `Order`; set by subclasses whose arguments
    have other names."""

    _execution: "Execution | None" = None
    _stop_requested = False

    def __init__(  # noqa: PLR0913  # each is a name that users of Airflow know
        self,
        *,
        name: str | None = None,
        namespace: str | None = None,
        taskruns_conn_id: str = "taskruns_default",
        kubernetes_conn_id: str | None = None,
        in_cluster: bool | None = None,
        config_file: str | None = None,
        cluster_context: str | None = None,
        deferrable: bool | None = None,
        defer_after: float = 10.0,
        skip_on_exit_code: int | Collection[int] | None = None,
        fail_on_exit_code: int | Collection[int] | None = None,
        mutate: Callable[[Object], Object | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.name = name
        self.namespace = namespace
        self.taskruns_conn_id = taskruns_conn_id
        self.kubernetes_conn_id = kubernetes_conn_id
        self.in_cluster = in_cluster
        self.config_file = config_file
        self.cluster_context = cluster_context
        self.deferrable = deferrable
        self.defer_after = defer_after
        self.skip_on_exit_code = skip_on_exit_code
        self.fail_on_exit_code = fail_on_exit_code
        self.mutate = mutate

    @override
    def execute(self, context: Context) -> Any:
        own, manifest = self._ordered(context)
        shown = self.shown_logs(manifest["spec"])
        execution = self._begin(context)
        with execution.guarded():
            run = execution.launch(own, manifest, self._namespace(manifest))
            if self.deferrable:
                run = execution.await_end(run, self.defer_after)
            if self.deferrable and not run.is_terminal:
                trigger = execution.trigger(run, shown)
                self.defer(trigger=trigger, method_name=self.execute_complete.__name__)
            run = execution.follow(run, shown)
        return self._conclude(execution, run)

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> Any:
        """Finish the task with the outcome that the trigger reports."""
        if is_of_another_try(context, str(event.get("uid") or "")):
            self.log.info(
                "Ignoring the event of an earlier try's trigger: waiting for this try's TaskRun"
            )
            return self.execute(context)
        execution = self._begin(context)
        return self._conclude(execution, execution.run_of_event(event))

    @override
    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Resume after a deferral; if it failed and no try follows, cancel the run."""
        if next_method == _FAILED_DEFERRAL:
            own, manifest = self._ordered(context)
            too_long = "timeout" in str((next_kwargs or {}).get("error"))
            self._begin(context).abandon(own, self._namespace(manifest), too_long=too_long)
        return super().resume_execution(next_method, next_kwargs, context)

    @override
    def on_kill(self) -> None:
        """Interrupt the wait; `execute` then raises, and cancels the run where necessary."""
        self._stop_requested = True  # an execution that begins later must stop as well
        if self._execution is not None:
            self._execution.stop()

    @override
    def dry_run(self) -> None:
        """Print the TaskRun as YAML, and create nothing."""
        import yaml  # noqa: PLC0415  # only a dry run needs it

        own = Try(self.dag_id, self.task_id, "dry-run", -1, 0, 0, "", "dry-run")
        print(yaml.safe_dump(self.build_task_run(own), sort_keys=False))  # noqa: T201

    def build_task_run(self, own: Try, context: Mapping[str, Any] = _NO_CONTEXT) -> Object:
        """Return the TaskRun manifest of a try; a subclass may change it.

        Raises:
            TaskRunMisconfigured: The arguments are invalid, or `mutate` has changed the name or
                the marks that identify the try.
        """
        try:
            self._check_types()
            manifest = build(self.order(context), own, self.argument_names)
            manifest["metadata"] |= self.place(own)
        except ValueError as refusal:
            raise TaskRunMisconfigured(str(refusal)) from None
        if self.mutate is not None:
            name = manifest["metadata"]["name"]
            manifest = self.mutate(manifest) or manifest
            if problem := lost_identity(manifest, name, own):
                raise TaskRunMisconfigured(f"mutate: {problem}")
        return manifest

    def _check_types(self) -> None:
        """Check the arguments that are not fields of an Order.

        Raises:
            ValueError: An argument has the wrong type.
        """
        for name in ("name", "namespace", *_CONNECTED):
            check_string(name, getattr(self, name))
        check_container_names("container_logs", self.container_logs)
        for name in ("skip_on_exit_code", "fail_on_exit_code"):
            check_exit_codes(name, getattr(self, name))
        check_seconds("defer_after", self.defer_after)
        if self.mutate is not None and not callable(self.mutate):
            raise wrong_type("mutate", self.mutate, "a function that takes the TaskRun as a dict")

    def place(self, own: Try) -> dict[str, str]:
        """Return the name of a try's TaskRun, and its namespace if `namespace` does not hold it.

        Raises:
            ValueError: As `order`.
        """
        return {"name": own.named(self.name) if self.name else own.name}

    def order(self, context: Mapping[str, Any]) -> Order:  # noqa: ARG002  # for subclasses
        """Return the task's arguments as an Order; a subclass may derive them from its own.

        Args:
            context: Airflow's context of the try; empty in a dry run.

        Raises:
            ValueError: An argument asks for something that a TaskRun cannot do.
        """
        return Order(**{name: getattr(self, name) for name in _ORDERED})

    def shown_logs(self, spec: Mapping[str, Any]) -> Shown | None:
        """Return the containers of a TaskRun's spec whose logs are copied; None without logs."""
        if not self.get_logs:
            return None
        containers = Containers.of(spec)
        every = (*containers.init, *containers.regular)
        return containers.shown(names_of(self.container_logs, every, default=[containers.main]))

    def access(self) -> Access:
        """Return the parts of the connection that the task itself names."""
        return Access(
            self.taskruns_conn_id,
            self.kubernetes_conn_id,
            in_cluster=self.in_cluster,
            config_file=self.config_file,
            cluster_context=self.cluster_context,
        )

    @override
    def resolve_template_files(self) -> None:
        if self._names_a_file:
            environment = self.get_template_env()
            assert environment.loader is not None  # noqa: S101  # Airflow sets it to the DAG's folder
            self.template, _, _ = environment.loader.get_source(environment, self.template)
        super().resolve_template_files()

    @property
    def _names_a_file(self) -> bool:
        return isinstance(self.template, str) and self.template.endswith(_TEMPLATE_FILES)

    def _read_template(self, context: Context) -> None:
        """Read and render the template file of a mapped task, which Airflow has not resolved."""
        if self._names_a_file:
            self.template = self.get_template_env().get_template(self.template).render(context)

    def _ordered(self, context: Context) -> tuple[Try, Object]:
        own = try_of(context)
        self._read_template(context)
        return own, self.build_task_run(own, context)

    def _namespace(self, manifest: Object) -> str | None:
        return manifest["metadata"].get("namespace") or self.namespace

    def _begin(self, context: Context) -> "Execution":
        from taskruns_airflow.execution import Execution  # noqa: PLC0415
        from taskruns_airflow.hook import TaskRunHook  # noqa: PLC0415

        hook = TaskRunHook.of(self.access())
        self._execution = execution = Execution(hook, context, self.log)
        if self._stop_requested:
            execution.stop()
        return execution

    def _conclude(self, execution: "Execution", run: TaskRun) -> Any:
        codes = ExitCodes(exit_codes(self.skip_on_exit_code), exit_codes(self.fail_on_exit_code))
        return execution.conclude(run, codes, with_result=bool(self.do_xcom_push))


def exit_codes(codes: int | Collection[int] | None) -> Collection[int]:
    """Return exit codes as a collection, given one, several or None."""
    return () if codes is None else (codes,) if isinstance(codes, int) else codes
