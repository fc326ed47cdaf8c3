# ruff: noqa: INP001 - a script beside the pages it writes, no package
"""Writes docs/reference from the code, so that no page says what the code does not.

python docs/generate.py           writes the pages
python docs/generate.py --check   fails and names the pages that differ
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from annotations import values
from annotations.keys import DEFAULT_PREFIX, keys_under
from speaker.bgp.changes import EFFECTS, Effect
from speaker.fabric import nodes, selector
from speaker.metrics import METRICS
from speaker.model.publication import REASON_SENTENCES
from speaker.settings import FLAGS, HOST_VARIABLES, Flag, Group
from speaker.settings.advertise_flags import ADVERTISE_FLAGS
from speaker.settings.peer_fields import Field
from speaker.settings.peer_options import BFD_FIELDS, GRACEFUL_RESTART_FIELDS, OPTIONS
from speaker.settings.peer_rows import PEER_FIELDS, TOP_FIELDS

REFERENCE = Path(__file__).parent / "reference"
RESOURCES = Path(__file__).parents[1] / "manifests" / "crds"
NOTE = "<!-- Made from the code by docs/generate.py; change the code and run `make docs`. -->"

KUBE_OVN = "¹"

ANNOTATIONS = {
    "policy": (
        "anything that can be published, and its Subnet or Namespace",
        (
            "Whether to publish it, and from which nodes. `true`, `yes` and `cluster`: from every node."
            " `local`: only from the node that holds the workload. `false` and `no`: not at all, even if the"
            " Subnet or the Namespace says so. A Pod's own annotation is stronger than its Subnet's, and that"
            " than its Namespace's; a Service's is stronger than its Namespace's."
        ),
        values.POLICY_EXPECTED,
    ),
    "communities": (
        "as above",
        (
            "The communities that travel with the prefixes. On objects in a namespace only as"
            " `--allow-attributes` and `--allowed-community` permit."
        ),
        values.COMMUNITIES_EXPECTED,
    ),
    "med": (
        "as above",
        "MULTI_EXIT_DISC. On objects in a namespace only as `--allow-attributes` permits.",
        values.UINT32_EXPECTED,
    ),
    "local_preference": (
        "as above",
        "LOCAL_PREF, toward iBGP peers only. On objects in a namespace only as `--allow-attributes` permits.",
        values.UINT32_EXPECTED,
    ),
    "as_path_prepend": (
        "as above",
        (
            "How many times more our AS number stands in AS_PATH, toward eBGP peers only. On objects in a"
            " namespace only as `--allow-attributes` permits."
        ),
        values.PREPEND_EXPECTED,
    ),
    "peers": (
        "as above",
        "The only peers that hear it. On objects in a namespace only as `--allow-attributes` permits.",
        values.PEERS_EXPECTED,
    ),
    "addresses": (
        "Service",
        (
            "Which addresses of a Service are meant. Its cluster IPs are published only with"
            " `--announce-cluster-ip`, its external IPs only when named here and with"
            " `--announce-external-ip`."
        ),
        values.ADDRESSES_EXPECTED,
    ),
}
"""For each key of `annotations.keys.Keys`: on what it may stand, its meaning, and its values."""


def flags_page() -> Iterable[str]:
    """The page about flags, from the flag table."""
    yield from _title(
        "Flags",
        "Of `speaker run`; `speaker plan` and `speaker preflight` take them too. Each can also be given in"
        " the environment, as `KRS_` and its name in capitals (`--neighbor-as` is `KRS_NEIGHBOR_AS`); the"
        " command line is stronger. Values are written as Go programs take them: durations with their unit"
        " (`90s`, `1m30s`), booleans as `--passivemode`, `--passivemode=true` or `--passivemode=false`,"
        " lists by comma or by repetition. All problems are told at once, with exit status 2.",
        f"{KUBE_OVN} Kube-OVN's speaker has the flag too, with this meaning.",
    )
    for group in Group:
        rows = [_flag_row(flag) for flag in FLAGS if flag.group is group]
        yield from ("", f"## {group.value}", "")
        yield from _table(("Flag", "Type", "Default", "Meaning"), rows)
    yield from ("", "## Environment of the Pod", "")
    yield from _table(("Variable", "Meaning"), [(f"`{name}`", text) for name, text in HOST_VARIABLES.items()])


def advertise_page() -> Iterable[str]:
    """The page about `speaker advertise`: its flags, and the fields of the file of peers."""
    yield from _title(
        "Flags and file of speaker advertise",
        "Flags are given as those of `speaker run`: on the command line, or in the environment as `KRS_` and"
        " the name in capitals.",
        "",
    )
    for group in dict.fromkeys(flag.group for flag in ADVERTISE_FLAGS):
        yield from ("", f"## {group.value}", "")
        # Kube-OVN's speaker has no such command, whichever of its flags have these names.
        rows = [
            _flag_row(replace(flag, from_kube_ovn=False)) for flag in ADVERTISE_FLAGS if flag.group is group
        ]
        yield from _table(("Flag", "Type", "Default", "Meaning"), rows)
    options = frozenset(option.name for option in OPTIONS)
    for title, words, fields in (
        ("The file", "YAML or JSON, at top level:", _without(TOP_FIELDS, options)),
        ("Peers in the file", "In each item of `peers`:", _without(PEER_FIELDS, options)),
        (
            "Options in the file",
            (
                "In a peer, or at top level for every peer that does not say otherwise. `null` in a peer sets"
                " one back to its default. Durations have their unit (`90s`) or are numbers of seconds."
            ),
            OPTIONS,
        ),
        ("gracefulRestart", "As a mapping:", GRACEFUL_RESTART_FIELDS),
        ("bfd", "As a mapping:", BFD_FIELDS),
    ):
        yield from ("", f"## {title}", "", words, "")
        yield from _table(
            ("Field", "Type", "Default", "Meaning"),
            [(f"`{field.name}`", field.kind, field.shown_default, field.help) for field in fields],
        )


def _without(fields: Sequence[Field[object]], names: frozenset[str]) -> Sequence[Field[object]]:
    return [field for field in fields if field.name not in names]


def _flag_row(flag: Flag[object]) -> Sequence[str]:
    name = f"`--{flag.name}`" + (f", `-{flag.short}`" if flag.short else "")
    default = flag.shown_default or (f"`{flag.default}`" if flag.default else "")
    needs = "**required**" if flag.required else default
    also = "".join(f" Also `{variable}`." for variable in flag.environment)
    refused = f" Refused: {flag.unsupported}." if flag.unsupported else ""
    return (
        name + (KUBE_OVN if flag.from_kube_ovn else ""),
        flag.reader.kind,
        needs,
        flag.help + also + refused,
    )


def annotations_page() -> Iterable[str]:
    """The page about annotations, from their keys and values."""
    yield from _title(
        "Annotations",
        f"Every key stands under a prefix, `{DEFAULT_PREFIX}` unless `--annotation-prefix` says otherwise."
        " Removing an annotation withdraws what it published. A value that cannot be understood counts as"
        " not written: the speaker says so in its log, in an Event on the object and in `speaker explain`.",
    )
    keys = keys_under(DEFAULT_PREFIX)
    rows = []
    for field, (objects, meaning, expected) in ANNOTATIONS.items():
        rows.append((f"`{getattr(keys, field)}`", objects, meaning, expected.removeprefix("write ")))
    missing = keys.known - {getattr(keys, field) for field in ANNOTATIONS}
    if missing:
        raise SystemExit(f"docs/generate.py says nothing of {', '.join(sorted(missing))}")
    yield ""
    yield from _table(("Annotation", "On", "Meaning", "Value"), rows)
    yield from ("", "Well-known communities, by name:", "")
    names = sorted(values.WELL_KNOWN_COMMUNITIES.items())
    yield from _table(
        ("Name", "Value"), [(f"`{name}`", f"{value >> 16}:{value & 0xFFFF}") for name, value in names]
    )


def reasons_page() -> Iterable[str]:
    """The page about exclusion reasons, from their sentences."""
    yield from _title(
        "Exclusion reasons",
        "Every prefix of an object that asks for publication is either advertised by a node or excluded with"
        " one of these reasons. They stand in the log, in Events, in the metric"
        " `route_speaker_exclusions`, in `speaker explain` and in `speaker plan`.",
        "",
    )
    rows = [(f"`{reason}`", sentence[0].upper() + sentence[1:] + ".") for reason, sentence in _reasons()]
    yield from _table(("Reason", "Meaning"), rows)


def _reasons() -> Iterable[tuple[str, str]]:
    return ((reason.value, sentence) for reason, sentence in REASON_SENTENCES.items())


def metrics_page() -> Iterable[str]:
    """The page about metrics, from their definitions."""
    yield from _title(
        "Metrics",
        "Served as `/metrics` on `--metrics-address` and `--metrics-port`, beside `/livez` and `/readyz`.",
        "",
    )
    rows = [
        (
            f"`{metric.name}`",
            metric.type.value,
            ", ".join(f"`{label}`" for label in metric.labels),
            metric.help,
        )
        for metric in METRICS
    ]
    yield from _table(("Metric", "Type", "Labels", "Meaning"), rows)


CHANGES = {
    "address": ("`--neighbor-address`, `--neighbor-ipv6-address`", "`peerIP`", "`peerIP`"),
    "asn": ("`--neighbor-as`", "`peerASN`", "`asNumber`"),
    "local_asn": ("`--cluster-as`", "`localASN`", "`localASNumber`"),
    "role": ("`--role`", "`role`", ""),
    "role_strict": ("`--role-strict`", "`roleStrict`", ""),
    "router_id": ("`--router-id`", "`routerID`", ""),
    "families": ("`--families`", "`families`", "`families`"),
    "port": ("`--neighbor-port`", "`peerPort`", "`peerIP`"),
    "hold_time_seconds": ("`--holdtime`", "`holdTime`", "`holdTime`"),
    "keepalive_seconds": ("`--keepalive`", "`keepaliveTime`", "`keepaliveTime`"),
    "connect_retry_seconds": ("`--connect-retry`", "`connectRetry`", "`connectRetry`"),
    "passive": ("`--passivemode`", "`passive`", "`passive`"),
    "multihop_ttl": ("`--ebgp-multihop`", "`ebgpMultihop`", "`ebgpMultihop`"),
    "ttl_security_hops": ("`--ttl-security`", "`ttlSecurity`", "`ttlSecurity`"),
    "password": ("the file of `--auth-password-file`", "the file of `passwordFile`", "`password`"),
    "source": ("`--allowed-source-addresses`", "`sourceAddress`", "`sourceAddress`"),
    "interface": ("`--interface`", "`interface`", ""),
    "extended_next_hop": ("`--extended-nexthop`", "`extendedNextHop`", "`extendedNextHop`"),
    "graceful_restart": (
        "`--graceful-restart`, `--graceful-restart-time`, ...",
        "`gracefulRestart`",
        "`maxRestartTime`",
    ),
    "description": ("", "`description`", ""),
    "extended_messages": ("`--extended-messages`", "`extendedMessages`", ""),
    "add_path_send": ("`--add-path`", "`addPaths`", "`addPaths`"),
    "add_path_receive": ("`--add-path`", "`addPaths`", "`addPaths`"),
    "max_prefixes": ("`--max-prefixes`", "`maxPrefixes`", "`maxPrefixes`"),
    "bfd": ("`--enable-bfd`, `--bfd-min-tx`, ...", "`bfd`", "`bfd`"),
    "node": ("", "", "`peerSelector`"),
    "imports": ("`--import-routes`", "", ""),
    "client": ("", "", "the Node's `route-reflector-cluster-id`"),
    "cluster_id": ("", "", "the Node's `route-reflector-cluster-id`"),
    "next_hop_mode": ("", "", "`nextHopMode`"),
    "allowed_local_asns": ("", "", "`numAllowedLocalASNumbers`"),
    "remove_private_asns": ("", "", "`removePrivateASNumbers`"),
    "filters": ("", "", "`filters`"),
}
"""What each setting of a peer is called: as a flag, in the file of peers and in a BGPPeer."""

EFFECT_SENTENCES = {
    Effect.LIVE: "The session goes on; the new value counts from then on.",
    Effect.RESTART: (
        "The connection is closed without a NOTIFICATION and opened again at once. With graceful restart"
        " both sides keep the routes meanwhile and no packet is lost; without it the routes are gone until"
        " the new session is established, and the peer is told Cease, Other Configuration Change."
    ),
    Effect.RESET: (
        "The session ends with Cease, Other Configuration Change, and the routes with it; a new one follows."
    ),
}


def changes_page() -> Iterable[str]:
    """The page about what changes of a peer's settings do to its session, from the engine's table."""
    yield from _title(
        "Changes of a running session",
        "One peer is added, changed or removed without the others noticing. In the file of peers of"
        " `speaker advertise` any setting may change while it runs; under `--fabric` any field of"
        " a BGPPeer may. Of the flags of `speaker run` the password's file is watched, and the others change"
        " with a restart of the process, which is a graceful restart where that is on.",
        "A peer that is removed gets Cease, Peer De-configured. Of several changes at once the greatest"
        " counts.",
    )
    missing = EFFECTS.keys() - CHANGES.keys() - {"name"}
    if missing:
        raise SystemExit(f"docs/generate.py says nothing of {', '.join(sorted(missing))}")
    for effect, sentence in EFFECT_SENTENCES.items():
        yield from ("", f"## {effect.value.capitalize()}", "", sentence, "")
        rows = [names for field, names in CHANGES.items() if EFFECTS[field] is effect]
        yield from _table(("Flag", "Field in the file of peers", "Field of a BGPPeer"), dict.fromkeys(rows))


NODE_ANNOTATIONS = (
    (nodes.AS_NUMBER, "Its AS number, such as `64512` or `1.10`; else that of the BGPConfiguration."),
    (
        nodes.CLUSTER_ID,
        (
            "Its CLUSTER_ID (RFC 4456), such as `244.0.0.1`: it is meant to be a route reflector. It reflects"
            " when `routeReflectorSelector` of the BGPConfiguration chooses it too."
        ),
    ),
    (nodes.ROUTER_ID, "Its BGP Identifier; else its IPv4 address."),
    (nodes.IPV4_ADDRESS, "Where other Nodes reach it over IPv4; else its InternalIP."),
    (nodes.IPV6_ADDRESS, "Where other Nodes reach it over IPv6; else its InternalIP."),
)

SELECTORS = (
    ("`rack == 'r1'`, `rack != 'r1'`", "the label has this value, or another or none"),
    ("`rack in {'r1', 'r2'}`, `rack not in {'r1'}`", "one of these values, or another or none"),
    ("`zone contains 'eu'`, `zone starts with 'eu'`, `zone ends with '1a'`", "part of the value"),
    ("`has(rack)`", "the label is there"),
    ("`a && b`, `a || b`, `!a`, `(a)`", "both, either, not; `!` binds tightest, then `&&`"),
    ("`all()`, `global()`", "every Node"),
)


def resources_page() -> Iterable[str]:
    """The page about the custom resources, from their CustomResourceDefinitions."""
    yield from _title(
        "Custom resources",
        "With `--fabric` the speaker reads BGPConfiguration, BGPPeer and BGPFilter and writes BGPNodeStatus,"
        " all in the group `bgp.route-speaker.io/v1alpha1` and without a namespace."
        " `kubectl apply -k manifests/crds` makes them known; `kubectl get route-speaker` shows them all.",
        "Fields have Calico's names wherever Calico has the field."
        " Times are written as Go writes them: `90s`, `2m`."
        " What the API server lets pass is checked again by the speaker: a resource that is wrong changes"
        " nothing that runs, and its condition `Accepted` says why.",
    )
    for file in ("bgpconfigurations", "bgppeers", "bgpfilters", "bgpnodestatuses"):
        crd = yaml.safe_load((RESOURCES / f"{file}.yaml").read_text(encoding="utf-8"))
        yield from _resource(crd["spec"])
    yield from ("", "## Selectors", "")
    yield "In Calico's grammar, over the labels of Nodes:"
    yield ""
    yield from _table(("Form", "Chooses a Node when"), SELECTORS)
    yield ""
    yield f"Texts stand in single or double quotes; there are at most {selector.LONGEST} characters in all."
    yield from ("", "## Annotations of a Node", "")
    yield "Where ours is absent, Calico's counts."
    yield ""
    rows = [
        (f"`{keys.own}`", f"`{keys.calico}`" if keys.calico else "", text) for keys, text in NODE_ANNOTATIONS
    ]
    yield from _table(("Annotation", "Calico's", "Meaning"), rows)


def _resource(spec: Mapping[str, Any]) -> Iterable[str]:
    """One kind: its fields, what they say of each other, its status."""
    schema = spec["versions"][0]["schema"]["openAPIV3Schema"]
    parts = schema["properties"]
    short = ", ".join(f"`{name}`" for name in spec["names"]["shortNames"])
    yield from ("", f"## {spec['names']['kind']}", "", schema["description"], f"Short name: {short}.")
    for part in ("spec", "status"):
        if part not in parts:
            continue
        yield from ("", f"### {part} of a {spec['names']['kind']}", "", parts[part]["description"], "")
        yield from _table(("Field", "Type", "Default", "Meaning"), _schema_rows(parts[part], ""))
        rules = [*_rules(schema if part == "spec" else {}), *_rules(parts[part])]
        if rules:
            yield from ("", "Rules:", "", *(f"- {rule}" for rule in rules))


def _rules(schema: Mapping[str, Any]) -> Iterable[str]:
    """What the CEL rules of a schema and of what is in it ask for; of siblings alike only the first."""
    found = [str(rule["message"]) for rule in schema.get("x-kubernetes-validations", ())]
    seen: set[object] = set()
    for name, field in schema.get("properties", {}).items():
        deeper = field.get("items", field)
        inner = _inner(deeper)
        if name != "spec" and (not inner or inner not in seen):
            found += [f"`{name}`: {rule}" for rule in _rules(deeper)]
        seen.add(inner)
    return dict.fromkeys(found)


def _inner(schema: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What two fields must have in common to be described once."""
    return tuple((name, _type_words(field)) for name, field in schema.get("properties", {}).items())


def _schema_rows(schema: Mapping[str, Any], path: str) -> Iterable[Sequence[str]]:
    """A row for each field, deeper ones after their parent; of siblings alike only the first in depth."""
    shown: dict[object, str] = {}
    for name, field in schema.get("properties", {}).items():
        is_list = field.get("type") == "array"
        deeper = field.get("items", {}) if is_list else field
        yield f"`{path}{name}`", _type_words(field), _default_words(field), field["description"]
        inner = _inner(deeper)
        if not inner:
            continue
        if inner in shown:
            yield f"`{path}{name}{'[]' * is_list}.…`", "", "", f"As in `{shown[inner]}`."
            continue
        shown[inner] = name
        yield from _schema_rows(deeper, f"{path}{name}{'[]' * is_list}.")


def _type_words(field: Mapping[str, Any]) -> str:
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    kind = "number or text" if field.get("x-kubernetes-int-or-string") else field["type"]
    words: str = {"string": "text", "integer": "number", "object": "mapping", "array": "list"}.get(kind, kind)
    if "minimum" in field and "maximum" in field:
        words += f", {field['minimum']} to {field['maximum']}"
    if kind == "array":
        items = _type_words(field["items"])
        words = f"list of {items}s" if items in {"text", "mapping"} else f"list of {items}"
    return words


def _default_words(field: Mapping[str, Any]) -> str:
    if "default" not in field:
        return ""
    text = str(field["default"])
    return f"`{text.lower() if field.get('type') == 'boolean' else text}`"


PAGES: dict[str, Callable[[], Iterable[str]]] = {
    "advertise.md": advertise_page,
    "annotations.md": annotations_page,
    "changes.md": changes_page,
    "exclusion-reasons.md": reasons_page,
    "flags.md": flags_page,
    "metrics.md": metrics_page,
    "resources.md": resources_page,
}


def _title(title: str, *paragraphs: str) -> Iterable[str]:
    yield from (NOTE, f"# {title}")
    for paragraph in paragraphs:
        yield from ("", paragraph) if paragraph else ("",)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield "| " + " | ".join(_cell(text) for text in row) + " |"


_FLAG = re.compile(r"(?<![`\w])--[a-z][a-z_-]*[a-z](?:=[a-z0-9]+)?")


def _cell(text: str) -> str:
    """Text in a table of Markdown: no bar, no tag, and flags as code."""
    return _FLAG.sub(r"`\g<0>`", text.replace("|", "\\|").replace("<", "&lt;"))


def page(name: str) -> str:
    """The text of one page."""
    return "\n".join(PAGES[name]()) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with --check compare them; returns the exit status."""
    check = list(arguments) == ["--check"]
    if arguments and not check:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    stale = [name for name in PAGES if not _is_current(name)]
    if check:
        for name in stale:
            sys.stderr.write(f"docs/reference/{name} differs from the code; run `make docs`\n")
        return 1 if stale else 0
    REFERENCE.mkdir(exist_ok=True)
    for name in stale:
        (REFERENCE / name).write_text(page(name), encoding="utf-8")
        sys.stdout.write(f"wrote docs/reference/{name}\n")
    return 0


def _is_current(name: str) -> bool:
    file = REFERENCE / name
    return file.is_file() and file.read_text(encoding="utf-8") == page(name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
