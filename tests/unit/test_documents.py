"""Every link in a document leads to an existing file, and every anchor to an existing heading."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent
# Of Markdown and of HTML; in a code block a link is none.
LINK = re.compile(r"\]\(([^)\s]+)\)|\b(?:src|href)=\"([^\"]+)\"")
CODE = re.compile(r"^( *)```.*?^\1```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
INSTALLED = (".git", ".venv", ".local", ".pytest_cache", ".hypothesis", "node_modules", "cdk.out")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def documents() -> list[Path]:
    """All but those in folders of what was installed or generated."""
    folders = (folder for folder in PROJECT.iterdir() if folder.is_dir() and folder.name not in INSTALLED)
    return sorted(path for place in (PROJECT.glob("*.md"), *(each.rglob("*.md") for each in folders)) for path in place)


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings: lower case, no punctuation, hyphens for spaces."""
    headings = HEADING.findall(re.sub(r"^```.*?^```$", "", document.read_text(), flags=re.DOTALL | re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(document: Path) -> Iterator[str]:
    for markdown, html in LINK.findall(CODE.sub("", document.read_text())):
        yield markdown or html


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_link_has_a_target(document: Path) -> None:
    wrong = []
    for link in links(document):
        path, _, anchor = link.partition("#")
        if re.match(r"https?:|mailto:", path):
            continue
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_every_document_is_listed_by_the_question_that_it_answers() -> None:
    listed = {(PROJECT / "docs" / link.partition("#")[0]).resolve() for link in links(PROJECT / "docs" / "README.md")}
    assert {path for path in documents() if path.parent == PROJECT / "docs"} - listed == {
        PROJECT / "docs" / "README.md"
    }


def test_the_readme_is_read_in_five_minutes() -> None:
    readme = (PROJECT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    assert len(readme.split()) < 1500
