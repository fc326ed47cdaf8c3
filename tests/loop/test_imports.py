"""What is imported before the event loop runs, which a start has to wait for."""

import subprocess
import sys

_PROGRAM = """
import sys

def hook(event, arguments):
    if event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}:
        print(event, arguments)

sys.addaudithook(hook)
import speaker.daemon.speaker
"""


def test_no_import_asks_a_name_server() -> None:
    """Where none answers, a start would wait for it many seconds, an upgrade among them."""
    done = subprocess.run([sys.executable, "-c", _PROGRAM], check=True, capture_output=True, text=True)
    assert done.stdout == ""
