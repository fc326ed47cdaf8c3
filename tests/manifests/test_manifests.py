"""What `kubectl apply -k` would create: it starts, it may do what it must, and no more."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from speaker import __version__
from speaker.cluster import lease
from speaker.cluster.sources import source
from speaker.health import DEFAULT_PORT
from speaker.model.objects import Kind
from speaker.settings import settings_from
from speaker.settings.table import FLAGS, HOST_VARIABLES

pytestmark = pytest.mark.new_kubectl

OVERLAYS = ("overlays/kube-ovn", "overlays/calico")
EVERY = ("base", *OVERLAYS)
ROOT = Path(__file__).parents[2]

Render = Callable[..., dict[tuple[str, str], Any]]


def pod(objects: dict[tuple[str, str], Any]) -> Any:
    return objects["DaemonSet", "kube-route-speaker"]["spec"]["template"]["spec"]


def container(objects: dict[tuple[str, str], Any]) -> Any:
    (only,) = pod(objects)["containers"]
    return only


def given(arguments: list[str]) -> dict[str, list[str]]:
    """Flag name to the texts that were given, as the command line hands them on."""
    flags: dict[str, list[str]] = {}
    for argument in arguments[1:]:
        name, separator, text = argument.removeprefix("--").partition("=")
        flags.setdefault(name, []).append(text if separator else "true")
    return flags


@pytest.mark.parametrize("folder", EVERY)
def test_all_that_belongs_to_the_speaker_is_there(render: Render, folder: str) -> None:
    objects = render(folder)
    assert set(objects) == {
        (kind, "kube-route-speaker")
        for kind in (
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "Role",
            "RoleBinding",
            "DaemonSet",
        )
    }
    namespaced = {kind: each["metadata"].get("namespace") for (kind, _), each in objects.items()}
    assert {kind for kind, namespace in namespaced.items() if namespace != "kube-system"} == {
        "ClusterRole",
        "ClusterRoleBinding",
    }


@pytest.mark.parametrize("folder", OVERLAYS)
def test_every_argument_is_a_flag(render: Render, folder: str) -> None:
    arguments = container(render(folder))["args"]
    assert arguments[0] == "run"
    assert given(arguments).keys() <= {flag.name for flag in FLAGS}


@pytest.mark.parametrize("components", [(), ("tcp-md5",)])
@pytest.mark.parametrize("folder", OVERLAYS)
def test_the_arguments_start_a_speaker(render: Render, folder: str, components: tuple[str, ...]) -> None:
    environment = {"NODE_NAME": "node-1", "POD_IP": "192.0.2.1", "POD_IPS": "192.0.2.1,2001:db8::1"}
    settings = settings_from(given(container(render(folder, *components))["args"]), environment)
    assert settings.node_name == "node-1"
    assert not settings.notices


@pytest.mark.parametrize("folder", OVERLAYS)
def test_the_node_label_is_the_one_that_the_speaker_looks_for(render: Render, folder: str) -> None:
    """Else every node would run a speaker that advertises nothing, or none would run."""
    objects = render(folder)
    settings = settings_from(given(container(objects)["args"]), {"NODE_NAME": "n", "POD_IP": "192.0.2.1"})
    label = settings.publication.node_label
    assert label is not None
    assert pod(objects)["nodeSelector"] == {"kubernetes.io/os": "linux", label[0]: label[1]}


@pytest.mark.parametrize("folder", EVERY)
def test_the_environment_says_what_the_speaker_reads(render: Render, folder: str) -> None:
    variables = {each["name"] for each in container(render(folder))["env"]}
    read = set(HOST_VARIABLES) | {name for flag in FLAGS for name in flag.environment}
    assert read <= variables
    assert variables - read <= {"POD_NAME", "NO_PROXY"}


@pytest.mark.parametrize("folder", EVERY)
def test_probes_ask_the_port_that_is_served(render: Render, folder: str) -> None:
    speaker = container(render(folder))
    assert speaker["livenessProbe"]["httpGet"] == {"path": "/livez", "port": DEFAULT_PORT}
    assert speaker["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": DEFAULT_PORT}
    assert [port["containerPort"] for port in speaker["ports"]] == [DEFAULT_PORT]


@pytest.mark.parametrize("folder", EVERY)
def test_it_writes_events_one_lease_and_statuses_and_nothing_else(render: Render, folder: str) -> None:
    objects = render(folder)
    rules = [rule for (kind, _), each in objects.items() if kind.endswith("Role") for rule in each["rules"]]
    writes = [rule for rule in rules if not set(rule["verbs"]) <= {"get", "list", "watch"}]
    assert [(rule["resources"], rule.get("resourceNames"), rule["verbs"]) for rule in writes] == [
        (["leases"], [lease.NAME], ["get", "update"]),
        (["leases"], None, ["create"]),
        (["bgpnodestatuses"], None, ["create"]),
        (
            ["bgpconfigurations/status", "bgppeers/status", "bgpfilters/status", "bgpnodestatuses/status"],
            None,
            ["patch"],
        ),
        (["events"], None, ["create", "patch"]),
    ]
    named = {value for rule in rules for key in ("apiGroups", "resources") for value in rule[key]}
    assert "*" not in named
    assert "secrets" not in named


def test_it_may_read_all_that_it_watches(render: Render) -> None:
    rules = render("base")["ClusterRole", "kube-route-speaker"]["rules"]
    readable = {
        (group, resource)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        if {"list", "watch"} <= set(rule["verbs"])
    }
    # Names are as kubectl has them: "pods" is of the core group, "subnets.kubeovn.io" of the other.
    watched = (source(kind).name.partition(".") for kind in Kind if kind is not Kind.SECRET)
    assert readable == {(group, resource) for resource, _, group in watched}


def test_it_hears_of_the_optional_kinds_and_of_no_other(render: Render) -> None:
    rules = render("base")["ClusterRole", "kube-route-speaker"]["rules"]
    (rule,) = (rule for rule in rules if rule["resources"] == ["customresourcedefinitions"])
    optional = {each.name for each in map(source, Kind) if each.optional}
    assert set(rule["resourceNames"]) == optional
    assert rule["verbs"] == ["watch"]


def test_its_own_daemonset_is_the_only_one_it_sees(render: Render) -> None:
    objects = render("base")
    rules = objects["Role", "kube-route-speaker"]["rules"]
    (rule,) = (rule for rule in rules if rule["apiGroups"] == ["apps"])
    assert rule == {
        "apiGroups": ["apps"],
        "resources": ["daemonsets"],
        "resourceNames": ["kube-route-speaker"],
        "verbs": ["get"],
    }
    named = {each["name"]: each.get("value") for each in container(objects)["env"]}
    assert named["DAEMONSET_NAME"] == "kube-route-speaker"


@pytest.mark.parametrize("folder", EVERY)
def test_it_has_one_capability_and_a_root_that_it_cannot_change(render: Render, folder: str) -> None:
    objects = render(folder)
    assert container(objects)["securityContext"] == {
        "runAsUser": 0,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    }
    assert pod(objects)["securityContext"] == {"seccompProfile": {"type": "RuntimeDefault"}}


def test_it_speaks_from_the_node_and_comes_before_other_pods(render: Render) -> None:
    speaker = pod(render("base"))
    assert speaker["hostNetwork"] is True
    assert speaker["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert speaker["priorityClassName"] == "system-node-critical"
    assert speaker["enableServiceLinks"] is False
    assert speaker["tolerations"] == [{"operator": "Exists"}]


def test_an_upgrade_takes_one_node_at_a_time(render: Render) -> None:
    strategy = render("base")["DaemonSet", "kube-route-speaker"]["spec"]["updateStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}}


def test_the_control_socket_has_a_place_that_can_be_written(render: Render) -> None:
    objects = render("base")
    (default,) = (flag.default for flag in FLAGS if flag.name == "control-socket")
    assert default is not None
    assert str(Path(default).parent) in {mount["mountPath"] for mount in container(objects)["volumeMounts"]}


def test_the_tcp_md5_password_is_a_file_that_only_root_reads(render: Render) -> None:
    objects = render("overlays/kube-ovn", "tcp-md5")
    (path,) = given(container(objects)["args"])["auth-password-file"]
    (mount,) = (each for each in container(objects)["volumeMounts"] if each["name"] == "tcp-md5")
    (volume,) = (each for each in pod(objects)["volumes"] if each["name"] == "tcp-md5")
    assert path == f"{mount['mountPath']}/password"
    assert mount["readOnly"] is True
    assert volume["secret"] == {"secretName": "kube-route-speaker-tcp-md5", "defaultMode": 0o400}


def test_the_image_is_the_version_that_is_here(render: Render) -> None:
    assert container(render("base"))["image"] == f"kube-route-speaker:{__version__}"
    assert f"ARG VERSION={__version__}\n" in (ROOT / "Dockerfile").read_text()


def test_the_dockerfile_copies_what_exists_and_what_dockerignore_admits() -> None:
    admitted = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for sources in re.findall(r"^COPY (?!--)(.*) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
        for source in sources.split()
    }
    assert copied == admitted
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_no_manifest_names_a_secret_value() -> None:
    """A password belongs into a Secret that is made by hand."""
    for path in (ROOT / "manifests").rglob("*.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            assert document.get("kind") != "Secret", path
