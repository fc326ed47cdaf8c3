"""What the control socket answers: status, routes and explanations, as JSON values."""

from collections.abc import Callable, Iterable, Mapping

from speaker.bfd import BfdStatus
from speaker.cluster import Cluster
from speaker.control import Command
from speaker.daemon.fabric_answers import fabric_answer, learned_answer
from speaker.daemon.fabric_member import FabricMember
from speaker.daemon.session_words import Json, route_answers, session_answer
from speaker.errors import UsageError
from speaker.model.objects import Kind, ObjectRef
from speaker.model.peer import SessionStatus
from speaker.model.prefix import Prefix
from speaker.model.publication import REASON_SENTENCES, Exclusion
from speaker.model.route import Paths
from speaker.routing.reconcile import Reconciler


class Answers:
    """Answers from the running parts; changes nothing.

    Args:
        node_name: of this speaker.
        sessions: gives every session by peer name.
        advertised: gives what a peer has been sent.
        cluster: for its sources.
        reconciler: for what should be sent, and why not.
        member: for what is learned; None when nothing is.
    """

    def __init__(
        self,
        node_name: str,
        sessions: Callable[[], Mapping[str, SessionStatus]],
        bfd: Callable[[], Mapping[str, BfdStatus]],
        advertised: Callable[[str], Mapping[Prefix, Paths]],
        cluster: Cluster,
        reconciler: Reconciler,
        member: FabricMember | None = None,
    ) -> None:
        self._node_name = node_name
        self._sessions = sessions
        self._bfd = bfd
        self._advertised = advertised
        self._cluster = cluster
        self._reconciler = reconciler
        self._member = member

    def commands(self) -> Mapping[str, Command]:
        """Each command of the control socket, by name."""
        return {
            "status": self.status,
            "routes": self.routes,
            "learned": self.learned,
            "explain": self.explain,
        }

    def status(self, _request: Mapping[str, object]) -> Json:
        """The node, its sources, its sessions and how much is excluded why."""
        answer = {
            "node": self._node_name,
            "in_sync": self._cluster.in_sync,
            "sources": [
                {"name": health.name, "synced": health.synced, "error": health.error}
                for health in self._cluster.health()
            ],
            "sessions": [
                session_answer(status, self._bfd().get(name)) for name, status in self._sessions().items()
            ],
            "exclusions": {
                reason.value: count for reason, count in self._reconciler.exclusion_counts().items() if count
            },
        }
        if self._member is not None:
            answer["fabric"] = fabric_answer(self._member.fabric, self._member.learning)
        return answer

    def routes(self, request: Mapping[str, object]) -> Json:
        """What a peer, or every peer, should hear and whether its transport has taken it."""
        wanted = request.get("peer")
        peers = list(self._sessions())
        if wanted is not None and wanted not in peers:
            raise UsageError(f"there is no peer {wanted}; the peers are {', '.join(peers)}")
        return {
            "routes": [
                route
                for peer in peers
                if wanted in (None, peer)
                for route in route_answers(peer, self._desired(peer), self._advertised(peer))
            ]
        }

    def _desired(self, peer: str) -> Mapping[Prefix, Paths]:
        if self._member is None:
            return self._reconciler.adj_rib_out(peer)
        return self._member.learning.desired(peer)

    def learned(self, request: Mapping[str, object]) -> Json:
        """What peers teach: the chosen paths, or every path to one prefix and what decided about it."""
        if self._member is None:
            raise UsageError("nothing is learned without --fabric or --import-routes")
        return learned_answer(self._member.learning, request)

    def explain(self, request: Mapping[str, object]) -> Json:
        """What became of one object that asks for publication."""
        ref = ObjectRef(
            Kind(str(request.get("kind"))), str(request.get("namespace") or ""), str(request.get("name"))
        )
        outcome = self._reconciler.explain(ref)
        if outcome is None:
            return {"object": str(ref), "asks": False, "published": [], "excluded": [], "notes": []}
        return {
            "object": str(ref),
            "asks": True,
            "published": [{"prefix": str(each.prefix), "because": each.why} for each in outcome.publications],
            "excluded": list(_exclusions(outcome.exclusions)),
            "notes": list(_exclusions(outcome.notes)),
        }


def _exclusions(exclusions: Iterable[Exclusion]) -> Iterable[Json]:
    for each in exclusions:
        yield {
            "prefix": "" if each.prefix is None else str(each.prefix),
            "reason": each.reason.value,
            "because": REASON_SENTENCES[each.reason],
            "peer": each.peer,
            "detail": each.detail,
        }
