"""The blind probe: how well a benchmark can be answered without its videos, and reading other benchmarks for it."""
