"""Command line: ``python -m palcore``."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

# Rich would make three quarters of what `--help` takes.
app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.callback()
def commands():
    """The Privileged Attribution Loss, rebuilt and tested."""


@app.command()
def predict(
    face: Annotated[Path, typer.Argument(help="picture, cropped to one face unless faces are found")],
    model: Annotated[
        list[Path] | None,
        typer.Option(help="folder of a training run; give it again for another beside it; the newest in runs/ if not given"),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="where to save the face with its attribution")] = None,
    find_faces: Annotated[bool, typer.Option("--find-faces", help="find the faces of a larger picture (extra landmarks)")] = False,
):
    """Print the seven probabilities and draw the attribution.

    The face is saved with its attribution drawn over it; with several runs,
    or several faces, a row for each face and a column for each run. If no
    run is named, the newest in runs/ without PAL and with it are compared.
    """
    from palcore.runs.prediction import compare_file, predict_file, saved_runs

    model = model or saved_runs("runs")
    if len(model) == 1 and not find_faces:
        probabilities, saved = predict_file(face, model[0], out)
        found = [{str(model[0]): probabilities}]
    else:
        from palcore.data.detection import face_crops

        found, saved = compare_file(face, model, out, face_crops if find_faces else None)
    for number, runs in enumerate(found, start=1):
        if len(found) > 1:
            print(f"face {number}")
        for run, probabilities in runs.items():
            if len(runs) > 1:
                print(run)
            for expression, probability in sorted(probabilities.items(), key=lambda pair: -pair[1]):
                print(f"{expression:10} {probability:.3f}")
    print(f"attribution: {saved}")


@app.command()
def robustness(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    data_dir: Annotated[Path | None, typer.Option(help="folder of the run's data set; synthetic faces need none")] = None,
    landmarks: Annotated[Path | None, typer.Option(help="landmark table, where it is not in data_dir")] = None,
):
    """Test a finished run on faces with patches, shifts and blur.

    The results are added to its record.
    """
    from palcore.runs.evaluation import evaluate_run

    record = evaluate_run(run, data_dir, landmarks)
    for condition, scores in record["metrics"].items():
        print(f"{condition:14} accuracy {scores['accuracy']:.3f}, correlation {scores['attribution']['correlation']:.3f}")


DATASET = Annotated[str, typer.Argument(help="rafdb, affectnet or fer2013")]
DATA_DIR = Annotated[Path, typer.Option(help="folder of the data set")]


@app.command()
def landmarks(
    dataset: DATASET,
    data_dir: DATA_DIR,
    out: Annotated[Path | None, typer.Option(help="the table, .csv or .csv.gz; landmarks.csv.gz in DATA_DIR if not given")] = None,
):
    """Write the table of 68 landmarks of every face of a data set.

    Begun again after an interruption, it goes on where it was.

    \b
    Needs the extra `landmarks`; in the study's folder run
    python -m pip install -e '.[landmarks]'

    The 68-point predictor was trained on the iBUG 300-W faces, whose licence
    excludes commercial use: these landmarks are for research only.
    """
    from palcore.data.detection import LICENCE, landmark_dataset

    path, summary = landmark_dataset(dataset, data_dir, out)
    print(f"{path}: {summary.faces:,} faces, {summary.new:,} of them new; a face was found in {summary.found:,}")
    print(LICENCE)
    if summary.unreadable:
        raise ValueError(
            f"{len(summary.unreadable)} images could not be read and are not in the table, {summary.unreadable[0]} first: "
            f"`python -m palcore check {dataset} --data-dir {data_dir}` says why"
        )


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
    from palcore.runs.records import commit, versions, write_json

    if json and (json.is_dir() or (json.parent.exists() and not os.access(json.parent, os.W_OK | os.X_OK))):
        raise ValueError(f"--json {json} can't be written: give the path of a file in a folder that you may write to")
    options = {"landmark_order": landmark_order} if landmark_order else {}
    report = check(dataset, data_dir, landmarks, **options)
    if json:
        write_json(json, {**report_record(report, data_dir), "commit": commit(), "versions": versions()})
    print("\n".join(report_lines(report)))
    if report.fatal:
        raise typer.Exit(1)


def main():
    """Run the command line; an error of the user's prints its sentence and exits with 1, SIGTERM ends as Ctrl-C does, with 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.stdout.reconfigure(errors="backslashreplace")  # names of files may be anything, and a report is not lost over one
    try:
        app()
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:
            print("stopped: the same command goes on where it was", file=sys.stderr)
        raise


if __name__ == "__main__":
    main()
