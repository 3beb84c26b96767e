"""The study's answer from the committed records, as it stands in the README and is written into the book while that is built."""

from dataclasses import replace
from functools import partial

from palcore.runs.records import read_record
from study.results import primary
from study.results.glance import INSTEAD_OF_OWN
from study.results.measures import PAL, WITHOUT
from study.results.pages import Page, enough, seeds_words
from study.results.probabilities import NATS, with_log_losses
from study.results.tables import compared, comparisons, number, read_question, results_folder, span, with_intervals

MARK = "<!-- the answer, from results/: study/book/front_page.py -->"
"""Stands in `book/intro.md` where the sentences belong."""

TABLE = "<!-- the answers, from results/: study/book/front_page.py -->"
"""Stands in a page of the book where the table of answers belongs."""

PATCH = "<!-- the patch, from results/: study/book/front_page.py -->"
"""Stands in the caption of the first picture."""

SHOWN = {
    "C1": "With all of FER2013's training faces and a good baseline",
    "C6": "With a tenth of them and a good baseline",
    "P1": "With all of them and a weak baseline",
    "P5": "On drawn faces whose patch misleads in the test",
}
"""The primary comparisons of ``study/grid.yml`` that answer the book's question, and where each is."""

VERDICTS = {
    "higher": "better",
    "lower": "worse",
    "faces": "better or worse on these test faces only",
    "same": "no better",
    "inconclusive": "inconclusive",
}

SUMMARY = (
    "With a tenth of the training faces PAL makes a small network better. With all of them, on a good baseline, it gains about a "
    "point at most: open after 30 epochs, barely beyond chance after 60 (exploratory); its probabilities fit better after both. "
    "From a weak baseline it learns faster."
)
SUMMED = {"C1": ("inconclusive",), "C6": ("higher",), "P1": ("higher",)}
"""The outcomes that ``SUMMARY`` is true of; what it says of log losses and of sixty epochs, ``answer`` looks at."""

BRACKETS = (
    "In brackets stand 95 % intervals, for other seeds and for other test faces as well, and the name of the comparison, which was "
    "written down before its runs."
)

ALSO = {
    "C2": "training on FER+'s labels",
    "C3": "one template for all faces in place of their own landmarks",
    "C4 own or none": "faces placed at random",
    "C4 own or box": "faces placed at random, and a template moved to each face",
    "C5 at first": "PAL in the first quarter of the epochs only",
}
"""What the other primary comparisons ask of the good baseline with all faces; some may have no runs yet."""

LENGTHS = {"short": "so {} are too few", "past": "so {} are not too few", "enough": "so {} are enough"}
"""How a sentence ends on what ``study.results.pages.enough`` finds."""

AFTERWARDS = {
    "test_accuracy": "on test faces",
    "ferplus_accuracy": "by FER+'s labels of them",
    "training_accuracy": "on the faces that it trains on",
}
"""Whose accuracy is told of where trainings take twice as long."""

LONGER = {"C1": ("end", "twice-as-long"), "C6": ("tenth", "tenth-twice-as-long")}
"""The question of a comparison, and the one that trains for twice as many epochs."""

CITED = "{cite}`khaireddin2021facial`"
LEVEL = f"One network without other data has reached 73.28 % {CITED}."


def answer():
    """``SUMMARY``, and for each of ``SHOWN`` what came out and what is known of pace, length and landmarks, a list in Markdown.

    :raises ValueError: where the grid has no such comparison, results/ no runs of two seeds, or ``SUMMARY`` is not what they say.
    """
    page = Page([])
    for name in SHOWN:
        if name not in page.declared or not _is_in(page, name):
            raise ValueError(f"the front page speaks of {' and '.join(SHOWN)}: {name} is not in study/grid.yml, or has no runs yet")
    for name, outcomes in SUMMED.items():
        if (outcome := page.measured.loc[name, "outcome"]) not in outcomes:
            raise ValueError(
                f"{name} is {outcome} in results/ and not {' or '.join(outcomes)}: SUMMARY in {__file__} says too much"
            )
    losses, longer = (_log_loss(page, question) for question in LONGER["C1"]), page.differences(LONGER["C1"][1])[0].iloc[0]
    if not (all(found["high"].iloc[0] < 0 for found in losses) and longer["low"] > 0 and longer["difference"] < 0.01):
        raise ValueError(f"results/ no longer say of C1's log loss and of 60 epochs what SUMMARY in {__file__} does")
    more = {
        "C1": [_pace, _longer, _probabilities, *(partial(_also, of=name) for name in ALSO)],
        "C6": [_pace, _longer, _network, _landmarks],
        "P1": [_pace, _trained],
        "P5": [_others],
    }
    paragraphs = [
        _result(page, name) + "".join(f"\n  - {line}" for say in more[name] if (line := say(page, name))) for name in SHOWN
    ]
    paragraphs[0] += f"\n  - {LEVEL}"
    waiting = [f"{words} ({name})" for name, words in ALSO.items() if not _is_in(page, name)]
    paragraphs += [f"Still to come, from the good baseline: {'; '.join(waiting)}."] if waiting else []
    return "\n\n".join([f"{SUMMARY} {BRACKETS}", *(f"- {paragraph}" for paragraph in paragraphs)]) + "\n"


def _is_in(page, name):
    """Whether a comparison has runs of two seeds at least."""
    return page.measured.loc[name, "outcome"] not in ("missing", "early")


def _size(page, name):
    """``+2.0 points (other seeds: +0.8 to +3.2; other faces too: +0.7 to +3.3; C6, 5 seeds)``."""
    asked, row = page.declared[name], page.measured.loc[name]
    spans = "; ".join(map(": ".join, zip(("other seeds", "other faces too"), asked.spans(row), strict=False)))
    seeds = f"{row['seeds']} of {row['planned']} seeds" if row["seeds"] < row["planned"] else f"{row['seeds']} seeds"
    return f"{asked.amount(row['difference'], True)} ({spans}; {name}, {seeds})"


def _result(page, name):
    """``**With ...: better.** 54.9 % of the test faces are right without PAL and 56.9 % with it: ...``"""
    row = page.measured.loc[name]
    guided, plain = map(page.declared[name].level, row["levels"])
    levels = f"{plain} of the test faces are right without PAL and {guided} with it"
    return f"**{SHOWN[name]}: {VERDICTS[row['outcome']]}.** {levels}: {_size(page, name)}."


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
        f"Its probabilities fit better: a log loss of {plain} without PAL and {guided} with it, {once}; with twice as many epochs "
        f"{twice}, {seeds_words(longer['seeds'].iloc[0])}; exploratory."
    )


def _also(page, name, of):
    """What the comparison ``of`` found, which is asked of the same baseline."""
    if not _is_in(page, of):
        return ""
    asked, row = page.declared[of], page.measured.loc[of]
    this, that = (f"{asked.level(level)} {words}" for level, words in zip(row["levels"], asked.words, strict=True))
    return f"{ALSO[of][:1].upper()}{ALSO[of][1:]}: {this}, {that}, {_size(page, of)}: {primary.NAMES[row['outcome']]}."


def _pace(page, name):
    """What PAL's lead on validation faces is at most and at the end, and how much sooner it is where the baseline ends."""
    asked, pace = page.declared[name], replace(page.declared[name], score=primary.PACE)
    runs = primary.runs_of(pace)
    lead, sooner = primary.leads(runs, asked), compared(runs, pace.score, pace.arms)
    reached = f"{pace.amount(abs(sooner['difference']))} {'sooner' if sooner['difference'] < 0 else 'later'}"
    most = f"{asked.amount(lead.max())} at most (after epoch {lead.argmax() + 1} of {len(lead)})"
    return (
        f"On validation faces PAL leads by {most} and by {asked.amount(lead[-1])} at the end, and is at the baseline's last level, "
        f"less half a point, {reached} ({span(sooner['low'], sooner['high'], scale=pace.scale)})."
    )


def _trained(page, name):
    """The difference on the faces that the network trains on."""
    training = primary.beside(page.measured.loc[[name]]).loc[name, "training faces"]
    return f"On the faces that it trains on the lead is {training}. Nothing was trained for longer from there."


def _longer(page, name):
    """What twice the epochs change."""
    asked, (question, twice) = page.declared[name], LONGER[name]
    table, (runs, _, pairs) = page.lengthened(question, twice), page.runs(twice)
    changes = table["after"] - table["before"]
    plain, guided = (asked.amount(change, True) for change in changes)
    length = LENGTHS[enough(changes)].format(page.runs(question)[0]["epochs"].max())
    leads = {words: with_intervals(comparisons(runs, pairs, column)).iloc[0] for column, words in AFTERWARDS.items()}
    return (
        f"Twice as many epochs change the accuracy on validation faces by {plain} without PAL and by {guided} with it, {length}. "
        f"PAL's lead is then {', '.join(f'{lead} points {words}' for words, lead in leads.items())}; "
        f"{seeds_words(table['seeds'].min())}, exploratory."
    )


def _network(page, name):
    """What the network of all faces does with a tenth of them."""
    runs, _, pairs = page.runs("tenth-plain")
    tested = comparisons(runs, pairs, "test_accuracy")
    guided, plain = map(page.declared[name].level, tested["levels"].iloc[0])
    size = f"{with_intervals(tested).iloc[0]} points, {seeds_words(tested['seeds'].iloc[0])}"
    return (
        f"This is a smaller network than that of all faces. That one, on the same tenth: {plain} without PAL and {guided} with it, "
        f"{size}, exploratory."
    )


def _landmarks(page, name):
    """What other landmarks than each face's own come to where PAL gains, against PAL and against none."""
    runs, arms, pairs = page.runs("why")
    sides = [{arm: base for arm in arms if arm not in (WITHOUT, PAL)} for base in (PAL, WITHOUT)]
    own, none = (with_intervals(comparisons(runs, side, "test_accuracy")) for side in sides)
    texts = [f"{INSTEAD_OF_OWN.get(arm, f'own, and the {arm},')} {own[arm]} and {none[arm]}" for arm in own.index]
    return f"Other landmarks or losses, in points against PAL and against none, exploratory: {'; '.join(texts)}."


def _others(page, name):
    """What other landmarks than each face's own gain on drawn faces."""
    rows = with_intervals(page.differences(page.declared[name].question)[0])
    texts = [f"{INSTEAD_OF_OWN[arm]} {text}" for arm, text in rows.items() if arm in INSTEAD_OF_OWN]
    return f"With other landmarks than each face's own, exploratory: {'; '.join(texts)}."


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
    """A page's text with the answer, the table of answers and the caption of the first picture, each where it has its place.

    :raises ValueError: for a page that has a place for none of them.
    """
    written = {mark: words for mark, words in ((MARK, answer), (PATCH, patch_sentences), (TABLE, primary.answers)) if mark in text}
    if not written:
        raise ValueError(f"a page of the book has no line {MARK!r}: the answer has no place there")
    for mark, words in written.items():
        text = text.replace(mark, words().replace(" %", "\u00a0%"))  # no line of a narrow page begins with the sign
    return text
