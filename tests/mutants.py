"""Change one thing at a time in the modules that PAL rests on, and see whether their own tests notice.

python tests/mutants.py [HOW_MANY [MODULE ...]]    # tries HOW_MANY changes
python tests/mutants.py again [MODULE ...]         # tries once more what no test noticed

The changes are Cosmic Ray's (operators of arithmetic and comparison, numbers, booleans, conditions, decorators), and that a
function returns nothing or does not refuse. A change is tried by those tests that reach its line, the quickest first, until
one fails. ``HOW_MANY`` are drawn of all, the same number from each module; what came out is merged into
``results/quality/mutation.json``, where the verdicts on survivors are written by hand and stay. TensorFlow is imported once:
each trial is a fork of this process, which itself computes nothing.
"""

import importlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
from pathlib import Path

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "tensorflow", "MPLBACKEND": "Agg"}

import cosmic_ray.plugins
import parso
import pytest
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators.operator import Operator
from coverage import CoverageData
from hypothesis import Phase, settings

for name in ("cv2", "h5py", "joblib", "keras", "pandas", "PIL.Image", "scipy.ndimage", "scipy.stats", "tensorflow", "tqdm"):
    importlib.import_module(name)  # once: each trial has it

ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "results" / "quality" / "mutation.json"
TESTS = {
    "heatmaps": ["test_heatmaps"],
    "attribution": ["test_attribution"],
    "losses": ["test_losses", "test_rivals"],
    "steps": ["test_splitting"],
    "splitting": ["test_splitting"],
    "logits": ["test_logits"],
    "soundness": ["test_soundness"],
}
"""Test files of each module of ``palcore``."""

RECORDED = ("heatmaps", "attribution", "losses", "splitting", "logits")
"""Those that are tried where none is named, and that the record has; what survives in the others mostly changes nothing."""

SECONDS = 120
"""After which a trial that goes round in circles is ended; that counts as noticed."""

WITHOUT = ("Shift", "Bit", "Is", "_In", "NotIn", "Mod", "VariableReplacer", "VariableInserter")
"""Cosmic Ray's operators that are left out: on arrays they raise, which any test notices."""

settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate])


class ReturnsNothing(Operator):
    kind, becomes = "return_stmt", "return None"

    def mutation_positions(self, node):
        if node.type == self.kind:
            yield node.start_pos, node.end_pos

    def mutate(self, node, index):
        new = parso.parse(self.becomes).children[0]
        new.get_first_leaf().prefix = node.get_first_leaf().prefix
        return new

    @classmethod
    def examples(cls):
        return ()


class DoesNotRaise(ReturnsNothing):
    kind, becomes = "raise_stmt", "pass"


def operators():
    found = {name.removeprefix("core/"): cosmic_ray.plugins.get_operator(name) for name in cosmic_ray.plugins.operator_names()}
    kept = {name: kind for name, kind in found.items() if not any(word in name for word in WITHOUT)}
    return {**kept, "ReturnsNothing": ReturnsNothing, "DoesNotRaise": DoesNotRaise}


def changes(source):
    """``[(operator's name, operator, which occurrence)]`` of all changes of a module."""

    def nodes(node):
        yield node
        for child in getattr(node, "children", ()):
            yield from nodes(child)

    every = list(nodes(parso.parse(source)))
    found = []
    for name, kind in operators().items():
        count = sum(len(list(kind().mutation_positions(node))) for node in every)
        found += [(name, kind, number) for number in range(count)]
    return found


def changed_by(source, kind, occurrence):
    """The changed source and its line, ``(source, number, was, is)``; None where that is no Python, or nothing else."""
    changed = mutate_code(source, kind(), occurrence)
    try:
        compile(changed, "changed", "exec")
    except SyntaxError:
        return None
    pairs = enumerate(zip(source.splitlines(), changed.splitlines(), strict=False), 1)
    found = next(((number, was.strip(), now.strip()) for number, (was, now) in pairs if was != now), None)
    return found and (changed, *found)


def fork(function, seconds):
    """What a function returns, in a process of its own, or None after so many seconds; another number where it raises."""

    def work():
        os.setpgid(0, 0)
        if not os.environ.get("SHOW"):
            for stream in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
        os._exit(int(function()))

    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
        return None
    return process.exitcode


class Durations:
    """Notes how long each test takes."""

    def __init__(self):
        self.seconds = {}

    def pytest_runtest_logreport(self, report):
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration

    def pytest_sessionfinish(self):
        Path("durations.json").write_text(json.dumps(self.seconds))


def run(tests, *options, plugins=()):
    sys.path.insert(0, os.getcwd())
    given = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--hypothesis-profile=mutants", *options]
    return pytest.main([*given, *tests], plugins=list(plugins))


def try_module(name, how_many, old):
    """A row of the record for one module; ``how_many`` None for the survivors of the ``old`` one."""
    path = Path("palcore") / f"{name}.py"
    source, files = path.read_text(), [f"tests/{file}.py" for file in TESTS[name]]
    covering = ["--cov=palcore", "--cov-context=test", "--cov-report="]
    assert fork(lambda: run(files, *covering, plugins=[Durations()]), 1200) == 0, f"the tests of {name} fail as they are"
    data = CoverageData(".coverage")
    data.read()
    [measured] = [file for file in data.measured_files() if file.endswith(f"palcore/{name}.py")]
    contexts = {line: {test.split("|")[0] for test in tests if test} for line, tests in data.contexts_by_lineno(measured).items()}
    seconds = json.loads(Path("durations.json").read_text())
    for compiled in Path("palcore/__pycache__").glob(f"{name}.*"):
        compiled.unlink()
    sys.dont_write_bytecode = True
    all_changes = changes(source)
    verdicts = {(each["by"], each["was"], each["changed"]): each.get("verdict", "") for each in old.get("survivors", ())}
    if how_many is None:
        valid = ((operator, *tried) for operator, *change in all_changes if (tried := changed_by(source, *change)))
        drawn = [change for change in valid if (change[0], *change[3:]) in verdicts]
        killed, slow = old["tried"] - len(drawn), old["of_these_by_time"]
    else:
        shuffled = random.Random(0).sample(all_changes, len(all_changes))
        valid = ((operator, *tried) for operator, *change in shuffled if (tried := changed_by(source, *change)))
        drawn, killed, slow = list(itertools.islice(valid, how_many)), 0, 0
    tried, survivors = killed + len(drawn), []
    # As each change is tried, but without one: else all would seem to be noticed.
    assert fork(lambda: run(sorted(seconds, key=seconds.get)), 10 * SECONDS) == 0, f"the tests of {name} fail in another order"
    for number, (operator, changed, line, was, now) in enumerate(drawn, 1):
        tests = sorted(contexts.get(line) or seconds, key=lambda test: seconds.get(test, 0))
        path.write_text(changed)
        code = fork(lambda tests=tests: run(tests), SECONDS)
        if code == 0 and len(tests) < len(seconds):  # what TensorFlow rewrites before it compiles it seems to be reached by no test
            code = fork(lambda: run(files), 5 * SECONDS)
        path.write_text(source)
        killed, slow = killed + (code != 0), slow + (code is None)
        if code == 0:
            verdict = verdicts.get((operator, was, now), "")
            survivors.append({"line": line, "was": was, "changed": now, "by": operator, "verdict": verdict})
        print(f"{name} {number}/{len(drawn)} {line} {operator} {'SURVIVES: ' + now if code == 0 else code}", flush=True)
    sys.dont_write_bytecode = False
    return {"possible": len(all_changes), "tried": tried, "killed": killed, "of_these_by_time": slow, "survivors": survivors}


def main(how_many="400", *modules):
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"modules": {}}
    place = Path(tempfile.mkdtemp())
    for folder in ("palcore", "study", "tests"):
        shutil.copytree(ROOT / folder, place / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", place)
    os.chdir(place)
    names = modules or RECORDED
    for name in names:
        share = None if how_many == "again" else int(how_many) // len(names)
        record["modules"][name] = try_module(name, share, record["modules"].get(name, {}))
        RECORD.parent.mkdir(parents=True, exist_ok=True)
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    shutil.rmtree(place)


if __name__ == "__main__":
    main(*sys.argv[1:])
