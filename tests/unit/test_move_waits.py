"""The time without a good answer: what a user waits who tries again with every request that is due."""

import pytest

from local.load import Answer
from tests.acceptance.move_waits import Move, Wait, are_good, measured, percentile, waits

FAILED = None


def answers(*seconds: float | None, apart: float = 1.0) -> list[Answer]:
    """Answers to requests that were due `apart` seconds from each other, by how long they took; failures took 0.5 s."""
    return [
        Answer(number * apart, 500.0, None, "reset")
        if took is FAILED
        else Answer(number * apart, 1000 * took, "tao", None)
        for number, took in enumerate(seconds)
    ]


def move(number: int, began: float, ended: float, *, moved: float | None = None, server: str = "tao") -> Move:
    return Move(number, server, "CUT_OVER", began, began if moved is None else moved, ended)


def of_servers(*who: str | None, apart: float = 1.0) -> list[Answer]:
    """Good answers of these servers after 0.25 s, and failures after 0.25 s where no server answered."""
    return [
        Answer(number * apart, 250.0, server and f"{server}, release 2", None if server else "reset")
        for number, server in enumerate(who)
    ]


def seconds(*values: float) -> list[Wait]:
    return [Wait(False, value) for value in values]


@pytest.mark.parametrize(
    ("took", "expected"),
    [
        ((0.25, 0.25), seconds(0.25, 0.25)),
        # From when the first failed request was due to the arrival of the first good answer.
        ((0.25, FAILED, FAILED, 0.25), seconds(0.25, 2.25, 1.25, 0.25)),
        # The second request overtakes the first; the user of the first tried it as well.
        ((3.5, 0.25), seconds(1.25, 0.25)),
        # A slow good answer that is still the first to arrive.
        ((1.5, FAILED, FAILED), [Wait(False, 1.5), Wait(True, 1.5), Wait(True, 0.5)]),
        ((FAILED, FAILED), [Wait(True, 1.5), Wait(True, 0.5)]),
        ((), []),
    ],
)
def test_a_user_waits_for_the_first_good_answer_to_a_request_since_then(
    took: tuple[float | None, ...], expected: list[Wait]
) -> None:
    assert waits(answers(*took)) == expected


def test_a_move_without_a_failed_request_has_its_longest_wait() -> None:
    (seen,) = measured([move(1, 0, 2)], answers(0.25, 0.75, 0.25))
    assert (seen.requests, seen.failed, seen.slowest_seconds) == (3, 0, 0.75)
    assert (seen.without_good_answer, seen.disturbed) == (Wait(False, 0.75), Wait(False, 0))


def test_two_interruptions_of_one_move_are_not_added_up_but_both_disturb() -> None:
    (seen,) = measured([move(1, 0, 5)], answers(FAILED, 0.25, FAILED, FAILED, 0.25, 0.25))
    assert seen.failed == 3
    assert seen.without_good_answer == Wait(False, 2.25)
    assert seen.disturbed == Wait(False, 4.25)


def test_a_request_counts_for_the_move_in_which_it_was_due_and_its_wait_may_end_in_the_next() -> None:
    first, second = measured([move(1, 1, 2), move(2, 3, 4)], answers(FAILED, 0.25, FAILED, FAILED, 0.25))
    assert (first.requests, first.failed, first.without_good_answer) == (2, 1, Wait(False, 2.25))
    assert (second.requests, second.failed, second.without_good_answer) == (2, 1, Wait(False, 1.25))
    assert first.disturbed == Wait(False, 2.25)


def test_if_all_requests_fail_to_the_end_the_wait_is_at_least_as_long_as_it_was_observed() -> None:
    (seen,) = measured([move(1, 0, 2)], answers(0.25, FAILED, FAILED))
    assert seen.without_good_answer == seen.disturbed == Wait(True, 1.5)
    assert str(seen.without_good_answer) == "more than 1.50 s"


def test_a_move_that_no_request_observed_is_left_out() -> None:
    assert [seen.move.number for seen in measured([move(1, 0, 1), move(2, 9, 10)], answers(0.25))] == [1]
    assert measured([], answers(0.25)) == []


@pytest.mark.parametrize(
    ("percent", "values", "expected"),
    [(50, 1, 1), (99, 1, 1), (50, 2, 1), (50, 3, 2), (90, 3, 3), (99, 99, 99), (99, 100, 99), (90, 200, 180)],
)
def test_a_percentile_is_a_value_that_was_measured(percent: int, values: int, expected: int) -> None:
    assert percentile(percent, seconds(*range(values, 0, -1))) == Wait(False, expected)


def test_a_wait_without_an_observed_end_is_longer_than_every_other() -> None:
    assert percentile(50, [Wait(True, 1), Wait(False, 2), Wait(False, 3)]) == Wait(False, 3)
    assert percentile(99, [Wait(True, 1), Wait(False, 2), Wait(False, 3)]) == Wait(True, 1)


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        percentile(50, [])


@pytest.mark.parametrize(
    ("who", "good"),
    [
        (("tao", "tao", "tao"), True),
        (("tao", "tao"), False),
        (("tao", None, "tao"), False),
        ((None, "tao", "tao", "tao"), True),
        (("bittybot", "bittybot", "bittybot"), False),
        (("tao", "bittybot", "tao"), False),
        (("bittybot", "tao", "tao", "tao"), True),
    ],
)
def test_the_next_move_waits_for_good_answers_of_the_new_server_in_a_row(
    who: tuple[str | None, ...], good: bool
) -> None:
    assert are_good(of_servers("tao", *who), of="tao", after=0.5, requests=3) is good


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        # From the move at 1.5 s to the arrival of the first answer of the new server.
        (("bittybot", "bittybot", "tao", "tao"), Wait(False, 0.75)),
        # Answers of the former server are good, and are not those of the new server.
        (("bittybot", "bittybot", "bittybot", "bittybot", "tao"), Wait(False, 2.75)),
        # As long as both answer, the new server does not answer every request.
        (("bittybot", "bittybot", "tao", "bittybot", "tao"), Wait(False, 2.75)),
        (("bittybot", None, "tao", None, "tao"), Wait(False, 2.75)),
        # A request that was due before the move may reach the former server later.
        (("bittybot", "bittybot", "bittybot"), Wait(True, 0.75)),
        (("tao", "tao"), Wait(False, 0)),
    ],
)
def test_the_new_server_answers_when_every_later_request_reaches_it(
    who: tuple[str | None, ...], expected: Wait
) -> None:
    (seen,) = measured([move(1, 0, 4, moved=1.5)], of_servers(*who))
    assert seen.until_new_server == expected


def test_the_wait_for_the_new_server_ends_with_the_move_and_its_end_may_be_seen_in_the_next() -> None:
    moves = [move(1, 0, 1, moved=0.5), move(2, 2, 3, moved=4.5, server="bittybot")]
    first, second = measured(moves, of_servers("bittybot", "bittybot", "tao", "tao", "tao", "bittybot"))
    assert first.until_new_server == Wait(False, 1.75)
    assert second.until_new_server == Wait(False, 0.75)


@pytest.mark.parametrize(("value", "text"), [(0, "0 ms"), (0.0704, "70 ms"), (1.234, "1.23 s"), (61.25, "61.2 s")])
def test_a_wait_is_short_to_read(value: float, text: str) -> None:
    assert str(Wait(False, value)) == text
