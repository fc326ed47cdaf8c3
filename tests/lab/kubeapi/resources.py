"""What kinds there are: the built-in ones, and those that CRDs add."""

from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True)
class Resource:
    """One resource of one API version, as discovery describes it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = False
    crd: bool = False
    schema: Object | None = None
    columns: tuple[Object, ...] = field(default=())

    @property
    def api_version(self) -> str:
        """`apiVersion` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The plural with its group, as error messages and CRD names have it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def storage_key(self) -> tuple[str, str]:
        """All versions of a resource share one place in the store."""
        return (self.group, self.plural)


def _core(plural: str, kind: str, *short: str, namespaced: bool = True, status: bool = False) -> Resource:
    categories = ("all",) if plural in {"pods", "services"} else ()
    return Resource("", "v1", plural, kind, namespaced, short, categories, status)


RBAC = "rbac.authorization.k8s.io"

BUILT_IN = (
    _core("namespaces", "Namespace", "ns", namespaced=False, status=True),
    _core("nodes", "Node", "no", namespaced=False, status=True),
    _core("pods", "Pod", "po", status=True),
    _core("services", "Service", "svc", status=True),
    _core("endpoints", "Endpoints", "ep"),
    _core("configmaps", "ConfigMap", "cm"),
    _core("secrets", "Secret"),
    _core("serviceaccounts", "ServiceAccount", "sa"),
    _core("events", "Event", "ev"),
    Resource(
        "apps", "v1", "daemonsets", "DaemonSet", short_names=("ds",), categories=("all",), has_status=True
    ),
    Resource(
        "apps",
        "v1",
        "deployments",
        "Deployment",
        short_names=("deploy",),
        categories=("all",),
        has_status=True,
    ),
    Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
    Resource("events.k8s.io", "v1", "events", "Event", short_names=("ev",)),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource(RBAC, "v1", "roles", "Role"),
    Resource(RBAC, "v1", "rolebindings", "RoleBinding"),
    Resource(RBAC, "v1", "clusterroles", "ClusterRole", namespaced=False),
    Resource(RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding", namespaced=False),
    Resource(
        "apiextensions.k8s.io",
        "v1",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        namespaced=False,
        short_names=("crd", "crds"),
        has_status=True,
    ),
)


def from_crd(crd: Object) -> list[Resource]:
    """The resources, one a served version, that a CustomResourceDefinition adds."""
    spec = crd["spec"]
    names = spec["names"]
    return [
        Resource(
            group=spec["group"],
            version=version["name"],
            plural=names["plural"],
            kind=names["kind"],
            namespaced=spec.get("scope", "Namespaced") == "Namespaced",
            short_names=tuple(names.get("shortNames", ())),
            categories=tuple(names.get("categories", ())),
            has_status="status" in version.get("subresources", {}),
            crd=True,
            schema=version.get("schema", {}).get("openAPIV3Schema"),
            columns=tuple(version.get("additionalPrinterColumns", ())),
        )
        for version in spec["versions"]
        if version.get("served", True)
    ]
