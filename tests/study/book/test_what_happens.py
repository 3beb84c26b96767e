"""Each row of the page "What happens when ..." names a test that is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_row_is_held_by_a_test():
    rows = [
        line for line in (ROOT / "book" / "what_happens.md").read_text().splitlines() if line.startswith("| ") and "---" not in line
    ]
    rows = [row for row in rows if not row.startswith("| ... |")]
    assert len(rows) >= 20
    for row in rows:
        path, name = re.search(r"<!-- ([\w/]+\.py)::(\w+) --> \|$", row).groups()
        assert f"def {name}(" in (ROOT / "tests" / path).read_text(), row
