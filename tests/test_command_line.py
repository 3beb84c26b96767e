"""``python -m palcore`` says what it can do at once: it loads what a command needs only when that command runs."""

import subprocess
import sys

import pytest

HELP = """
import runpy, sys
sys.argv = ["palcore", *sys.argv[1:], "--help"]
try:
    runpy.run_module("palcore", run_name="__main__")
finally:
    print("loaded:", *sys.modules)
"""
COMMANDS = {
    (): ("predict", "export", "check", "Look at every face of a data set and list all that is wrong."),
    ("predict",): ("--model", "--out", "--csv", "pictures, and folders of them"),
    ("export",): ("--format", "--out", "onnx (extra onnx) or tflite"),
    ("check",): ("--data-dir", "--landmarks", "--landmark-order", "--json", "rafdb, affectnet or fer2013"),
}


@pytest.mark.parametrize(("words", "said"), COMMANDS.items())
def test_help_says_all_and_loads_next_to_nothing(words, said):
    done = subprocess.run([sys.executable, "-c", HELP, *words], capture_output=True, text=True)
    text, _, names = done.stdout.partition("loaded: ")
    assert done.returncode == 0 and all(words in text for words in said)
    loaded = names.split()
    assert not {"numpy", "pandas", "keras", "tensorflow", "jax", "cv2", "PIL", "rich"} & set(loaded)
    assert len(loaded) < 300
