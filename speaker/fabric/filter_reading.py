"""BGPFilter as it stands in the API, read into checked rules.

Knows the fields of a rule, their limits and what needs what; not what a rule does to a route.
"""

from annotations.values import Communities
from speaker.fabric import scalars
from speaker.fabric.fields import FieldProblem, Fields, ResourceError
from speaker.model.fabric import (
    BgpFilter,
    FilterAction,
    FilterOperations,
    FilterRule,
    MatchOperator,
    PeerType,
)
from speaker.model.objects import ResourceView
from speaker.model.prefix import Family

MOST_RULES = 128
MOST_COMMUNITIES = 8
MOST_ASNS = 10
MOST_OPERATIONS = 10
LARGEST_UINT32 = 2**32 - 1
REMOTE_PEERS = "RemotePeers"


def read_filter(view: ResourceView) -> BgpFilter:
    """A BGPFilter; raises ResourceError, with every problem."""
    problems: list[FieldProblem] = []
    spec = Fields(view.spec, "spec", problems)
    found = BgpFilter(
        name=view.meta.ref.name,
        import_v4=_rules(spec, "importV4", Family.IPV4),
        import_v6=_rules(spec, "importV6", Family.IPV6),
        export_v4=_rules(spec, "exportV4", Family.IPV4),
        export_v6=_rules(spec, "exportV6", Family.IPV6),
    )
    spec.close()
    if problems:
        raise ResourceError(tuple(problems))
    return found


def _rules(spec: Fields, name: str, family: Family) -> tuple[FilterRule, ...]:
    is_import = name.startswith("import")
    return tuple(_rule(each, family, is_import=is_import) for each in spec.mappings(name, MOST_RULES))


def _rule(rule: Fields, family: Family, *, is_import: bool) -> FilterRule:
    low, high = _prefix_length(rule, scalars.widest_length(family))
    communities = _communities(rule)
    found = FilterRule(
        action=rule.get("action", scalars.choice(FilterAction), FilterAction.REJECT),
        cidr=rule.get("cidr", scalars.prefix_of(family), None),
        match_operator=rule.get("matchOperator", scalars.choice(MatchOperator), MatchOperator.IN),
        prefix_length_min=low,
        prefix_length_max=high,
        remote_peers=rule.get("source", _source, default=False),
        peer_type=rule.get("peerType", scalars.choice(PeerType), None),
        communities=communities.standard,
        large_communities=communities.large,
        as_path_prefix=rule.many("asPathPrefix", scalars.as_number, MOST_ASNS),
        operations=_operations(rule, is_import=is_import),
    )
    rule.require("action")
    for name in ("matchOperator", "prefixLength"):
        if rule.has(name) and not rule.has("cidr"):
            rule.wrong(name, "needs cidr")
    if found.action is FilterAction.REJECT and rule.has("operations"):
        rule.wrong("operations", "belong to action Accept: a rejected route is not changed")
    rule.close()
    return found


def _source(value: object) -> bool:
    if scalars.text(value) != REMOTE_PEERS:
        raise ValueError(f"must be {REMOTE_PEERS}")
    return True


def _prefix_length(rule: Fields, widest: int) -> tuple[int | None, int | None]:
    lengths = rule.mapping("prefixLength")
    if lengths is None:
        return None, None
    low = lengths.get("min", scalars.number(0, widest), None)
    high = lengths.get("max", scalars.number(0, widest), None)
    if low is not None and high is not None and low > high:
        lengths.wrong("max", f"must not be less than min ({low})")
    lengths.close()
    return low, high


def _communities(rule: Fields) -> Communities:
    """The communities that a route must carry."""
    match = rule.mapping("communities")
    if match is None:
        return Communities()
    given = match.many("values", scalars.plain_community, MOST_COMMUNITIES)
    match.require("values")
    match.close()
    return _together(given)


def _together(given: tuple[Communities, ...]) -> Communities:
    return Communities(
        tuple(sorted({each for one in given for each in one.standard})),
        tuple(sorted({each for one in given for each in one.large})),
    )


def _operations(rule: Fields, *, is_import: bool) -> FilterOperations:
    """The changes in order: of two that set one thing the last counts, of two prepends it is outermost."""
    added: list[Communities] = []
    prepended: tuple[int, ...] = ()
    preference: int | None = None
    med: int | None = None
    for each in rule.mappings("operations", MOST_OPERATIONS):
        if (add := each.mapping("addCommunity")) is not None:
            added.append(add.get("value", scalars.plain_community, Communities()))
            add.require("value")
            add.close()
        if (prepend := each.mapping("prependASPath")) is not None:
            prepended = prepend.many("prefix", scalars.as_number, MOST_ASNS) + prepended
            prepend.require("prefix")
            prepend.close()
            if is_import:
                each.wrong("prependASPath", "belongs to export rules: AS_PATH grows where a route is sent")
        preference = _value(each, "setLocalPreference", preference)
        med = _value(each, "setMED", med)
        _check_one(each)
    communities = _together(tuple(added))
    return FilterOperations(
        add_communities=communities.standard,
        add_large_communities=communities.large,
        prepend_as_path=prepended,
        set_local_preference=preference,
        set_med=med,
    )


def _value(operation: Fields, name: str, before: int | None) -> int | None:
    found = operation.mapping(name)
    if found is None:
        return before
    value = found.get("value", scalars.number(0, LARGEST_UINT32), None)
    found.require("value")
    found.close()
    return value


def _check_one(operation: Fields) -> None:
    names = ("addCommunity", "prependASPath", "setLocalPreference", "setMED")
    given = [name for name in names if operation.has(name)]
    if not given:
        operation.wrong(names[0], f"is missing: an operation is one of {', '.join(names)}")
    for name in given[1:]:
        operation.wrong(name, f"excludes {given[0]}: one operation an item")
    operation.close()
