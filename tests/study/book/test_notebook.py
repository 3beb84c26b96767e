import pytest

from study.book.notebook import refuse_unknown_parameters

PARAMETERS = 'strategy = "mean"  # none, mean\nseed = 0\n'


@pytest.mark.parametrize("cells", [["", PARAMETERS], ["", PARAMETERS, "# Parameters\nseed = 3\n", "other = seed"], [""]])
def test_known_parameters_pass(cells):
    refuse_unknown_parameters(cells)


def test_a_misspelled_parameter_is_refused_also_when_the_check_runs_again():
    cells = ["", PARAMETERS, '# Parameters\nseed = 3\nstratgey = "none"\n', "later = 1", "more = 2"]
    with pytest.raises(ValueError, match="unknown parameter stratgey of this notebook: choose from strategy, seed"):
        refuse_unknown_parameters(cells)
