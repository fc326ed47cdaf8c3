"""What holds whatever happens: the invariants of the pure core."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from annotations.parse import parse, pod_networks
from speaker.model.objects import Change, ObjectRef
from speaker.model.policy import HostView, PublicationPolicy
from speaker.model.prefix import Prefix
from speaker.model.route import Route
from speaker.routing.diff import apply, diff
from speaker.routing.guard import Guard
from speaker.routing.outcome import Outcome
from speaker.routing.reconcile import Reconciler, reconcile
from tests.property import strategies

texts = st.text(max_size=20)
keys = st.sampled_from(
    ["", "-communities", "-med", "-local-preference", "-as-path-prepend", "-peers", "-addresses", "-typo"]
).map(lambda end: f"ovn.kubernetes.io/bgp{end}")


class Listener:
    """One peer for each name, that keeps what it has heard; a peer that is removed forgets."""

    def __init__(self) -> None:
        self.heard: dict[str, dict[Prefix, Route]] = {}

    def peers(self, names: set[str]) -> None:
        self.heard = {name: self.heard.get(name, {}) for name in names}

    def listen(self, reconciler: Reconciler, limit: int | None = None) -> None:
        complete = reconciler.is_complete
        for name, told in reconciler.take_changes(limit).items():
            for prefix, route in told.items():
                if route is None:
                    assert complete, "a withdrawal before the recomputation was complete"
                    self.heard[name].pop(prefix, None)
                else:
                    self.heard[name][prefix] = route


@settings(deadline=None, max_examples=300)
@given(
    flags=strategies.flags,
    happened=strategies.change_sequences(),
    hosts=st.lists(strategies.hosts(), min_size=1, max_size=3),
    data=st.data(),
)
def test_incremental_equals_full(
    flags: PublicationPolicy, happened: list[Change], hosts: list[HostView], data: st.DataObject
) -> None:
    """After any sequence, in any slices, with changes taken at any moment."""
    reconciler = Reconciler(flags, hosts[0])
    listener = Listener()
    listener.peers(set(hosts[0].peers))
    told: dict[ObjectRef, Outcome] = {}
    last = hosts[0]
    for change in happened:
        reconciler.apply([change])
        match data.draw(st.sampled_from(("go on", "slice", "finish", "host", "policy"))):
            case "slice":
                reconciler.recompute(data.draw(st.integers(0, 3)))
            case "finish":
                reconciler.recompute()
            case "host":
                last = data.draw(st.sampled_from(hosts))
                reconciler.set_host(last)
                listener.peers(set(last.peers))
            case "policy":
                flags = replace(flags, announce_pod_cidr=not flags.announce_pod_cidr)
                reconciler.set_policy(flags)
            case _:
                continue
        listener.listen(reconciler, data.draw(st.sampled_from((None, 0, 1, 3))))
        hear_outcomes(reconciler, told)
    reconciler.recompute()
    listener.listen(reconciler)
    hear_outcomes(reconciler, told)

    expected = reconcile(flags, last, strategies.final_state(happened))

    assert reconciler.outcomes() == expected.outcomes
    assert {name: reconciler.adj_rib_out(name) for name in last.peers} == expected.adj_ribs_out
    assert listener.heard == expected.adj_ribs_out
    assert told == expected.outcomes
    assert reconciler.exclusion_counts() == Counter(
        each.reason for outcome in expected.outcomes.values() for each in outcome.reports
    )
    assert not reconciler.has_changes


def hear_outcomes(reconciler: Reconciler, told: dict[ObjectRef, Outcome]) -> None:
    """Fold the explanations; each must continue what was told before."""
    for change in reconciler.take_explanations():
        assert told.get(change.ref) == change.before
        if change.after is None:
            del told[change.ref]
        else:
            told[change.ref] = change.after


@settings(deadline=None)
@given(flags=strategies.flags, happened=strategies.change_sequences(), data=st.data())
def test_order_never_matters(flags: PublicationPolicy, happened: list[Change], data: st.DataObject) -> None:
    state = strategies.final_state(happened)
    host = strategies.usual_host()

    assert reconcile(flags, host, state) == reconcile(flags, host, data.draw(st.permutations(state)))


@settings(deadline=None)
@given(flags=strategies.flags, happened=strategies.change_sequences())
def test_every_prefix_is_in_exactly_one_of_published_and_excluded(
    flags: PublicationPolicy, happened: list[Change]
) -> None:
    outcomes = reconcile(flags, strategies.usual_host(), strategies.final_state(happened)).outcomes

    for ref, outcome in outcomes.items():
        prefixes = [each.prefix for each in outcome.publications]
        prefixes_kept_back = [each.prefix for each in outcome.exclusions]
        every = [*prefixes, *prefixes_kept_back]
        assert len(every) == len(set(every))
        assert every or outcome.notes
        assert {each.source for each in outcome.publications} <= {ref}
        assert {each.source for each in outcome.reports} <= {ref}


@settings(deadline=None)
@given(flags=strategies.flags, happened=strategies.change_sequences(), host=strategies.hosts())
def test_peers_hear_what_is_published_and_nothing_else(
    flags: PublicationPolicy, happened: list[Change], host: HostView
) -> None:
    result = reconcile(flags, host, strategies.final_state(happened))
    published = {each.prefix for outcome in result.outcomes.values() for each in outcome.publications}
    guard = Guard(flags.allowed_prefixes, (view.peer.address for view in host.peers.values()))

    heard = {prefix for rib in result.adj_ribs_out.values() for prefix in rib}

    assert heard == published
    assert not any(guard.refuse(prefix) for prefix in heard)
    assert not flags.max_advertised_prefixes or len(heard) <= flags.max_advertised_prefixes


@given(before=strategies.ribs, after=strategies.ribs)
def test_apply_is_the_inverse_of_diff(before: dict[Prefix, Route], after: dict[Prefix, Route]) -> None:
    assert apply(diff(before, after), before) == after


@given(rib=strategies.ribs)
def test_the_difference_of_equals_is_empty(rib: dict[Prefix, Route]) -> None:
    assert diff(rib, dict(reversed(rib.items()))).is_empty


@given(
    written=st.dictionaries(st.one_of(keys, texts), st.one_of(texts, st.sampled_from(("true", "1", "1:2"))))
)
def test_parse_takes_whatever_is_written(written: dict[str, str]) -> None:
    _, problems = parse(written, "ovn.kubernetes.io")

    assert all(each.sentence.isprintable() for each in problems)
    assert all(len(each.value) <= 64 for each in problems)


@given(written=st.dictionaries(texts.map(lambda name: f"{name}.kubernetes.io/ip_address"), texts))
def test_pod_networks_takes_whatever_is_written(written: dict[str, str]) -> None:
    networks, _ = pod_networks(written)

    assert len(networks) == len(written)
