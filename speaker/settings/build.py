"""Makes `Settings` from what the command line and the environment say."""

from collections.abc import Mapping
from ipaddress import IPv4Address

from annotations.problems import bounded
from speaker.model.peer import BfdTimers, GracefulRestart, Password
from speaker.model.policy import PodCidrSource, PublicationPolicy
from speaker.model.prefix import Address, Family
from speaker.settings import bgp_flags as bgp
from speaker.settings import fabric_flags as fabric
from speaker.settings import process_flags as process
from speaker.settings import publication_flags as publication
from speaker.settings import session_flags as session
from speaker.settings.checks import check, last_of_each_family, notices
from speaker.settings.collect import Values
from speaker.settings.settings import PodScope, Settings, ShutdownMode
from speaker.settings.table import FLAGS
from speaker.texts import readers
from speaker.texts.go_values import elements
from speaker.texts.shown import LONGEST_SHOWN

DEFAULT_METRICS_PORT = 10667
DEFAULT_BGP_PORT = 179


def settings_from(given: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """The settings that `given` and `environ` describe.

    Args:
        given: flag name (dashes or underscores) to a text, several texts, or None for not given.
        environ: the environment; it counts where `given` is silent.

    Raises:
        UsageError: something is wrong; its text tells every problem, a line each.
    """
    values = Values(FLAGS, given, environ)
    check(values)
    pod_ips = _pod_ips(values, environ)
    router_id = values[bgp.ROUTER_ID] or _derived_router_id(values, pod_ips)
    values.raise_problems()
    return Settings(
        node_name=values[process.NODE_NAME] or "",
        publication=_publication(values),
        neighbors=(*values[bgp.NEIGHBOR_ADDRESS], *values[bgp.NEIGHBOR_IPV6_ADDRESS]),
        neighbor_asn=values[bgp.NEIGHBOR_AS] or 0,
        local_asn=values[bgp.CLUSTER_AS] or 0,
        router_id=router_id,
        node_ips=last_of_each_family(values[bgp.NODE_IPS]),
        pod_ips=pod_ips,
        allowed_sources=(
            *values[bgp.ALLOWED_SOURCE_ADDRESSES],
            *values[bgp.ALLOWED_SOURCE_IPV6_ADDRESSES],
        ),
        neighbor_port=values[bgp.NEIGHBOR_PORT],
        families=frozenset(Family(text) for text in values[bgp.FAMILIES]),
        extended_next_hop=values[bgp.EXTENDED_NEXTHOP],
        hold_time_seconds=int(values[bgp.HOLDTIME]),
        keepalive_seconds=_whole(values[bgp.KEEPALIVE]),
        connect_retry_seconds=float(values[bgp.CONNECT_RETRY]),
        passive=values[bgp.PASSIVEMODE],
        listen_port=_listen_port(values),
        listen_addresses=values[session.LISTEN_ADDRESS],
        interface=values[session.INTERFACE],
        neighbor_ranges=values[session.NEIGHBOR_RANGE],
        neighbor_range_limit=values[session.NEIGHBOR_RANGE_LIMIT],
        extended_messages=values[session.EXTENDED_MESSAGES],
        add_path_send=values[session.ADD_PATH] in {"send", "both"},
        add_path_receive=values[session.ADD_PATH] in {"receive", "both"},
        role=values[session.ROLE],
        role_strict=values[session.ROLE_STRICT],
        max_prefixes=values[session.MAX_PREFIXES],
        bfd=_bfd(values),
        multihop_ttl=values[bgp.EBGP_MULTIHOP],
        ttl_security_hops=values[bgp.TTL_SECURITY],
        password=_password(values),
        password_file=values[bgp.AUTH_PASSWORD_FILE],
        graceful_restart=_graceful_restart(values),
        fabric=values[fabric.FABRIC],
        import_routes=values[fabric.IMPORT_ROUTES],
        import_prefixes=values[fabric.IMPORT_PREFIX],
        kernel_routes=values[fabric.KERNEL_ROUTES],
        kernel_table=values[fabric.KERNEL_TABLE],
        kernel_metric=values[fabric.KERNEL_METRIC],
        shutdown=ShutdownMode(values[bgp.SHUTDOWN]),
        drain_seconds=float(values[bgp.DRAIN_SECONDS]),
        kubeconfig=values[process.KUBECONFIG],
        pod_scope=PodScope(values[publication.POD_SCOPE]),
        pod_namespace=environ.get("POD_NAMESPACE", ""),
        daemonset_name=environ.get("DAEMONSET_NAME", ""),
        metrics_address=_metrics_address(values, pod_ips),
        metrics_port=_metrics_port(values),
        control_socket=values[process.CONTROL_SOCKET],
        log_level=values[process.LOG_LEVEL],
        log_format=values[process.LOG_FORMAT],
        notices=notices(values, environ),
    )


def _publication(values: Values) -> PublicationPolicy:
    prefix = values[publication.ANNOTATION_PREFIX]
    label_given = values.was_given(publication.NODE_LABEL)
    return PublicationPolicy(
        node_name=values[process.NODE_NAME] or "",
        annotation_prefix=prefix,
        node_label=values[publication.NODE_LABEL] if label_given else (f"{prefix}/bgp", "true"),
        announce_cluster_ip=values[publication.ANNOUNCE_CLUSTER_IP],
        announce_lb_ip=values[publication.ANNOUNCE_LB_IP],
        announce_external_ip=values[publication.ANNOUNCE_EXTERNAL_IP],
        announce_pod_cidr=_announce_pod_cidr(values),
        announce_subnet_pods=values[publication.ANNOUNCE_SUBNET_PODS],
        announce_without_endpoints=values[publication.ANNOUNCE_WITHOUT_ENDPOINTS],
        pod_cidr_source=PodCidrSource(values[publication.POD_CIDR_SOURCE]),
        allowed_prefixes=values[publication.ALLOWED_PREFIX],
        allow_attributes=frozenset(values[publication.ALLOW_ATTRIBUTES]),
        allowed_communities=values[publication.ALLOWED_COMMUNITY],
        trust_pod_annotations=values[publication.TRUST_POD_ANNOTATIONS],
        max_advertised_prefixes=values[publication.MAX_ADVERTISED_PREFIXES],
        max_prefixes_per_namespace=values[publication.MAX_PREFIXES_PER_NAMESPACE],
        drain_on_cordon=values[bgp.DRAIN_ON_CORDON],
    )


def _announce_pod_cidr(values: Values) -> bool:
    """As the flag says; without it a node of a fabric tells its Pod CIDRs, which is what a fabric is for."""
    if values.was_given(publication.ANNOUNCE_POD_CIDR):
        return values[publication.ANNOUNCE_POD_CIDR]
    return values[fabric.FABRIC]


def _pod_ips(values: Values, environ: Mapping[str, str]) -> tuple[Address, ...]:
    """The addresses in POD_IPS, else in POD_IP; () when neither is set."""
    name = "POD_IPS" if environ.get("POD_IPS") else "POD_IP"
    text = environ.get(name, "")
    try:
        return tuple(readers.address(element) for element in elements(text))
    except ValueError as error:
        values.problems.append(f"{name}={bounded(text, LONGEST_SHOWN)}: {error}")
        return ()


def _derived_router_id(values: Values, pod_ips: tuple[Address, ...]) -> IPv4Address:
    """The first IPv4 address of the Pod, else of --node-ips; a problem when there is none."""
    candidates = (*pod_ips, *last_of_each_family(values[bgp.NODE_IPS]))
    found = next((item for item in candidates if isinstance(item, IPv4Address) and int(item)), None)
    if found is None and not values.was_given(bgp.ROUTER_ID) and not values[fabric.FABRIC]:
        values.problems.append(
            "--router-id: must be given, since neither POD_IPS, POD_IP nor --node-ips has an IPv4 address"
            " to take it from"
        )
    return found or IPv4Address(1)


def _password(values: Values) -> Password | None:
    text = values[bgp.AUTH_PASSWORD]
    return Password(text) if text else None


def _graceful_restart(values: Values) -> GracefulRestart | None:
    if not values[bgp.GRACEFUL_RESTART]:
        return None
    return GracefulRestart(
        restart_time_seconds=int(values[bgp.GRACEFUL_RESTART_TIME]),
        deferral_time_seconds=int(values[bgp.GRACEFUL_RESTART_DEFERRAL_TIME]),
        notification=values[session.GRACEFUL_RESTART_NOTIFICATION],
        long_lived_seconds=int(values[session.LONG_LIVED_GRACEFUL_RESTART_TIME]),
    )


def _listen_port(values: Values) -> int | None:
    listens = values[bgp.PASSIVEMODE] or values[session.NEIGHBOR_RANGE]
    return values[bgp.LISTEN_PORT] or (DEFAULT_BGP_PORT if listens else None)


def _bfd(values: Values) -> BfdTimers | None:
    if not values[session.ENABLE_BFD]:
        return None
    return BfdTimers(
        transmit_milliseconds=values[session.BFD_MIN_TX],
        receive_milliseconds=values[session.BFD_MIN_RX],
        multiplier=values[session.BFD_DETECTION_MULTIPLIER],
    )


def _metrics_address(values: Values, pod_ips: tuple[Address, ...]) -> Address | None:
    if not values[process.ENABLE_METRICS]:
        return None
    own = pod_ips[0] if pod_ips else IPv4Address("0.0.0.0")  # noqa: S104 - read-only and without secrets
    return values[process.METRICS_ADDRESS] or own


def _metrics_port(values: Values) -> int:
    for flag in (process.METRICS_PORT, process.PPROF_PORT):
        port = values[flag]
        if port is not None:
            return port
    return DEFAULT_METRICS_PORT


def _whole(seconds: object) -> int | None:
    return None if seconds is None else int(str(seconds))
