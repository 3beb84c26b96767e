"""Everything that is wrong with a data set, at once: `python -m palcore check`."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palcore import EMOTIONS
from palcore.data import find_data_set
from palcore.data.opening import check_options, open_data_set
from palcore.data.readers import SPLITS, Problem

SHOWN = 10  # sentences of one kind that are printed of each split; the others are counted


@dataclass(frozen=True)
class Report:
    """What the check has found: ``problems`` by split, those that concern all under ``all``, and ``facts``, as the record has them.

    - ``faces``: faces per split; ``counts``: of each expression; ``published``: likewise, as the owner gives them. Where the owner
      has no validation split, the study's is part of ``train`` in both. ``dropped``: those of other classes, by part and reason.
    - ``copies``: see ``palcore.data.faults.find_copies``; ``near_copies``: how many of a later split have nearly the picture of one
      of an earlier split, or its mirror image, and are no copies: ``train/test``.
    - ``labels``: what other labels than the owner's there are, ``{split: {name: facts}}``, such as FER+'s.
    """

    name: str
    facts: dict
    problems: dict[str, list[Problem]]

    @property
    def faces(self) -> dict[str, int]:
        return self.facts["faces"]

    @property
    def fatal(self) -> list[Problem]:
        """The problems that would break or bias a run."""
        return [problem for problems in self.problems.values() for problem in problems if problem.fatal]

    def by_kind(self, fatal: bool) -> dict[str, dict[str, list[str]]]:
        """``{kind: {split: sentences}}`` of those that would break or bias a run, or of the others."""
        kinds = {}
        for split, problems in self.problems.items():
            for problem in problems:
                if problem.fatal is fatal:
                    kinds.setdefault(problem.kind, {}).setdefault(split, []).append(problem.sentence)
        return kinds


def check(name: str, data_dir: str | Path, landmarks: str | Path | bool | None = None, **options) -> Report:
    """Look at every face of a data set and say all that is wrong; nothing is kept.

    :param landmarks: where its landmarks are, as for ``palcore.data.load``; other options likewise.
    :raises ValueError: for an unknown name or option.
    :raises FileNotFoundError: where the folder is missing.
    """
    reader, folder = find_data_set(name, data_dir)
    own = check_options(reader, options)
    with tempfile.TemporaryDirectory(prefix="palcore-check-") as index:
        opened = open_data_set(reader, folder, landmarks, Path(index), copied=False, **own)
        faces = {split: int(np.sum(opened.arrays["splits"] == split)) for split in SPLITS}
    problems = {split: [problem for problem in opened.problems if problem.split == split] for split in ("", *SPLITS)}
    facts = {name: opened.facts[name] for name in ("counts", "published", "dropped", "copies", "near_copies", "labels")}
    return Report(name, {"faces": faces, **facts}, {split or "all": told for split, told in problems.items() if told})


def report_lines(report: Report) -> list[str]:
    """The report as lines of text: counts beside the published ones, copies, and the problems' sentences."""
    lines = _count_lines(report.facts) if any(report.faces.values()) else []
    for title, fatal in (("note", False), ("PROBLEM", True)):
        for kind, splits in report.by_kind(fatal).items():
            for split, sentences in splits.items():
                lines += [f"{title}: {split}, {kind}: {len(sentences):,}", *(f"  {sentence}" for sentence in sentences[:SHOWN])]
                if len(sentences) > SHOWN:
                    lines.append(f"  and {len(sentences) - SHOWN:,} more: --json lists all")
    count = len(report.fatal)
    many = f"{count:,} problem{'s' if count > 1 else ''}" if count else "nothing"
    return [*lines, f"{many} that would break or bias a run"]


def _count_lines(facts: dict) -> list[str]:
    """The counts beside the published ones, and how often pictures are repeated."""
    lines = ["faces     " + "".join(f"{split:>11} published" for split in facts["counts"])]
    for emotion in EMOTIONS:
        published = {split: f"{counts[emotion]:,}" for split, counts in facts["published"].items()}
        cells = (f"{counts[emotion]:>11,} {published.get(split, ''):>9}" for split, counts in facts["counts"].items())
        lines.append(f"{emotion:10}" + "".join(cells))
    for split, dropped in facts["dropped"].items():
        lines += [f"{split}: {count:,} left out: {reason}" for reason, count in dropped.items()]
    copies = facts["copies"]
    lines.append(
        f"{copies['crossing']:,} pictures stand in more than one split, {copies['crossing_with_other_label']:,} of them with "
        f"different labels; {copies['repeated_within']:,} faces repeat an earlier one of their split"
    )
    same = "{:,} {} faces are also {} faces"
    near = "{:,} {} faces have nearly the picture of a {} face, or its mirror image"
    for sentence, pairs in ((same, copies), (near, facts["near_copies"])):
        lines += [sentence.format(count, *pair.split("/")[::-1]) for pair, count in pairs.items() if "/" in pair and count]
    for split, others in facts["labels"].items():
        for name, seen in others.items():
            share = f"{seen['agreement']:.1%} of those are the owner's too"
            lines.append(f"{split}: {seen['faces']:,} faces have a label of {name}, and {share}")
    return lines


def report_record(report: Report, data_dir: str | Path) -> dict:
    """The report as what JSON can hold. Paths are given from the data set's folder, so that the record can be shared."""
    record = {"dataset": report.name, **report.facts}
    for title, fatal in (("problems", True), ("notes", False)):
        record[title] = {
            kind: {split: [text.replace(f"{data_dir}", "DATA_DIR") for text in sentences] for split, sentences in splits.items()}
            for kind, splits in report.by_kind(fatal).items()
        }
    return record
