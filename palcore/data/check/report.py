"""What the check of a data set has found, as text and as a record."""

from dataclasses import dataclass

from palcore import EMOTIONS

SHOWN = 10
"""Sentences of one kind that are printed; the others are counted."""


@dataclass(frozen=True)
class Report:
    """What the check has found.

    - ``faces``: faces per split; ``counts``: faces of each expression per split; ``published``: likewise, as the owner gives
      them. Where the owner has no validation split, the study's is part of ``train`` in both.
    - ``dropped``: faces per split that are no part of the seven-class task, by reason.
    - ``copies``: how often pictures are repeated, see ``palcore.data.check.faults.find_copies``.
    - ``near``: how many faces of a later split have nearly the picture of one of an earlier split, or its mirror image, and are no
      copies: ``train/validation``, ``train/test``, ``validation/test``.
    - ``labels``: what other labels than the owner's there are, ``{split: {name: facts}}``, such as FER+'s.
    - ``problems``: ``{split: [Problem]}``; those that are ``fatal`` would break or bias a run, the others are notes.
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
    def fatal(self):
        """The problems that would break or bias a run."""
        return [problem for problems in self.problems.values() for problem in problems if problem.fatal]


def _by_kind(problems):
    kinds = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem.sentence)
    return kinds


def report_lines(report, shown=SHOWN):
    """The report as lines of text: counts beside the published ones, copies, and each problem's sentence.

    :param shown: sentences of a kind that are written out in each split; the rest is a number. None: all.
    """
    splits = list(report.counts)
    lines = ["faces     " + "".join(f"{split:>11} published" for split in splits)]
    for emotion in EMOTIONS:
        published = {split: f"{counts[emotion]:,}" for split, counts in report.published.items()}
        cells = (f"{report.counts[split][emotion]:>11,} {published.get(split, ''):>9}" for split in splits)
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
            later, earlier = reversed(pair.split("/"))
            lines.append(f"{count:,} {later} faces have nearly the picture of a {earlier} face, or its mirror image")
    for split, others in report.labels.items():
        for name, facts in others.items():
            share = f"{facts['agreement']:.1%} of those are the owner's too"
            lines.append(f"{split}: {facts['faces']:,} faces have a label of {name}, and {share}")
    for title, fatal in (("note", False), ("PROBLEM", True)):
        for split, problems in report.problems.items():
            for kind, sentences in _by_kind([problem for problem in problems if problem.fatal is fatal]).items():
                lines.append(f"{title}: {split}, {kind}: {len(sentences):,}")
                lines += [f"  {sentence}" for sentence in sentences[:shown]]
                if shown is not None and len(sentences) > shown:
                    lines.append(f"  and {len(sentences) - shown:,} more: --json lists all")
    count = len(report.fatal)
    found = f"{count:,} problem{'s' if count > 1 else ''}" if count else "nothing"
    lines.append(f"{found} that would break or bias a run")
    return lines


def report_record(report, data_dir):
    """The report as what JSON can hold. Paths are given from the data set's folder, so that the record can be shared."""

    def listed(fatal):
        kinds = {}
        for split, problems in report.problems.items():
            for kind, sentences in _by_kind([problem for problem in problems if problem.fatal is fatal]).items():
                sentences = [sentence.replace(f"{data_dir}", "DATA_DIR") for sentence in sentences]
                kinds.setdefault(kind, {})[split] = sentences
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
