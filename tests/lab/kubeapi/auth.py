"""Who asks (bearer tokens) and what they may do (RBAC, from the roles in the store)."""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab.kubeapi.errors import ApiError
from tests.lab.kubeapi.resources import RBAC
from tests.lab.kubeapi.store import Store


@dataclass(frozen=True)
class User:
    """Who asks."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def is_admin(self) -> bool:
        """Members of system:masters may do everything."""
        return "system:masters" in self.groups


@dataclass(frozen=True)
class Attributes:
    """What is asked for, as RBAC sees it."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def reviewed(spec: dict[str, Any]) -> Attributes:
    """What a SelfSubjectAccessReview asks about."""
    of_path, of_resource = spec.get("nonResourceAttributes"), spec.get("resourceAttributes") or {}
    if of_path:
        return Attributes(of_path.get("verb", ""), path=of_path.get("path", ""))
    named = (of_resource.get("resource", ""), of_resource.get("subresource", ""))
    return Attributes(
        of_resource.get("verb", ""),
        of_resource.get("group", ""),
        "/".join(each for each in named if each),
        of_resource.get("namespace", ""),
        of_resource.get("name", ""),
    )


class Authority:
    """Knows the tokens and reads the roles.

    Args:
        store: where the roles are.
        keys: a file that keeps the keys, so that a token outlives the server; None forgets them.
        anonymous_admin: who brings no token may do everything. kubectl sends none over plain HTTP.

    Attributes:
        admin_token: the administrator's.
        issued: every token that was given to a ServiceAccount.
        denied: everything that was refused for want of a role.
    """

    def __init__(self, store: Store, keys: Path | None = None, *, anonymous_admin: bool = False) -> None:
        self._store = store
        self._anonymous_admin = anonymous_admin
        kept = keys.read_text().split() if keys is not None and keys.exists() else []
        secret, self.admin_token = kept or (secrets.token_hex(32), secrets.token_urlsafe(24))
        if keys is not None:
            keys.touch(mode=0o600)
            keys.write_text(f"{secret} {self.admin_token}")
        self._secret = bytes.fromhex(secret)
        self._revoked: set[str] = set()
        self.issued: list[str] = []
        self.denied: list[Attributes] = []

    def token_for(self, service_account: str) -> str:
        """A token of a ServiceAccount given as "namespace/name"; each call gives another."""
        nonce = secrets.token_hex(8)
        text = f"{service_account.replace('/', ':')}.{nonce}"
        self.issued.append(f"{text}.{self._signature(text)}")
        return self.issued[-1]

    def revoke(self, *tokens: str) -> None:
        """Accept tokens no more."""
        self._revoked |= set(tokens)

    def accept_only(self, token: str) -> None:
        """Accept no other token that was issued until now."""
        self.revoke(*(each for each in self.issued if each != token))

    def _signature(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def user(self, authorization: str) -> User:
        """The bearer of an Authorization header; raises ApiError 401."""
        token = authorization.removeprefix("Bearer ").strip()
        is_admin = self._anonymous_admin and not token
        if is_admin or hmac.compare_digest(token.encode(), self.admin_token.encode()):
            return User("kubernetes-admin", ("system:masters", "system:authenticated"))
        text, _, signature = token.rpartition(".")
        if token in self._revoked or not hmac.compare_digest(
            signature.encode(), self._signature(text).encode()
        ):
            raise ApiError(401, "Unauthorized")
        namespace, _, name = text.partition(".")[0].partition(":")
        return User(
            f"system:serviceaccount:{namespace}:{name}",
            ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"),
        )

    def check(self, user: User, asked: Attributes) -> None:
        """Raise ApiError 403 unless the user may."""
        if self.allows(user, asked):
            return
        self.denied.append(asked)
        what = f'{asked.verb} resource "{asked.resource}" in API group "{asked.group}"'
        where = f'in the namespace "{asked.namespace}"' if asked.namespace else "at the cluster scope"
        qualified = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
        raise ApiError(
            403,
            f'{qualified} is forbidden: User "{user.name}" cannot {what} {where}',
            details={"kind": qualified},
        )

    def allows(self, user: User, asked: Attributes) -> bool:
        """Whether a role bound to the user covers what is asked."""
        if user.is_admin:
            return True
        for binding in self._store.all((RBAC, "clusterrolebindings")):
            if _binds(binding, user) and self._role_allows(binding["roleRef"], "", asked):
                return True
        for binding in self._store.all((RBAC, "rolebindings"), asked.namespace) if asked.namespace else ():
            if _binds(binding, user) and self._role_allows(binding["roleRef"], asked.namespace, asked):
                return True
        return False

    def _role_allows(self, reference: dict[str, Any], namespace: str, asked: Attributes) -> bool:
        cluster = reference["kind"] == "ClusterRole"
        key = (RBAC, "clusterroles" if cluster else "roles")
        role = self._store.get(key, "" if cluster else namespace, reference["name"])
        return role is not None and any(_rule_allows(rule, asked) for rule in role.get("rules") or ())


def _binds(binding: dict[str, Any], user: User) -> bool:
    for subject in binding.get("subjects") or ():
        match subject["kind"]:
            case "ServiceAccount":
                namespace = subject.get("namespace") or binding["metadata"].get("namespace")
                if user.name == f"system:serviceaccount:{namespace}:{subject['name']}":
                    return True
            case "User":
                if subject["name"] == user.name:
                    return True
            case "Group":
                if subject["name"] in user.groups:
                    return True
    return False


def _rule_allows(rule: dict[str, Any], asked: Attributes) -> bool:
    if not _covers(rule.get("verbs"), asked.verb):
        return False
    if asked.path:
        return any(
            url == asked.path or (url.endswith("*") and asked.path.startswith(url[:-1]))
            for url in rule.get("nonResourceURLs") or ()
        )
    names = rule.get("resourceNames")
    return (
        _covers(rule.get("apiGroups"), asked.group)
        and _covers(rule.get("resources"), asked.resource)
        and (not names or asked.name in names)
    )


def _covers(listed: list[str] | None, wanted: str) -> bool:
    return wanted in (listed or ()) or "*" in (listed or ())
