"""GoBGP's policies: what its configuration has no plain word for.

An extended community of a prefix of its own is set when the prefix leaves, for the command that adds the
prefix knows route targets only; and a route with GRACEFUL_SHUTDOWN is made the last choice as it comes,
with a preference of 1, since GoBGP takes 0 for none.
"""

import json
from collections.abc import Iterator

from tests.lab.routers.config import Originated, RouterConfig

_GRACEFUL_SHUTDOWN = """\
[[defined-sets.bgp-defined-sets.community-sets]]
  community-set-name = "graceful-shutdown"
  community-list = ["65535:0"]
[[policy-definitions]]
  name = "graceful-shutdown"
  [[policy-definitions.statements]]
    [policy-definitions.statements.conditions.bgp-conditions.match-community-set]
      community-set = "graceful-shutdown"
      match-set-options = "any"
    [policy-definitions.statements.actions]
      route-disposition = "accept-route"
      [policy-definitions.statements.actions.bgp-actions]
        set-local-pref = 1"""


def policies(config: RouterConfig) -> Iterator[str]:
    """The lines of the policies, if the configuration needs any, and of their use."""
    extended = {
        f"originated{number}": each for number, each in enumerate(config.originated) if each.ext_communities
    }
    if not (config.honour_graceful_shutdown or extended):
        return
    yield "[global.apply-policy.config]"
    if config.honour_graceful_shutdown:
        yield '  import-policy-list = ["graceful-shutdown"]'
        yield '  default-import-policy = "accept-route"'
    if extended:
        yield f"  export-policy-list = {json.dumps(list(extended))}"
        yield '  default-export-policy = "accept-route"'
    if config.honour_graceful_shutdown:
        yield _GRACEFUL_SHUTDOWN
    for name, each in extended.items():
        yield from _set_ext_communities(name, each)


def _set_ext_communities(name: str, each: Originated) -> Iterator[str]:
    length = each.prefix.prefixlen
    actions = "policy-definitions.statements.actions"
    yield "[[defined-sets.prefix-sets]]"
    yield f'  prefix-set-name = "{name}"'
    yield "  [[defined-sets.prefix-sets.prefix-list]]"
    yield f'    ip-prefix = "{each.prefix}"'
    yield f'    masklength-range = "{length}..{length}"'
    yield "[[policy-definitions]]"
    yield f'  name = "{name}"'
    yield "  [[policy-definitions.statements]]"
    yield "    [policy-definitions.statements.conditions.match-prefix-set]"
    yield f'      prefix-set = "{name}"'
    yield f"    [{actions}]"
    yield '      route-disposition = "accept-route"'
    yield f"      [{actions}.bgp-actions.set-ext-community]"
    yield '        options = "replace"'
    yield f"        [{actions}.bgp-actions.set-ext-community.set-ext-community-method]"
    # A list of strings is the same in TOML and in JSON.
    yield f"          communities-list = {json.dumps(list(each.ext_communities))}"
