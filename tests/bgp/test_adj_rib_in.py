"""What a peer has advertised: the table against one that is kept as plainly as possible."""

from hypothesis import given
from hypothesis import strategies as st

from speaker.bgp.adj_rib_in import LLGR_STALE, NO_LLGR, AdjRibIn
from speaker.bgp.messages import UpdateMessage
from speaker.model.prefix import Family, family_of
from speaker.model.route import PrefixPath, Route
from tests.bgp.builders import path, prefix

LIMIT = 4
PREFIXES = ("10.0.0.0/24", "10.0.0.7/32", "10.2.0.0/16", "::/0", "2001:db8::/48")

withdrawals = st.builds(PrefixPath, st.sampled_from([prefix(text) for text in PREFIXES]), st.integers(0, 2))
advertised = st.builds(
    lambda text, path_id, med, communities: path(text, path_id, med=med, communities=communities),
    st.sampled_from(PREFIXES),
    st.integers(0, 2),
    st.sampled_from((None, 1)),
    st.sampled_from(((), (), (5,), (NO_LLGR,))),
)
updates = st.builds(
    lambda new, gone: UpdateMessage(advertised=tuple(new), withdrawn=tuple(gone)),
    st.lists(advertised, max_size=6),
    st.lists(withdrawals, max_size=3),
)


class PlainTable:
    """One dictionary, one set, and no thought of cost."""

    def __init__(self) -> None:
        self.routes: dict[PrefixPath, Route] = {}
        self.stale: set[PrefixPath] = set()

    def apply(self, update: UpdateMessage) -> list[Route]:
        for gone in update.withdrawn:
            self.drop({gone})
        kept = []
        for each in update.advertised:
            key = PrefixPath(each.prefix, each.path_id)
            if key not in self.routes and len(self.routes) - len(self.stale) >= LIMIT:
                continue
            self.routes[key] = each
            self.stale.discard(key)
            kept.append(each)
        return kept

    def drop(self, gone: set[PrefixPath]) -> set[PrefixPath]:
        for each in gone & self.routes.keys():
            del self.routes[each]
        self.stale -= gone
        return gone

    def of(self, family: Family, among: set[PrefixPath]) -> set[PrefixPath]:
        return {each for each in among if family_of(each.prefix) is family}

    def keep_long(self, family: Family) -> set[PrefixPath]:
        stale = self.of(family, self.stale)
        gone = self.drop({each for each in stale if NO_LLGR in self.routes[each].attributes.communities})
        for each in stale - gone:
            before = self.routes[each].attributes
            communities = tuple(sorted({*before.communities, LLGR_STALE}))
            self.routes[each] = path(str(each.prefix), each.path_id, med=before.med, communities=communities)
        return gone


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(("hear", "hear", "hear", "mark", "drop stale", "keep long", "drop")),
            st.sampled_from(list(Family)),
            updates,
        ),
        max_size=12,
    )
)
def test_whatever_happens_the_table_is_as_a_plain_one(
    steps: list[tuple[str, Family, UpdateMessage]],
) -> None:
    rib, plain = AdjRibIn(LIMIT), PlainTable()
    for step, family, update in steps:
        match step:
            case "hear":
                assert list(rib.apply(update)) == plain.apply(update)
            case "mark":
                rib.mark_stale(family)
                plain.stale |= plain.of(family, set(plain.routes))
            case "drop stale":
                gone = plain.drop(plain.of(family, plain.stale))
                assert set(rib.drop_stale(family)) == gone
            case "keep long":
                kept, dropped = rib.keep_long(family)
                assert set(dropped) == plain.keep_long(family)
                assert {PrefixPath(each.prefix, each.path_id) for each in kept} == plain.of(
                    family, plain.stale
                )
            case _:
                assert set(rib.drop_family(family)) == plain.drop(plain.of(family, set(plain.routes)))

        assert rib.routes == plain.routes
        assert rib.stale == len(plain.stale)
        assert dict(rib.counts) == {
            family: len(found) for family in Family if (found := plain.of(family, set(plain.routes)))
        }
        assert [rib.has_stale(family) for family in Family] == [
            bool(plain.of(family, plain.stale)) for family in Family
        ]
