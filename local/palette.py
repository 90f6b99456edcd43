"""The colours of a picture of a run, for light and dark pages.

Blue and orange are Okabe and Ito's: distinct for people with any colour vision, on white and on black.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """`bittybot`, `tao` and `other` are the colours of answers of these servers and of any other."""

    paper: str
    ink: str
    faint: str
    line: str
    band: str
    edge: str
    failed: str
    good: str
    bittybot: str
    tao: str = "#e69f00"
    other: str = "#009e73"

    def server(self, name: str | None) -> str:
        return {"bittybot": self.bittybot, "tao": self.tao}.get(name or "", self.other)


LIGHT = Palette(
    paper="#ffffff", ink="#1f2328", faint="#59636e", line="#d8dee4", band="#c5cdd6", edge="#8c959f",
    failed="#d0021b", good="#1a7f37", bittybot="#0072b2",
)  # fmt: skip
DARK = Palette(
    paper="#0d1117", ink="#e6edf3", faint="#9198a1", line="#2d343c", band="#3d444d", edge="#6e7681",
    failed="#ff5a5f", good="#3fb950", bittybot="#56b4e9",
)  # fmt: skip
