"""What a result page shows of a question, as far as its runs are in: the answer, the figure, and the tables, folded."""

import html

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display

from palcore import EMOTIONS
from palcore.runs.records import read_record
from study.book.figures import use_style
from study.book.notebook import refuse_unknown_parameters
from study.results import effects, measures, primary
from study.results.arms import arm_cells, question_cells
from study.results.sections import (
    CONDITIONS,
    PAL,
    WITHOUT,
    labelled,
    lengths_sentence,
    rivals,
    sections,
)
from study.results.statistics import contrast, pooled
from study.results.tables import (
    between,
    by_arm,
    by_seed,
    comparisons,
    listing,
    number,
    progress,
    read_question,
    read_runs,
    results_folder,
    seed_differences,
    summary,
    to_html,
)

PAGES = {
    "results_shortcut": (
        "shortcut",
        "shortcut-strategies",
        "shortcut-full",
        "shortcut-strength",
        "shortcut-weight",
        "shortcut-landmarks",
    ),
    "results_controls": ("aligned-landmarks", "placed", "landmarks", "rivals"),
    "results_licensed": ("rafdb", "affectnet"),
}
"""Where each section stands; those named nowhere are on ``results_faces``."""

TUNED = {
    "learning_rate": "learning rate",
    "batch_size": "batch size",
    "dropout": "dropout",
}
"""Settings of the baseline that are chosen, in a reader's words."""


def page_of(section):
    """The page that shows a section of ``study.results.sections.sections``."""
    return next((page for page, names in PAGES.items() if section in names), "results_faces")


def fold(title, *tables):
    """Show tables under a line that opens them."""
    display(HTML(f"<details><summary>{html.escape(title)}</summary>{''.join(tables)}</details>"))


class Page:
    """A result page: reads what it needs from the records, and shows it. Nothing is shown of what is not in yet.

    :param cells: IPython's ``In``; a parameter that the notebook does not have stops the page.
    :param results: folder that holds ``runs/``; None for the study's own.
    """

    def __init__(self, cells, results=None):
        refuse_unknown_parameters(cells)
        use_style()
        self.results, self.seen = results, {}
        self.sections = sections()
        self.sections["rivals"], tried = rivals(results)
        self.sections["rivals, all weights"] = tried
        self.declared = primary.declared()
        self.found = primary.measure(results)
        self.margin = primary.margin()

    def _runs(self, name):
        """``(runs by arm, {label: runs' names}, {label: baseline})`` of a section."""
        if name not in self.seen:
            arms, pairs = labelled(self.sections[name])
            names = [cell for cells in arms.values() for cell in cells.values()]
            self.seen[name] = by_arm(read_runs(names, self.results), arms), arms, pairs
        return self.seen[name]

    def _stated(self, name):
        """``{label: name of the primary comparison}`` of those pairs of a section that are primary ones, wherever they stand."""
        section, (_, arms, pairs), found = self.sections[name], self._runs(name), {}
        for label, base in pairs.items():
            own = [set(arms[label].values()), set(arms[base].values())]
            for comparison, asked in self.declared.items():
                if asked.minus or asked.score != section.score:
                    continue
                theirs = [set(arm_cells(asked.question, arm).values()) for arm in (asked.arm, asked.baseline)]
                if any(own[0] <= first and own[1] <= second for first, second in (theirs, theirs[::-1])):
                    found[label] = comparison
        return found

    def _differences(self, name):
        """``(differences, {label: baseline})`` of a section, those left out that are stated in another one."""
        section, (runs, _, pairs) = self.sections[name], self._runs(name)
        elsewhere = [label for label, found in self._stated(name).items() if self.declared[found].group != section.primary]
        pairs = {label: base for label, base in pairs.items() if label not in elsewhere}
        return comparisons(runs, pairs, section.score, self.margin), pairs

    def answer(self, name):
        """Show a section's answer and how far it is: a verdict for primary comparisons, intervals for the others."""
        section, parts = self.sections[name], []
        members = question_cells(section.question)
        if not members:
            display(Markdown(f"The grid has no question `{section.question}` yet."))
            return
        for label, asked in self.declared.items():
            if asked.group == section.primary:
                row = self.found.loc[label]
                parts.append(f"**{label}: {primary.NAMES[row['outcome']]}.** {primary.sentence(asked, row)}")
        (found, pairs), stated = self._differences(name), self._stated(name)
        others = found.drop(index=[label for label in stated if label in found.index])
        if len(others):
            parts.append(measures.exploratory(others, pairs, section.heading))
        for label, comparison in stated.items():
            base = self._runs(name)[2][label]
            if label not in pairs:
                group = self.declared[comparison].group
                home = next((page_of(key) for key, other in self.sections.items() if other.primary == group), "results")
                pair = f"{label} against {base}"
                parts.append(f"{pair[:1].upper()}{pair[1:]} is the primary comparison [{comparison}]({home}.html).")
        if sentence := lengths_sentence(section):
            parts.append(sentence)
        parts.append(progress([cell.name for cell in members], self.results))
        display(Markdown("\n\n".join(parts)))

    def figure(self, name):
        """Draw the scores of a section's arms and their differences; the notebook shows the figure."""
        section, (runs, arms, _) = self.sections[name], self._runs(name)
        if runs.empty or section.score not in runs:
            return
        found, pairs = self._differences(name)
        lines = {
            label: difference_line(row, seed_differences(runs, section.score, label, pairs[label]))
            for label, row in found.iterrows()
        }
        numbers = summary(runs, arms, [section.score])
        baselines = set(runs.loc[runs["strategy"] == "none", "arm"])
        effects.draw_arms(numbers, section.score, section.heading, lines, baselines, self.margin and 100 * self.margin)

    def tables(self, name):
        """Show a section's tables, each folded: scores, differences, where the network looks, what it relies on, every run."""
        section, (runs, arms, _) = self.sections[name], self._runs(name)
        if runs.empty:
            return
        here = {column: heading for column, heading in section.scores.items() if column in runs}
        fold("Scores: mean over seeds and 95 % interval", to_html(measures.scores_table(runs, arms, here), "arm"))
        found, pairs = self._differences(name)
        found = found.drop(index=[label for label in self._stated(name) if label in found.index])
        if len(found):
            others = {"lead on validation faces": "validation_accuracy", "lead on training faces": "training_accuracy"}
            leads = {words: comparisons(runs, pairs, score).get("difference", {}) for words, score in others.items()}
            table = measures.differences_table(found, pairs, section.heading, leads)
            fold("Exploratory differences", to_html(table, "arm"))
        self.tests(section.primary or "none")
        looks, relies = measures.looks_table(runs, arms), measures.reliance_table(runs, arms)
        if looks.size:
            fold("Where it looks: what PAL trains, and what it does not", to_html(looks, "arm"))
        if relies.size:
            fold("What it relies on: the attribution's share, and what covering costs", to_html(relies, "place and arm"))
        fold(f"Every run ({len(runs)})", to_html(listing(runs, here), "record"))

    def tests(self, group=None):
        """Show the tests of the primary comparisons, or of one group of them, folded."""
        names = [name for name, asked in self.declared.items() if group in (None, asked.group)]
        if names:
            lines = [f"{name}: {self.declared[name].asks} {self.declared[name].counts}" for name in names]
            items = "".join(f"<li>{html.escape(line)}</li>" for line in [*lines, primary.COLUMNS])
            table = to_html(primary.table(self.found.loc[names]), "comparison")
            fold("Tests, and what would count as an answer", table, f"<ul>{items}</ul>")
            aside = primary.beside(self.found.loc[names], self.results)
            if len(aside):
                fold("The same differences on other faces, in points with intervals over seeds", to_html(aside, "comparison"))

    def curves(self, *names):
        """Draw the validation accuracy after each epoch of the sections' arms."""
        histories = {}
        for name in names:
            histories |= {label: [record["history"] for record in records] for label, records in self._records(name).items()}
        if histories:
            effects.draw_curves(histories)

    def recalls(self, name):
        """Draw the recall of each expression, mean over the seeds of each arm of a section."""
        found = {}
        for label, records in self._records(name).items():
            recalls = [[record["metrics"]["test"]["recall"][emotion] for emotion in EMOTIONS] for record in records]
            found[label] = np.mean(np.array(recalls, float), axis=0)
        if found:
            effects.draw_recalls(found, EMOTIONS)

    def conditions(self, name):
        """Show the accuracy of a section's arms on faces made harder, as far as it was tested, folded."""
        runs, arms, _ = self._runs(name)
        shown = {f"{condition}_accuracy": words for condition, words in CONDITIONS.items() if f"{condition}_accuracy" in runs}
        if len(shown) > 1:
            table = measures.scores_table(runs, arms, shown).drop(columns="seeds").T
            fold("Accuracy (%) on faces made harder", to_html(table, "test faces"))

    def groups(self, name):
        """Show the accuracy of a section's arms by gender, race and age group, as far as records have it, folded."""
        runs, arms, _ = self._runs(name)
        shown = {}
        for column in (column for column in runs if column.startswith("test_groups_") and column.endswith("_accuracy")):
            kind, _, group = column.removeprefix("test_groups_").removesuffix("_accuracy").partition("_")
            faces = runs[column.replace("_accuracy", "_faces")].max()
            shown[column] = f"{kind}: {group} ({faces:.0f} faces)"
        if shown:
            fold("Accuracy (%) by gender, race and age group", to_html(measures.scores_table(runs, arms, shown).T, "test faces"))

    def maps(self, name):
        """Draw the attributions of a section's arms on the same faces, from ``maps/`` beside ``runs/``: of the first seed that all
        arms with maps share, since on drawn faces each seed has faces of its own."""
        folder, paths = results_folder(self.results) / "maps", {}
        for label, cells in self._runs(name)[1].items():
            if own := {seed: folder / f"{cell}.npz" for seed, cell in cells.items() if (folder / f"{cell}.npz").is_file()}:
                paths[label] = own
        if shared := set.intersection(*map(set, paths.values())) if paths else None:
            found = {}
            for label, own in paths.items():
                with np.load(own[min(shared)]) as arrays:
                    found[label] = dict(arrays)
            faces = {label: arrays["landmarks"] for label, arrays in found.items()}
            other = [label for label in faces if not np.array_equal(faces[label], faces[next(iter(faces))])]
            if other:
                raise ValueError(f"{folder}: the maps of {other[0]!r} are not of the same faces as those of {next(iter(faces))!r}")
            effects.draw_maps(found)

    def looks(self, *names):
        """Show in sentences where the networks of some sections look, by what was not trained on, and what they rely on."""
        for name in names:
            runs = self._runs(name)[0]
            where = "On drawn faces" if name == "shortcut" else "On real faces"
            for sentence in filter(None, [measures.looks_sentence(runs), measures.relies_sentence(runs)]):
                display(Markdown(f"{where}, {sentence}"))

    def adds_more(self, name, words, other, other_words):
        """Show in a sentence how much more PAL adds in a section than in another one, each of two arms."""
        score, arms, spread = self.sections[name].score, [], []
        for section in (name, other):
            runs, _, pairs = self._runs(section)
            if len(pairs) != 1:
                return
            arms += [scores for _, scores in by_seed(runs, score, *next(iter(pairs.items()))).items()]
            spread += [arm[score] for _, arm in runs.groupby("arm") if score in arm]
        shared = sorted(set.intersection(*(set(arm.index) for arm in arms))) if len(arms) == 4 else []
        if len(shared) > 1:
            row = contrast([arm.loc[shared] for arm in arms], pooled(spread))
            more = "more" if row["difference"] > 0 else "less"
            size = f"{number(100 * abs(row['difference']))} points {more} {words} than {other_words}"
            display(Markdown(f"PAL adds {size} ({between(row)}; {len(shared)} seeds). Exploratory, so without a verdict."))

    def tuning(self):
        """Show everything that was tried on the validation faces for the baseline's settings and PAL's weight, best first."""
        runs = read_question("tuning", self.results)
        if runs.empty:
            return
        shown = runs.sort_values(["strategy", "validation_accuracy"], ascending=False)
        table = pd.DataFrame({words: shown[option].map(lambda value: f"{value:g}") for option, words in TUNED.items()})
        table["weight of PAL"] = [number(row["pal_weight"]) if row["strategy"] != "none" else "-" for _, row in shown.iterrows()]
        table["accuracy on validation faces (%)"] = [number(100 * value) for value in shown["validation_accuracy"]]
        names = [WITHOUT if strategy == "none" else PAL for strategy in shown["strategy"]]
        fold(f"Everything that was tried ({len(table)})", to_html(table.set_axis(names), "arm"))

    def what_to_run(self, question, name):
        """Show the command that fills a licensed data set's page, and how long it takes."""
        cells = question_cells(question)
        hours = sum(cell.minutes for cell in cells) / 60
        text = (
            f"DIR is the folder of {name}:\n\n"
            f'```sh\nmake grid GRID="--config {question}=DIR questions={question} --resources gpu=1"\n'
            f"python -m study.grid publish {question}\n```\n\n"
            f"{len(cells)} runs, about {hours:.0f} hours on one GPU at the speed that `study/cells.py` assumes."
        )
        display(Markdown(text))

    def _records(self, name):
        runs, folder = self._runs(name)[0], results_folder(self.results) / "runs"
        arms = dict.fromkeys(runs["arm"])
        return {label: [read_record(folder / f"{run}.json") for run in runs.index[runs["arm"] == label]] for label in arms}


def difference_line(row, seeds):
    """A row of a figure of differences, from ``study.results.statistics.contrast``, in points: mean, interval, and each seed's."""
    return tuple(100 * row[part] for part in ("difference", "low", "high")) + (100 * seeds.to_numpy(float),)
