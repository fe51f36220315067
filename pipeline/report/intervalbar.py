"""A bar that shows a share with its interval and chance."""

from markupsafe import Markup


def interval_bar(
    value: float | None, low: float | None, high: float | None, chance: float | None
) -> Markup:
    """Return a bar from 0 to 100 %; `value` is a share. What is None is left out."""
    parts, told = ['<rect class="track" width="100" height="10"/>'], "no figure"
    if value is not None:
        parts.append(f'<rect class="fill" width="{100 * value:.2f}" height="10"/>')
        told = f"{value:.1%}"
    if low is not None and high is not None:
        wide = f"{max(0.4, 100 * (high - low)):.2f}"
        parts.append(f'<rect class="between" x="{100 * low:.2f}" y="3" width="{wide}" height="4"/>')
        told += f", interval {low:.1%} to {high:.1%}"
    if chance is not None:
        at = f"{100 * chance:.2f}"
        parts.append(
            f'<line class="chance" x1="{at}" x2="{at}" y1="0" y2="10" vector-effect="non-scaling-stroke"/>'
        )
        told += f", chance {chance:.1%}"
    return Markup(
        '<svg class="interval" viewBox="0 0 100 10" preserveAspectRatio="none" role="img" '
        f'aria-label="{told}">{"".join(parts)}</svg>'
    )
