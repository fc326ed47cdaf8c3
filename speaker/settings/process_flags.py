"""The flags about the process, and those of Kube-OVN that have no effect: rows of the flag table."""

from speaker.model.prefix import Address
from speaker.settings.flag import Flag, Group
from speaker.texts.readers import (
    IGNORED,
    IGNORED_SWITCH,
    SWITCH,
    address,
    choice,
    dns_subdomain,
    integer,
    one,
    optional,
)

NODE_NAME: Flag[str | None] = Flag(
    name="node-name",
    group=Group.PROCESS,
    reader=optional("name", dns_subdomain),
    help="The node that this speaker stands for.",
    required=True,
    environment=("NODE_NAME",),
    from_kube_ovn=True,
)
KUBECONFIG: Flag[str | None] = Flag(
    name="kubeconfig",
    group=Group.PROCESS,
    reader=optional("path", str),
    help="The kubeconfig file to reach the API server with.",
    shown_default="the Pod's ServiceAccount",
    from_kube_ovn=True,
)
ENABLE_METRICS: Flag[bool] = Flag(
    name="enable-metrics",
    group=Group.PROCESS,
    reader=SWITCH,
    help="Serve /metrics, /livez and /readyz over HTTP.",
    default="true",
    from_kube_ovn=True,
)
METRICS_ADDRESS: Flag[Address | None] = Flag(
    name="metrics-address",
    group=Group.PROCESS,
    reader=optional("address", address),
    help="The address to serve them on.",
    shown_default="POD_IP, else 0.0.0.0",
)
METRICS_PORT: Flag[int | None] = Flag(
    name="metrics-port",
    group=Group.PROCESS,
    reader=optional("port", integer(0, 65535)),
    help="The TCP port to serve them on; 0 lets the kernel choose.",
    shown_default="10667",
)
PPROF_PORT: Flag[int | None] = Flag(
    name="pprof-port",
    group=Group.PROCESS,
    reader=optional("port", integer(0, 65535)),
    help="Kube-OVN's name for --metrics-port.",
    shown_default="10667",
    from_kube_ovn=True,
)
CONTROL_SOCKET: Flag[str | None] = Flag(
    name="control-socket",
    group=Group.PROCESS,
    reader=optional("path", str),
    help="The unix socket (mode 0600) that speaker status, routes and explain talk to; empty turns it off.",
    default="/run/kube-route-speaker/control.sock",
)
LOG_FORMAT: Flag[str] = Flag(
    name="log-format",
    group=Group.PROCESS,
    reader=one("format", choice("text", "json")),
    help="How log lines are written to standard error.",
    default="text",
)
LOG_LEVEL: Flag[str] = Flag(
    name="log-level",
    group=Group.PROCESS,
    reader=one("level", choice("debug", "info", "warning", "error")),
    help="The least level that is logged.",
    default="info",
)

PROCESS_FLAGS: tuple[Flag[object], ...] = (
    NODE_NAME,
    KUBECONFIG,
    ENABLE_METRICS,
    METRICS_ADDRESS,
    METRICS_PORT,
    PPROF_PORT,
    CONTROL_SOCKET,
    LOG_FORMAT,
    LOG_LEVEL,
)

_LOG_TO_STDERR = "logs go to standard error alone, where kubectl logs finds them"
_LOG_LEVEL_INSTEAD = "use --log-level=debug to log more"
_LOG_FORMAT_INSTEAD = "use --log-format to choose how log lines look"
_SOCKET_INSTEAD = "use speaker status and speaker routes, which talk to --control-socket"


def _without_effect(name: str, instead: str, *, boolean: bool = False, short: str = "") -> Flag[object]:
    return Flag(
        name=name,
        group=Group.ACCEPTED,
        reader=IGNORED_SWITCH if boolean else IGNORED,
        help=f"{instead[0].upper()}{instead[1:]}.",
        short=short,
        from_kube_ovn=True,
        instead=instead,
    )


ACCEPTED_FLAGS: tuple[Flag[object], ...] = (
    _without_effect("grpc-host", _SOCKET_INSTEAD),
    _without_effect("grpc-port", _SOCKET_INSTEAD),
    _without_effect("log-perm", _LOG_TO_STDERR),
    _without_effect("v", _LOG_LEVEL_INSTEAD, short="v"),
    _without_effect("vmodule", _LOG_LEVEL_INSTEAD),
    _without_effect("logtostderr", _LOG_TO_STDERR, boolean=True),
    _without_effect("alsologtostderr", _LOG_TO_STDERR, boolean=True),
    _without_effect("stderrthreshold", _LOG_LEVEL_INSTEAD),
    _without_effect("alsologtostderrthreshold", _LOG_LEVEL_INSTEAD),
    _without_effect("legacy_stderr_threshold_behavior", _LOG_LEVEL_INSTEAD, boolean=True),
    _without_effect("log_file", _LOG_TO_STDERR),
    _without_effect("log_dir", _LOG_TO_STDERR),
    _without_effect("log_file_max_size", _LOG_TO_STDERR),
    _without_effect("log_backtrace_at", _LOG_LEVEL_INSTEAD),
    _without_effect("one_output", _LOG_TO_STDERR, boolean=True),
    _without_effect("skip_headers", _LOG_FORMAT_INSTEAD, boolean=True),
    _without_effect("skip_log_headers", _LOG_FORMAT_INSTEAD, boolean=True),
    _without_effect("add_dir_header", _LOG_FORMAT_INSTEAD, boolean=True),
)
"""Flags of Kube-OVN's speaker and of klog v2 (k8s.io/klog) that DaemonSets carry."""
