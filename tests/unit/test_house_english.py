"""Everything a person reads is plain English: no words that a reader has to decipher, and no long sentences.

A machine can judge only these words, and the length of sentences in documents. CONTRIBUTING.md says the rest.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_documents import PROJECT, documents

# What not to write, and what to write instead.
BANNED = {
    r"shall": "should, must, or the imperative",
    r"somebody": "someone",
    r"who(?:so)?ever": "the person who, anyone who",
    r"mend(?:s|ed|ing)?": "fix",
    r"unwell|sick": "unhealthy",
    r"(?:is|are|was|were) well": "healthy",
    r"told(?! apart)": "notified, reported, announced",
    r"felt": "affected, noticed",
    r"met": "received, encountered, affected",
    r"(?<!-)(?<!: )dark(?! mode| theme| page|\.png)": "without an address",
    r"way back": "rollback",
    r"look(?:s|ed|ing)?(?! ?up| like| the same| for|-around)": "check, describe; a check, a description",
    r"nor (?:is|are|was|were|does|do|did|has|have|can|may|will)": "and ... not",
    r"(?<!there )(?:is|are|was|were) no (?!longer|more)": "is not a",
    r"(?<!there )(?:is|are|was|were) (?-i:none)": "is not a",
    r"anew": "again",
    r"at (?:its|AWS's) best effort": "best effort",
    r"for sure": "certainly, or leave it out",
    r"hiccups?": "a single failed probe",
}
WORDS = re.compile("|".join(rf"\b(?:{pattern})\b" for pattern in BANNED), re.IGNORECASE)
LONGEST_SENTENCE = 40
# Of a document, what is not a sentence: blocks of code, comments, tables, headings and pictures.
NO_SENTENCE = re.compile(r"^ *```.*?^ *```$|<!--.*?-->|^ *\|.*?$|^#.*?$|^<img.*?$", re.DOTALL | re.MULTILINE)
# A paragraph ends at an empty line, and at the next item of a list.
PARAGRAPH_END = re.compile(r"^\s*(?:[-*]|\d+\.) |^\s*$", re.MULTILINE)
SENTENCE_END = re.compile(r"(?<=[.!?])[\"*)]*\s+")
LINK_OR_CODE = re.compile(r"(?<=\])\([^)]*\)|`[^`\n]*`")
# `make bench` writes its sentences around numbers.
GENERATED = PROJECT / "benchmarks" / "results.md"
CODE = (
    ".github", "Makefile", "action.yml", "app.py", "benchmarks", "client", "cutover.py", "docs", "examples", "lambdas",
    "local", "stacks", "tests",
)  # fmt: skip


def lines_people_read(path: Path) -> Iterator[tuple[int, str]]:
    """Of a test its name, of other code the strings and comments, of any other file everything but quoted code."""
    source = path.read_text()
    if path.suffix != ".py":
        yield from enumerate((LINK_OR_CODE.sub("", line) for line in source.splitlines()), 1)
        return
    tree = ast.parse(source)
    if path.is_relative_to(PROJECT / "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield node.lineno, node.name.replace("_", " ")
        return
    for node in ast.walk(tree):
        # Docstrings and the text of f-strings are string literals, too.
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from enumerate(node.value.splitlines(), node.lineno)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def banned_in(path: Path) -> list[str]:
    return [
        f"{path}:{number}: {match[0]!r} in {line.strip()!r}"
        for number, line in lines_people_read(path)
        for match in WORDS.finditer(line)
    ]


def long_sentences(document: str) -> list[str]:
    sentences = (
        " ".join(sentence.split())
        for paragraph in PARAGRAPH_END.split(NO_SENTENCE.sub("\n\n", document))
        for sentence in SENTENCE_END.split(LINK_OR_CODE.sub("x", paragraph))
    )
    return [sentence for sentence in sentences if len(sentence.split()) > LONGEST_SENTENCE]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(PROJECT)))
def test_a_document_has_plain_words_and_short_sentences(document: Path) -> None:
    assert banned_in(document) == []
    assert document == GENERATED or long_sentences(document.read_text()) == []


@pytest.mark.parametrize("place", CODE)
def test_messages_comments_and_names_of_tests_have_plain_words(place: str) -> None:
    path = PROJECT / place
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.suffix in (".py", ".sh", ".yml")]
    assert files
    assert [found for each in files for found in banned_in(each)] == []


def test_a_banned_word_is_found_in_all_text_that_people_read(tmp_path: Path) -> None:
    module, document = tmp_path / "module.py", tmp_path / "document.md"
    module.write_text(
        '"""Shall\n\nsomebody."""\ntold = f"{1} is told"  # a dark place\nfelt = look = met = "last_look"\n'
    )
    assert [found.split(": ")[0] for found in banned_in(module)] == [f"{module}:{line}" for line in (1, 3, 4, 4)]
    document.write_text("See [there](where-it-shall-be.md), `shall` and\nwhoever.\n")
    assert [found.split(": ")[0] for found in banned_in(document)] == [f"{document}:2"]


def test_a_long_sentence_is_found_in_a_paragraph_and_in_a_list_and_not_in_a_table_or_code() -> None:
    text, long = ("word " * (LONGEST_SENTENCE - 1) + "word", "word " * LONGEST_SENTENCE + "word.")
    assert long_sentences(f"{text}\n\n{text}. {text}.\n- {text}\n- {text}\n| {long} |\n```\n{long}\n```\n") == []
    assert long_sentences(f"Short.\n- {long}\n\n{long} Short.") == [long, long]
