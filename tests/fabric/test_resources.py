"""The resources that count."""

from speaker.fabric.resources import NO_CONFIGURATION, ResourceBook
from speaker.model.fabric import SecretKeyRef
from speaker.model.objects import Kind, ObjectRef
from tests.builders import changes, gone, node
from tests.fabric.clusters import resource

CONFIGURATION = ObjectRef(Kind.BGP_CONFIGURATION, "", "default")
PEER = ObjectRef(Kind.BGP_PEER, "", "tor")
TOR = {"peerIP": "192.0.2.1", "asNumber": 64513}


def configuration(**spec: object) -> object:
    return resource(Kind.BGP_CONFIGURATION, "default", spec)


def tor(spec: dict[str, object] | None = None, **fields: object) -> object:
    return resource(Kind.BGP_PEER, "tor", TOR if spec is None else spec, **fields)


def book(*views: object) -> ResourceBook:
    found = ResourceBook()
    found.apply(changes(*views))  # type: ignore[arg-type]
    return found


def test_without_a_configuration_there_is_no_mesh() -> None:
    assert ResourceBook().configuration == NO_CONFIGURATION
    assert not NO_CONFIGURATION.node_to_node_mesh_enabled


def test_what_is_right_counts() -> None:
    found = book(configuration(nodeToNodeMeshEnabled=True), tor(), resource(Kind.BGP_FILTER, "f"))
    assert found.configuration.node_to_node_mesh_enabled
    assert [peer.name for peer in found.peers] == ["tor"]
    assert list(found.filters) == ["f"]
    assert not found.problems


def test_only_the_configuration_of_that_name_counts() -> None:
    other = resource(Kind.BGP_CONFIGURATION, "other", {"nodeToNodeMeshEnabled": True})
    found = book(other)
    assert found.configuration == NO_CONFIGURATION
    assert list(found.problems) == [other.meta.ref]


def test_a_bad_change_leaves_what_counted() -> None:
    """And the problem names the field."""
    found = book(tor())
    assert not found.apply(changes(tor({**TOR, "asNumber": 0})))  # type: ignore[arg-type]
    assert [peer.as_number for peer in found.peers] == [64513]
    assert "spec.asNumber" in found.problems[PEER][0]


def test_what_was_never_right_counts_for_nothing() -> None:
    found = book(tor({"peerIP": "nowhere"}))
    assert found.peers == ()
    assert PEER in found.problems


def test_mending_ends_the_problem() -> None:
    found = book(tor({"peerIP": "nowhere"}))
    assert found.apply(changes(tor()))  # type: ignore[arg-type]
    assert found.problems == {}
    assert [peer.name for peer in found.peers] == ["tor"]


def test_a_new_object_of_the_same_name_inherits_nothing() -> None:
    """Deleted and created again between two looks: another uid is another object."""
    found = book(tor())
    assert found.apply(changes(tor({"peerIP": "nowhere"}, uid="another")))  # type: ignore[arg-type]
    assert found.peers == ()


def test_a_deleted_resource_counts_no_more() -> None:
    found = book(tor(), configuration(asNumber=64999))
    assert found.apply([gone(PEER), gone(CONFIGURATION)])
    assert (found.peers, found.configuration) == ((), NO_CONFIGURATION)


def test_a_change_of_the_status_alone_changes_nothing() -> None:
    """Its own status comes back to the speaker that wrote it."""
    found = book(tor())
    again = tor(status={"observedGeneration": 3}, generation=3)
    assert not found.apply(changes(again))  # type: ignore[arg-type]
    assert found.views[PEER].generation == 3


def test_other_kinds_are_passed_over() -> None:
    assert not ResourceBook().apply(changes(node()))


def test_the_secrets_that_are_asked_for() -> None:
    password = {"secretKeyRef": {"name": "bgp", "key": "tor"}}
    mesh = {"secretKeyRef": {"name": "bgp", "key": "mesh"}}
    found = book(tor({**TOR, "password": password}), configuration(nodeMeshPassword=mesh))
    assert found.secrets() == {SecretKeyRef(name="bgp", key="tor"), SecretKeyRef(name="bgp", key="mesh")}


def test_filters_that_are_not_there_are_named() -> None:
    found = book(tor({**TOR, "filters": ["here", "away"]}), resource(Kind.BGP_FILTER, "here"))
    assert found.missing_filters == {"tor": ("away",)}
