"""Command line: ``python -m palcore``."""

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def commands():
    """The Privileged Attribution Loss, rebuilt and tested."""


@app.command()
def predict(
    face: Annotated[Path, typer.Argument(help="picture, cropped to one face")],
    model: Annotated[Path, typer.Option(help="folder of a training run")],
    out: Annotated[Path | None, typer.Option(help="where to save the face with its attribution")] = None,
):
    """Print the seven probabilities and save the face with its attribution drawn over it."""
    from palcore.predict import predict_file

    probabilities, saved = predict_file(face, model, out)
    for expression, probability in sorted(probabilities.items(), key=lambda pair: -pair[1]):
        print(f"{expression:10} {probability:.3f}")
    print(f"attribution: {saved}")


@app.command()
def robustness(
    run: Annotated[Path, typer.Argument(help="folder of a training run")],
    data_dir: Annotated[Path | None, typer.Option(help="folder of the run's data set; synthetic faces need none")] = None,
    landmarks: Annotated[Path | None, typer.Option(help="landmark table, where it is not in data_dir")] = None,
):
    """Test a finished run on faces with patches, shifts and blur, and add the results to its record."""
    from palcore.robustness import evaluate_run

    record = evaluate_run(run, *(None if path is None else str(path) for path in (data_dir, landmarks)))
    for condition, scores in record["metrics"].items():
        print(f"{condition:14} accuracy {scores['accuracy']:.3f}, correlation {scores['attribution']['correlation']:.3f}")


def main():
    """Run the command line; an error of the user's prints its sentence and exits with 1."""
    try:
        app()
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
