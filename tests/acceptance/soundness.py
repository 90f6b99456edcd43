"""Makes the test pair sound: before the tests, between them, and at the end.

A *sound* pair has production on one server and staging on the other, both with a good release, and nothing holds it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from botocore.exceptions import BotoCoreError, ClientError

from tests.acceptance.discovery import TERMINATED
from tests.acceptance.executions import until
from tests.acceptance.pair_on_aws import ROLES, SLOW, VERY_SLOW, PairOnAws
from tests.acceptance.third_address import release_third_addresses, third_addresses

# How long what a failed test has left may go on, before it is stopped; and how long a repair of it may take.
LEFT_OVER_SECONDS, REPAIR_SECONDS = 120, 90
# An instance may take minutes to stop, and its status checks after a start, too. All of that together, and some more.
STOP_SECONDS, STATUS_SECONDS, SOUND_SECONDS = 600, 900, 1800
# AWS may show what is no longer so: what is seen must hold for some time, and what was wrong is looked at again.
HOLD_SECONDS, LAST_HOLD_SECONDS, PAUSE_SECONDS, AGAIN_SECONDS = 1, 3, 3, 30


class Soundness:
    """Of one pair. By the product's own executions as far as they can do it, and else by EC2 and Systems Manager."""

    def __init__(self, pair: PairOnAws) -> None:
        self.pair = pair
        self._releases_at_first: dict[str, str] = {}

    def restore(self) -> None:
        """Make the pair sound, with production on its first server, and each server's release as it was at first."""
        if not self._releases_at_first:
            self.make_sound()
            self._releases_at_first = self._good_releases()
        self._act_until_it_is(self._is_restored, "the pair as it was", self._act_to_restore, hold=LAST_HOLD_SECONDS)

    def make_sound(self) -> None:
        """Make the pair sound, whatever a test has left. Raises TimeoutError with what is wrong at the end."""
        self._act_until_it_is(self.is_sound, "a sound pair", self._act)

    def is_sound(self) -> bool:
        return self._is_placed() and self.pair.holder() is None and len(self._good_releases()) == len(self.pair.servers)

    def described(self) -> str:
        """How the pair is, in words for a person who leaves it so."""
        return " ".join(self._sentences())

    def _sentences(self) -> Iterator[str]:
        pair = self.pair
        for role, address in pair.addresses().items():
            instance = f"instance {address['instanceId']}" if address["instanceId"] else "no server"
            yield f"{role.capitalize()} {address['publicIp']} is on {address['server'] or instance}."
        for server, state in pair.instance_states().items():
            if state != "running":
                yield f"{server} ({pair.servers[server]}) is {state}."
        if holder := pair.holder():
            runs = pair.look(holder).status == "RUNNING"
            yield f"{holder} holds the pair, and {'runs' if runs else 'has ended without freeing it'}."
        else:
            yield "No execution holds the pair."
        for id_, address in third_addresses(pair).items():
            yield f"{address['PublicIp']} ({id_}), which a test has allocated, is left: the next run releases it."

    def _act_until_it_is(
        self, is_so: Callable[[], bool], what: str, act: Callable[[], None], *, hold: float = HOLD_SECONDS
    ) -> None:
        """Do something about what is wrong and look again, until it is so, now and after some time."""

        def stays_so() -> bool:
            if not is_so():
                return False
            time.sleep(hold)
            return is_so()

        deadline, failure = time.monotonic() + SOUND_SECONDS, ""
        while time.monotonic() < deadline:
            try:
                act()
                until(stays_so, what, seconds=AGAIN_SECONDS)
            except (TimeoutError, AssertionError, BotoCoreError, ClientError) as error:
                failure = str(error)
                self.pair.progress.step(f"looks again: {failure[:300]}")
                time.sleep(PAUSE_SECONDS)
            else:
                return
        raise TimeoutError(f"not within {SOUND_SECONDS} s: {what}. The last failure: {failure}")

    def _is_restored(self) -> bool:
        first = next(iter(self.pair.servers))
        return (
            self.is_sound()
            and self.pair.places().production == first
            and self._good_releases() == self._releases_at_first
        )

    def _act_to_restore(self) -> None:
        self._act()
        pair, first = self.pair, next(iter(self.pair.servers))
        if pair.places().production != first:
            pair.execute(pair.about({"serverName": first}))
        for server, release in self._releases_at_first.items():
            if self._good_releases().get(server) != release:
                pair.deploy(release, server)

    def _act(self) -> None:
        """Do something about everything that is seen to be wrong."""
        pair = self.pair
        self._end_what_runs()
        release_third_addresses(pair)
        self._start_instances()
        self._free_the_lock()
        numbers = (release.partition("-")[0] for release in self._good_releases().values())
        pair.last_release = max(pair.last_release, 1, *(int(number) for number in numbers if number.isdecimal()))
        if not self._is_placed():
            live = pair.places().production or next(iter(pair.servers))
            if pair.execute(pair.about({"serverName": live, "emergency": True})).status != "SUCCEEDED":
                pair.associate("production", live)
                pair.associate("staging", pair.other(live))
        for server in pair.servers.keys() - self._good_releases().keys():
            pair.deploy(pair.new_release(), server)

    def _is_placed(self) -> bool:
        production, staging = self.pair.places()
        return None not in (production, staging) and production != staging

    def _good_releases(self) -> dict[str, str]:
        """The good releases that answer well at the addresses, by server."""
        answers = [(self.pair.answer(role), self.pair.answer(role, "/health")) for role in ROLES]
        good = [answer for answer, health in answers if answer and health and answer.good and health.good]
        return {each.server: each.release for each in good if each.server and each.release and _is_good(each.release)}

    def _end_what_runs(self) -> None:
        for arn in self.pair.running():
            try:
                self.pair.wait(arn, seconds=LEFT_OVER_SECONDS)
            except TimeoutError:
                self.pair.stop(arn)

    def _start_instances(self) -> None:
        pair = self.pair

        def in_state(*states: str) -> list[str]:
            return [name for name, its in pair.instance_states().items() if its in states]

        if terminated := in_state(*TERMINATED):
            raise RuntimeError(f"{' and '.join(terminated)} has been terminated, so this pair cannot be made sound")
        until(lambda: not in_state("stopping"), "instances that were stopping have stopped", seconds=STOP_SECONDS)
        if stopped := in_state("stopped"):
            pair.progress.step(f"{' and '.join(stopped)} starts")
            pair.client("ec2").start_instances(InstanceIds=[pair.servers[name] for name in stopped])
        if len(in_state("running")) < len(pair.servers) or stopped:
            until(pair.statuses_ok, "both instances run and pass EC2's status checks", seconds=STATUS_SECONDS)

    def _free_the_lock(self) -> None:
        with suppress(TimeoutError):
            until(lambda: self.pair.holder() is None, "the repair of a stopped execution", seconds=REPAIR_SECONDS)
        if self.pair.holder():
            self.pair.execute({"pair": self.pair.name}, machine=self.pair.repair_arn)


def _is_good(release: str) -> bool:
    """Whether a release behaves well wherever it runs. A release that fails as production answers well as staging."""
    return release.partition("-")[2] in ("", SLOW, VERY_SLOW)
