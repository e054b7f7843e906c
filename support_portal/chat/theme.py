"""Colours from the company's one accent colour, readable on light and on dark ground."""

from __future__ import annotations

MIN_CONTRAST = 4.5
_DARK_GROUND = "#16181d"


def theme_css(accent: str) -> str:
    """Custom properties for both colour schemes; accent: "#rrggbb"."""
    light, dark = _readable(accent, ground="#ffffff"), _readable(accent, ground=_DARK_GROUND)
    return (
        f":root {{ --accent: {light}; --accent-text: {_text_on(light)}; }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ --accent: {dark}; --accent-text: {_text_on(dark)}; }} }}\n"
    )


def contrast(first: str, second: str) -> float:
    """The WCAG 2.2 contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _readable(colour: str, *, ground: str) -> str:
    """The colour, moved towards black or white in small steps until it can be read on this ground."""
    target = 0 if _luminance(ground) > 0.5 else 255
    while contrast(colour, ground) < MIN_CONTRAST:
        colour = "#" + "".join(f"{round(channel + (target - channel) * 0.08):02x}" for channel in _channels(colour))
    return colour


def _text_on(colour: str) -> str:
    return max(("#ffffff", "#101114"), key=lambda text: contrast(text, colour))


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _luminance(colour: str) -> float:
    """Relative luminance, 0 to 1. Source: WCAG 2.2, definition of relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
