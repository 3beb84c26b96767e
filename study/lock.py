"""Pin the project's dependencies with hashes and without the address of an index: `make lock`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Every package that `make test` and `make book` install, pinned with hashes, for Python 3.11 to 3.13. Made by `make lock`.
# It holds the extra `dev`, with `jax`. `grid`, `landmarks` and `hed` are left out: they hold other packages back, and add
# 29 packages and 160 MB of models that neither command needs. `cuda` is left out as well: it is for machines with a GPU.
"""
OPTIONS = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-emit-index-url"]
OPTIONS += ["--no-header", "--no-annotate", "--quiet"]


def main():
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "--extra", "dev", "pyproject.toml"]
    # Starting from the present pins: they stay where they still fit, so that a lock changes only where it must.
    kept = ROOT / "requirements.lock"
    if kept.exists() and "--upgrade" not in sys.argv[1:]:
        command += ["--output-file", str(kept)]
        subprocess.run(command, cwd=ROOT, check=True)
        pinned = kept.read_text()
    else:
        pinned = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    lines = [line for line in pinned.splitlines(keepends=True) if not line.startswith("#")]
    kept.write_text(HEADER + "".join(lines))


if __name__ == "__main__":
    main()
