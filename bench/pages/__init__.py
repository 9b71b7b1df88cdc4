"""The pages that show measured numbers, written from the CSVs in bench/results: `python -m bench.pages`."""
