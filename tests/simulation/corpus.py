"""The seeds that are worth running first: those that covered something new, and those that failed."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Corpus:
    """One file of each, a seed a line, the oldest first."""

    folder: Path
    covering: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)

    def stored(self) -> list[int]:
        """The seeds of former explorations: first those that failed."""
        return list(dict.fromkeys(_read(self.folder / "failed") + _read(self.folder / "covering")))

    def keep(self, seed: int, *, failed: bool) -> None:
        """What is not kept in this exploration has nothing new any more, and is forgotten with the next seed that has,
        once all stored seeds have run."""
        (self.failed if failed else self.covering).append(seed)

    def store(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, seeds in (("covering", self.covering), ("failed", self.failed)):
            new = self.folder / f"{name}.new"
            new.write_text("".join(f"{seed}\n" for seed in seeds))
            new.replace(self.folder / name)


def _read(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []
