"""Kubernetes: what it says comes in as views, what we say goes out as Events.

The only home of `kubernetes`, `msgspec` and the API's JSON. Knows how to list, watch, recover and
decode; knows nothing of BGP and decides nothing about routes. From the inside out:

    config, health, problems   values
    wire, translate            the API's JSON, narrowed, into `speaker.model` views
    transport                  requests and streams over `kubernetes.aio`
    backoff, reflector         one resource, listed and watched for ever
    sources, events            what is watched, and the Events writer
    cluster                    all of it together
"""

from speaker.cluster.cluster import Cluster, list_once
from speaker.cluster.config import ClusterConfig, SourceHealth
from speaker.cluster.documents import views_from_manifest
from speaker.cluster.events import EventWriter

__all__ = [
    "Cluster",
    "ClusterConfig",
    "EventWriter",
    "SourceHealth",
    "list_once",
    "views_from_manifest",
]
