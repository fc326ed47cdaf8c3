"""An embedded Kubernetes API server: enough of one for kubectl, for the speaker and for tests.

It stores, validates, selects, watches and authorises as a kube-apiserver does; it runs no controller,
so whoever uses it writes the statuses, as with a control plane of etcd and kube-apiserver alone.
No controller also means that nothing is collected: what ownerReferences own stays when the owner goes.
The schemas of CRDs are enforced, but for their CEL rules (x-kubernetes-validations), which are not
evaluated: what they forbid is stored here, and refused by a real API server.

    resources, selectors, patches   what the API is made of, as pure functions
    schemas, tables, discovery      CRD validation, what kubectl prints, what it asks first
    store                           objects and their history, in SQLite
    auth, faults                    who may do what; what may go wrong on purpose
    tls, kubeconfig                 certificates, and how a client comes to them
    messages, server, process       HTTP, in this process or in one of its own
    control_plane, backend          a real etcd and kube-apiserver; which of all these is used
"""

from tests.lab.kubeapi.faults import Faults
from tests.lab.kubeapi.server import KubeApi

__all__ = ["Faults", "KubeApi"]
