"""From what the cluster says and who the peers are to what each peer should hear.

Rule 1: the output is a function of the current state, never of the history that led to it.
Rule 2: every prefix of an object that asks ends in exactly one of *published* or *excluded*.
Rule 3: a change costs what it can reach, however many other objects are loaded.

The flow, a module a step: `state` (views, indexed) → `select` with `pods` and `services` (which
prefixes, by `request` and `locality`) → `table` (who asks for a prefix, by `guard` and `limits`) →
`export` with `nexthop` (what each peer hears) → `pending` (what changed since it was last taken);
`reconcile` composes them. No clock, log, task, environment or randomness here: the reasons are
returned, and the shell tells them.

What peers teach flows beside it: `imports` (which routes may be used, by `filters`) → `decision` (which of
several) → `reflect` (who else hears of it) → `paths` (what is kept, and what waits to be taken);
`learning_peers` says how peers judge and hear, `loc_rib` composes them. `outbound` puts own and learned
routes together for each peer.

Supported standards: RFC 4271 §5.1 (NEXT_HOP, MULTI_EXIT_DISC, LOCAL_PREF) and §9.1 (decision process),
RFC 1997 and RFC 8092 (communities), RFC 4456 (route reflection), RFC 7911 (several paths), RFC 8326
(graceful shutdown), RFC 8950 (IPv4 routes with an IPv6 next hop), RFC 9234 (ONLY_TO_CUSTOMER), RFC 9494
(what is long stale comes last).
"""
