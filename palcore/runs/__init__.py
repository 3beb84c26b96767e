"""A run, read top down: options -> faces -> model -> fit -> evaluation -> record."""
