"""Kubernetes: what it says comes in as views, what we say goes out as Events.

The only home of `kubernetes`, `msgspec` and the API's JSON. Knows how to list, watch, recover and
decode; knows nothing of BGP and decides nothing about routes. From the inside out:

    config, problems, backoff     values, failures by what must be done, time and chance
    wire, bounded, translate      the API's JSON, narrowed, into `speaker.model` views
    documents                     the same for manifests
    account, kubeconfig           who we are; what kubeconfigs say of it, the only user of `kubernetes`
    credentials, network          a kubeconfig or the Pod's own account; what breaks on the way, in words
    connection, transport         a pool of HTTP connections; requests and streams over it
    sources, inventory            what is watched, and what is known of it
    reflector, presence           one resource, listed and watched for ever; whether it is there at all
    event_documents, events       the Events writer
    lease                         who of all speakers writes them
    statuses                      the statuses of our own resources
    passing                       what is watched for a while: Secrets, and what somebody asks for
    cluster, once                 all of it together, for the daemon and for `speaker plan`
"""

from speaker.cluster.cluster import Cluster
from speaker.cluster.config import ClusterConfig, SourceHealth
from speaker.cluster.connection import import_client
from speaker.cluster.documents import views_from_manifest
from speaker.cluster.events import EventWriter
from speaker.cluster.once import list_once
from speaker.cluster.statuses import StatusWriter

__all__ = [
    "Cluster",
    "ClusterConfig",
    "EventWriter",
    "SourceHealth",
    "StatusWriter",
    "import_client",
    "list_once",
    "views_from_manifest",
]
