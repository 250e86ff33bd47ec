r"""Answers in other scripts: Chinese, Japanese and Korean words and units, in the spelling that the parser reads.

Strings in, strings out. A counter that is not listed stays as it is, and so does any other word of these scripts: a
word behind a number may change it (``5倍``, ``5以上``), so unknown words are never taken for a unit.
"""

from __future__ import annotations

import re

_UNITS = {
    "平方厘米": "cm^2", "平方米": "m^2", "平方千米": "km^2", "平方公里": "km^2", "平方分米": "dm^2",
    "立方厘米": "cm^3", "立方米": "m^3",
    "厘米": "cm", "毫米": "mm", "分米": "dm", "千米": "km", "公里": "km", "米": "m", "千克": "kg",
    "公斤": "kg", "毫克": "mg", "克": "g", "吨": "ton", "毫升": "ml", "升": "l", "小时": "h",
    "時間": "h", "시간": "h", "分钟": "min", "分鐘": "min", "秒": "s", "초": "s", "天": "day",
    "일": "day", "周": "week", "星期": "week", "个月": "month", "月": "month", "年": "year", "년": "year",
    "度": "degree", "円": "yen", "元": "yuan", "圆": "yuan", "人民币": "yuan", "원": "won", "美元": "dollars",
    "千米/时": "km/h", "千米每小时": "km/h", "米/秒": "m/s", "米每秒": "m/s", "см": "cm", "мм": "mm", "км": "km",
    "м": "m", "кг": "kg", "г": "g", "мин": "min", "ч": "h", "с": "s", "л": "l",
    "руб": "rub", "рублей": "rub", "рубля": "rub", "рубль": "rub", "градусов": "degree",
}  # fmt: skip
_COUNTERS = (
    "个 個 只 隻 种 種 条 條 人 次 名 位 本 张 張 支 枝 件 块 棵 间 間 台 辆 輛 头 "
    "头牛 页 頁 道 题 題 组 組 对 對 双 套 箱 包 瓶 袋 杯 盒 束 朵 颗 顆 粒 行 列 层 "
    "層 步 匹 场 場 门 座 架 份 票 岁 歲 枚 冊 回 通り 点 個の 가지 개 명 마리 장 권 번 대 "
    "살 쪽 점 그루 송이 人次 种方法 種類 种不同的方法 个人 个球 朵花 只鸡 штук шт человек "
).split()
_NAMES = sorted([*_UNITS, *_COUNTERS], key=len, reverse=True)
_BEHIND = re.compile(
    r"(?<=[\d}\])$%])\s{0,4}(?:\\[ ,;]\s{0,4})?(?:\\(?:text|mathrm|mbox|textrm)\s?\{\s{0,4})?("
    + "|".join(map(re.escape, _NAMES))
    + r")\s{0,4}\}?(?=\s|\$|[.,;:。，)]|\\text|$)"
)
_PREFIX = re.compile(
    r"^\s{0,4}\$?(?:\\text\s?\{)?\s{0,4}(?:(?:所以|因此|故|最终)?(?:答案?|答え|정답|답)(?:是|为|為|は|은"
    r"|는)?\s?[：:]?|(?:一|总)?共(?:有|是)?|等于|解得"
    r"|【答案】)\s{0,4}\}?\s{0,4}(?=[-\d\\(\[{$a-zA-Z])"
)
_OR, _AND = r"或者|或|또는|または|もしくは|или", r"和|与|與|以及|及|そして|그리고|(?<![а-яё])и(?![а-яё])"
_LINKS = re.compile(
    rf"(?:\\(?:text|mathrm|mbox)\s?\{{\s{{0,4}})?(?<=[^\u3400-\u9fff\uac00-\ud7a3])(?:(?P<or>{_OR})"
    rf"|(?P<and>{_AND}))\s{{0,4}}\}}?"
    r"(?=\s{0,4}\$?[-\d\\(\[{a-zA-Z])"
)
# 3.5万 is 35,000 and 2,000万 is 20,000,000; 3万5千, a fraction and an exponent are left as they are
_MYRIADS = re.compile(
    r"(?<![\d.,/^{])(\d{1,3}(?:,\d{3}){1,3}|\d{1,9})(?:\.(\d{1,8}))?\s?([万萬만亿億억])(?![千百十万萬亿億만억천백십\d,.])"
)
_TIMES = {**dict.fromkeys("万萬만", 10**4), **dict.fromkeys("亿億억", 10**8)}
_FOREIGN = re.compile(
    r"\\text[a-z]{0,4}\s?\{[^{}]*\}|[\u0400-\u052f\u0590-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]+"
)
_SCRIPT = re.compile(r"[\u0400-\u052f\u0590-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")


def in_latin(text: str) -> str:
    """Return an answer with known words and units of other scripts in ours, and other words in text macros."""
    if not _SCRIPT.search(text):
        return text
    text = _MYRIADS.sub(_in_digits, text)
    text = _PREFIX.sub("", text)
    text = _LINKS.sub(lambda found: r" \text{ or } " if found.group("or") else r" \text{ and } ", text)
    text = _BEHIND.sub(lambda found: rf"\text{{ {_UNITS.get(found.group(1), 'units')}}}", text)
    return _FOREIGN.sub(
        lambda found: found.group() if found.group().startswith("\\") else rf"\text{{{found.group()}}}", text
    )


def _in_digits(found: re.Match[str]) -> str:
    """Return a number with the word for ten thousand or a hundred million in digits alone."""
    whole, part = found.group(1).replace(",", ""), found.group(2) or ""
    scaled = int(whole + part) * _TIMES[found.group(3)]
    above, below = divmod(scaled, 10 ** len(part))
    return f"{above}.{below:0{len(part)}d}".rstrip("0") if below else str(above)


def has_foreign_words(text: str) -> bool:
    """Say whether a text holds letters of these scripts; they are no unit, and as words they are compared whole."""
    return _SCRIPT.search(text) is not None
