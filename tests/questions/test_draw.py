from collections import Counter

import pytest

from pipeline.questions.draw import Draw


# The wordings and letters of existing workspaces depend on these numbers.
@pytest.mark.parametrize(
    ("length", "number"),
    [
        (0, 9898894878272264417),
        (1, 9898894878272264417),
        (63, 18053845143807505027),
        (64, 12442527521618182574),
        (65, 9912748852324231014),
        (200, 3369357167485340966),
    ],
)
def test_a_draw_never_changes(length: int, number: int) -> None:
    secret = bytes(range(256))[:length]
    assert Draw(secret)("i_1", "option", "grüne\n ") == number


def test_parts_do_not_run_into_one_another() -> None:
    draw = Draw(b"secret")
    assert len({draw("ab", "c"), draw("a", "bc"), draw("abc"), draw("abc", "")}) == 4


def test_every_order_is_drawn_and_the_same_texts_give_the_same_one() -> None:
    draw = Draw(b"secret")
    orders = Counter(tuple(draw.shuffled("abc", "row", str(number))) for number in range(600))
    assert len(orders) == 6
    assert min(orders.values()) > 60
    assert draw.shuffled("abc", "row", "1") == draw.shuffled(iter("abc"), "row", "1")
    assert draw.shuffled([], "row") == []
