"""`python -m tests.simulation --seed 1` runs one execution in the simulation, and prints what happens."""

from tests.simulation import process

process.install()

from tests.simulation.one_run import main  # noqa: E402  # it imports what runs in the simulation

main()
