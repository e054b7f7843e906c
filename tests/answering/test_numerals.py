from __future__ import annotations

import pytest

from chatbot.answering.numerals import readings, with_digits


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("twenty-five items", "25 items"),
        ("one hundred and twenty days", "120 days"),
        ("two thousand five hundred", "2500"),
        ("one day, one of them", "1 day, one of them"),
        ("half an hour", "30 minutes"),
        ("fünf Tage, deux jours, siete días", "5 Tage, 2 jours, 7 días"),
        ("二十五天", "25天"),
        ("两个月", "2个月"),
        ("三到五个工作日", "3到5个工作日"),
        ("三四天", "3-4天"),
        ("一千二百元", "1200元"),
        ("百分之五", "5%"),
        ("１５％ ٢٥", "15% 25"),
        ("1.5万元", "15000元"),
        ("5k", "5000"),
        ("十分满意，千万不要，一个问题，一下，第二天", "十分满意, 千万不要, 一个问题, 一下, 第二天"),
    ],
)
def test_rewrites_numbers_in_digits(text: str, digits: str) -> None:
    assert with_digits(text) == digits


@pytest.mark.parametrize(
    ("number", "values"),
    [
        ("1,500", {"1500", "1.5"}),
        ("1.500,50", {"1500.5"}),
        ("1,234,567", {"1234567"}),
        ("10 000", {"10000"}),
        ("4.90", {"4.9"}),
        ("12,5", {"12.5"}),
        ("0.125", {"0.125"}),
        ("007", {"7"}),
    ],
)
def test_reads_separators_both_ways_where_they_are_ambiguous(number: str, values: set[str]) -> None:
    assert readings(number) == values
