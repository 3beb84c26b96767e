"""What only the chapters use: figures, statistics, tables and pages. Nothing above imports it."""
