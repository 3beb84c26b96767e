"""What was found out about the data sets, once each: commands that write into `results/`."""
