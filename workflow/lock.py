"""Pin the project's dependencies with hashes and without the address of an index: `make lock`."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = (
    "# Every package that 'make test' and 'make book' install, pinned with hashes, for Python 3.11 to 3.13. Made by 'make lock'.\n"
)
OPTIONS = [
    "--universal",
    "--python-version",
    "3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-header",
    "--no-annotate",
]


def main():
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, "--extra", "dev", "--quiet", "pyproject.toml"]
    pinned = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (ROOT / "requirements.lock").write_text(HEADER + pinned)


if __name__ == "__main__":
    main()
