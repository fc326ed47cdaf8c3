"""The static Pod that advertises a control plane's address: it starts, and may do no more than it must."""

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from speaker import __version__
from speaker.settings.advertise_settings import AdvertiseSettings, advertise_settings
from speaker.settings.peer_file import read_peer_file

pytestmark = pytest.mark.new_kubectl

FOLDER = "overlays/control-plane-vip"
FILE = Path(__file__).parents[2] / "manifests" / FOLDER / "peers.yaml"

Render = Callable[..., dict[tuple[str, str], Any]]


@pytest.fixture
def pod(render: Render) -> Any:
    """The Pod's specification."""
    objects = render(FOLDER)
    assert list(objects) == [("Pod", "control-plane-vip")]
    return objects["Pod", "control-plane-vip"]["spec"]


@pytest.fixture
def container(pod: Any) -> Any:
    """Its one container."""
    (only,) = pod["containers"]
    return only


@pytest.fixture
def settings(container: Any) -> AdvertiseSettings:
    """What its arguments say."""
    command, *arguments = container["args"]
    assert command == "advertise"
    given: dict[str, list[str]] = {}
    for argument in arguments:
        name, _, text = argument.removeprefix("--").partition("=")
        given.setdefault(name, []).append(text)
    return advertise_settings(given, {})


def test_the_file_of_peers_beside_it_is_right() -> None:
    found = read_peer_file(yaml.safe_load(FILE.read_text()), "peers.yaml")
    assert len(found.peers) == 2
    assert found.notices == ()


def test_every_file_that_it_names_is_mounted_for_reading(container: Any, settings: AdvertiseSettings) -> None:
    mounts = {
        PurePosixPath(each["mountPath"]): each.get("readOnly", False) for each in container["volumeMounts"]
    }
    for path in (settings.config, settings.checks.ca_file):
        place = PurePosixPath(str(path))
        assert any(mounts.get(each) for each in (place, *place.parents)), path
    assert mounts[PurePosixPath(str(settings.control_socket)).parent] is False


def test_what_is_mounted_of_the_host_is_found_at_the_same_place_there(pod: Any, container: Any) -> None:
    """So that a path in a message means the same inside and outside. No private key is among them."""
    inside = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    outside = {each["name"]: each["hostPath"]["path"] for each in pod["volumes"] if "hostPath" in each}
    assert outside == {name: inside[name] for name in outside}
    assert "/etc/kubernetes/pki" not in outside.values()


def test_it_is_advertised_while_the_api_server_of_the_node_is_ready(settings: AdvertiseSettings) -> None:
    (target,) = settings.checks.targets
    assert (target.scheme, target.host, target.path) == ("https", "127.0.0.1", "/readyz")
    assert not settings.checks.insecure


def test_probes_ask_the_address_and_port_that_are_served(container: Any, settings: AdvertiseSettings) -> None:
    for probe, path in (("livenessProbe", "/livez"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {
            "host": str(settings.health_address),
            "path": path,
            "port": settings.health_port,
        }


def test_it_needs_no_cluster(pod: Any) -> None:
    """A static Pod may not name objects of the API; the kubelet would refuse it."""
    assert pod["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod
    assert all(set(each) & {"hostPath", "emptyDir"} for each in pod["volumes"])
    assert pod["hostNetwork"] is True
    assert pod["dnsPolicy"] == "Default"
    assert pod["priorityClassName"] == "system-node-critical"


def test_it_has_one_capability_and_a_root_that_it_cannot_change(pod: Any, container: Any) -> None:
    assert container["securityContext"] == {
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    }
    assert pod["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}


def test_the_image_is_the_version_that_is_here(container: Any) -> None:
    assert container["image"] == f"kube-route-speaker:{__version__}"
