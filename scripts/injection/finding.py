"""What became of one fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from injection.whole import frames_lost


@dataclass
class Finding:
    """One fault, and what it cost.

    Attributes:
        command: What was struck.
        fault: Where, and by what.
        broken: Files that have their final names and are not whole.
        lost: In what the results differ, after the command was called again, from those without a fault.
        wrong: Tracebacks, hangs and statuses that are not right.
        struck: Whether the fault came before the command ended.
    """

    command: str
    fault: str
    broken: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    struck: bool = True

    @property
    def frames_lost(self) -> int:
        """How many masks are missing, or other ones."""
        return frames_lost(self.lost)

    @property
    def is_bad(self) -> bool:
        """Whether something was lost."""
        return bool(self.broken or self.lost or self.wrong)

    def lines(self, most: int = 6) -> Sequence[str]:
        """Return what is wrong, for people."""
        found = [f"not whole: {each}" for each in self.broken] + [f"lost: {each}" for each in self.lost] + self.wrong
        more = [f"and {len(found) - most} more"] if len(found) > most else []
        return [f"{self.command}: {self.fault}", *(f"    {each}" for each in (*found[:most], *more))]
