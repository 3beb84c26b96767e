"""What makes this study and is no library: the grid of runs, what the records say, the book, what PAL costs."""
