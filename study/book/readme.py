"""Write into the README what the committed records say: the answer, its table, and the accuracies to expect."""

import re
from pathlib import Path

from study.book.front_page import CITED, answer, more
from study.results.measures import PAL, WITHOUT
from study.results.primary import answers
from study.results.tables import read_question

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENTS = {"shortcut": "drawn faces", "faces": "FER2013"}


def expected():
    """Markdown rows: one per experiment and strategy, means over the seeds."""
    lines = [
        "| faces | strategy | runs | epochs | accuracy on test faces | patch at random |",
        "|---|---|---|---|---|---|",
    ]
    for question, faces in EXPERIMENTS.items():
        arms = read_question(question).groupby("arm")
        for arm, strategy in ((WITHOUT, "none"), (PAL, "mean")):
            rows = arms.get_group(arm)
            free = f"{100 * rows['shortcut_free_accuracy'].mean():.1f} %" if "shortcut_free_accuracy" in rows else ""
            lines.append(
                f"| {faces} | `{strategy}` | {len(rows)} | {rows['epochs'].max()} | "
                f"{100 * rows['test_accuracy'].mean():.1f} % | {free} |"
            )
    return "\n".join(lines)


def with_tables(text):
    """The README's text with all that renewed."""
    said = "\n".join([answer().replace(CITED, "(arXiv:2105.03588)"), answers(), "", more()])
    for name, table in (("answer", said), ("expected", expected())):
        begin, end = f"<!-- {name}: begin (written by study/book/readme.py from results/) -->", f"<!-- {name}: end -->"
        words = f"{begin}\n{table}\n{end}"
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _, words=words: words, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    readme.write_text(with_tables(readme.read_text()))
