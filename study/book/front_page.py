"""The study's answer from the committed records, as it stands in the README and is written into the book while that is built."""

from palcore.runs.records import read_record
from study.results import primary
from study.results.glance import INSTEAD_OF_OWN
from study.results.measures import PAL, WITHOUT
from study.results.pages import Page, enough, seeds_words
from study.results.tables import comparisons, read_question, results_folder, with_intervals

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
    "inconclusive": "no better that we can see",
}

SUMMARY = (
    "A better network where faces are few, and a faster one where the baseline is weak. With all faces and a good baseline no "
    "better one that we can see."
)
SUMMED = {"C1": ("inconclusive", "same"), "C6": ("higher",), "P1": ("higher",)}
"""The outcomes that ``SUMMARY`` is true of."""

LENGTHS = {
    "short": "Training for {} epochs is not long enough",
    "past": "Training for more than {} epochs gains nothing",
    "enough": "Training for {} epochs is long enough",
}
"""How a sentence begins on what ``study.results.pages.enough`` finds."""

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
        if name not in page.declared or page.measured.loc[name, "outcome"] in ("missing", "early"):
            raise ValueError(f"the front page speaks of {' and '.join(SHOWN)}: {name} is not in study/grid.yml, or has no runs yet")
    for name, outcomes in SUMMED.items():
        if (outcome := page.measured.loc[name, "outcome"]) not in outcomes:
            raise ValueError(
                f"{name} is {outcome} in results/ and not {' or '.join(outcomes)}: SUMMARY in {__file__} says too much"
            )
    more = {
        "C1": [_pace(page, "C1"), _longer(page, "C1"), LEVEL],
        "C6": [_pace(page, "C6"), _longer(page, "C6"), _landmarks(page)],
        "P1": [_pace(page, "P1"), _trained(page, "P1")],
        "P5": [],
    }
    paragraphs = [" ".join(filter(None, [_result(page, name), *more[name]])) for name in SHOWN]
    return "\n\n".join([SUMMARY, *(f"- {paragraph}" for paragraph in paragraphs)]) + "\n"


def _result(page, name):
    """``**With ...: better.** 54.9 % of the test faces are right without PAL and 56.9 % with it: ...``"""
    asked, row = page.declared[name], page.measured.loc[name]
    spans = "; ".join(map(": ".join, zip(("other seeds", "other faces too"), asked.spans(row), strict=False)))
    guided, plain = map(asked.level, row["levels"])
    levels = f"{plain} of the test faces are right without PAL and {guided} with it"
    seeds = f"{row['seeds']} of {row['planned']} seeds" if row["seeds"] < row["planned"] else f"{row['seeds']} seeds"
    size = f"{asked.amount(row['difference'], True)} ({spans}; {name}, {seeds})"
    return f"**{SHOWN[name]}: {VERDICTS[row['outcome']]}.** {levels}: {size}."


def _pace(page, name):
    """What PAL's lead on validation faces is at most and at the end."""
    asked, lead = page.declared[name], primary.leads(page.declared[name])
    most = f"{asked.amount(lead.max())} at most (after epoch {lead.argmax() + 1} of {len(lead)})"
    return f"On validation faces PAL leads by {most} and by {asked.amount(lead[-1])} at the end."


def _trained(page, name):
    """The difference on the faces that the network trains on."""
    training = primary.beside(page.measured.loc[[name]]).loc[name, "training faces"]
    as_large = abs(float(training.split()[0]) - 100 * page.measured.loc[name, "difference"]) < 0.5
    words = f"as large, {training}: it learns faster" if as_large else training
    return f"On the faces that it trains on the lead is {words}."


def _longer(page, name):
    """What twice the epochs change, as far as that is in."""
    asked, (question, twice) = page.declared[name], LONGER[name]
    table, (runs, _, pairs) = page.lengthened(question, twice), page.runs(twice)
    tested = comparisons(runs, pairs, "test_accuracy")
    if len(table) < 2 or tested.empty:
        return "Whether more epochs would change that is not known yet."
    changes = table["after"] - table["before"]
    plain, guided = (asked.amount(change, True) for change in changes)
    lead, seeds = asked.amount(tested["difference"].iloc[0], True), seeds_words(table["seeds"].min())
    length = LENGTHS[enough(changes)].format(len(primary.leads(asked)))
    return (
        f"{length}: twice as many change the accuracy on validation faces by {plain} without PAL and by {guided} "
        f"with it, and the difference on test faces is then {lead} ({seeds})."
    )


def _landmarks(page):
    """What other landmarks than each face's own come to where PAL gains, as far as that is in."""
    rows = with_intervals(page.differences("why")[0])
    texts = [f"{INSTEAD_OF_OWN.get(arm, arm)} {text}" for arm, text in rows.items() if arm != WITHOUT]
    return f"Against PAL with each face's own landmarks, in points and exploratory: {'; '.join(texts)}." if texts else ""


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
    table = primary.answers().replace(" %", "\u00a0%")  # no line of a narrow cell begins with the sign
    written = {mark: words for mark, words in ((MARK, answer), (PATCH, patch_sentences), (TABLE, lambda: table)) if mark in text}
    if not written:
        raise ValueError(f"a page of the book has no line {MARK!r}: the answer has no place there")
    for mark, words in written.items():
        text = text.replace(mark, words())
    return text
