"""The client, `cutover.py`: starts and follows executions, shows how pairs stand, and deletes dead locks.

```
commands.py                 what a person types (click), and every exit code
   → follow.py              from a running execution to its result
     status.py history.py rollback_target.py lock.py init.py    the other commands; started_by.py belongs to history
   → progress.py result.py  pure: what the history shows, and how an execution ended
   → account.py             the one door to AWS; errors.py is what can go wrong there
   → screen.py text.py      plain lines in a log, a live line on a terminal; text that is safe to print
```

It reads no `cdk.json`: the outputs of the stack name the workflow, the lock table and the pairs. It changes nothing
except by starting the workflow and by deleting a dead lock. With the functions it shares `domain`, and nothing else.
"""
