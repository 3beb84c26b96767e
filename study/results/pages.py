"""What a result page shows of a question, as far as its runs are in: the answer, the figure, and the tables, folded."""

import functools
import html
import re

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from palcore import EMOTIONS
from palcore.runs import OF_ATTRIBUTION
from palcore.runs.records import repository_root
from study.book.figures import use_style
from study.book.notebook import refuse_unknown_parameters
from study.results import effects, measures, primary
from study.results.arms import arms_of, lengths_sentence, pairs_of, question_cells, read
from study.results.measures import CONDITIONS, DRAWN, FACES, GLANCE, PAL, SCORES, WITHOUT
from study.results.tables import (
    by_arm,
    compared,
    comparisons,
    listing,
    number,
    progress,
    read_runs,
    results_folder,
    span,
    summary,
    to_markdown,
)

ENOUGH = 0.005
"""A share of the validation faces: what twice the epochs may change where a training is long enough."""


BETWEEN = "between {} and {}"
"""How a sentence writes an interval."""

LENGTHS = {
    "short": "these trainings are not long enough",
    "past": "the length matters, though twice the epochs end lower",
    "enough": "these trainings are long enough",
}
"""What ``enough`` finds, as clauses."""


def seeds_words(count):
    """``5 seeds``."""
    return f"{count:.0f} seed{'' if count == 1 else 's'}"


def enough(changes):
    """A key of ``LENGTHS``, from what twice the epochs change of each arm's validation accuracy."""
    return "short" if changes.max() >= ENOUGH else "past" if changes.min() <= -ENOUGH else "enough"


@functools.cache
def homes():
    """``{question: the page that shows it}``, from what the notebooks ask of ``Page``."""
    found = {}
    for path in (repository_root() / "notebooks").glob("results_*.py"):
        for call in re.findall(r"^page\.(?:answer|longer|tried)\((.*)\)$", path.read_text(), re.MULTILINE):
            found |= dict.fromkeys(re.findall('"(.+?)"', call), path.stem)
    return found


def fold(title, *parts):
    """Show tables and texts in Markdown under a line that opens them."""
    display(Markdown("\n\n".join([f"<details><summary>{html.escape(title)}</summary>", *parts, "</details>"])))


class Page:
    """A result page: reads what it needs from the records, and shows it. Nothing is shown of what is not in yet.

    Questions and arms are those of ``study/grid.yml``. Of a question's arms those are shown that several seeds are planned for;
    with ``single`` all: a weight that was tried once, say.

    :param cells: IPython's ``In``; a parameter that the notebook does not have stops the page.
    :param results: folder that holds ``runs/``; None for the study's own.
    """

    def __init__(self, cells, results=None):
        refuse_unknown_parameters(cells)
        use_style()
        self.results, self.seen = results, {}
        self.declared = primary.declared()
        self.measured = primary.measure(results)
        self.margin = primary.margin()

    def runs(self, question, single=False):
        """``(runs by arm, {arm: {seed: run}}, {arm: the one that it is compared with})``."""
        if (question, single) not in self.seen:
            arms = {name: runs for name, runs in arms_of(question).items() if single or len(runs) > 1}
            pairs = {name: base for name, base in pairs_of(question).items() if name in arms and base in arms}
            self.seen[question, single] = by_arm(arms, self.results), arms, pairs
        return self.seen[question, single]

    @staticmethod
    def scores(question):
        """``{column: heading}`` of what is shown of a question; the first is compared."""
        drawn = read()[0]["questions"].get(question, {}).get("dataset") == "synthetic"
        return SCORES.get(question, DRAWN if drawn else FACES)

    def _stated(self, question, single=False):
        """``{arm: primary comparison}`` of those pairs of a question that are primary ones, wherever they stand."""
        (_, arms, pairs), stated = self.runs(question, single), {}
        for label, base in pairs.items():
            runs = [set(arms[name].values()) for name in (label, base)]
            for name, asked in self.declared.items():
                theirs = [set(cells.values()) for cells in asked.cells[:2]]
                same = any(runs[0] <= first and runs[1] <= second for first, second in (theirs, theirs[::-1]))
                if same and not asked.minus and asked.score == next(iter(self.scores(question))):
                    stated.setdefault(label, name)
        return stated

    def differences(self, question, single=False):
        """Differences of a question's arms from those that they are compared with, and these; without those stated elsewhere."""
        runs, _, pairs = self.runs(question, single)
        stated = self._stated(question, single)
        pairs = {arm: base for arm, base in pairs.items() if arm not in stated or self.declared[stated[arm]].question == question}
        return comparisons(runs, pairs, next(iter(self.scores(question)))), pairs

    def answer(self, question, single=False):
        """Show a question's answer and how far it is: a verdict for primary comparisons, intervals for the others."""
        members, parts = question_cells(question), []
        for label, asked in self.declared.items():
            if asked.question == question:
                row = self.measured.loc[label]
                parts.append(f"**{label}: {primary.NAMES[row['outcome']]}.** {primary.sentence(asked, row)}")
        (differences, pairs), stated = self.differences(question, single), self._stated(question, single)
        others = differences.drop(index=[label for label in stated if label in differences.index])
        if len(others):
            parts.append(measures.exploratory(others, pairs, next(iter(self.scores(question).values()))))
        for label, comparison in stated.items():
            if label not in pairs:
                pair = f"{label} against {self.runs(question, single)[2][label]}"
                home = homes()[self.declared[comparison].question]
                parts.append(f"{pair[:1].upper()}{pair[1:]} is the primary comparison [{comparison}]({home}.html).")
        if sentence := lengths_sentence(question):
            parts.append(sentence)
        if members:
            parts.append(progress([cell.name for cell in members], self.results))
        if waiting := [
            arm["name"]
            for arm in read()[0]["questions"].get(question, {}).get("arms", [])
            if arm.get("name") and "use" in arm and arm["name"] not in arms_of(question)
        ]:
            parts.append(f"The validation faces have still to choose the settings of {', '.join(waiting)}.")
        display(Markdown("\n\n".join(parts)))

    def against(self, question, base):
        """Show how far a question's arms lie from one of them, folded: controls that are compared with another one elsewhere."""
        runs, arms, _ = self.runs(question)
        score, heading = next(iter(self.scores(question).items()))
        pairs = {arm: base for arm in arms if arm != base}
        if len(differences := comparisons(runs, pairs, score)):
            fold(
                f"Exploratory differences from {base}",
                to_markdown(measures.differences_table(differences, pairs, heading, {}), "arm"),
            )

    @staticmethod
    def _elsewhere(question, runs, differences):
        """Whether nothing is in of a question but runs that another one asked for before, which shows them."""
        first = {cell.name: cell.questions[0] for cell in question_cells(question)}
        return differences.empty and all(first[name] != question for name in runs.index)

    def figure(self, question, single=False):
        """Draw the scores of a question's arms and their differences; the notebook shows the figure."""
        runs, arms, _ = self.runs(question, single)
        score, heading = next(iter(self.scores(question).items()))
        differences, _ = self.differences(question, single)
        if runs.empty or score not in runs or self._elsewhere(question, runs, differences):
            return
        lines = {label: difference_line(row) for label, row in differences.iterrows()}
        baselines = set(runs.loc[runs["strategy"] == "none", "arm"])
        effects.draw_arms(summary(runs, arms, score), heading, lines, baselines, self.margin and 100 * self.margin)

    def tables(self, question, single=False):
        """Show a question's tables, each folded: scores, differences, where the network looks, what it relies on, every run."""
        runs, arms, _ = self.runs(question, single)
        differences, pairs = self.differences(question, single)
        if runs.empty or self._elsewhere(question, runs, differences):
            return
        scores = {column: heading for column, heading in self.scores(question).items() if column in runs}
        fold("Scores: mean over seeds and 95 % interval", to_markdown(measures.scores_table(runs, arms, scores), "arm"))
        differences = differences.drop(index=[label for label in self._stated(question, single) if label in differences.index])
        if len(differences):
            others = {"lead on validation faces": "validation_accuracy", "lead on training faces": "training_accuracy"}
            leads = {words: comparisons(runs, pairs, score).get("difference", {}) for words, score in others.items()}
            heading = next(iter(self.scores(question).values()))
            fold("Exploratory differences", to_markdown(measures.differences_table(differences, pairs, heading, leads), "arm"))
        self.tests([name for name, asked in self.declared.items() if asked.question == question])
        looks, relies = measures.looks_table(runs, arms), measures.reliance_table(runs, arms)
        if looks.size:
            fold("Where it looks: what PAL trains, and what it does not", to_markdown(looks, "arm"))
        if relies.size:
            fold("What it relies on: the attribution's share, and what covering costs", to_markdown(relies, "place and arm"))
        fold(f"Every run ({len(runs)})", to_markdown(listing(runs, scores), "record"))

    def tests(self, names=None):
        """Show the tests of some primary comparisons, or of all, folded, and the same differences on other faces."""
        columns = "[How to read the columns](results_tests.html)" if names else primary.COLUMNS
        names = list(self.declared) if names is None else names
        if not names:
            return
        lines = [f"- {name}: {self.declared[name].asks} {self.declared[name].counts}" for name in names]
        table = to_markdown(primary.table(self.measured.loc[names]), "comparison")
        fold("Tests, and what would count as an answer", table, "\n".join([*lines, f"- {columns}"]))
        aside = primary.beside(self.measured.loc[names], self.results)
        if len(aside):
            fold("The same differences on other faces, in points with intervals over seeds", to_markdown(aside, "comparison"))

    def _curves(self, question):
        """``{arm: {seed: accuracy on validation faces after each epoch}}`` of those runs that are in."""
        runs = self.runs(question)[0]
        return {arm: primary.curves_of(runs, arm) for arm in runs["arm"].unique()}

    def curves(self, question):
        """Draw the validation accuracy after each epoch of a question's arms."""
        if curves := self._curves(question):
            effects.draw_curves(curves)

    def learning(self, questions):
        """Draw the validation accuracy after each epoch without PAL and with it, and the lead; questions without runs are left out.

        :param questions: ``{question: title}``, each with an arm of PAL and one that this is compared with.
        """
        panels = {}
        for question, title in questions.items():
            pairs, curves = self.runs(question)[2], self._curves(question)
            guided = PAL if PAL in pairs else f"{PAL}, twice as long"
            both = [curves.get(arm, {}) for arm in (pairs.get(guided), guided)]
            if set(both[0]) & set(both[1]):
                panels[title] = both
        if panels:
            effects.draw_pace(panels)

    def recalls(self, question):
        """Draw the recall of each expression, mean over the seeds of each arm of a question."""
        runs = self.runs(question)[0]
        if len(runs):
            columns = [f"test_recall_{emotion}" for emotion in EMOTIONS]
            effects.draw_recalls(runs.groupby("arm", sort=False)[columns].mean().T.to_dict("list"), EMOTIONS)

    def conditions(self, question):
        """Show the accuracy of a question's arms on faces made harder, as far as it was tested, folded."""
        runs, arms, _ = self.runs(question)
        shown = {f"{condition}_accuracy": words for condition, words in CONDITIONS.items() if f"{condition}_accuracy" in runs}
        if len(shown) > 1:
            table = measures.scores_table(runs, arms, shown).drop(columns="seeds").T
            fold("Accuracy (%) on faces made harder", to_markdown(table, "test faces"))

    def maps(self, question):
        """Draw the attributions of a question's arms on the same faces, from ``maps/`` beside ``runs/``: of the first seed that all
        arms with maps share, since on drawn faces each seed has faces of its own."""
        folder, paths = results_folder(self.results) / "maps", {}
        for arm, runs in self.runs(question)[1].items():
            if there := {seed: folder / f"{run}.npz" for seed, run in runs.items() if (folder / f"{run}.npz").is_file()}:
                paths[arm] = there
        if shared := set.intersection(*map(set, paths.values())) if paths else None:
            maps = {}
            for arm, there in paths.items():
                with np.load(there[min(shared)]) as arrays:
                    maps[arm] = dict(arrays)
            first = next(iter(maps))
            for arm, arrays in maps.items():
                if not np.array_equal(arrays["landmarks"], maps[first]["landmarks"]):
                    raise ValueError(f"{folder}: the maps of {arm!r} are not of the same faces as those of {first!r}")
            effects.draw_maps(maps)

    def looks(self, *questions):
        """Show in a table where the networks of some questions look, by what was not trained on, and what they rely on."""
        columns = {}
        for question in questions:
            means = 100 * self.runs(question)[0].groupby("arm").mean(numeric_only=True).reindex([WITHOUT, PAL])
            for arm, row in means.iterrows():
                column = columns[f"{'drawn' if question == 'shortcut' else 'real'} faces, {arm}"] = {}
                for name, words in GLANCE.items():
                    chance = number(row.get(f"{name}_chance"))
                    column[words] = number(row.get(name), 1, "covered" in words) + (f" ({chance})" if chance != "-" else "")
        table = pd.DataFrame(columns)
        table = table.loc[(table != "-").any(axis=1), (table != "-").any()]
        if table.size:
            display(Markdown(to_markdown(table, "test faces (%, or points of accuracy)")))

    def adds_more(self, question, words, other, other_words):
        """Show in a sentence how much more PAL adds in a question than in another one, each of two arms."""
        both, arms = [], []
        for name in (question, other):
            runs, _, pairs = self.runs(name)
            if len(pairs) != 1:
                return
            both.append(runs.assign(arm=f"{name}: " + runs["arm"]))
            arms += [f"{name}: {arm}" for arm in next(iter(pairs.items()))]
        row = compared(pd.concat(both), next(iter(self.scores(question))), arms)
        if row and row["seeds"] > 1:
            more = "more" if row["difference"] > 0 else "less"
            size = f"{number(100 * abs(row['difference']))} points {more} {words} than {other_words}"
            interval = span(row["low"], row["high"], BETWEEN)
            display(Markdown(f"PAL adds {size} ({interval}; {row['seeds']} seeds). Exploratory, so without a verdict."))

    def tried(self, *questions):
        """Show everything that was tried on the validation faces in some questions, best first, and the options that vary."""
        cells = {cell.name: cell for question in questions for cell in question_cells(question)}
        runs, known = read_runs(list(cells), self.results), read()[2]
        if runs.empty:
            return
        options = {name: known | cells[name].options for name in runs.sort_values("validation_accuracy", ascending=False).index}
        rows = []
        for values in options.values():
            off = OF_ATTRIBUTION if values["strategy"] == "none" else ()
            rows.append({option: "-" if option in off else f"{value}" for option, value in values.items()})
        table = pd.DataFrame(rows, index=[f"[{name}](../results/runs/{name}.json)" for name in options])
        varied = [option for option in table if table.loc[table[option] != "-", option].nunique() > 1]
        table = table[varied].rename(columns=lambda option: f"`{option}`")
        table.insert(0, "accuracy on validation faces (%)", [number(100 * runs["validation_accuracy"][name]) for name in options])
        fold(f"Everything that was tried ({len(table)})", to_markdown(table, "run"))

    def lengthened(self, question, twice):
        """The validation accuracy of each arm of a question, ``before``, and with twice the epochs, ``after``, both means over the
        ``seeds`` that both have: a table by arm, without those of which none is in."""
        rows = {}
        for arm, label in zip(self.runs(question)[1], self.runs(twice)[1], strict=False):
            ends = []
            for name, key in ((question, arm), (twice, label)):
                runs = self.runs(name)[0]
                ends.append(runs[runs["arm"] == key].set_index("seed")["validation_accuracy"])
            both = pd.concat(ends, axis=1, join="inner")
            if len(both):
                rows[arm] = dict(zip(("before", "after", "seeds"), (*both.mean(), len(both)), strict=True))
        return pd.DataFrame(rows).T

    def longer(self, question, twice):
        """Say whether twice the epochs change the validation accuracy of either arm by ``ENOUGH``."""
        table = self.lengthened(question, twice)
        if table.empty:
            return
        changes, texts = table["after"] - table["before"], []
        for arm, row in table.iterrows():
            shares = f"{number(100 * row['before'])} % and {number(100 * row['after'])} %"
            texts.append(f"{arm} {shares} ({number(100 * changes[arm], 1, True)} points; {seeds_words(row['seeds'])})")
        display(Markdown(f"Accuracy on validation faces: {'; '.join(texts)}. By the rule above {LENGTHS[enough(changes)]}."))

    def what_to_run(self, question, name):
        """Show the command that fills a licensed data set's page, and how long it takes."""
        cells = question_cells(question)
        hours = sum(cell.minutes for cell in cells) / 60
        landmarks = "python -m study.landmarks rafdb --data-dir DIR  # it comes without 68\n" if question == "rafdb" else ""
        text = (
            f"DIR is the folder of {name}:\n\n"
            "```sh\nmake install && source .venv/bin/activate\n"
            "python -m pip install -e '.[landmarks,cuda]'\n"
            f"{landmarks}python -m palcore check {question} --data-dir DIR\n"
            f'make grid GRID="--config {question}=DIR questions={question} --resources gpu=1"\n'
            f"python -m study.grid publish {question}\n```\n\n"
            "Nothing looks for a card: without one this trains on processors, for weeks. Learning rate, epochs and PAL's weight of "
            "1 are guesses: nothing was chosen on this set's validation faces. Choose the weight first; no difference at 1 says "
            "little.\n\n"
            f"{len(cells)} runs, about {hours:.0f} hours on one GPU at the speed that `study/cells.py` assumes."
        )
        display(Markdown(text))


def difference_line(row):
    """A row of a figure of differences, from ``study.results.tables.compared``, in points: mean, interval, and each seed's."""
    return *(100 * row[part] for part in ("difference", "low", "high")), 100 * np.array(list(row["values"].values()))
