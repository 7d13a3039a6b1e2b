"""What the benchmarks share: load, references, services and reports."""
