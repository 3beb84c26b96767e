"""What the study costs, as ratios within one run: ``python -m benchmarks`` writes ``results/benchmark/cost.json``."""
