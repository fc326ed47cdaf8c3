"""What log lines look like."""

import io
import json
import logging
import re
from ipaddress import ip_network

import pytest

from speaker import log
from speaker.model.peer import Password
from speaker.model.prefix import Family

LOGGER = logging.getLogger("speaker.test")


def written(form: str, message: str, level: str = "info", **fields: object) -> str:
    stream = io.StringIO()
    log.configure(level, form, stream)
    LOGGER.info(message, extra=fields)
    return stream.getvalue()


def test_text_is_one_line_of_moment_level_message_and_fields() -> None:
    line = written("text", "route advertised", prefix=ip_network("10.0.0.1/32"), why="Pod annotated")
    moment, _, rest = line.partition(" ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", moment)
    assert rest == 'INFO route advertised prefix=10.0.0.1/32 why="Pod annotated"\n'


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("", '""'),
        ("a=b", '"a=b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("two\nlines", "two\\nlines"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202egnp", "\\u202egnp"),
        (["a", "b"], "a,b"),
        (("x y",), '"x y"'),
        (None, "None"),
        (True, "True"),
        (Password("open-sesame"), "Password(***)"),
    ],
)
def test_values_in_text(value: object, shown: str) -> None:
    assert written("text", "m", value=value).partition("value=")[2] == f"{shown}\n"


def test_a_message_of_two_lines_is_written_as_one() -> None:
    assert written("text", "one\ntwo").count("\n") == 1


def test_json_is_one_object_a_line() -> None:
    line = written("json", "session\nup", peer="10.0.0.1", families={Family.IPV6, Family.IPV4}, n=1, s=None)
    assert line.count("\n") == 1
    document = json.loads(line)
    assert document.pop("time").endswith("Z")
    assert document == {
        "level": "info",
        "logger": "speaker.test",
        "message": "session\nup",
        "peer": "10.0.0.1",
        "families": ["ipv4", "ipv6"],
        "n": 1,
        "s": None,
    }


def test_json_holds_what_json_has_no_form_for() -> None:
    document = json.loads(written("json", "m", password=Password("open-sesame"), prefix=ip_network("::/64")))
    assert (document["password"], document["prefix"]) == ("Password(***)", "::/64")


def test_a_field_cannot_take_the_place_of_what_every_line_has() -> None:
    stream = io.StringIO()
    log.configure("info", "json", stream)
    LOGGER.info("m", extra={"level": "debug", "logger": "other", "time": 0})
    document = json.loads(stream.getvalue())
    assert (document["level"], document["logger"]) == ("info", "speaker.test")
    assert document["time"] != 0


@pytest.mark.parametrize("form", log.FORMATS)
def test_a_traceback_is_kept_and_escaped(form: str) -> None:
    stream = io.StringIO()
    log.configure("info", form, stream)
    try:
        int("bad \x1b news")
    except ValueError:
        LOGGER.exception("stopped by a defect")
    assert "ValueError: invalid" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_the_level_keeps_lesser_lines_back() -> None:
    assert written("text", "m", level="warning") == ""


def test_libraries_speak_from_warning_on() -> None:
    stream = io.StringIO()
    log.configure("debug", "text", stream)
    logging.getLogger("kubernetes.client.rest").debug("response body: secret")
    logging.getLogger("kubernetes.client.rest").warning("lost")
    assert "secret" not in stream.getvalue()
    assert "lost" in stream.getvalue()


def test_configuring_twice_writes_once() -> None:
    log.configure("info", "text", io.StringIO())
    assert written("text", "m").count("INFO m") == 1
