"""The first results page: what the study answers, in one figure, and what PAL is good for."""

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display

from study.results import effects, measures, primary
from study.results.arms import question_cells, read
from study.results.pages import Page, difference_line, page_of
from study.results.sections import CIRCUMSTANCES, HARDER, INSTEAD, PAL, WRONG, lengths_sentence
from study.results.tables import comparisons, number, results_folder, to_html


class Glance(Page):
    """The page of the results at a glance: sets sections of the other pages beside each other. Parameters as of ``Page``."""

    def effects(self):
        """Draw the primary effects in one figure."""
        groups = {}
        for name, row in self.found[self.found["seeds"] > 0].iterrows():
            asked = self.declared[name]
            first, second = asked.words
            if not asked.minus:
                accuracies = [number(100 * level) for level in row["levels"]]
                first, second = f"{first} ({accuracies[0]} %)", f"{second} ({accuracies[1]} %)"
            place = f"{asked.what},\n{asked.where}" if asked.minus else asked.where
            label = f"{name}: {place},\n{first}\nagainst {second}"
            rows = groups.setdefault(read()[0]["questions"][asked.question]["dataset"], {})
            rows[label] = difference_line(row, pd.Series(row["values"]))
        if groups:
            effects.draw_effects(list(groups.values()), self.margin and 100 * self.margin)

    def pace(self):
        """Show in sentences whether the lead on test faces is one on training faces too, and what it is after shorter trainings."""
        aside = primary.beside(self.found, self.results)
        texts = [
            f"{aside.loc[name, 'training faces']} on training faces and {aside.loc[name, 'test faces']} on test faces, {words}"
            for name, words in (("P1", "aligned"), ("P3 against none", "placed at random"))
            if name in aside.index
        ]
        if texts:
            display(Markdown(f"In the last epoch, PAL leads, in points, by: {'; '.join(texts)}."))
        leads = [self._differences(name)[0].get("difference", {}) for name in ("faces-strategies", "faces")]
        short, full = (100 * found.get(label, np.nan) for found, label in zip(leads, (f"{PAL} (mean), short", PAL), strict=True))
        if np.isfinite(short) and np.isfinite(full):
            display(Markdown(f"The lead is {number(short)} points after short trainings and {number(full)} at full length."))

    def wrong_landmarks(self, *names):
        """Show in a sentence for each section how PAL with wrong landmarks does beside PAL with each face's own."""
        for name in names:
            section, (runs, arms, _), stated = self.sections[name], self._runs(name), self._stated(name)
            wrong = [label for label in arms if label.startswith(tuple(WRONG))]  # "a template, weight 0.3" as well
            pairs = {label: PAL for label in wrong if label not in stated}
            if runs.empty or section.score not in runs:
                continue
            where = "On drawn faces, patch at random" if name == "shortcut" else "On aligned real faces"
            found = comparisons(runs, pairs, section.score, self.margin)
            if sentence := measures.beside_sentence(found, "each face's own landmarks"):
                display(Markdown(f"{where}, {sentence}"))

    def circumstances(self):
        """Show where PAL helps beside the primary comparisons, and where not: exploratory, against the same training without it."""
        found, (runs, _, pairs) = [], self._runs("faces")
        for name, words in CIRCUMSTANCES.items():
            rows = self._differences(name)[0]
            found.append(rows[rows.index.isin(list(words))].rename(words))
        for condition, words in HARDER.items():
            found.append(comparisons(runs, pairs, f"{condition}_accuracy", self.margin).rename({PAL: words}))
        table = measures.circumstances_table(pd.concat(found))
        display(HTML(to_html(table, "real, aligned faces")) if len(table) else Markdown("No runs of these questions are in yet."))
        display(Markdown(lengths_sentence(self.sections["faces-strategies"])))

    def instead(self):
        """Show in a sentence how other uses of the same landmarks do beside PAL, each loss at its chosen weight, at full length."""
        runs, arms, _ = self._runs("rivals")
        found = {label.split(", weight")[0]: label for label in arms if not label.endswith(", short")}
        if runs.empty or PAL not in found:
            return
        words = {found[name]: words for name, words in INSTEAD.items() if name in found}
        rows = comparisons(runs, dict.fromkeys(words, found[PAL]), self.sections["rivals"].score, self.margin)
        if sentence := measures.beside_sentence(rows.rename(words), PAL):
            display(Markdown(f"On aligned real faces, {sentence}"))


def questions_table(results=None):
    """Every question of the grid: what it asks, how many of its runs are in, and the page that shows it."""
    rows = {}
    for question, described in read()[0]["questions"].items():
        cells = question_cells(question)
        done = sum((results_folder(results) / "runs" / f"{cell.name}.json").is_file() for cell in cells)
        link = f"[{question}]({page_of(question)}.html)"
        rows[link] = {"what it asks": described["asks"], "runs that are in": f"{done} of {len(cells)}"}
    return HTML(to_html(pd.DataFrame(rows).T, "question"))
