"""One target under atheris, guided by coverage, in a process of its own: libFuzzer never returns.

    python -m tests.fuzz.guided TARGET SECONDS CORPUS ARTIFACTS

Exit status 0 when the time is over, anything else on a finding, whose input is then in the corpus.
"""

import sys

import atheris  # type: ignore[import-untyped]

with atheris.instrument_imports(include=["speaker", "annotations", "exabgp"]):
    from tests.fuzz import targets

from tests.fuzz.verdict import Finding

_MOST_MEMORY_MIB = 1024
_LONGEST_INPUT = 8192
_LONGEST_SECONDS = 20
"""After that long one input is a hang."""


def main() -> None:
    """Fuzzes until the time is over."""
    name, seconds, corpus, artifacts = sys.argv[1:5]
    target = targets.TARGETS[name]

    def one_input(data: bytes) -> None:
        try:
            target(data)
        except Exception as error:  # any at all is what is looked for
            whole = error.data if isinstance(error, Finding) and error.data is not None else None
            file = targets.keep(name if whole is None else "stream", data if whole is None else whole)
            print(f"finding: {error!r}\nits input: {file}", flush=True)
            raise

    options = [
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={_MOST_MEMORY_MIB}",
        f"-max_len={_LONGEST_INPUT}",
        f"-timeout={_LONGEST_SECONDS}",
        f"-artifact_prefix={artifacts}/",
        "-print_final_stats=1",
        corpus,
    ]
    atheris.Setup([sys.argv[0], *options], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
