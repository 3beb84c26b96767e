"""The first results page, what the study answers on two screens, and the page behind it: tests, circumstances, rivals."""

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from study.results import effects, primary
from study.results.arms import SHORT, lengths_sentence, question_cells, read
from study.results.measures import PAL, WITHOUT
from study.results.pages import BETWEEN, Page, difference_line, fold, homes
from study.results.tables import comparisons, number, results_folder, span, to_markdown, with_intervals

CIRCUMSTANCES = {
    "width": {"PAL, all channels": "with all of the network's channels"},
    "noisy-labels": {"PAL, 40 % wrong": "with 40 % of the training labels replaced at random"},
    "little-data": {"PAL, 5 % of the faces": "with 5 % of the training faces"},
    "faces-strategies": {
        "PAL (all)": "with each channel compared by itself (the strategy `all`)",
        "PAL (mean), short": "trained short",
    },
    "knows-faces": {PAL: "from a network that knows faces"},
}
"""What the first page compares with the same training without PAL, by question and arm, in its words."""

INSTEAD = {"feature cosine, weight 3": "the feature cosine", "face crops": "face crops"}
"""Other uses of the landmarks, arms of the question ``rivals``, that the first page compares with PAL."""

HARDER = {
    "patch_eyes": "tested with a patch on the eyes",
    "patch_mouth": "tested with a patch on the mouth",
    "shift_20": "tested on faces shifted by a fifth",
    "blur_2": "tested on blurred faces",
}
"""Test conditions that the first page speaks of."""

LANDMARKS = {
    "aligned-landmarks": "aligned",
    "placed": "at random places",
    "whose": "aligned, good baseline",
    "why": "aligned, a tenth of them, good baseline, each at its own weight",
    "place": "at random places, good baseline",
    "shortcut": "drawn, patch at random",
}
"""Questions whose arms differ in their landmarks, and the faces of each."""

LEADS = {
    "C1": "aligned, good baseline",
    "C6": "a tenth of the faces, good baseline",
    "P1": "aligned, weak baseline",
    "P3 against none": "at random places, weak baseline",
}
"""Comparisons of PAL and none whose leads on training and test faces the first page sets side by side, in a reader's words."""

INSTEAD_OF_OWN = {
    "a template": "one template for all",
    "template": "one template for all, at a weight of its own",
    "template in its box": "a template moved to each face's box",
    "another face's landmarks": "another face's",
    "landmarks upside down": "the same, upside down",
    "points in the middle": "points in the middle",
    WITHOUT: "none: no PAL",
}
"""Arms of ``LANDMARKS`` in a reader's words."""


class Glance(Page):
    """The page of the results at a glance: sets questions of the other pages beside each other. Parameters as of ``Page``."""

    def effects(self):
        """Draw the primary effects in one figure: accuracies of a family on drawn and on real faces each on a scale of its own."""
        groups = {}
        for name, row in self.measured[self.measured["seeds"] > 0].iterrows():
            asked = self.declared[name]
            if asked.score == primary.PACE:
                continue
            first, second = asked.words
            if not asked.minus:
                first, second = (
                    f"{words} ({number(100 * level)} %)" for words, level in zip(asked.words, row["levels"], strict=True)
                )
            place = f"{asked.what},\n{asked.where}" if asked.minus else asked.where
            rows = groups.setdefault((asked.family, asked.dataset), {})
            rows[f"{name}: {place},\n{first}\nagainst {second}"] = difference_line(row)
        if groups:
            effects.draw_effects(list(groups.values()), self.margin and 100 * self.margin)

    def pace(self):
        """Show in a table whether the lead on test faces is one on training faces too, and what it is after shorter trainings."""
        aside = primary.beside(self.measured, self.results)
        heads = {"training faces": "lead on the faces that it trains on (points)", "test faces": "on test faces (points)"}
        rows = {words: aside.loc[name, list(heads)] for name, words in LEADS.items() if name in aside.index}
        if rows:
            display(Markdown(to_markdown(pd.DataFrame(rows).T.rename(columns=heads), "PAL, in the last epoch")))
        leads = [self.differences(name)[0].get("difference", {}) for name in ("faces-strategies", "faces")]
        short, full = (100 * lead.get(arm, np.nan) for lead, arm in zip(leads, (f"{PAL} (mean){SHORT}", PAL), strict=True))
        if np.isfinite(short) and np.isfinite(full):
            lead = f"{number(short)} points after short trainings on 30 % of the faces and {number(full)} after longer ones on all"
            display(Markdown(f"From the weak baseline the lead is {lead}."))

    def landmarks(self):
        """Show in a table what PAL loses with other landmarks than each face's own; what has no two seeds is left out."""
        columns = {}
        for question, words in LANDMARKS.items():
            runs, arms, _ = self.runs(question)
            pairs = {arm: PAL for arm in arms if arm in INSTEAD_OF_OWN}
            columns[words] = with_intervals(comparisons(runs, pairs, next(iter(self.scores(question)))))
        tuned, _ = self.differences("template-weight", single=True)  # on the aligned faces; the weight that got other seeds
        for name, text in with_intervals(tuned).items():
            if name.startswith("a template"):
                columns["aligned"]["template"] = text
        table = pd.DataFrame(columns).reindex(list(INSTEAD_OF_OWN)).dropna(how="all").dropna(how="all", axis="columns")
        if table.size:
            shown = table.fillna("-").rename(INSTEAD_OF_OWN)
            display(Markdown(to_markdown(shown, "in place of a face's own landmarks")))

    def circumstances(self):
        """Show where PAL helps beside the primary comparisons, and where not: exploratory, against the same training without it."""
        rows, (runs, _, pairs) = [], self.runs("faces")
        for question, words in CIRCUMSTANCES.items():
            differences = self.differences(question)[0]
            rows.append(differences[differences.index.isin(list(words))].rename(words))
        for condition, words in HARDER.items():
            rows.append(comparisons(runs, pairs, f"{condition}_accuracy").rename({PAL: words}))
        outcomes, texts = {"above zero": {}, "below zero": {}, "around zero": {}}, with_intervals(pd.concat(rows))
        for words, row in pd.concat(rows).loc[texts.index].iterrows():
            outcome = "above zero" if row["low"] > 0 else "below zero" if row["high"] < 0 else "around zero"
            shown = {"points (95 % interval)": texts[words], "the interval lies": outcome, "seeds": f"{row['seeds']:.0f}"}
            outcomes[outcome][words] = shown
        table = pd.DataFrame({words: shown for found in outcomes.values() for words, shown in found.items()}).T
        text = to_markdown(table, "real, aligned faces") if len(table) else "No runs of these questions are in yet."
        display(Markdown(f"{text}\n\n{lengths_sentence('faces-strategies')}"))

    def instead(self):
        """Show in a sentence how other uses of the same landmarks do beside PAL, each loss at its chosen weight, at full length."""
        rows, texts = comparisons(self.runs("rivals")[0], dict.fromkeys(INSTEAD, "PAL, weight 1"), "test_accuracy"), []
        for arm, row in rows.iterrows():
            if np.isfinite(row["low"]):
                apart = f"{number(100 * abs(row['difference']))} points {'higher' if row['difference'] > 0 else 'lower'}"
                texts.append(f"{apart} with {INSTEAD[arm]} ({span(row['low'], row['high'], BETWEEN)})")
        if texts:
            sentence = f"the accuracy, beside that with {PAL}, is {'; '.join(texts)}. Exploratory, so without a verdict."
            display(Markdown(f"On aligned real faces, {sentence}"))


def questions_table(results=None):
    """Show every question of the grid, folded: what it asks, how many of its runs are in, and the page that shows it."""
    rows = {}
    for question, described in read()[0]["questions"].items():
        cells = question_cells(question)
        done = sum((results_folder(results) / "runs" / f"{cell.name}.json").is_file() for cell in cells)
        link = f"[{question}]({homes()[question]}.html)" if question in homes() else question
        rows[link] = {"what it asks": described["asks"], "runs that are in": f"{done} of {len(cells)}"}
    fold(f"All {len(rows)}", to_markdown(pd.DataFrame(rows).T, "question"))
