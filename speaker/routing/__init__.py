"""From what the cluster says and who the peers are to what each peer should hear.

Rule 1: the output is a function of the current state, never of the history that led to it.
Rule 2: every prefix of an object that asks ends in exactly one of *published* or *excluded*.
Rule 3: a change costs what it can reach, however many other objects are loaded.

The flow, a module a step: `state` (views, indexed) → `select` with `pods` and `services` (which
prefixes, by `request` and `locality`) → `table` (who asks for a prefix, by `guard` and `limits`) →
`export` with `nexthop` (what each peer hears) → `pending` (what changed since it was last taken);
`reconcile` composes them. No clock, log, task, environment or randomness here: the reasons are
returned, and the shell tells them.

Supported standards: RFC 4271 §5.1 (NEXT_HOP, MULTI_EXIT_DISC, LOCAL_PREF), RFC 1997 and RFC 8092
(communities), RFC 8950 (IPv4 routes with an IPv6 next hop).
"""
