"""The text of a model's reply that is read: one spelling of each character, without thinking and markup. Pure.

Adapters contain a copy of this code (see adapters.py), so it uses the standard library alone.
"""

import re
import unicodedata
from string import ascii_uppercase

# What models and servers write in several ways: quotes, dashes, arrows; and characters that can't be seen.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033\u300c\u300d\u300e\u300f", '"'),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032\u00b4", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2212", "-"),
        **dict.fromkeys("\u2013\u2014\u2015", " - "),
        **dict.fromkeys("\u2192\u21d2\u27a1\u2794\u279c\u27f6", "->"),
        **dict.fromkeys("\u3010\u3014\u3008\u300a", "("),
        **dict.fromkeys("\u3011\u3015\u3009\u300b", ")"),
        **{
            chr(first + at): letter
            for first in (0x1F150, 0x1F170)
            for at, letter in enumerate(ascii_uppercase)
        },
        "\u3002": ".",
        "\u3001": ",",
    }
)
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_THINKING = re.compile(
    r"(?:<\|?|\u25c1|\[(?=/?THINK\]))(?P<close>/|end_of_)?(?:begin_of_|[a-z]+[:_])?"
    r"(?:think(?:ing)?|thoughts?|reasoning|analysis)\s*(?:\|?>|\u25b7|\])"
    r"|<\|channel\|>\s*(?:analysis|commentary|(?P<final>final))[^<]{0,40}<\|message\|>"
    r"|<unused94>thought|(?P<unused><unused95>)",
    re.IGNORECASE,
)
_BOX_TOKENS = re.compile(r"<\|begin_of_box\|>([^<]*)<\|end_of_box\|>")
_TOKENS = re.compile(
    r"<\|[^|<>\n]{1,30}\|>|<end_of_turn>|<eos>|</?(?:s|b|i|u|p|em|br|strong|code|span|div)\b[^<>\n]{0,60}>"
    r"|^[ \t]*```\w*[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_LATEX_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:bf|it|rm|sf|tt)|operatorname|emph|bf|rm|Large|large)"
    r"\s*\{([^{}]*)\}"
)
_LATEX_SPACE = re.compile(r"\\[ ,;!]")
_ESCAPE = re.compile(r"\\(?=[^\w\s])")


def without_thinking(reply: str) -> tuple[str, bool]:
    """Return what follows the last end of thinking, and whether thinking begins there and stays open.

    The beginning may be missing, since many chat templates put it into the prompt. The text has one
    spelling of each character.
    """
    text = plain_text(reply)
    marks = list(_THINKING.finditer(text))
    ends = [mark.end() for mark in marks if mark["close"] or mark["final"] or mark["unused"]]
    start = max(ends, default=0)
    opened = next((mark.start() for mark in marks if mark.start() >= start), None)
    return text[start:opened], opened is not None


def plain_text(text: str) -> str:
    """Return a reply with one spelling of each character and with plain line ends."""
    text = unicodedata.normalize("NFKC", text).translate(_SAME)
    return "\n".join(_UNSEEN.sub("", text).replace("\0", " ").splitlines())


def without_markup(text: str) -> str:
    r"""Return a text without tokens of chat templates, `\text{...}` and escapes."""
    text = _TOKENS.sub(" ", _BOX_TOKENS.sub(r"\\boxed{\1}", text))
    for _ in range(3):  # \text{\textbf{C}}
        text = _LATEX_TEXT.sub(r"\1", text)
    return _ESCAPE.sub("", _LATEX_SPACE.sub(" ", text))
