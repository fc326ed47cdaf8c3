"""The program as a person or a DaemonSet starts it: what it prints and how it exits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from speaker.cli.program import exit_status

LEAST = ("--neighbor-address=10.0.0.1", "--neighbor-as=65001", "--cluster-as=65000")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("KRS_") or name in {"NODE_NAME", "POD_IP", "POD_IPS"}:
            monkeypatch.delenv(name)


def started(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "speaker", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        env=os.environ | (environ or {}),
    )


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["version"]) == 0
    assert capsys.readouterr().out == "kube-route-speaker 0.1.0\n"


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in ("run", "plan", "status", "routes", "explain", "version"))


def test_help_of_run_shows_flags_by_heading_with_their_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["run", "--help"]) == 0
    out = capsys.readouterr().out
    assert "BGP sessions:" in out
    assert "--holdtime <duration>" in out
    assert "[default: 90s]" in out
    assert "log_file_max_size" not in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--neighbour-as=1"], "there is no flag --neighbour-as; did you mean --neighbor-as?"),
        (["--neighbour-as=1"], "there is no flag --neighbour-as; did you mean --neighbor-as?"),
        (["run", "--xyzzy"], "there is no flag --xyzzy"),
        (["run", "--passivemode", "false"], "got unexpected extra argument (false)"),
        (["run", "--node-name"], "option '--node-name' requires an argument"),
        (["fly"], "no such command 'fly'"),
        (["explain", "pod"], "missing argument '[NAMESPACE/]NAME'"),
        (
            ["explain", "pdo", "a"],
            "there is no kind pdo; write Pod, Service, EndpointSlice, Namespace, Node, Subnet, IP, IPAMBlock",
        ),
        (["status", "-o", "xml"], "invalid value for '-o' / '--output': 'xml' is not one of 'text', 'json'"),
    ],
)
def test_bad_usage_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    assert exit_status(arguments) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"speaker: {sentence}\n")


def test_no_arguments_show_the_help_as_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status([]) == 2
    assert "Commands:" in capsys.readouterr().err


def test_flags_without_a_command_mean_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["--neighbor-address=10.0.0.1"]) == 2
    wanted = "missing required flags: --node-name or NODE_NAME, --neighbor-as, --cluster-as"
    assert wanted in capsys.readouterr().err


def test_several_problems_stand_under_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["run", *LEAST, "--node-name=n", "--router-id=0", "--holdtime=1s"]) == 2
    assert capsys.readouterr().err == (
        "speaker: 2 problems:\n"
        "  --router-id=0: must be written as an IPv4 address other than 0.0.0.0\n"
        "  --holdtime=1s: must be 0 or from 3s to 65535s\n"
    )


def test_control_characters_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_status(["run", "--\x1b[2J"]) == 2
    assert exit_status(["\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "the password in it must be of 1 to 80 octets"),
        (b"\n", "the password in it must be of 1 to 80 octets"),
        (b"x" * 81, "the password in it must be of 1 to 80 octets"),
        (b"\xff\xfe", "must hold text in UTF-8"),
    ],
)
def test_a_bad_password_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None, problem: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    arguments = ["run", *LEAST, "--node-name=n", "--router-id=192.0.2.1", f"--auth-password-file={file}"]
    assert exit_status(arguments) == 2
    assert capsys.readouterr().err == f"speaker: --auth-password-file={file}: {problem}\n"


def test_no_running_speaker_is_a_failure(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert exit_status(["status", f"--control-socket={tmp_path}/none"]) == 1
    assert capsys.readouterr().err.startswith(f"speaker: no speaker listens on {tmp_path}/none")


def test_the_exit_status_of_the_process() -> None:
    result = started("run", "--holdtime=1s")
    assert result.returncode == 2
    assert result.stderr.startswith("speaker: 3 problems:\n")
    assert "Traceback" not in result.stderr


def test_environment_alone_is_enough_to_be_checked() -> None:
    result = started("run", environ={"KRS_NEIGHBOR_ADDRESS": "10.0.0.1", "KRS_NEIGHBOR_AS": "x"})
    assert "KRS_NEIGHBOR_AS=x: must be a whole number" in result.stderr


def test_an_interrupt_ends_the_program_without_a_traceback(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    arguments = ["run", *LEAST, "--node-name=n", "--router-id=192.0.2.1", f"--auth-password-file={pipe}"]
    with (
        subprocess.Popen([sys.executable, "-m", "speaker", *arguments], stderr=subprocess.PIPE) as process,
        # Opening the other end returns when the program waits for its password.
        pipe.open("wb"),
    ):
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_the_program_starts_without_its_heavy_parts() -> None:
    heavy = ("aiohttp", "asyncio", "exabgp", "kubernetes", "msgspec", "prometheus_client", "pyroute2", "yaml")
    script = f"import sys, speaker.cli; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stdout == "[]\n"
