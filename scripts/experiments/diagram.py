"""Bins of scores go in; a reliability diagram comes out, as SVG: true J over predicted J."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from calibration import Bin

# Side of the square plot, its distance from the picture's edges, and the height of a line of the legend: SVG units.
_SIDE, _LEFT, _TOP, _LINE = 320, 56, 16, 20
_BOTTOM = 48
# Of Okabe and Ito, which colour-blind people can tell apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73")


def reliability_svg(curves: Mapping[str, Sequence[Bin]]) -> str:
    """Draw curves by their names; a perfect score lies on the diagonal."""
    width, height = _LEFT + _SIDE + 16, _TOP + _SIDE + _BOTTOM + _LINE * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_axes(),
    ]
    for k, (name, bins) in enumerate(curves.items()):
        colour = _COLOURS[k % len(_COLOURS)]
        places = [(_x(each.score), _y(each.j)) for each in bins]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places]
        y = _TOP + _SIDE + _BOTTOM + _LINE * k + 8
        parts.append(f'<circle cx="{_LEFT + 6}" cy="{y - 4}" r="3.5" fill="{colour}"/>')
        parts.append(f'<text x="{_LEFT + 18}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _axes() -> list[str]:
    """Return the frame, the diagonal, ticks at every fifth, and what the axes say."""
    middle, low = _LEFT + _SIDE / 2, _TOP + _SIDE
    parts = [
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#888"/>',
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="#888" stroke-dasharray="4 4"/>',
        f'<text x="{middle}" y="{low + 34}" text-anchor="middle">score</text>',
        f'<text x="16" y="{_TOP + _SIDE / 2}" text-anchor="middle"'
        f' transform="rotate(-90 16 {_TOP + _SIDE / 2})">mean true J</text>',
    ]
    for k in range(6):
        value = k / 5
        parts.append(f'<text x="{_x(value)}" y="{low + 16}" text-anchor="middle">{value:.1f}</text>')
        parts.append(f'<text x="{_LEFT - 6}" y="{_y(value) + 4}" text-anchor="end">{value:.1f}</text>')
    return parts


def _x(value: float) -> float:
    return _LEFT + _SIDE * value


def _y(value: float) -> float:
    return _TOP + _SIDE * (1 - value)
