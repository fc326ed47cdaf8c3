"""`speaker convert`: turns Calico's BGP resources into ours; reads files, and changes nothing."""

import json
import sys
from collections.abc import Iterable, Sequence

import click
import yaml

from speaker.cli.documents import read_documents
from speaker.errors import UsageError
from speaker.fabric.convert import Conversion, Converted, Source
from speaker.fabric.convert import convert as convert_sources
from speaker.log import escaped

HEAD = (
    "Made by speaker convert from Calico's resources. A Node here holds nothing but annotations and labels;"
    " kubectl apply adds them to the Node that is there."
)


@click.command()
@click.option(
    "-f",
    "--filename",
    "paths",
    multiple=True,
    required=True,
    metavar="<path>",
    help="What calicoctl get or kubectl get printed: a file, a folder, or - for standard input; repeatable.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["yaml", "json"]),
    default="yaml",
    show_default=True,
    help="How to write the result.",
)
def convert(paths: Sequence[str], output: str) -> None:
    """Turn Calico's BGPConfiguration, BGPPeer, BGPFilter and Node into what kubectl apply takes here.

    Give all files of a cluster at once. What cannot be kept is told on standard error, and in YAML also above
    each document. Changes nothing.
    """
    conversion = convert_sources([Source(each.place, each.content) for each in read_documents(paths)])
    for line in _told(conversion):
        click.echo(f"speaker: {escaped(line)}", err=True)
    if not any(each.document is not None for each in conversion.converted):
        raise UsageError("nothing to convert: the files hold no BGP resources of Calico")
    click.echo(_as_json(conversion) if output == "json" else _as_yaml(conversion), nl=False)


def _told(conversion: Conversion) -> Iterable[str]:
    """The notes, one a line, each with its document."""
    for each in conversion.converted:
        for note in each.notes:
            yield f"{each.source.place}: {each.source}: {note}"
    yield from conversion.notes


def _as_json(conversion: Conversion) -> str:
    items = [each.document for each in conversion.converted if each.document is not None]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2) + "\n"


def _as_yaml(conversion: Conversion) -> str:
    head = "".join(_comment(each) for each in (HEAD, *conversion.notes))
    return head + "".join(f"---\n{_document(each)}" for each in conversion.converted if each.document)


def _document(converted: Converted) -> str:
    comments = "".join(_comment(f"{converted.source}: {note}") for note in converted.notes)
    # No aliases: kubectl reads them, people do not.
    return comments + yaml.dump(
        converted.document, Dumper=_Plain, sort_keys=False, allow_unicode=False, width=sys.maxsize
    )


class _Plain(yaml.SafeDumper):
    """Writes values so that people and kubectl read them alike."""

    def ignore_aliases(self, data: object) -> bool:
        """Write every value where it stands."""
        del data
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        """Quote what Go's YAML takes for a number or a truth value and Python's does not: 1e3, y."""
        is_word = len(text) > 1 and text[0].isascii() and text[0].isalpha()
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_word else "'")


_Plain.add_representer(str, _Plain.represent_text)


def _comment(text: str) -> str:
    return f"# {escaped(text)}\n"
