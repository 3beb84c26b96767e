"""Write the README's table of accuracies from the committed records."""

import re
from pathlib import Path

from palcore.book.tables import read_question

ROOT = Path(__file__).resolve().parent.parent
BEGIN, END = "<!-- expected: begin (written by workflow/readme_table.py from results/) -->", "<!-- expected: end -->"
EXPERIMENTS = {"shortcut": "drawn faces", "faces": "FER2013"}


def table():
    """Markdown rows: one per experiment and strategy that has been run, means over the seeds."""
    lines = [
        "| faces | strategy | runs | epochs | accuracy on test faces | patch at random |",
        "|---|---|---|---|---|---|",
    ]
    for question, faces in EXPERIMENTS.items():
        runs = read_question(question)
        runs = runs[(runs["attribution"] == "grad_input") & (runs["landmark_source"] == "own")]
        for strategy in ("none", "mean"):
            rows = runs[runs["strategy"] == strategy]
            if rows.empty:
                continue
            free = f"{100 * rows['shortcut_free_accuracy'].mean():.1f} %" if "shortcut_free_accuracy" in rows else ""
            lines.append(
                f"| {faces} | `{strategy}` | {len(rows)} | {rows['epochs'].max()} | "
                f"{100 * rows['test_accuracy'].mean():.1f} % | {free} |"
            )
    return "\n".join(lines)


def with_table(text):
    """The README's text with its table renewed."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: f"{BEGIN}\n{table()}\n{END}", text, flags=re.DOTALL)


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text()))
