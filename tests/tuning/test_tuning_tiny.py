"""The tiny processor of the consumers' tests, whose environments have no toolkit, has the form of the tiny models."""

import importlib.util
from pathlib import Path

from pipeline.tuning import tiny


def test_both_have_the_same_template_and_tokens() -> None:
    path = Path(__file__).parents[1] / "consumers" / "tiny_processor.py"
    spec = importlib.util.spec_from_file_location("tiny_processor", path)
    assert spec
    assert spec.loader
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    assert (other._TEMPLATE, other._SPECIAL) == (tiny._TEMPLATE, tiny.SPECIAL)
