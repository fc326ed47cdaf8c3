"""BGP sessions: what each peer should hear goes in, messages go out, and what happens is told as events.

ExaBGP's classes are the wire codec (`codec_open`, `codec_update`), `packing` packs routes by hand; the state
machine (`fsm`), the Adj-RIBs and the sessions are ours. From the inside out:

    messages, events            values
    codec, packing, negotiation bytes, and what two OPENs mean
    fsm, adj_rib_out, adj_rib_in pure state
    sockopts, timers, transport sockets and clocks
    connection                  one state machine at work
    advertising                 what flows out of a session
    session                     one peer, over all its connections
    listener, peers             all peers
"""

from speaker.bgp.events import SessionEvent, SessionEventKind
from speaker.bgp.peers import PeerSet

__all__ = ["PeerSet", "SessionEvent", "SessionEventKind"]
