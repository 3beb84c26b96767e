"""Command line: ``python -m palcore``."""

import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

# Rich would make three quarters of what `--help` takes.
PLAIN = {"add_completion": False, "no_args_is_help": True, "pretty_exceptions_enable": False, "rich_markup_mode": None}
app = typer.Typer(**PLAIN)

MOST_DRAWN = 100  # pictures that are drawn into one


@app.callback()
def commands() -> None:
    """The Privileged Attribution Loss, rebuilt and tested."""


RUN_HELP = "folder of a training run; give it again for another beside it; the newest in runs/ if not given"
RUNS = Annotated[list[Path] | None, typer.Option(help=RUN_HELP)]


@app.command()
def predict(
    pictures: Annotated[list[Path], typer.Argument(help="pictures, and folders of them, each cropped to a face")],
    model: RUNS = None,
    out: Annotated[Path | None, typer.Option(help="where to save the faces with their attribution")] = None,
    csv: Annotated[Path | None, typer.Option(help="a table to write: a line for each face and run, with its probabilities")] = None,
):
    """Print what each face's expression is taken for, and draw the attribution.

    One picture is saved with its attribution beside it, a row for each face
    and a column for each run; of several, the picture is saved with --out.
    If no run is named, the newest in runs/ without PAL and with it are
    compared.
    """
    from palcore.files import pictures_of

    files = pictures_of(path.expanduser() for path in pictures)
    if out and len(files) > MOST_DRAWN:
        raise ValueError(f"--out {out} for {len(files)} pictures: at most {MOST_DRAWN} are drawn into one, leave it out")
    from palcore.data.images import read_image
    from palcore.runs.prediction import image_file, network_of, run_of, save_beside, saved_runs, table
    from palcore.runs.prediction import predict as see

    if out or len(files) == 1:
        out = image_file(out or f"{files[0].stem}_attribution.png")
    runs = [run_of(run) for run in model] if model else saved_runs("runs")
    if len(files) == 1:
        read_image(files[0])  # now: Keras takes seconds to start
    start_quietly()
    networks, drawn, troubles = [network_of(run) for run in runs], [], []
    with table(csv) as write:
        for seen in see(files, networks, troubles):
            write(seen)
            drawn += [seen] if out else []
            tell(seen, len(files) > 1)
    if out and drawn:
        save_beside(out, drawn)
        print(f"attribution: {out}")
    if troubles:
        print(*troubles, sep="\n", file=sys.stderr)
        raise typer.Exit(1)


def tell(seen: Any, briefly: bool) -> None:
    """Print what each network answers to a face: all probabilities, or (briefly) the first in a line."""
    for run, answer in seen.answers.items():
        of_run = f"{run}: " if len(seen.answers) > 1 else ""
        if briefly:
            print(f"{seen.picture} {of_run}{answer.expression} {answer.probabilities[answer.expression]:.3f}")
            continue
        print(f"{of_run}{seen.picture}")
        for expression, probability in sorted(answer.probabilities.items(), key=lambda pair: -pair[1]):
            print(f"{expression:10} {probability:.3f}")


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    format: Annotated[str, typer.Option(help="onnx (extra onnx) or tflite")],
    out: Annotated[Path | None, typer.Option(help="the file; beside the run's classifier if not given")] = None,
):
    """Write the classifier of a run as a file for another program.

    It takes float32 pixels from 0 to 255 and returns seven logits, as
    classifier.keras does.
    """
    from palcore.runs.prediction import export, run_of

    start_quietly()
    print(export(run_of(run), format, out))


DATASET = Annotated[str, typer.Argument(help="rafdb, affectnet or fer2013")]
DATA_DIR = Annotated[Path, typer.Option(help="folder of the data set")]


@app.command()
def check(
    dataset: DATASET,
    data_dir: DATA_DIR,
    landmarks: Annotated[Path | None, typer.Option(help="landmark table or folder, where it is not in DATA_DIR")] = None,
    landmark_order: Annotated[str | None, typer.Option(help="of rafdb's landmark files: row_column if not given, or x_y")] = None,
    json: Annotated[Path | None, typer.Option(help="also write everything to this file")] = None,
):
    """Look at every face of a data set and list all that is wrong.

    Exits with 1 where that would break or bias a run.
    """
    from palcore.data.check import check, report_lines, report_record
    from palcore.files import write_json
    from palcore.runs.records import commit, versions

    json = json and json.expanduser()
    if json and (json.is_dir() or (json.parent.exists() and not os.access(json.parent, os.W_OK | os.X_OK))):
        raise ValueError(f"--json {json} can't be written: give the path of a file in a folder that you may write to")
    options = {"landmark_order": landmark_order} if landmark_order else {}
    report = check(dataset, data_dir, landmarks, **options)
    if json:
        write_json(json, {**report_record(report, data_dir), "commit": commit(), "versions": versions()})
    print("\n".join(report_lines(report)))
    if report.fatal:
        raise typer.Exit(1)


def start_quietly() -> None:
    """Import Keras and its backend without the log lines that these write to the standard error whatever one asks for."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as log, os.fdopen(os.dup(2), "wb", 0) as stream:
        os.dup2(log.fileno(), 2)
        try:
            import palcore.runs.evaluation  # noqa: F401
        except BaseException:
            log.seek(0)
            stream.write(log.read())
            raise
        finally:
            os.dup2(stream.fileno(), 2)


def main(commands: typer.Typer = app) -> None:
    """Run the command line; an error of the user's prints its sentence and exits with 1, SIGTERM ends as Ctrl-C does, with 130."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what is wrong is said in the study's own words
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # a file's name may have characters that the output lacks
    try:
        commands()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:
            print("stopped: the same command goes on where it was", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
