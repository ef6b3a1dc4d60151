"""What became of each file, printed as it becomes known."""

import os


class Report:
    """What became of each file: (outcome, name, reason)."""

    def __init__(self, quiet: bool = False):
        self.lines, self.quiet = [], quiet

    def add(self, outcome: str, path: tuple, reason="") -> None:
        self.lines.append((outcome, path, reason))
        if not self.quiet:
            print(outcome, ascii(os.fsdecode(b"/".join(path))), reason, flush=True)

    def exit_code(self) -> int:
        outcomes = {outcome for outcome, _, _ in self.lines}
        return 3 if "unknown" in outcomes else 4 if "failed" in outcomes else 0
