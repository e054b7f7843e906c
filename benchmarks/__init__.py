"""One script a question; each prints a table. See docs/benchmarks.md."""
