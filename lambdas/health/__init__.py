"""How health is judged: a check of a server, from the probe to the verdict and the message. It uses no AWS service.

What the handlers use of it:

- `check`: the keys of an event that checks (`CheckEvent`, `Answered`, `LiveServer`), and the `Check`s that `checks_of`
  and `live_checks` make of them.
- `probe`: `prober` makes what probes the targets of checks.
- `polling`: `poll` and `bake` probe until there is a verdict, `together` runs several of them; the result is `Polled`.
- `shared_store`: `compared` compares what staging and production share.
- `messages`: what a person reads about an unhealthy server.
- `gap`: `measured` measures for how long an address gives no good answer.
"""
