"""The study's answer from the committed records, as it stands in the README and is written into the book while that is built."""

from dataclasses import replace

from palcore.runs.records import read_record
from study.results import primary
from study.results.glance import INSTEAD_OF_OWN
from study.results.measures import PAL, WITHOUT
from study.results.pages import Page, enough, seeds_words
from study.results.probabilities import NATS, with_log_losses
from study.results.tables import compared, comparisons, number, read_question, results_folder, span, with_intervals

MARK = "<!-- the answer, from results/: study/book/front_page.py -->"
"""Stands in `book/intro.md` where the answer belongs."""

TABLE = "<!-- the answers, from results/: study/book/front_page.py -->"
"""Stands in a page of the book where the table of answers belongs."""

MORE = "<!-- what else is known, from results/: study/book/front_page.py -->"
"""Stands in `book/intro.md` where the list below the table belongs."""

PATCH = "<!-- the patch, from results/: study/book/front_page.py -->"
"""Stands in the caption of the first picture."""

SUMMARY = (
    "With a tenth of the training faces PAL makes a small network better. From a weak baseline it is ahead after 16 epochs; "
    "whether by pace or for good is open. With all faces and a good baseline a gain in accuracy is not shown, after 30 epochs or, "
    "for other test faces too, after 60; its probabilities fit better after both (exploratory)."
)
SUMMED = {"C1": ("inconclusive",), "C6": ("higher",), "P1": ("higher",)}
"""The outcomes that ``SUMMARY`` is true of; what it says of log losses and of sixty epochs, ``answer`` looks at."""

CITED = "{cite}`khaireddin2021facial`"
BRACKETS = (
    "Real faces are FER2013's, grey and 48 pixels wide, of which one network without other data has named 73.28 % "
    f"{CITED}. In brackets stand 95 % intervals: for other seeds, and for other test faces too (on drawn faces each seed has its "
    "own). C1 to C6 and P1 to P5 were written down before their runs, though the signs of P1 and P5 were known, and the verdicts "
    "are corrected for their number. All else is exploratory, and has the first interval only."
)

WAITING = {
    "C3": "one template for all faces in place of their own landmarks",
    "C4 own or none": "faces placed at random",
    "C4 own or box": "faces placed at random, and a template moved to each face",
    "C5 at first": "PAL in the first quarter of the epochs only",
}
"""What the primary comparisons ask of the good baseline that may have no runs yet."""

LENGTHS = {
    "short": "so {} are too few",
    "past": "so that the length matters by the rule written beforehand, though more epochs end lower",
    "enough": "so {} are enough",
}
"""How a sentence ends on what ``study.results.pages.enough`` finds."""

AFTERWARDS = {
    "test_accuracy": "on test faces",
    "ferplus_accuracy": "by FER+'s labels of them",
    "training_accuracy": "on the faces that it trains on",
}
"""Whose accuracy is told of where trainings take twice as long."""

LONGER = {"C1": ("end", "twice-as-long"), "C6": ("tenth", "tenth-twice-as-long")}
"""The question of a comparison, and the one that trains for twice as many epochs."""


def answer():
    """``SUMMARY``, and how the numbers below it are read.

    :raises ValueError: where results/ have no runs of two seeds, or ``SUMMARY`` is not what they say.
    """
    page = Page([])
    for name, outcomes in SUMMED.items():
        if name not in page.declared or (outcome := page.measured.loc[name, "outcome"]) not in outcomes:
            found = f"is {outcome} in results/" if name in page.declared else "is not in study/grid.yml"
            raise ValueError(f"{name} {found} and not {' or '.join(outcomes)}: SUMMARY in {__file__} says too much")
    losses, (low, high) = (_log_loss(page, question) for question in LONGER["C1"]), _longer_on_other_faces(page)
    if not (all(found["high"].iloc[0] < 0 for found in losses) and low < 0 < high):
        raise ValueError(f"results/ no longer say of C1's log loss and of 60 epochs what SUMMARY in {__file__} does")
    return f"{SUMMARY}\n\n{BRACKETS}\n"


def more():
    """What is known beside the table of answers: of pace, of the network, of probabilities, of landmarks. A list in Markdown."""
    page = Page([])
    waiting = [f"{words} ({name})" for name, words in WAITING.items() if not _is_in(page, name)]
    paragraphs = [
        "**Or only faster?** How soon is PAL where the baseline ends: at its last accuracy on validation faces, less half a point?"
        f"\n  - From the weak baseline: {_sooner(page, 'P1')}. {_trained(page, 'P1')}"
        f"\n  - With all faces and the good baseline: {_sooner(page, 'C5 sooner')[:-1]}; C5). {_longer(page, 'C1')}"
        f"\n  - With a tenth and the good baseline: {_sooner(page, 'C6')}. {_longer(page, 'C6')}"
        f"{_at_first(page, 'C5 at first')}",
        f"**Few faces, or a small network?** {_network(page, 'C6')}",
        f"**Beside accuracy.** {_probabilities(page, 'C1')} {_each_expression(page)}",
        f"**Whose landmarks?** {_own(page)}\n  - {_landmarks(page, 'C6')}\n  - {_others(page, 'P5')}",
        *([f"**Still to come**, from the good baseline with all faces: {'; '.join(waiting)}."] if waiting else []),
    ]
    return "\n".join(f"- {paragraph}" for paragraph in paragraphs) + "\n"


def _is_in(page, name):
    """Whether a comparison has runs of two seeds at least."""
    return page.measured.loc[name, "outcome"] not in ("missing", "early")


def _size(page, name):
    """``+1.0 point (+0.6 to +1.4; +0.2 to +1.9; P2)``."""
    asked, row = page.declared[name], page.measured.loc[name]
    return f"{asked.amount(row['difference'], True)} ({'; '.join([*asked.spans(row), name])})"


def _sooner(page, name):
    """``2.0 of 16 epochs sooner (0.2 to 3.8)``, or ``0.4 of 30 epochs later (1.7 sooner to 2.5 later)``."""
    pace = replace(page.declared[name], score=primary.PACE)
    runs = primary.runs_of(pace)
    row = compared(runs, pace.score, pace.arms)
    ends = [number(abs(row[end])) + (" sooner" if row[end] < 0 else " later") for end in ("low", "high")]
    if row["low"] * row["high"] > 0:  # both on one side: the nearer one first, and the word once
        ends = sorted((end.split()[0] for end in ends), key=float)
    less = "sooner" if row["difference"] < 0 else "later"
    return f"{number(abs(row['difference']))} of {runs['epochs'].max():.0f} epochs {less} ({' to '.join(ends)})"


def _at_first(page, name):
    """What PAL in the first quarter of the epochs comes to, as far as that is in."""
    if not _is_in(page, name):
        return ""
    cleaner = primary.beside(page.measured.loc[[name]]).loc[name, primary.BESIDE["ferplus_accuracy"]]
    return (
        f"\n  - PAL in the first quarter of the epochs only, against PAL throughout, with all faces and the good baseline: "
        f"{_size(page, name)}, {primary.NAMES[page.measured.loc[name, 'outcome']]}; by FER+'s labels {cleaner}."
    )


def _trained(page, name):
    """The difference on the faces that the network trains on."""
    training = primary.beside(page.measured.loc[[name]]).loc[name, "training faces"]
    return f"On the faces that it trains on the lead is {training}, and nothing was trained for longer."


def _longer_on_other_faces(page):
    """The interval of PAL's lead after twice the epochs of C1, for other seeds and other test faces."""
    runs, _, pairs = page.runs(LONGER["C1"][1])
    [(guided, plain)] = pairs.items()
    return primary.over_test_faces(runs, (guided, plain), "test_accuracy", sorted(set(runs["seed"])))


def _longer(page, name):
    """What twice the epochs change."""
    asked, (question, twice) = page.declared[name], LONGER[name]
    table, (runs, _, pairs) = page.lengthened(question, twice), page.runs(twice)
    changes = table["after"] - table["before"]
    plain, guided = (asked.amount(change, True) for change in changes)
    length = LENGTHS[enough(changes)].format(page.runs(question)[0]["epochs"].max())
    leads = {words: with_intervals(comparisons(runs, pairs, column)).iloc[0] for column, words in AFTERWARDS.items()}
    if name == "C1":
        leads["on test faces"] = f"{leads['on test faces'][:-1]}; {span(*_longer_on_other_faces(page))})"
    return (
        f"Twice as many epochs change the accuracy on validation faces by {plain} without PAL and by {guided} with it, {length}. "
        f"PAL's lead is then {', '.join(f'{lead} points {words}' for words, lead in leads.items())}; "
        f"{seeds_words(table['seeds'].min())}."
    )


def _network(page, name):
    """What the network of all faces does with a tenth of them."""
    runs, _, pairs = page.runs("tenth-plain")
    tested = comparisons(runs, pairs, "test_accuracy")
    guided, plain = map(page.declared[name].level, tested["levels"].iloc[0])
    size = f"{with_intervals(tested).iloc[0]} points, {seeds_words(tested['seeds'].iloc[0])}"
    return f"C6 has a smaller network than C1. That of C1, with a tenth: {plain} without PAL, {guided} with it, {size}."


def _log_loss(page, question):
    """How far PAL's log loss lies above that without it: the only row of ``comparisons``."""
    runs, _, pairs = page.runs(question)
    return comparisons(with_log_losses(runs), pairs, "log_loss")


def _probabilities(page, name):
    """What PAL makes of the log loss, at the length of a comparison and at twice that."""
    found, longer = (_log_loss(page, question) for question in LONGER[name])
    guided, plain = (number(level, 3) for level in found["levels"].iloc[0])
    once, twice = (with_intervals(losses, **NATS).iloc[0] for losses in (found, longer))
    return (
        f"With all faces and the good baseline the probabilities fit better: a log loss of {plain} without PAL, {guided} with it, "
        f"{once}; with twice as many epochs {twice}."
    )


def _each_expression(page):
    """PAL's lead in the mean over the seven expressions."""
    leads = primary.beside(page.measured.loc[["C1", "C6", "P1"]])[primary.BESIDE["test_mean_class_accuracy"]]
    return (
        "As a mean over the seven expressions the lead is " + ", ".join(f"{lead} in {name}" for name, lead in leads.items()) + "."
    )


def _own(page):
    """How far own landmarks lie above a template, from a weak baseline; and above what of the good one is in."""
    weak = f"Own against one template for all, from the weak baseline: {_size(page, 'P2')}; placed at random {_size(page, 'P3')}"
    return f"{weak}; from the good baseline {_size(page, 'C3')}." if _is_in(page, "C3") else f"{weak}."


def _landmarks(page, name):
    """What other landmarks than each face's own come to where PAL gains, against PAL and against none."""
    runs, arms, pairs = page.runs("why")
    sides = [{arm: base for arm in arms if arm not in (WITHOUT, PAL)} for base in (PAL, WITHOUT)]
    own, none = (with_intervals(comparisons(runs, side, "test_accuracy")) for side in sides)
    texts = [f"{INSTEAD_OF_OWN.get(arm, f'own, and the {arm} in place of PAL,')} {own[arm]} and {none[arm]}" for arm in own.index]
    return f"With a tenth, in points against PAL and against none: {'; '.join(texts)}."


def _others(page, name):
    """What other landmarks than each face's own gain on drawn faces."""
    rows = with_intervals(page.differences(page.declared[name].question)[0])
    texts = [f"{INSTEAD_OF_OWN[arm]} {text}" for arm, text in rows.items() if arm in INSTEAD_OF_OWN]
    return f"On drawn faces others gain nearly as much: {'; '.join(texts)}."


def patch_means():
    """A sentence: how much of the attribution lies on the patch, and what covering it costs, without PAL and with it."""
    said, arms = [], read_question("shortcut").groupby("arm")
    for words, arm in (("without PAL", WITHOUT), ("with PAL", PAL)):
        runs = arms.get_group(arm)
        share, cost = (100 * runs[f"test_reliance_patch_{name}"].mean() for name in ("share", "accuracy"))
        said.append(f"{words} {share:.1f} % of it lies on the patch, and covering the patch costs {-cost:.1f} points of accuracy")
    return f"Means over {len(runs)} networks of each kind: {'; '.join(said)}."


def patch_sentences():
    """``patch_means``, what follows from them, and how the two networks do that a reader can try."""
    records = [read_record(results_folder() / "browser" / f"{strategy}.json") for strategy in ("none", "mean")]
    right = [f"{100 * record['int8']['changes']['shortcut_free']['accuracy']:.0f} %" for record in records]
    return (
        f"{patch_means()} So attribution moved is not reliance moved: with PAL the map has left the patch almost wholly, "
        "the answer only in part. The two networks that you can try are one of each kind, without PAL and with it: right on "
        f"{' and '.join(right)} of the test faces whose patch has a random colour."
    )


def with_answers(text):
    """A page's text with what has a place in it: the answer, the table of answers, what else is known, a caption.

    :raises ValueError: for a page that has a place for none of them.
    """
    known = ((MARK, answer), (TABLE, primary.answers), (MORE, more), (PATCH, patch_sentences))
    written = {mark: words for mark, words in known if mark in text}
    if not written:
        raise ValueError(f"a page of the book has no line {MARK!r}: the answer has no place there")
    for mark, words in written.items():
        text = text.replace(mark, words().replace(" %", "\u00a0%"))  # no line of a narrow page begins with the sign
    return text
