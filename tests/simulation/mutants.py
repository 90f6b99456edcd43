"""What is broken on purpose, one defect at a time."""

from tests.simulation.mutations import (
    Mutation,
    catches,
    chooses,
    leads,
    payload,
    text,
    without,
)  # fmt: skip

ADDRESSES, RECORDS, RUNS, PLAN, RECORD, FITNESS, VERDICT = (
    "aws.addresses", "aws.records", "run_commands", "domain.plan", "domain.record", "domain.fitness", "health.verdict",
)  # fmt: skip
CUTOVER, REPAIR = "eip-cutover", "eip-cutover-repair"
NEVER, NOW = "{% false %}", "{% $states.context.State.EnteredTime %}"


def _code(name: str, what: str, module: str, *texts: str) -> Mutation:
    return Mutation(name, what, module, texts=texts)


# In the order of what an execution does.
MUTATIONS = (
    # Addresses.
    _code("displacement-not-undone", "If someone moved production under staging, it stays without a server.", ADDRESSES,
          "if home is None or production.is_associated or not staging.stands_at(place):", "if True:"),
    _code("staging-displaces-production", "Staging is put where production is.", ADDRESSES,
          "if holder.stands_at(place):  # not", "if False:  # not"),
    _code("staging-moved-without-looking", "Staging is moved wherever production is.", ADDRESSES,
          "        _expect(production, live, moved)\n        if staging", "        if staging",
          "        _refuse_to_displace(production, staging, place)\n        moves", "        moves",
          "_expect(production, live, MovedMeanwhile)", "pass"),
    _code("production-moved-from-anywhere", "Production is moved from wherever it is.", ADDRESSES,
          "if not is_planned(production, staging):", "if False:"),
    _code("production-in-two-calls", "Production is disassociated before it moves.", ADDRESSES,
          'with self._from_where_it_was("production", place, moved):',
          "if coming_from:\n            self._ec2.disassociate_address(AssociationId=production.association_id)\n"
          '        with self._from_where_it_was("production", place, moved):'),
    _code("reassociation-allowed-the-wrong-way", "AllowReassociation is the opposite.", ADDRESSES,
          "AllowReassociation=reassociate", "AllowReassociation=not reassociate"),
    _code("reassociation-always-allowed", "AllowReassociation is always true.", ADDRESSES,
          "AllowReassociation=reassociate", "AllowReassociation=True"),
    _code("first-try-of-staging-forgotten", "Every try to free staging counts as the first.", ADDRESSES,
          "if first_try:\n            _expect(production, live", "if True:\n            _expect(production, live"),
    _code("staging-freed-from-anywhere", "Staging is disassociated wherever it is.", ADDRESSES,
          "if not staging.stands_at(idle) or staging.association_id != old:", "if False:",
          "AssociationId=old)", "AssociationId=staging.association_id)"),
    _code("freed-while-production-moved", "Staging is freed although production has moved.", ADDRESSES,
          "_expect(production, live, AddressMoved)", "pass"),
    _code("stranger-loses-production", "A rollback takes production from someone else.", ADDRESSES,
          "if production.is_associated and production.server is None:", "if False:"),
    _code("last-look-left-out", "After a check, nobody sees that production has moved.", ADDRESSES,
          "if production or (staging and standing.strict):", "if False:"),
    _code("once-described", "Addresses are described once, and then believed.", ADDRESSES,
          'ids = [self._pair.production, self._pair.staging]\n        with',
          'ids = [self._pair.production, self._pair.staging]\n        if hasattr(self, "_kept"):\n'
          '            return self._kept\n        with',
          "        return self._pair.address(\"production\", by_id[ids[0]]), self._pair",
          "        self._kept = self._pair.address(\"production\", by_id[ids[0]]), self._pair",
          'self._pair.address("staging", by_id[ids[1]])\n',
          'self._pair.address("staging", by_id[ids[1]])\n        return self._kept\n'),
    _code("change-not-waited-for", "A change counts although no description shows it.", ADDRESSES,
          "seen = self.look_until(lambda *addresses: stands(_named(name, *addresses)))", "seen = (*self.look(), True)"),
    _code("staging-displaced", "Production is moved although staging is there.", ADDRESSES,
          "            _refuse_to_displace(staging, production, place)", "            pass"),
    _code("later-association-ended", "Staging is freed of an association that was made since.", ADDRESSES,
          " or staging.association_id != old", "", "AssociationId=old)", "AssociationId=staging.association_id)"),
    _code("old-description-believed", "The first try believes what EC2 describes at once.", ADDRESSES,
          "(*before, False) if is_so(*before) else self.look_until(is_so)", "(*before, False)"),
    _code("no-private-address", "EC2 chooses the private address.", ADDRESSES,
          '{"PrivateIpAddress": place.private_ip} if place.private_ip else {}', "{}"),
    _code("other-server", "An address goes to the first server of the pair.", ADDRESSES,
          '{"InstanceId": place.server.instance_id}', '{"InstanceId": "i-0aaaaaaaaaaaaaaaa"}'),
    _code("restored-without-description", "A rollback is complete without a description.", "describe_restored",
          "if not complete:", "if False:"),
    # The plan and the record.
    _code("plan-just-after-an-outcome", "A plan is made while EC2 may show the last cutover's past.",
          "describe_addresses", "total_seconds()) < seconds:", "total_seconds()) < 0:"),
    _code("redriven-goes-on", "A redriven execution goes on without its lock.", PLAN,
          "if redriven:", "if False:"),
    _code("already-live-although-not-sound", "It is ALREADY_LIVE although staging is elsewhere.", PLAN,
          '"ALREADY_LIVE" if in_place else "REPAIR"', '"ALREADY_LIVE"'),
    _code("rollback-to-a-rejected-server", "After a cutover, a rejected server is one to go back to.", RECORD,
          "if live.name in rejected:", "if False:"),
    _code("failure-rejects-nothing", "A failed cutover is not remembered.", RECORD,
          "rejected=self._rejecting(idle.name))", "rejected=self.rollback_to.rejected)"),
    _code("failure-keeps-the-target", "After a failed cutover, a rollback goes to its server.", RECORD,
          'return RollbackTo(None, f"the cutover to {idle.name} ended", rejected',
          'return RollbackTo(idle.name, f"the cutover to {idle.name} ended", rejected'),
    _code("interruption-forgotten", "What an interrupted execution did is not in the record.", RECORD,
          "if begun is None:\n            return self", "if True:\n            return self"),
    _code("deployment-keeps-the-target", "After a deployment, a rollback still goes to its server.", RECORD,
          "return RollbackTo(None, why, rejected=tuple(name for name in self.rollback_to.rejected if name != server))",
          "return self.rollback_to"),
    _code("third-address-displaced", "An address of someone else in the way is ignored.", FITNESS,
          "address.owner == AUTO_ASSIGNED:", "True:"),
    _code("alarms-ignored", "Alarms in ALARM are ignored.", "aws.alarms",
          "def refuse_alarms(names: Sequence[str]) -> list[str]:\n",
          "def refuse_alarms(names: Sequence[str]) -> list[str]:\n    return []\n\n\n"
          "def _refuse_alarms(names: Sequence[str]) -> list[str]:\n"),
    # Health checks.
    _code("status-ignored", "Every status is good.", VERDICT,
          "    ranges = (part", "    return True\n    ranges = (part"),
    _code("release-ignored", "Every release is the expected one.", VERDICT,
          "if check.release_header and check.expected_release not in (None, answered.release):", "if False:"),
    _code("bake-ignores-failures", "The bake sees no failure.", VERDICT,
          "return _failed(check, [finding for finding in _streak(findings) if not finding.is_good])", "return None"),
    # Commands.
    _code("late-calls-change", "A call that starts late ignores the lost lock.", RECORDS,
          "if self._lock and not self._holds_lock(refuses=first_try and refuses, must_know=first_try):", "if False:"),
    _code("requests-unheard", "Nobody hears a request to roll back.", RECORDS,
          "if refuses and holds and asked_by:", "if False:"),
    _code("refused-rehearsal-passes", "A rehearsal that EC2 refuses counts as passed.", "aws.calls",
          'if error.code != "DryRunOperation":', "if False:"),
    _code("commands-go-on", "A dead execution may begin another command.", RECORDS,
          'self._found(self._update({"commandsOver": "true"}, MINE)["Attributes"])', "self.read()"),
    _code("late-hooks", "A late call of an earlier moment runs its hooks.", RUNS,
          "if last and last.step.startswith(LATER[self.asked.moment]):", "if False:"),
    _code("hooks-beside-a-command", "Hooks run although a command of an earlier moment still runs.", RUNS,
          '            if self.item.runs:\n                return {"moment"',
          '            if False:\n                return {"moment"'),
    _code("command-unrecorded", "A command is not in the lock's item while it runs.", RUNS,
          "self.item.write(command, runs=True, more=self._begun(command))",
          "self.item.write(command, runs=False, more=self._begun(command))",
          "        self.item.write(command, runs=True)\n        return command",
          "        self.item.write(command, runs=False)\n        return command"),
    _code("end-of-a-command-not-awaited", "A command of a dead execution is not waited for.", RUNS,
          "self.item.write_end(self.item.command and self.ended(self.item.command))",
          "self.item.write_end(self.item.command)"),
    _code("command-sent-again", "A command whose answer was lost is sent again.", RUNS,
          "id=self.commands.find(command))", "id=None)"),
    _code("command-without-the-lock", "A command is sent although the lock is lost.", RECORDS,
          'if item.get("execution", {}).get("S") != self.execution or "commandsOver" in item:', "if False:",
          'HELD = f"{MINE} AND attribute_not_exists(commandsOver)"', 'HELD = "attribute_exists(pair)"'),
    # The lock.
    Mutation("lock-taken-from-a-holder", "AcquireLock does not ask whether the pair is free.", CUTOVER, changes=[
        text("AcquireLock", "(attribute_not_exists(execution) OR execution = :me) AND ", "")]),
    Mutation("plan-from-an-old-record", "AcquireLock does not ask whether the record has changed.", CUTOVER, changes=[
        text("AcquireLock", "attribute_not_exists(revision) OR",
             "attribute_not_exists(revision) OR attribute_exists(revision) OR")]),
    Mutation("lock-not-taken", "The execution goes on without the lock.", CUTOVER, changes=[
        leads("DescribeAddresses", "Decision?")]),
    Mutation("takeover-does-not-wait", "A lock is taken over before the last call is over.", CUTOVER, changes=[
        text("WaitForLastCall", "$states.input.lastCallOver", "$states.context.State.EnteredTime")]),
    Mutation("takeover-from-the-living", "A lock is taken over from an execution that runs.", CUTOVER, changes=[
        chooses("HolderRunning?", 2, "WaitForLastCall")]),
    Mutation("dry-run-takes-a-dead-lock", "A dry run takes a dead lock over.", CUTOVER, changes=[
        text("HolderRunning?", '($plan.dryRun and $states.input.status != "SUCCEEDED")', "false", times=3)]),
    Mutation("takeover-of-any-holder", "TakeOverLock does not ask who holds the lock now.", CUTOVER, changes=[
        text("TakeOverLock", "execution = :holder AND", "attribute_exists(pair) AND")]),
    Mutation("takeover-beside-a-command", "A lock is taken over while a command runs.", CUTOVER, changes=[
        leads("WaitForLastCall", "TakeOverLock"), text("TakeOverLock", " AND attribute_not_exists(commandRuns)", "")]),
    Mutation("release-of-any-lock", "ReleaseLock releases the lock of any execution.", CUTOVER, changes=[
        text("ReleaseLock", "execution = :me AND attribute_not_exists(commandRuns)",
             "(attribute_exists(pair) OR execution = :me)")]),
    Mutation("release-beside-a-command", "The lock is released while a command runs.", CUTOVER, changes=[
        text("ReleaseLock", " AND attribute_not_exists(commandRuns)", "")]),
    Mutation("lock-not-released", "The lock stays after a failure.", CUTOVER, changes=[
        catches("DescribeRestored", 1, "Notify"), leads("HealthCheckRestored", "Notify")]),
    Mutation("lock-released-before-the-rollback", "The rollback comes after the release of the lock.", CUTOVER,
             changes=[
        leads("Notify", "ProductionMoved?"), catches("HealthCheckProduction", 1, "ReleaseLock"),
        leads("HealthCheckRestored", "PutEvent")]),
    Mutation("wait-ignored", "waitSeconds is ignored.", CUTOVER, changes=[
        text("HolderRunning?", "$max([$plan.waitSeconds,", "$max([0,")]),
    # Checks and approval.
    Mutation("checks-left-out", "Nothing is checked before the changes.", CUTOVER, changes=[
        chooses("Decision?", 4, "MeasureGap")]),
    Mutation("failed-checks-ignored", "A failed check does not prevent the cutover.", CUTOVER, changes=[
        catches("Preflight", 0, "DryRun?")]),
    Mutation("health-check-of-the-wrong-address", "The staging check asks the live server.", CUTOVER, changes=[
        text("HealthCheckStaging", "$staging.publicIp, ", "$production.publicIp, ")]),
    Mutation("emergency-accepts-any-release", "In an emergency, every release is the expected one.", CUTOVER, changes=[
        payload(each, "expectedRelease", "{% $plan.urgent ? null : $plan.expectedRelease %}")
        for each in ("HealthCheckStaging", "HealthCheckProduction")]),
    Mutation("dry-run-changes", "A dry run is none.", CUTOVER, changes=[
        text("DryRun?", "{% $plan.dryRun %}", NEVER)]),
    Mutation("approval-not-asked-for", "Nobody is asked for approval.", CUTOVER, changes=[
        text("DryRun?", "$plan.approvalMinutes != null and $not($exists($approvedBy))", "false")]),
    Mutation("rejection-ignored", "A rejected release becomes live.", CUTOVER, changes=[
        catches("WaitForApproval", 0, "RecordApproval")]),
    Mutation("deployment-left-out", "The release is not deployed.", CUTOVER, changes=[
        chooses("Decision?", 3, "Preflight")]),
    Mutation("failed-deployment-ignored", "A deployment that failed goes live.", CUTOVER, changes=[
        catches("DeployRelease", 1, "Preflight")]),
    Mutation("hooks-left-out", "The hooks before the cutover are left out.", CUTOVER, changes=[
        text("DryRun?", '"beforeCutover" in $plan.hooks', "false")]),
    Mutation("failed-hooks-ignored", "Hooks that fail before the cutover do not prevent it.", CUTOVER, changes=[
        leads("BeforeCutoverFailed?", "MeasureGap")]),
    Mutation("hooks-after-left-out", "The hooks after the cutover are left out.", CUTOVER, changes=[
        text("AfterCutover?", '"afterCutover" in $plan.hooks', "false")]),
    Mutation("undo-forgotten", "Hooks of an interrupted execution are not undone by the repair.", REPAIR, changes=[
        text("Undo?", " or $plan.undo", "")]),
    Mutation("bake-of-milliseconds", "The bake is over at once.", CUTOVER, changes=[
        payload("Bake", "bakeSeconds", 0.01), text("Bake?", " and $millis() >= $toMillis($bakesUntil)", "")]),
    Mutation("redriven-rollback-goes-on", "A redriven rollback describes and checks what is not its own.", CUTOVER,
             changes=[payload(each, "redriven", NEVER) for each in ("DescribeRestored", "HealthCheckRestored")]),
    Mutation("redriven-check-goes-on", "A redriven check of production lets its execution succeed.", CUTOVER,
             changes=[payload(each, "redriven", NEVER) for each in ("HealthCheckProduction", "Bake")]),
    Mutation("rollback-not-recorded", "A lost call does not know that a rollback has begun.", CUTOVER, changes=[
        leads("ProductionMoved?", "RestoreStaging"), leads("RestoreProduction", "RestoreStaging")]),
    Mutation("repair-believes-another-has-it", "A repair whose lock has changed believes that another has it.", REPAIR,
             changes=[catches("TakeOverLock", 0, "Notify")]),
    Mutation("hooks-not-undone", "Hooks are not undone.", CUTOVER, changes=[
        text("Undo?", '"afterRollback" in $plan.hooks and', "false and")]),
    # Changes and rollback.
    Mutation("staging-not-freed", "Production displaces staging.", CUTOVER, changes=[
        leads("MeasureGap", "ReassociateProduction")]),
    Mutation("staging-not-moved", "Staging stays on no server.", CUTOVER, changes=[
        leads("ReassociateProduction", "HealthCheckProduction")]),
    Mutation("staging-moved-to-the-live-server", "Staging goes where production has just gone.", CUTOVER, changes=[
        text("ReassociateStaging", "$plan.stagingTo != null ? $plan.stagingTo.name : null", "$plan.idle.name"),
        text("ReassociateStaging", "$plan.stagingTo != null ? $plan.stagingTo.privateIp : null",
             "$plan.idle.privateIp")]),
    Mutation("private-address-of-the-other-server", "Production goes to the private address of the other server.",
             CUTOVER, changes=[text("ReassociateProduction", "$plan.idle.privateIp", "$plan.live.privateIp")]),
    Mutation("production-not-checked", "The new live server is not checked.", CUTOVER, changes=[
        leads("ReassociateStaging", "Bake?")]),
    Mutation("production-unhealthy-ignored", "A server that fails its check stays live.", CUTOVER, changes=[
        catches("HealthCheckProduction", 1, "Bake?")]),
    Mutation("bake-left-out", "There is no bake.", CUTOVER, changes=[
        text("Bake?", "$plan.bakeSeconds = 0 or", "true or")]),
    Mutation("failed-move-not-rolled-back", "A failed move of production is not rolled back.", CUTOVER, changes=[
        catches("ReassociateProduction", 2, "Undo?")]),
    Mutation("failed-staging-not-rolled-back", "A failed move of staging is not rolled back.", CUTOVER, changes=[
        catches("ReassociateStaging", 1, "HealthCheckProduction")]),
    Mutation("failed-disassociation-not-rolled-back", "A failed disassociation ends as if nothing happened.", CUTOVER,
             changes=[catches("DisassociateStaging", 2, "Undo?")]),
    Mutation("production-not-restored", "A rollback leaves production where it is.", CUTOVER, changes=[
        chooses("ProductionMoved?", 1, "RestoreStaging")]),
    Mutation("staging-not-restored", "A rollback leaves staging where it is.", CUTOVER, changes=[
        leads("RestoreProduction", "DescribeRestored"), leads("ProductionMoved?", "DescribeRestored")]),
    Mutation("staging-restored-first", "A rollback moves staging before production.", CUTOVER, changes=[
        chooses("ProductionMoved?", 1, "RestoreStaging"), leads("RestoreStaging", "RestoreProduction"),
        leads("RestoreProduction", "DescribeRestored")]),
    Mutation("staging-restored-after-a-failure", "Staging is restored although production was not.", CUTOVER, changes=[
        catches("RestoreProduction", 2, "RestoreStaging")]),
    Mutation("restore-tried-once", "RestoreProduction is tried once.", CUTOVER, changes=[
        without("RestoreProduction", "Retry")]),
    Mutation("staging-restore-tried-once", "RestoreStaging is tried once.", CUTOVER, changes=[
        without("RestoreStaging", "Retry")]),
    Mutation("rollback-not-described", "A rollback is complete without a description.", CUTOVER, changes=[
        leads("RestoreStaging", "HealthCheckRestored")]),
    Mutation("repairs-without-a-catch", "A failure of RepairStaging ends the execution at once.", CUTOVER, changes=[
        without("RepairStaging", "Catch")]),
    Mutation("change-without-a-catch", "A failure of ReassociateStaging ends the execution at once.", CUTOVER, changes=[
        without("ReassociateStaging", "Catch")]),
    # The end.
    Mutation("notice-missing", "The topic does not hear of the end.", CUTOVER,
             changes=[leads("ReleaseLock", "PutEvent")]),
    Mutation("event-missing", "There is no event at the end.", CUTOVER, changes=[leads("Notify", "Outcome?")]),
    Mutation("notice-of-another-outcome", "The notice says CUT_OVER.", CUTOVER, changes=[
        text("Notify", "$about := $outcome;", '$about := "CUT_OVER";')]),
    Mutation("failure-succeeds", "A rollback ends as a success.", CUTOVER,
             changes=[chooses("Outcome?", 11, "CutOver")]),
    Mutation("rollback-failed-as-rolled-back", "A rollback that failed ends RolledBack.", CUTOVER, changes=[
        chooses("Outcome?", 12, "RolledBack")]),
    # The repair.
    Mutation("repair-does-not-wait", "The repair takes the lock before the last call is over.", REPAIR, changes=[
        text("WaitForLastCall", "$states.input.lastCallOver", "$states.context.State.EnteredTime")]),
    Mutation("repair-of-the-living", "The repair takes the lock of an execution that runs.", REPAIR, changes=[
        chooses("HolderRunning?", 1, "WaitForLastCall"), chooses("HolderRunning?", 2, "WaitForLastCall")]),
    Mutation("repair-takes-any-lock", "The repair takes the lock of any execution.", REPAIR, changes=[
        text("TakeOverLock", "execution = :dead AND", "attribute_exists(pair) AND")]),
    Mutation("repair-keeps-the-lock", "The repair does not release the lock.", REPAIR,
             changes=[leads("Undo?", "Notify")]),
    Mutation("repair-leaves-staging", "The repair does not move staging.", REPAIR,
             changes=[leads("Decision?", "Undo?")]),
    Mutation("repair-moves-production", "The repair moves production.", REPAIR, changes=[
        payload("RepairStaging", "action", "move production"),
        payload("RepairStaging", "comingFrom", "{% $plan.live.name %}")]),
    Mutation("repair-undoes-no-hooks", "The repair does not undo hooks.", REPAIR, changes=[
        text("Undo?", '"afterRollback" in $plan.hooks and', "false and")]),
)  # fmt: skip
BY_NAME = {mutation.name: mutation for mutation in MUTATIONS}
