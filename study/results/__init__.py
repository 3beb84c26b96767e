"""What the records say: scores, statistics, the primary comparisons, and the result pages."""
