"""The watcher itself: each kind of blocking call is found, and what does not block is not."""

import subprocess

import pytest

from tests.loop.findings import Finding, read
from tests.loop.offences import OFFENCES, does_nothing_wrong
from tests.loop.watched import watched

EXPECTED = {
    "sleeps": "asleep sleep",
    "resolves_a_name": "call socket.getaddrinfo",
    "runs_a_program": "call subprocess.Popen",
    "reads_a_file": "call open ",
    "imports_a_module": "call import this",
    "reads_a_blocking_socket": "socket socket.recv",
    "waits_for_a_descriptor": "asleep select",
    "forgets_a_coroutine": "said RuntimeWarning: coroutine 'sleep' was never awaited",
    "calls_from_another_thread": "said Exception in callback calls_from_another_thread",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """What is found in a program that commits every offence once."""
    file = tmp_path_factory.mktemp("watching") / "findings"
    subprocess.run([*watched(file), "tests.loop.offences"], check=True, capture_output=True)
    findings, turns = read(file)
    assert turns > len(OFFENCES)
    return findings


@pytest.mark.parametrize("offence", EXPECTED)
def test_a_blocking_call_is_found(found: list[Finding], offence: str) -> None:
    """Without a look at any clock."""
    ours = [f"{each.kind} {each.what}" for each in found if offence in each.turn]
    assert any(each.startswith(EXPECTED[offence]) for each in ours), ours


def test_every_offence_is_expected() -> None:
    assert {each.__name__ for each in OFFENCES} == {*EXPECTED, does_nothing_wrong.__name__}


def test_a_socket_that_does_not_block_is_no_finding(found: list[Finding]) -> None:
    assert [str(each) for each in found if does_nothing_wrong.__name__ in each.turn] == []


def test_a_finding_names_who_called(found: list[Finding]) -> None:
    (sleep,) = (each for each in found if "sleeps()" in each.turn)
    assert sleep.callers[0].endswith(" sleeps")


def test_what_a_worker_thread_does_is_no_finding(found: list[Finding]) -> None:
    assert [str(each) for each in found if "to_thread" in str(each) and each.what == "sleep"] == []
