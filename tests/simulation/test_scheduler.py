"""The scheduler: virtual time, waiting, death, and what happens to calls."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulation.fates import Call, Fate
from tests.simulation.schedule import Schedule
from tests.simulation.scheduler import START, Killed, NoAnswer, Scheduler
from tests.simulation.seams.present import running
from tests.simulation.seams.threads import Event, Thread, ThreadPoolExecutor, as_completed
from tests.simulation.world.errors import AwsError

KEY = "web/ec2 AssociateAddress.1"
CALL = Call("web", "ec2", "AssociateAddress", 1, "function", 5.0)


class Outside:
    """A run without AWS."""

    def __init__(self, kind: str | None = None) -> None:
        self.scheduler = Scheduler(Schedule(0, only=frozenset(), forced={KEY: kind} if kind else {}))
        self.web: Any = None

    def answer(self, call: Call, fate: Fate) -> Any:
        raise AssertionError("nobody calls AWS here")


@pytest.fixture
def scheduler() -> Scheduler:
    return Outside().scheduler


def run(scheduler: Scheduler, *tasks: Callable[[], Any], seconds: float = 1000) -> list[Any]:
    """Runs tasks side by side, each in a group of its own."""
    spawned = [scheduler.spawn(f"task {n}", task, group=scheduler.group(str(n))) for n, task in enumerate(tasks)]
    scheduler.run(until=START + seconds)
    return spawned


def test_of_two_tasks_the_one_that_is_due_first_goes_on_first(scheduler: Scheduler) -> None:
    began, order = [], []

    def after(seconds: float, name: str) -> Callable[[], None]:
        def wait() -> None:
            began.append(name)
            scheduler.sleep(seconds)
            order.append((name, scheduler.now - START))

        return wait

    run(scheduler, after(3, "last"), after(1, "first"), after(2, "third"), after(1, "second"))

    assert began == ["last", "first", "third", "second"]
    assert order == [("first", 1), ("second", 1), ("third", 2), ("last", 3)]


def test_the_timeout_of_a_wait_does_not_end_the_next_one() -> None:
    outside, ended = Outside(), list[float]()
    scheduler = outside.scheduler

    def wait() -> None:
        event.wait(5)
        scheduler.sleep(10)
        ended.append(scheduler.now - START)

    with running(outside):
        event = Event()
        scheduler.at(2, event.set)
        run(scheduler, wait)

    assert ended == [12]


def test_a_task_has_its_result_or_raises_its_error(scheduler: Scheduler) -> None:
    good, bad = run(scheduler, lambda: 42, lambda: {1: 2}[3])

    assert good.result() == 42
    with pytest.raises(KeyError):
        bad.result()


def test_a_join_returns_when_the_task_has_ended_or_the_time_is_over(scheduler: Scheduler) -> None:
    ends = []

    def wait(seconds: float) -> Callable[[], None]:
        return lambda: ends.append((slow.join(seconds), scheduler.now - START))

    slow = scheduler.spawn("slow", lambda: scheduler.sleep(5), group=scheduler.group("slow"))
    run(scheduler, wait(2), wait(9))

    assert ends == [(False, 2), (True, 5)]


def test_a_killed_task_does_nothing_more_but_its_finally_blocks(scheduler: Scheduler) -> None:
    did = []

    def work() -> None:
        try:
            scheduler.sleep(5)
            did.append("worked")
        finally:
            try:
                scheduler.sleep(1)
                did.append("waited")
            finally:
                did.append("cleaned up")

    (task,) = run(scheduler, work, seconds=2)
    task.group.kill()
    scheduler.run(until=START + 100)

    assert did == ["cleaned up"]
    assert task.done
    with pytest.raises(Killed):
        task.result()


def test_a_task_can_kill_its_own_group(scheduler: Scheduler) -> None:
    did = []

    def beside() -> None:
        scheduler.sleep(2)
        did.append("beside")

    def work() -> None:
        scheduler.spawn("beside", beside)
        scheduler.sleep(1)
        scheduler.current.group.kill()
        did.append("worked")

    (task,) = run(scheduler, work)

    assert did == []
    assert task.done


@pytest.mark.parametrize(
    ("kind", "takes_effect", "raised", "at_the_latest"),
    [
        ("answered", True, None, 0.2),
        ("slow", True, None, 5),
        ("throttled", False, AwsError, 0.2),
        ("failed", False, AwsError, 0.2),
        ("failed after its effect", True, AwsError, 0.2),
        ("request lost", False, NoAnswer, 5),
        ("answer lost", True, NoAnswer, 5),
        ("connection closed", False, NoAnswer, 0.2),
        ("connection closed after its effect", True, NoAnswer, 0.2),
        ("refused", False, AwsError, 0.2),
        ("dies before", False, Killed, 0),
        ("dies after", True, Killed, 0.2),
    ],
)
def test_what_happens_to_a_call(
    kind: str, takes_effect: bool, raised: type[Exception] | None, at_the_latest: float
) -> None:
    scheduler = Outside(kind if kind != "answered" else None).scheduler
    effects, ended = [], []

    def effect(_call: Call, _fate: Fate) -> str:
        effects.append(scheduler.now - START)
        return "done"

    def call() -> Any:
        try:
            return scheduler.call(CALL, effect)
        finally:
            ended.append(scheduler.now - START)

    (task,) = run(scheduler, call)

    assert bool(effects) == takes_effect
    assert ended[0] <= at_the_latest
    assert all(at <= CALL.patience for at in effects)
    if raised:
        with pytest.raises(raised):
            task.result()
    else:
        assert task.result() == "done"


def test_a_function_that_hangs_ends_only_when_it_is_killed() -> None:
    scheduler = Outside("hangs").scheduler

    (task,) = run(scheduler, lambda: scheduler.call(CALL, lambda _call, _fate: "done"))
    hung = not task.done
    task.group.kill()
    scheduler.run(until=START + 2000)

    assert hung
    assert task.done


def test_what_a_killed_function_has_sent_takes_effect(scheduler: Scheduler) -> None:
    effects = []

    def call() -> None:
        scheduler.call(CALL, lambda _call, _fate: effects.append(scheduler.now))

    task = scheduler.spawn("task", call, group=scheduler.group("task"))
    scheduler.at(0.001, task.group.kill)
    scheduler.run(until=START + 100)

    assert len(effects) == 1
    assert task.dead


def test_a_mistake_in_the_model_of_aws_ends_the_run(scheduler: Scheduler) -> None:
    def mistake(_call: Call, _fate: Fate) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(scheduler, lambda: scheduler.call(CALL, mistake))


def test_the_same_seed_decides_the_same_and_another_one_something_else() -> None:
    fates = [[Schedule(seed).fate(CALL) for _ in range(2)] for seed in (1, 2)]

    assert fates[0][0] == fates[0][1]
    assert fates[0] != fates[1]


def test_a_decision_stays_the_same_if_another_one_is_left_out() -> None:
    calls = [Call("web", "ec2", "AssociateAddress", number, "function", 5.0) for number in range(400)]
    seed = next(seed for seed in range(20) if len({Schedule(seed).fate(each).kind for each in calls}) > 3)
    whole = Schedule(seed)
    fates = [whole.fate(each) for each in calls]
    left_out = set(list(whole.deviations)[::2])
    part = Schedule(seed, only=frozenset(whole.deviations) - left_out)
    fates_of_part = [part.fate(each) for each in calls]

    assert list(part.deviations) == [key for key in whole.deviations if key not in left_out]
    differ = [call.key for call, *both in zip(calls, fates, fates_of_part, strict=True) if both[0] != both[1]]
    assert set(differ) == left_out


def test_once_faults_have_stopped_every_call_is_answered() -> None:
    schedule = next(each for each in map(Schedule, range(20)) if each.one_of == 12)
    schedule.faults = False
    kinds = {schedule.fate(Call("web", "ec2", "AssociateAddress", each, "function", 5)).kind for each in range(500)}

    assert kinds == {"answered"}


def test_an_event_wakes_those_who_wait_in_their_order() -> None:
    outside = Outside()
    scheduler, woken = outside.scheduler, list[Any]()

    def wait(name: str, seconds: float | None) -> Callable[[], None]:
        return lambda: woken.append((name, event.wait(seconds), scheduler.now - START))

    def set_it() -> None:
        scheduler.sleep(2)
        event.set()

    with running(outside):
        event = Event()
        run(scheduler, wait("first", None), wait("impatient", 1), wait("second", 5), set_it)

    assert woken == [("impatient", False, 1), ("first", True, 2), ("second", True, 2)]


def test_threads_die_with_their_function() -> None:
    outside, did = Outside(), list[str]()
    scheduler = outside.scheduler

    def thread() -> None:
        scheduler.sleep(5)
        did.append("thread")

    def function() -> None:
        Thread(target=thread).start()
        scheduler.sleep(1)
        scheduler.current.group.kill()

    with running(outside):
        run(scheduler, function)

    assert did == []


def test_futures_come_as_they_are_completed_and_at_one_time_in_order() -> None:
    outside, results = Outside(), list[Any]()
    scheduler = outside.scheduler

    def after(seconds: float) -> float:
        scheduler.sleep(seconds)
        return seconds

    def function() -> None:
        with ThreadPoolExecutor(max_workers=4) as threads:
            futures = [threads.submit(after, seconds) for seconds in (3, 1, 2, 1)]
            results.extend((futures.index(each), scheduler.now - START) for each in as_completed(futures))

    with running(outside):
        run(scheduler, function)

    assert results == [(1, 1), (3, 1), (2, 2), (0, 3)]


def test_nothing_of_a_run_is_left_after_it() -> None:
    outside, did = Outside(), list[str]()
    scheduler = outside.scheduler

    def wait() -> None:
        try:
            scheduler.sleep(500)
        finally:
            did.append("cleaned up")

    with running(outside):
        (task,) = run(scheduler, wait, seconds=1)

    assert did == ["cleaned up"]
    assert task.done
