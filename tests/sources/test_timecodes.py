from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.timecodes import read_time

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (62.5, 62.5),
        (62, 62.0),
        ("62.5", 62.5),
        ("62,5", 62.5),
        ("62.5 s", 62.5),
        ("1:02", 62.0),
        ("01:02.5", 62.5),
        ("0:01:02,500", 62.5),
        ("00:01:02.5", 62.5),
        (" 1:00:00 ", 3600.0),
        ("PT1M2.5S", 62.5),
        ("PT1H", 3600.0),
        ("1e1", 10.0),
    ],
)
def test_times_are_read_however_they_are_written(value: object, seconds: float) -> None:
    assert read_time(value, None) == round(seconds * 1e6)


@pytest.mark.parametrize(
    "value",
    [
        None, True, "", ":", "1:", ":1", "1:2:3:4:5", "1.5:02", "-1", "1:-5", "nan", "inf", "1e99", "1_000",
        "P", "PT", "-PT1S", "1:02:03:04", "tomorrow", float("nan"), float("inf"), -1, 10**400, "9" * 5000, [1],
    ],
)  # fmt: skip
def test_anything_else_is_not_a_time(value: object) -> None:
    with pytest.raises(ValueError, match="not a time"):
        read_time(value, None)


@pytest.mark.parametrize(
    ("text", "rate", "seconds"),
    [
        ("00:00:04:05", Fraction(30), 4 + 5 / 30),
        ("00:00:06:12", Fraction(30), 6.4),
        ("00:00:04:05", Fraction(25), 4.2),
        ("01:00:00:00", Fraction(30), 3600.0),
        ("01:00:00:00", NTSC, 3603.6),
        ("01:00:00;00", NTSC, 3599.9964),
        ("00:10:00;00", NTSC, 599.9994),
        ("00:01:00;02", NTSC, 60.06),
        ("00:01:00;04", 2 * NTSC, 60.06),
        ("00;00;04;05", NTSC, 125 * 1001 / 30000),
        ("00:00:04:05", Fraction(2983, 100), 4 + 5 / 30),  # a phone whose rate varies around 30
    ],
)
def test_frames_count_by_the_rate_of_the_video(text: str, rate: Fraction, seconds: float) -> None:
    assert read_time(text, rate) == pytest.approx(seconds * 1e6, abs=1)


@pytest.mark.parametrize(
    ("text", "rate", "what"),
    [
        ("00:00:04:05", None, "has no frame rate"),
        ("00:00:04:05", Fraction(5), "with 5 frames a second"),
        ("00:00:04:500", Fraction(30), "with 30 frames a second"),
        ("00:00:61:00", Fraction(30), "not a time"),
        ("00:00:04;05", Fraction(25), "drops frames"),
        ("00:00:04;05", Fraction(24000, 1001), "drops frames"),
        ("00:01:00;01", NTSC, "skips"),
    ],
)
def test_a_frame_that_the_video_cannot_have_is_not_a_time(
    text: str, rate: Fraction | None, what: str
) -> None:
    with pytest.raises(ValueError, match="not a time") as told:
        read_time(text, rate)
    assert what in str(told.value)


@given(st.integers(0, 10**6))
def test_drop_frame_numbers_follow_each_frame(frame: int) -> None:
    """Count as a camera does: two numbers are skipped at each minute but every tenth."""
    tens, rest = divmod(frame, 17982)
    number = frame + 18 * tens + 2 * max(0, (rest - 2) // 1798)
    whole, last = divmod(number, 30)
    text = f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02};{last:02}"
    assert read_time(text, NTSC) == round(frame * 1001 / 30000 * 1e6)


@given(st.text("0123456789:;.,PTHMSe+- ", max_size=14), st.sampled_from([None, NTSC, Fraction(5)]))
def test_any_text_is_a_time_within_a_video_or_none(text: str, rate: Fraction | None) -> None:
    try:
        assert 0 <= read_time(text, rate) < 1e13
    except ValueError as error:
        assert "not a time" in str(error)  # noqa: PT017 (both outcomes are valid)
