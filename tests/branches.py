"""How many branches of ``palcore`` the tests take, by package, into ``results/quality/coverage.json``.

python tests/branches.py [OF_PYTEST ...]

Processes that tests start are counted too, so those on JAX are. By default some is left out, see ``LEFT_OUT``. ``combined``
in place of pytest's words writes the record of what was counted before.
"""

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from palcore.files import write_json  # noqa: E402
from palcore.runs.records import commit, versions  # noqa: E402

RECORD = ROOT / "results" / "quality" / "coverage.json"
LEFT_OUT = [
    # Other things than palcore, kernels, and what counting itself changes or breaks.
    *(f"--ignore=tests/{name}" for name in ("notebooks", "study", "test_command_line.py", "test_quality.py")),
    "--ignore=tests/runs/test_devices.py",
    "--deselect=tests/test_backends.py::test_gradient_with_respect_to_the_weights_equals_finite_differences",
    "--deselect=tests/test_backends.py::test_backends_agree",
]


def coverage(*words):
    subprocess.run([sys.executable, "-m", "coverage", *words], cwd=ROOT, check=True)


def main(*given):
    given = given or ("tests", *LEFT_OUT)
    if given != ("combined",):
        coverage("erase")
        coverage("run", "-m", "pytest", *given)
    coverage("combine", "-q")
    report = ROOT / ".coverage.json"
    coverage("json", "-q", "-o", str(report))
    files = json.loads(report.read_text())["files"]
    report.unlink()
    counts = defaultdict(lambda: [0, 0])
    for path, file in files.items():
        for name in (".".join(Path(path).parts[:-1]), "all"):
            counts[name][0] += file["summary"]["num_branches"]
            counts[name][1] += file["summary"]["covered_branches"]
    packages = {
        name: {"branches": branches, "covered": covered, "percent": round(100 * covered / branches, 1)}
        for name, (branches, covered) in sorted(counts.items())
        if branches
    }
    left = {path: file["missing_branches"] for path, file in files.items() if file["missing_branches"]}
    facts = {"command": " ".join(["pytest", *given]), "commit": commit(), "versions": versions()}
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    write_json(RECORD, {"packages": packages, "not taken": left, **facts})
    print(json.dumps(packages, indent=1))


if __name__ == "__main__":
    main(*sys.argv[1:])
