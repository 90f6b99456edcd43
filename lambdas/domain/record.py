"""The record of a pair: one item of the lock table, written by the workflow (`stacks/workflow/lock.py`). Pure. So that
no plan is made from an old record, `revision` counts each release, takeover and deployment."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from domain.events import in_json
from domain.lock import LONGEST_TEXT, NO_SERVER, Lock, object_of
from domain.pair import Json, Server
from domain.text import printable

NOTHING_RECORDED = "no cutover is on record"


@dataclass(frozen=True)
class RollbackTo:
    """The server that a rollback makes live, or None; why; and its instance, if known. `rejected` names the servers to
    which a cutover failed or was interrupted: nothing goes back to them until a cutover to them succeeds."""

    server: str | None = None
    why: str = NOTHING_RECORDED
    instance_id: str | None = None
    rejected: tuple[str, ...] = ()

    def to_json(self) -> Json:
        return {**in_json(self, "server", "why", "instance_id"), "rejected": list(self.rejected)}


@dataclass(frozen=True)
class Record:
    """`last_cutover` is `{"from", "to", "at", "execution", "rollback"}`: the servers' names (`from` is null if
    production was on no server), when it ended (ISO 8601), its execution's ARN, and whether it was a rollback.
    `last_outcome` is `{"outcome", "execution", "at", "associations"}` of the last execution with the lock; the last is
    the text of a JSON list, of production's and staging's id. `releases` has, by server, the last deployment,
    `{"release", "at", "execution", "instanceId", "deployed"}`. `hooks_began`: an execution with its lock ran the hooks
    before its cutover. `revision` may have more digits than JSON's numbers keep."""

    revision: str = "0"
    lock: Lock | None = None
    interrupted: Lock | None = None
    rollback_to: RollbackTo = RollbackTo()
    last_cutover: Json | None = None
    last_outcome: Json | None = None
    releases: Mapping[str, Json] = field(default_factory=dict)
    hooks_began: bool = False
    readiness: Json | None = None

    @staticmethod
    def from_item(item: Json) -> "Record":
        """From an item as DynamoDB's API shows it; an item of an older version is only a lock. A person may write into
        the table: an unreadable value counts as absent, and a long text is cut, so that a plan stays small."""
        texts = {key: str(value["S"]) for key, value in item.items() if "S" in value}
        lock, begun, back = Lock.from_item(item), None, RollbackTo()
        if target := _read(texts.get("rollbackTo"), "server", "why", "instanceId"):
            why, rejected = printable(target["why"] or NOTHING_RECORDED), object_of(texts["rollbackTo"]).get("rejected")
            names = rejected[:2] if isinstance(rejected, list) else ()  # a pair has two servers
            rejected = tuple(_cut(name) for name in names if isinstance(name, str))
            back = RollbackTo(target["server"], why, target["instanceId"], rejected)
        if "server" in texts or "interrupted" in texts:
            begun = replace(lock, execution=_cut(texts.get("interrupted") or lock.execution))
        return Record(
            revision=str(item.get("revision", {}).get("N", "0")),
            lock=lock if "execution" in item else None,
            interrupted=begun,
            rollback_to=back,
            last_cutover=_read(texts.get("lastCutover"), "from", "to", "at", "execution", "rollback"),
            last_outcome=_read(texts.get("lastOutcome"), "outcome", "execution", "at", "associations"),
            releases=_releases(texts.get("releases")),
            hooks_began=texts.get("hooksBegan") == "true",
            readiness=_readiness(texts.get("readiness")),
        )

    def settled(self, live: str | None, staging_association: str | None) -> "Record":
        """The record with what an interrupted execution did, given the server that is live now, and staging's
        association. If production has moved to another server since it took the lock, that was its cutover. If only
        staging has moved, the cutover was not finished: nothing goes back to its server, unless it was a rollback."""
        begun, back = self.interrupted, self.rollback_to
        if begun is None:
            return self
        happened = live not in (None, begun.live)  # then nothing of its cutover is undone
        record = replace(self, hooks_began=self.hooks_began and not happened)
        if begun.live and live and happened:
            moved = {"from": begun.live, "to": live, "at": begun.since, "execution": begun.execution}
            target, did = (live, "rolled back to it") if begun.rollback else (begun.live, "moved production from it")
            why = f"{begun.execution}, which was interrupted, {did}"
            rejected = self._rejecting(live if live == begun.server and not begun.rollback else None)
            instance_id = None if begun.rollback else begun.live_instance_id
            back = RollbackTo(None if target in rejected else target, why, instance_id, rejected)
            return replace(record, last_cutover={**moved, "rollback": begun.rollback}, rollback_to=back)
        untouched = begun.live == live and begun.staging_association == staging_association
        if begun.server in (begun.live, "", NO_SERVER) or begun.rollback or untouched:
            return record
        record, rejected = replace(record, hooks_began=True), self._rejecting(begun.server)
        if begun.live is None and back.server != begun.server:  # production was on no server, or goes on to be
            return replace(record, rollback_to=replace(back, rejected=rejected))
        why = f"the cutover to {begun.server} was interrupted: {begun.execution}"
        return replace(record, rollback_to=RollbackTo(None, why, rejected=rejected))

    def after_cutover(self, idle: Server, live: Server | None, rollback: bool) -> RollbackTo:
        """What a rollback goes back to after a cutover from `live` to `idle`. An execution's ARN follows `why`."""
        rejected = tuple(name for name in self.rollback_to.rejected if name != idle.name)
        if rollback:
            return RollbackTo(idle.name, "a rollback made it live again:", idle.instance_id, rejected)
        if live is None:
            return RollbackTo(None, "production was on no server before", rejected=rejected)
        if live.name in rejected:
            return RollbackTo(None, f"a cutover to {live.name} failed or was interrupted before", rejected=rejected)
        return RollbackTo(live.name, "it was live before", live.instance_id, rejected)

    def after_failure(self, idle: Server) -> RollbackTo:
        """The same once a cutover to `idle` has failed. The outcome and the execution's ARN follow `why`."""
        return RollbackTo(None, f"the cutover to {idle.name} ended", rejected=self._rejecting(idle.name))

    def after_deployment(self, server: str, why: str) -> RollbackTo:
        """The same from the begin of a deployment to `server`, which then holds something else than what failed."""
        return RollbackTo(None, why, rejected=tuple(name for name in self.rollback_to.rejected if name != server))

    def _rejecting(self, server: str | None) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.rollback_to.rejected, *([server] if server else [])]))

    def to_json(self) -> Json:
        """What a plan carries, and the states write back."""
        return {**in_json(self, "revision", "last_cutover"), "rollbackTo": self.rollback_to.to_json()}


EMPTY = Record()


def _read(text: str | None, *keys: str) -> Json | None:
    """These keys of the JSON object of this text, null for a value of another type. None if it has none of the keys."""
    found = object_of(text)
    if not found.keys() & keys:
        return None
    return _texts(found, None, *keys) | ({"rollback": found.get("rollback") is True} if "rollback" in keys else {})


def _texts(found: Json, absent: str | None, *keys: str) -> Json:
    return {key: _cut(text) if isinstance(text := found.get(key), str) else absent for key in keys}


def _releases(text: str | None) -> dict[str, Json]:
    """By server; without a server whose release is not a text."""
    return {
        _cut(server): _texts(found, "", "release", "at", "execution", "instanceId")
        | {"deployed": found.get("deployed") is True}
        for server, found in object_of(text).items()
        if isinstance(found, dict) and isinstance(found.get("release"), str)
    }


def _readiness(text: str | None) -> Json | None:
    """None if it does not say whether the pair is ready."""
    found = object_of(text)
    if not isinstance(ready := found.get("ready"), bool):
        return None
    lists = {key: each if isinstance(each := found.get(key), list) else [] for key in ("reasons", "warnings")}
    sentences = {key: [printable(" ".join(str(text).split())) for text in each[:20]] for key, each in lists.items()}
    return {"ready": ready, **_texts(found, "", "since", "checkedAt", "execution"), **sentences}


def _cut(text: str) -> str:
    return text[:LONGEST_TEXT]
