"""How health is judged: a check of a server, from the probe to the verdict and the message. It knows no AWS service.

What a handler needs of it:

- `check`: `staging_checks`, `production_checks`, `live_checks` make a `Check` out of the values of an event.
- `probe`: `prober` makes what probes the targets of checks.
- `polling`: `poll` and `bake` probe until there is a verdict, `together` runs several of them; the result is `Polled`.
- `shared_store`: `compared` compares what staging and production share.
- `messages`: what a person reads about an unhealthy server.
- `gap`: `measured` measures for how long an address gives no good answer.
"""
