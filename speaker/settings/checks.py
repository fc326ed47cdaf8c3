"""What is wrong between flags, and what is right but doubtful.

Knows how flags depend on each other. Every check adds a problem to `Values`; a notice is a sentence
that the log shows once while the speaker runs on.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from annotations.problems import bounded
from speaker.model.prefix import Address, family_of
from speaker.settings import bgp_flags as bgp
from speaker.settings import fabric_flags as fabric
from speaker.settings import process_flags as process
from speaker.settings import session_flags as session
from speaker.settings.collect import Values
from speaker.settings.flag import ENVIRONMENT_PREFIX, Flag
from speaker.settings.table import FLAGS
from speaker.texts.shown import LONGEST_SHOWN

LONGEST_MD5_KEY = 80
"""Linux takes TCP MD5 keys of at most TCP_MD5SIG_MAXKEYLEN octets."""

_BUSY_BFD = 50
"""The interval in milliseconds below which a missed turn of the event loop may look like death."""

_GRACEFUL_RESTART_RANGES = (
    (bgp.GRACEFUL_RESTART_TIME, 4095, "must be from 1s to 4095s, in whole seconds"),
    (bgp.GRACEFUL_RESTART_DEFERRAL_TIME, 64800, "must be from 1s to 18h, in whole seconds"),
)


def check(values: Values) -> None:
    """Find what is wrong between flags."""
    _check_neighbors(values)
    _check_timers(values)
    _check_unsupported(values)
    _check_password(values)
    _check_sessions(values)
    _check_fabric(values)
    if values[bgp.TTL_SECURITY] is not None and values[bgp.EBGP_MULTIHOP] != 1:
        values.problem(bgp.TTL_SECURITY, "excludes --ebgp-multihop: it counts the hops by itself")
    restarts = values[bgp.GRACEFUL_RESTART] or values[fabric.FABRIC]
    if values[bgp.SHUTDOWN] == "graceful-restart" and not restarts:
        values.problem(bgp.SHUTDOWN, "needs --graceful-restart or --fabric")
    ports = {values[process.METRICS_PORT], values[process.PPROF_PORT]} - {None}
    if len(ports) > 1:
        values.problem(process.PPROF_PORT, "is another name for --metrics-port, which says otherwise")


def _check_neighbors(values: Values) -> None:
    flags = (bgp.NEIGHBOR_ADDRESS, bgp.NEIGHBOR_IPV6_ADDRESS, session.NEIGHBOR_RANGE)
    given = any(values.was_given(flag) for flag in flags)
    if given or not values[fabric.FABRIC]:
        for number in (bgp.NEIGHBOR_AS, bgp.CLUSTER_AS):
            if values[number] is None and not values.was_given(number):
                values.missing(f"--{number.name}")
    if not given and values[fabric.FABRIC]:
        return
    if not given:
        values.missing("--neighbor-address, --neighbor-ipv6-address or --neighbor-range")
    elif not any(values[flag] for flag in flags) and not values.problems:
        values.problem(next(flag for flag in flags if values.was_given(flag)), "must name a peer")
    for flag in flags:
        addresses = values[flag]
        twice = sorted({str(address) for address in addresses if addresses.count(address) > 1})
        if twice:
            values.problem(flag, f"names {', '.join(twice)} more than once")


def _check_timers(values: Values) -> None:
    hold_time, keepalive = values[bgp.HOLDTIME], values[bgp.KEEPALIVE]
    if keepalive is not None and hold_time and keepalive >= hold_time:
        values.problem(bgp.KEEPALIVE, "must be less than --holdtime, at best a third of it")
    if not values[bgp.GRACEFUL_RESTART]:
        return  # Kube-OVN looks at the two times only when they count; a DaemonSet may carry any
    for flag, most, sentence in _GRACEFUL_RESTART_RANGES:
        if not 1 <= values[flag] <= most or values[flag].denominator != 1:
            values.problem(flag, sentence)


def _check_sessions(values: Values) -> None:
    """What sessions offer, against what they are."""
    internal = values[bgp.NEIGHBOR_AS] is not None and values[bgp.NEIGHBOR_AS] == values[bgp.CLUSTER_AS]
    if values[session.ROLE] is not None and internal:
        values.problem(session.ROLE, "is for eBGP sessions: --neighbor-as must differ from --cluster-as")
    if values[session.ROLE_STRICT] and values[session.ROLE] is None:
        values.problem(session.ROLE_STRICT, "needs --role")
    listens = (bgp.PASSIVEMODE, bgp.LISTEN_PORT, session.NEIGHBOR_RANGE, fabric.FABRIC)
    if values[session.LISTEN_ADDRESS] and not any(values[flag] for flag in listens):
        values.problem(
            session.LISTEN_ADDRESS, "needs --listen-port, --passivemode, --neighbor-range or --fabric"
        )
    if values[bgp.GRACEFUL_RESTART]:
        return
    if values[session.GRACEFUL_RESTART_NOTIFICATION]:
        values.problem(session.GRACEFUL_RESTART_NOTIFICATION, "needs --graceful-restart")
    if values[session.LONG_LIVED_GRACEFUL_RESTART_TIME] > 0:
        values.problem(session.LONG_LIVED_GRACEFUL_RESTART_TIME, "needs --graceful-restart")


def _check_fabric(values: Values) -> None:
    learns = values[fabric.FABRIC] or values[fabric.IMPORT_ROUTES]
    for flag in (fabric.IMPORT_PREFIX, fabric.KERNEL_TABLE, fabric.KERNEL_METRIC):
        if values.was_given(flag) and not learns:
            values.problem(flag, "needs --fabric or --import-routes")


def _check_unsupported(values: Values) -> None:
    for flag in FLAGS:
        if flag.unsupported and values[flag]:
            values.problem(flag, flag.unsupported)


def _check_password(values: Values) -> None:
    password = values[bgp.AUTH_PASSWORD]
    if password and values[bgp.AUTH_PASSWORD_FILE]:
        values.problem(bgp.AUTH_PASSWORD_FILE, "excludes --auth-password; give one of them")
    problem = password_problem(password) if password else ""
    if problem:
        values.problem(bgp.AUTH_PASSWORD, problem)


def password_problem(password: str) -> str:
    """What is wrong with a TCP MD5 password, without showing it, or ""."""
    length = len(password.encode(errors="surrogateescape"))
    return "" if 0 < length <= LONGEST_MD5_KEY else f"must be of 1 to {LONGEST_MD5_KEY} octets"


def notices(values: Values, environ: Mapping[str, str]) -> tuple[str, ...]:
    """What is right but should be told, a sentence each."""
    found = [*_without_effect(values), *_unknown_variables(environ)]
    if values.was_given(bgp.AUTH_PASSWORD) and "KRS_AUTH_PASSWORD" not in environ:
        found.append(
            "--auth-password shows the password in the process list; use --auth-password-file instead"
        )
    if values[bgp.PASSIVEMODE] and values[bgp.GRACEFUL_RESTART]:
        found.append(
            "with --passivemode and --graceful-restart the peers must connect again within"
            " --graceful-restart-time; some wait longer (FRR 210 seconds by default)"
        )
    if values[session.ENABLE_BFD] and min(values[session.BFD_MIN_TX], values[session.BFD_MIN_RX]) < _BUSY_BFD:
        found.append(
            f"--bfd-min-tx and --bfd-min-rx below {_BUSY_BFD} (milliseconds) make a busy node look dead"
        )
    families = [family_of(address) for address in values[bgp.NODE_IPS]]
    if len(families) > len(set(families)):
        found.append("--node-ips names several addresses of one family; the last of each counts")
    return tuple(found)


def last_of_each_family(addresses: Sequence[Address]) -> tuple[Address, ...]:
    """At most one address of each family, the last one, as Kube-OVN reads --node-ips."""
    return tuple({family_of(address): address for address in addresses}.values())


def _without_effect(values: Values) -> list[str]:
    """One sentence for all flags that have the same thing instead of them."""
    by_advice: dict[str, list[Flag[object]]] = {}
    for flag in FLAGS:
        if flag.instead and values.was_given(flag):
            by_advice.setdefault(flag.instead, []).append(flag)
    return [
        f"{', '.join(f'--{flag.name}' for flag in flags)} {'has' if len(flags) == 1 else 'have'}"
        f" no effect: {advice}"
        for advice, flags in by_advice.items()
    ]


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    known = [flag.variable for flag in FLAGS]
    sentences = []
    for name in sorted(environ):
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            sentences.append(f"the environment variable {bounded(name, LONGEST_SHOWN)} is no flag's{hint}")
    return sentences
