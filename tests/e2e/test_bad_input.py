"""Wrong annotations and flags: told on the object, in the log and on stderr; nothing else is lost."""

import pytest

from speaker.model.prefix import Family
from tests.e2e.conftest import MakeCluster
from tests.lab.cluster import Cluster
from tests.lab.objects import BGP, pod, subnet
from tests.lab.routers.bird import Bird
from tests.lab.waiting import eventually

pytestmark = pytest.mark.bird

ROUTES = {"10.16.0.5/32": {"node1"}, "10.16.0.6/32": {"node1"}}


async def start(make_cluster: MakeCluster) -> Cluster:
    """One node that advertises two Pods."""
    cluster = await make_cluster(Bird, nodes=1)
    await cluster.create(
        subnet("ovn-default", "10.16.0.0/16"),
        pod("one", "node1", "10.16.0.5", annotations={BGP: "true"}),
        pod("two", "node1", "10.16.0.6", annotations={BGP: "true"}),
    )
    await cluster.start_speakers(families=frozenset({Family.IPV4}))
    await cluster.wait_table(ROUTES)
    return cluster


async def test_an_annotation_that_is_not_understood_is_told_on_the_object(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster)

    await cluster.annotate("pod", "one", f"{BGP}=globl")
    line = await cluster.speakers["node1"].wait_log("excluded", "Pod default/one")

    assert "globl" in line
    await cluster.wait_table({"10.16.0.6/32": {"node1"}})

    async def events() -> str:
        return await cluster.kubectl(
            "get", "events", "-o", "custom-columns=O:.involvedObject.name,M:.message"
        )

    await eventually(events, lambda text: "one" in text and "globl" in text)
    answer = await cluster.speakers["node1"].ask("explain", kind="Pod", namespace="default", name="one")
    assert "globl" in str(answer)
    await cluster.annotate("pod", "one", f"{BGP}=cluster")
    await cluster.wait_table(ROUTES)


async def test_a_wrong_attribute_is_told_and_the_route_stays(make_cluster: MakeCluster) -> None:
    cluster = await start(make_cluster)

    await cluster.annotate("pod", "one", f"{BGP}-med=many")
    await cluster.speakers["node1"].wait_log("excluded", "Pod default/one", "many")

    await cluster.wait_table(ROUTES)


async def test_wrong_flags_end_in_one_message_with_status_2(make_cluster: MakeCluster) -> None:
    cluster = await make_cluster(Bird, nodes=1)
    speaker = await cluster.speaker(
        "node1", "--holdtime=1s", "--ebgp-multihop=0", families=frozenset({Family.IPV4})
    )

    await speaker.start()

    assert await speaker.child.wait() == 2
    assert "--holdtime" in speaker.log()
    assert "--ebgp-multihop" in speaker.log()
    assert "Traceback" not in speaker.log()
