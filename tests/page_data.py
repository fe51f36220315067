"""What is in the data of a page of results."""

import json
import re
from typing import Any

HOSTILE = (
    "</script><script>document.title='owned'</script><!-- \u2028 \u2029 \u202e\u200f &amp; ]]>"
)


def data_of(text: str, name: str = "data") -> Any:
    (found,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', text)
    return json.loads(found)


def details_of(text: str) -> dict[str, Any]:
    """Return the details of each item, by id."""
    data = data_of(text)
    blocks = [
        one
        for number in range(-(-len(data["items"]) // data["batch"]))
        for one in data_of(text, f"block-{number}")
    ]
    return {item[0]: one for item, one in zip(data["items"], blocks, strict=True)}
