"""Everything that is wrong with a data set, at once: `python -m palcore check`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from palcore import EMOTIONS
from palcore.data import find_data_set
from palcore.data.opening import check_only, check_options
from palcore.data.readers import SPLITS, Problem

SHOWN = 10
"""Sentences of one kind that are printed; the others are counted."""


@dataclass(frozen=True)
class Report:
    """What the check has found.

    - ``faces``: faces per split; ``counts``: faces of each expression per split; ``published``: likewise, as the owner gives
      them. Where the owner has no validation split, the study's is part of ``train`` in both.
    - ``dropped``: faces per part that are none of the seven-class task, by reason.
    - ``copies``: how often pictures are repeated, see ``palcore.data.faults.find_copies``; ``near``: how many of a later split
      have nearly the picture of one of an earlier split, or its mirror image, and are no copies: ``train/test``.
    - ``labels``: what other labels than the owner's there are, ``{split: {name: facts}}``, such as FER+'s.
    - ``problems``: ``{split: [Problem]}``, those that concern all under ``all``.
    """

    name: str
    faces: dict
    counts: dict
    published: dict
    dropped: dict
    copies: dict
    near: dict
    labels: dict
    problems: dict

    @property
    def fatal(self) -> list[Problem]:
        """The problems that would break or bias a run."""
        return [problem for problems in self.problems.values() for problem in problems if problem.fatal]


def check(name: str, data_dir: str | Path, landmarks: str | Path | bool | None = None, **options) -> Report:
    """Look at every face of a data set and say all that is wrong; nothing is kept.

    :param landmarks: where its landmarks are, as for ``palcore.data.load``; other options likewise.
    :raises ValueError: for an unknown name or option.
    :raises FileNotFoundError: where the folder is missing.
    """
    reader, folder = find_data_set(name, data_dir)
    check_options(reader, options)
    own = {option: options.get(option, default) for option, default in reader.OPTIONS.items()}
    opened = check_only(reader, folder, landmarks, **own)
    facts, splits = opened.pictures.facts, opened.pictures.arrays["splits"]
    problems = {split: [problem for problem in opened.problems if problem.split == split] for split in ("", *SPLITS)}
    return Report(
        name,
        {split: int(np.sum(splits == split)) for split in SPLITS},
        facts["counts"],
        facts["published"],
        facts["dropped"],
        facts["copies"],
        facts["near"],
        {split: {"ferplus": second} for split, second in facts["second"].items()},
        {split or "all": found for split, found in problems.items() if found},
    )


def _by_kind(problems: list[Problem]) -> dict[str, list[str]]:
    kinds = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem.sentence)
    return kinds


def report_lines(report: Report, shown: int | None = SHOWN) -> list[str]:
    """The report as lines of text: counts beside the published ones, copies, and each problem's sentence.

    :param shown: sentences of a kind that are written out in each split; the rest is a number. None: all.
    """
    lines = _count_lines(report) if any(report.faces.values()) else []
    for title, fatal in (("note", False), ("PROBLEM", True)):
        for split, problems in report.problems.items():
            for kind, sentences in _by_kind([problem for problem in problems if problem.fatal is fatal]).items():
                lines.append(f"{title}: {split}, {kind}: {len(sentences):,}")
                lines += [f"  {sentence}" for sentence in sentences[:shown]]
                if shown is not None and len(sentences) > shown:
                    lines.append(f"  and {len(sentences) - shown:,} more: --json lists all")
    count = len(report.fatal)
    found = f"{count:,} problem{'s' if count > 1 else ''}" if count else "nothing"
    return [*lines, f"{found} that would break or bias a run"]


def _count_lines(report: Report) -> list[str]:
    """The counts beside the published ones, and how often pictures are repeated."""
    lines = ["faces     " + "".join(f"{split:>11} published" for split in report.counts)]
    for emotion in EMOTIONS:
        published = {split: f"{counts[emotion]:,}" for split, counts in report.published.items()}
        cells = (f"{counts[emotion]:>11,} {published.get(split, ''):>9}" for split, counts in report.counts.items())
        lines.append(f"{emotion:10}" + "".join(cells))
    for split, dropped in report.dropped.items():
        lines += [f"{split}: {count:,} left out: {reason}" for reason, count in dropped.items()]
    copies = report.copies
    lines.append(
        f"{copies['crossing']:,} pictures stand in more than one split, {copies['crossing_with_other_label']:,} of them with "
        f"different labels; {copies['repeated_within']:,} faces repeat an earlier one of their split"
    )
    for pair, count in copies.items():
        if "/" in pair and count:
            lines.append(f"{count:,} {pair.split('/')[1]} faces are also {pair.split('/')[0]} faces")
    for pair, count in report.near.items():
        if count:
            earlier, later = pair.split("/")
            lines.append(f"{count:,} {later} faces have nearly the picture of a {earlier} face, or its mirror image")
    for split, others in report.labels.items():
        for name, facts in others.items():
            share = f"{facts['agreement']:.1%} of those are the owner's too"
            lines.append(f"{split}: {facts['faces']:,} faces have a label of {name}, and {share}")
    return lines


def report_record(report: Report, data_dir: str | Path) -> dict:
    """The report as what JSON can hold. Paths are given from the data set's folder, so that the record can be shared."""

    def listed(fatal):
        kinds = {}
        for split, problems in report.problems.items():
            for kind, sentences in _by_kind([problem for problem in problems if problem.fatal is fatal]).items():
                kinds.setdefault(kind, {})[split] = [sentence.replace(f"{data_dir}", "DATA_DIR") for sentence in sentences]
        return kinds

    return {
        "dataset": report.name,
        "faces": report.faces,
        "counts": report.counts,
        "published": report.published,
        "dropped": report.dropped,
        "copies": report.copies,
        "near_copies": report.near,
        "labels": report.labels,
        "problems": listed(True),
        "notes": listed(False),
    }
