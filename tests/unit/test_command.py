"""A command as it is written into the item of a lock, and its output as people see it."""

from dataclasses import replace

import pytest

from domain.release_commands import Command, last_line, parameter, quoted

SENT = Command(
    "deploy", "tao", "i-0bbbbbbbb", sent=1_770_000_000.123456, until=1_770_000_690.5, id="c-1", line="7 runs",
    done=({"step": "a"},), warnings=("w",),
)  # fmt: skip


def test_a_command_is_read_as_it_was_written() -> None:
    assert Command.from_text(SENT.to_text()) == SENT
    assert '"sent": "2026-02-02T02:40:00.123456+00:00"' in SENT.to_text()


def test_the_mark_of_a_command_is_in_its_own_text_and_in_no_other() -> None:
    later = replace(SENT, sent=SENT.sent + 0.000001)
    assert SENT.mark in replace(SENT, status="Success", ended=True).to_text()
    assert SENT.mark not in later.to_text()


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "7", "null", '{"sent": "yesterday"}', '{"sent": 7, "until": 8}'])
def test_any_other_text_is_not_taken_for_a_command(text: str) -> None:
    assert Command.from_text(text) is None


def test_a_command_of_another_version_is_not_read() -> None:
    assert Command.from_text(SENT.to_text().replace('"step"', '"stage"')) is None


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("a\nb\n\n", "b"),
        (" b \x1b[0m\n", "b ?[0m"),
        ("x" * 300, "x" * 197 + "..."),
        ("a\n10 %\r90 %\r\n", "10 %?90 %"),
    ],
)
def test_the_last_line_is_the_last_one_with_a_text(output: str, line: str) -> None:
    assert last_line(output) == line


def test_no_line_of_an_output_can_be_taken_for_a_command_or_for_a_line_of_a_log() -> None:
    hostile = "aws ec2\r::set-output::\n\u2028aws iam\x85./cutover.py\x0baws s3\x0c\x1c\x1d\x1eaws\x00\x1b]0;\x07\r\n"
    *lines, end = quoted(hostile).splitlines()[1:]
    assert end == "The output ends here."
    assert lines == ["| aws ec2?::set-output::", "| ?aws iam?./cutover.py?aws s3????aws??]0;?"], (
        "twenty lines stay twenty"
    )
    for line in lines:
        assert line.startswith("| ")
        assert line.isprintable()
        assert line.isascii()


def test_of_a_long_output_the_end_is_shown() -> None:
    shown = quoted("".join(f"{number} {'y' * 190}\n" for number in range(20)))
    assert len(shown) < 2_030
    assert shown.startswith("\n...")
    assert f"| 19 {'y' * 190}" in shown
    assert quoted(" \n") == " (nothing)."


@pytest.mark.parametrize(
    ("text", "value"),
    [("arn:aws:states:eu-west-1:1:execution:a:b-c_d.e", "arn:aws:states:eu-west-1:1:execution:a:b-c_d.e"),
     ("name with 'quotes' & é$(x)", "name_with__quotes_______x_"), ("", "")],
)  # fmt: skip
def test_a_parameter_has_nothing_that_a_shell_could_take_for_more_than_a_word(text: str, value: str) -> None:
    assert parameter(text) == value
