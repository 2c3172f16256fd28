"""The operator's arguments that become fields of a TaskRun, by what they are about.

Each class takes its own and hands the rest on, so that Airflow knows every name: for
`default_args`, for `partial` and `expand`, and for misspelt ones. Objects of the Kubernetes client
become dicts at once, so that templates are rendered in all of them.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator

from taskruns_airflow.containers import Asked
from taskruns_airflow.serialization import plain


class ContainerArguments(BaseOperator):
    """What is said of the container."""

    def __init__(  # noqa: PLR0913  # each is a name that users of Kubernetes know
        self,
        *,
        image: str | None = None,
        command: Sequence[str] | None = None,
        arguments: Sequence[str] | None = None,
        working_dir: str | None = None,
        env: Mapping[str, Any] | Sequence[Any] | None = None,
        env_from: Sequence[Any] | None = None,
        container_resources: Any = None,
        volume_mounts: Sequence[Any] | None = None,
        image_pull_policy: str | None = None,
        security_context: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.image = image
        self.command = command
        self.arguments = arguments
        self.working_dir = working_dir
        self.env = plain(env)
        self.env_from = plain(env_from)
        self.container_resources = plain(container_resources)
        self.volume_mounts = plain(volume_mounts)
        self.image_pull_policy = image_pull_policy
        self.security_context = plain(security_context)


class PodArguments(ContainerArguments):
    """What is said of the Pod."""

    def __init__(  # noqa: PLR0913  # as above
        self,
        *,
        volumes: Sequence[Any] | None = None,
        image_pull_secrets: Sequence[Any] | None = None,
        service_account_name: str | None = None,
        node_selector: Mapping[str, str] | None = None,
        tolerations: Sequence[Any] | None = None,
        affinity: Any = None,
        priority_class_name: str | None = None,
        template: Any = None,
        labels: Mapping[str, str] | None = None,
        annotations: Mapping[str, str] | None = None,
        queue_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.volumes = plain(volumes)
        self.image_pull_secrets = plain(image_pull_secrets)
        self.service_account_name = service_account_name
        self.node_selector = node_selector
        self.tolerations = plain(tolerations)
        self.affinity = plain(affinity)
        self.priority_class_name = priority_class_name
        self.template = plain(template)
        self.labels = labels
        self.annotations = annotations
        self.queue_name = queue_name


class RunArguments(PodArguments):
    """What is said of the run as a whole."""

    def __init__(  # noqa: PLR0913  # as above
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        backoff_limit: int | None = None,
        disruption_limit: int | None = None,
        schedule_timeout_seconds: int | None = None,
        startup_timeout_seconds: int | None = None,
        pod_gc: Mapping[str, Any] | None = None,
        ttl_seconds_after_finished: int | None = None,
        get_logs: bool = True,
        container_logs: Asked = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.spec = plain(spec)
        self.backoff_limit = backoff_limit
        self.disruption_limit = disruption_limit
        self.schedule_timeout_seconds = schedule_timeout_seconds
        self.startup_timeout_seconds = startup_timeout_seconds
        self.pod_gc = pod_gc
        self.ttl_seconds_after_finished = ttl_seconds_after_finished
        self.get_logs = get_logs
        self.container_logs = container_logs
