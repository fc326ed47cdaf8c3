"""kube-route-speaker: publishes the addresses of a Kubernetes cluster to BGP routers."""

__version__ = "0.1.0"
