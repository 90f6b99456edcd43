"""What the project guarantees, and its one checker: of the simulation, the fault matrix, the local AWS and `verify`."""
