import hmac

import pytest

from pipeline.questions.draw import Draw


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200])
def test_a_draw_is_an_hmac_of_its_parts(length: int) -> None:
    secret = bytes(range(256))[:length]
    expected = hmac.digest(secret, "3:i_16:option7:grüne\n ".encode(), "sha256")[:8]
    assert Draw(secret)("i_1", "option", "grüne\n ") == int.from_bytes(expected, "big")


def test_parts_do_not_run_into_one_another() -> None:
    draw = Draw(b"secret")
    assert len({draw("ab", "c"), draw("a", "bc"), draw("abc"), draw("abc", "")}) == 4
