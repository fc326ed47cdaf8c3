"""Puts together what next hops follow from: flags, kernel facts and established sessions."""

from collections.abc import Mapping, Sequence

from speaker.kernel import HostFacts
from speaker.model.peer import Peer, SessionFacts
from speaker.model.policy import HostView, PeerView
from speaker.settings import Settings


def host_view(
    settings: Settings,
    peers: Sequence[Peer],
    facts: HostFacts | None,
    established: Mapping[str, SessionFacts],
) -> HostView:
    """The host as routing sees it.

    Args:
        settings: for `--node-ips`, `POD_IPS` and the allowed sources.
        peers: the configured peers.
        facts: what the kernel last said; None when it has not answered yet.
        established: the facts of every established session, by peer name.
    """
    sources = facts.sources if facts else {}
    return HostView(
        node_ips=settings.node_ips,
        pod_ips=settings.pod_ips,
        allowed_sources=settings.allowed_sources,
        peers={
            peer.name: PeerView(
                peer=peer, facts=established.get(peer.name), preferred_source=sources.get(peer.name)
            )
            for peer in peers
        },
    )
