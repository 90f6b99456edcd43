"""Makes the test pair sound: before the tests, between them, and at the end.

A *sound* pair has production on one server and staging on the other, both with a good release, and nothing holds it.
"""

from contextlib import suppress

from tests.acceptance.executions import until
from tests.acceptance.pair_on_aws import ROLES, SLOW, PairOnAws
from tests.acceptance.third_address import release_third_addresses

# How long what a failed test has left may go on, before it is stopped; and how long a repair of it may take.
LEFT_OVER_SECONDS, REPAIR_SECONDS = 120, 90
# The status checks of an instance that has just started take minutes.
STATUS_SECONDS = 900


class Soundness:
    """Of one pair. By the product's own executions as far as they can do it, and else by EC2 and Systems Manager."""

    def __init__(self, pair: PairOnAws) -> None:
        self.pair = pair
        self._releases_at_first: dict[str, str] = {}

    def restore(self) -> None:
        """Make the pair sound, with production on its first server, and each server's release as it was at first."""
        release_third_addresses(self.pair)
        self.make_sound()
        pair, (first, _) = self.pair, self.pair.servers
        if pair.places().production != first:
            pair.execute(pair.about({"serverName": first}))
        self._releases_at_first = self._releases_at_first or self._good_releases()
        for server, release in self._releases_at_first.items():
            if self._good_releases().get(server) != release:
                pair.deploy(release, server)
        until(self.is_sound, "a sound pair")

    def make_sound(self) -> None:
        """Make the pair sound, whatever a test has left."""
        pair = self.pair
        self._end_what_runs()
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
        until(self.is_sound, "a sound pair")

    def is_sound(self) -> bool:
        return self._is_placed() and self.pair.holder() is None and len(self._good_releases()) == len(self.pair.servers)

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

        def in_state(state: str) -> list[str]:
            return [name for name, its in pair.instance_states().items() if its == state]

        until(lambda: not in_state("stopping"), "instances that were stopping have stopped")
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
    return release.partition("-")[2] in ("", SLOW)
