"""What each field of Calico's BGPConfiguration, BGPPeer and BGPFilter becomes in ours.

Knows both sets of fields, and says in a note what is not kept; not which resources belong together. Values
are taken over as they are: whether they are right is found out when the result is read.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from ipaddress import ip_network
from math import ceil

from annotations.keys import DEFAULT_PREFIX
from annotations.problems import bounded
from speaker.texts import go_values

Spec = Mapping[str, object]
Note = Callable[[str], None]

LONGEST_RESTART_TIME = 4095
MOST_LOCAL_ASNS = 10

# BIRD, which Calico runs, takes 240 s where nobody says otherwise, and 64 hops to every peer.
HOLD_TIME_OF_CALICO = "240s"
HOPS_OF_CALICO = 64
HOLD_TIME_OF_OURS = 90

_ANNOTATE = f"annotate the Services instead: kubectl annotate service NAME {DEFAULT_PREFIX}/bgp=true"

_CONFIGURATION_KEPT = ("asNumber", "listenPort")
_CONFIGURATION_NOTES = {
    "serviceClusterIPs": f"{_ANNOTATE}, with --announce-cluster-ip",
    "serviceExternalIPs": (
        f"{_ANNOTATE} and {DEFAULT_PREFIX}/bgp-addresses=external, with --announce-external-ip"
    ),
    "serviceLoadBalancerIPs": _ANNOTATE,
    "serviceLoadBalancerAggregation": "every address of a Service is a route of its own",
    "logSeverityScreen": "is the flag --log-level",
    "bindMode": "speakers listen on every address of their Node",
    "ignoredInterfaces": "no routes are made of interfaces",
    "localWorkloadPeeringIPV4": "there is no peering with Pods",
    "localWorkloadPeeringIPV6": "there is no peering with Pods",
    "programClusterRoutes": "is the flag --kernel-routes",
    "ipv4NormalRoutePriority": "is the flag --kernel-metric, one for both families",
    "ipv6NormalRoutePriority": "is the flag --kernel-metric, one for both families",
    "ipv4ElevatedRoutePriority": "there is one metric for all routes, the flag --kernel-metric",
    "ipv6ElevatedRoutePriority": "there is one metric for all routes, the flag --kernel-metric",
}

_PEER_KEPT = (
    *("node", "nodeSelector", "peerIP", "asNumber", "peerSelector", "reversePeering", "localASNumber"),
    *("sourceAddress", "filters", "nextHopMode"),
)
_PEER_NOTES = {
    "reachableBy": "add a route to the peer on the host, if it needs one",
    "localWorkloadSelector": "there is no peering with Pods",
}

_DIRECTIONS = ("exportV4", "importV4", "exportV6", "importV6")
_RULE_KEPT = ("action", "matchOperator", "prefixLength", "source", "peerType", "communities", "asPathPrefix")
_RULE_BLOCKERS = {
    "interface": "rules do not match interfaces",
    "priority": "rules do not match priorities",
}


def configuration_spec(spec: Spec, note: Note) -> dict[str, object]:
    """The spec of BGPConfiguration `default`; raises ValueError when a list is none."""
    found = _kept(spec, _CONFIGURATION_KEPT)
    found["nodeToNodeMeshEnabled"] = spec.get("nodeToNodeMeshEnabled")
    if found["nodeToNodeMeshEnabled"] is None:
        found["nodeToNodeMeshEnabled"] = True
        note("nodeToNodeMeshEnabled: true written down: Calico does so without being asked")
    _copy_time(spec, "nodeMeshMaxRestartTime", found, note, most=LONGEST_RESTART_TIME)
    _copy_password(spec, "nodeMeshPassword", found, note)
    if spec.get("communities"):
        found["communities"] = spec["communities"]
    advertisements = _mappings(spec, "prefixAdvertisements", "spec")
    if advertisements:
        found["prefixAdvertisements"] = [
            {**each, "cidr": _without_host_bits(each.get("cidr"), note)} for each in advertisements
        ]
    _note_rest(spec, found, _CONFIGURATION_NOTES, note)
    return found


def peer_spec(spec: Spec, note: Note) -> dict[str, object]:
    """The spec of a BGPPeer."""
    found = _kept(spec, _PEER_KEPT)
    if spec.get("keepOriginalNextHop") is True and "nextHopMode" not in found:
        found["nextHopMode"] = "Keep"
    _copy_password(spec, "password", found, note)
    _copy_time(spec, "maxRestartTime", found, note, most=LONGEST_RESTART_TIME)
    _copy_keepalive(spec, found, note)
    _copy_hops(spec, found, note)
    _copy_local_asns(spec, found, note)
    if "peerIP" in found:
        _add_hops(found, note)
    _note_rest(spec, {**found, "keepOriginalNextHop": None}, _PEER_NOTES, note)
    return found


def filter_spec(spec: Spec, note: Note) -> dict[str, object]:
    """The spec of a BGPFilter; raises ValueError when a list is none."""
    found: dict[str, object] = {}
    for name in _DIRECTIONS:
        rules = [
            kept
            for number, rule in enumerate(_mappings(spec, name, "spec"))
            if (kept := _rule(rule, f"{name}[{number}]", note)) is not None
        ]
        if rules:
            found[name] = rules
    _note_rest(spec, dict.fromkeys(_DIRECTIONS), {}, note)
    return found


def _rule(rule: Spec, place: str, note: Note) -> dict[str, object] | None:
    """One rule; None when it has a condition that is not kept: without it the rule would match more."""
    for name, why in _RULE_BLOCKERS.items():
        if rule.get(name):
            note(f"{place}.{name}: the rule is left out: {why}")
            return None
    found = _kept(rule, _RULE_KEPT)
    if rule.get("cidr"):
        found["cidr"] = _without_host_bits(rule["cidr"], note)
    operations = [
        kept
        for number, each in enumerate(_mappings(rule, "operations", f"spec.{place}"))
        if (kept := _operation(each, f"{place}.operations[{number}]", note)) is not None
    ]
    if operations:
        found["operations"] = operations
    for name in rule:
        if name not in {*found, "cidr", "operations", *_RULE_BLOCKERS} and not _is_nothing(rule[name]):
            note(f"{place}.{bounded(str(name))}: is not known and is left out")
    return found


def _operation(operation: Spec, place: str, note: Note) -> dict[str, object] | None:
    if "setPriority" in operation:
        note(f"{place}.setPriority: there is one metric for all routes, the flag --kernel-metric")
        return None
    if "prependASPath" in operation and place.startswith("import"):
        note(f"{place}.prependASPath: AS_PATH grows in export rules only")
        return None
    return dict(operation)


def _add_hops(found: dict[str, object], note: Note) -> None:
    """Write down the TTL that Calico gives packets to every router without being asked."""
    if "ttlSecurity" not in found:
        found["ebgpMultihop"] = HOPS_OF_CALICO
        note(f"ebgpMultihop: {HOPS_OF_CALICO} written down: Calico does so without being asked")


def _copy_keepalive(spec: Spec, found: dict[str, object], note: Note) -> None:
    _copy_time(spec, "keepaliveTime", found, note, most=None)
    keepalive = _seconds(found.get("keepaliveTime"))
    if keepalive is not None and 3 * keepalive > HOLD_TIME_OF_OURS:
        found["holdTime"] = HOLD_TIME_OF_CALICO
        note(f"holdTime: {HOLD_TIME_OF_CALICO} written down: it is what Calico's keepaliveTime was for")


def _copy_hops(spec: Spec, found: dict[str, object], note: Note) -> None:
    hops = spec.get("ttlSecurity")
    if hops in (None, 0):
        return
    if hops == 255:
        note("ttlSecurity: 255 hops permit any, so it is left out")
        return
    found["ttlSecurity"] = hops


def _copy_local_asns(spec: Spec, found: dict[str, object], note: Note) -> None:
    count = spec.get("numAllowedLocalASNumbers")
    if count is None:
        return
    if isinstance(count, int) and count > MOST_LOCAL_ASNS:
        note(f"numAllowedLocalASNumbers: at most {MOST_LOCAL_ASNS} are permitted")
        count = MOST_LOCAL_ASNS
    found["numAllowedLocalASNumbers"] = count


def _copy_time(spec: Spec, name: str, found: dict[str, object], note: Note, *, most: int | None) -> None:
    """Take over a time, in whole seconds and in our limits; a text that is none stays as it is."""
    value = spec.get(name)
    if _is_nothing(value):
        return
    exact = _seconds(value)
    if exact is None:
        found[name] = value
        return
    whole = ceil(exact) if most is None else min(ceil(exact), most)
    if whole != exact:
        note(f"{name}: {bounded(str(value))} becomes {whole}s")
    found[name] = f"{whole}s"


def _copy_password(spec: Spec, name: str, found: dict[str, object], note: Note) -> None:
    """Take over the reference; the Secret itself is never read."""
    password = spec.get(name)
    if password is None:
        return
    reference = password.get("secretKeyRef") if isinstance(password, dict) else None
    if not isinstance(reference, dict):
        found[name] = password
        return
    found[name] = {"secretKeyRef": _kept(reference, ("name", "key"))}
    secret = bounded(str(reference.get("name")))
    note(f"{name}: copy the Secret {secret} from the namespace of calico-node into that of the speaker")


def _seconds(value: object) -> Fraction | None:
    try:
        return go_values.duration(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _without_host_bits(value: object, note: Note) -> object:
    """A prefix as ours are written; what is none stays as it is."""
    if not isinstance(value, str) or "/" not in value:
        return value
    try:
        prefix = str(ip_network(value, strict=False))
    except ValueError:
        return value
    if ip_network(prefix) != _exact(value):
        note(f"cidr: {value} becomes {prefix}")
    return prefix


def _exact(value: str) -> object:
    try:
        return ip_network(value)
    except ValueError:
        return None


def _kept(spec: Spec, names: tuple[str, ...]) -> dict[str, object]:
    return {name: spec[name] for name in names if not _is_nothing(spec.get(name))}


def _note_rest(spec: Spec, found: Mapping[str, object], notes: Mapping[str, str], note: Note) -> None:
    for name, value in spec.items():
        if name not in found and name not in _HANDLED and not _is_nothing(value):
            note(f"{bounded(str(name))}: {notes.get(str(name), 'is not known and is left out')}")


_HANDLED = frozenset({"ttlSecurity"})
"""Fields with notes of their own."""


def _mappings(content: Spec, name: str, place: str) -> list[Mapping[str, object]]:
    """The mappings in a list; raises ValueError for anything else."""
    value = content.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError(f"{place}.{name}: must be a list of mappings")
    return value


def _is_nothing(value: object) -> bool:
    """Whether a field is as if it were absent: Calico leaves out what is empty."""
    return value is None or (not value and value is not False)
