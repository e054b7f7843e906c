from __future__ import annotations

import re

import pytest

from support_portal.chat.theme import _DARK_GROUND, contrast, theme_css


def test_contrast_follows_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("accent", ["#ffff00", "#0000ff", "#ffffff", "#000000", "#2f6f4f"])
def test_any_accent_becomes_readable(accent: str) -> None:
    light, light_text, dark, dark_text = re.findall(r"#[0-9a-f]{6}", theme_css(accent))
    assert contrast(light, "#ffffff") >= 4.5 and contrast(dark, _DARK_GROUND) >= 4.5
    assert contrast(light, light_text) >= 4.5 and contrast(dark, dark_text) >= 4.5
