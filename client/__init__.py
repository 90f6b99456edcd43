"""The client of the cutover, `cutover.py`: starts executions and follows them, looks, and mends a dead lock.

```
commands.py                 what a person types (click), and every exit code that leaves the program
   → follow.py              from a running execution to its result; `history.py`, `way_back.py`, `lock.py`, `init.py`,
                            `status.py` are what the other commands do
   → progress.py result.py  pure: what the history's events tell, and what an execution came to
   → account.py             the one door to AWS
   → screen.py text.py      lines without a terminal, a live line with one; text that does no harm
```

It knows nothing of the checkout: the stack's outputs say where the workflow, the lock table and the pairs are. It
changes nothing but by starting the workflow, and by deleting a dead lock.
"""
