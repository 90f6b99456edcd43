"""The README claims only what `make bench` has measured, with the same words and numbers."""

import re
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
RESULTS = (PROJECT / "benchmarks" / "results.md").read_text()
NUMBER = re.compile(r"\d[\d,.]*\d|\d")


def measured() -> str:
    return (PROJECT / "README.md").read_text().split("\n## Measured\n")[1].split("\n## ")[0]


def claims() -> Iterator[str]:
    """The bold texts of the section that have a number in them."""
    yield from (bold for bold in re.findall(r"\*\*([^*]+)\*\*", measured()) if NUMBER.search(bold))


def test_every_number_in_the_documents_is_in_the_results() -> None:
    assert len(list(claims())) >= 6
    assert [claim for claim in claims() if claim not in RESULTS] == []


def test_the_results_are_within_the_limits() -> None:
    assert "in all" in RESULTS
    failed = re.search(
        r"The limit is 1\.2 times and no failures; the most is \*\*([\d.]+) times\*\*, and \*\*0 failed", RESULTS
    )
    imports = re.search(r"The limit is 1\.25; the most is \*\*([\d.]+)\*\*", RESULTS)
    assert failed
    assert imports
    assert float(failed[1]) <= 1.2
    assert float(imports[1]) <= 1.25
    assert set(re.findall(r"^\| .*\| 1\.00 \| 1\.00 \| ([\d.]+) \|$", RESULTS, re.MULTILINE)) == {"1.00"}


def test_every_case_has_its_picture() -> None:
    pictures = set(re.findall(r"\]\((pictures/[^)]+)\)", RESULTS))
    assert len(pictures) == 8
    for picture in pictures:
        assert (PROJECT / "benchmarks" / picture).stat().st_size > 10_000
