"""What the study costs, as ratios within one run: ``python -m study.cost`` writes ``results/benchmark/cost.json``."""
