"""The phrases that announce a final answer, and where it ends; every count is bounded, so the time stays linear."""

from __future__ import annotations

import re

_GAP = r"[ \t]{0,8}"
_STARS = r"(?:\*\*|__|[*_`]|</?(?:b|strong|em|i|u)>){0,2}"
_ADVERB = (
    r"(?:[ \t](?:therefore|thus|then|hence|indeed|simply|just|also|now|clearly|obviously|actually|exactly|precisely"
    r"|equal to|(?:given|written|stated|expressed|shown|found) (?:as|to be|by|below)|given|as follows|the following"
    r"|(?:taken|left|known|[a-z]{3,12}ed) (?:as|to be)"
    r"|below))"
)
_ADVERB_ELSEWHERE = r"(?:[ \t](?:donc|also|daher|somit|quindi|dunque|portanto|então|por tanto|entonces|igual a|așadar))"
_MODAL = rf"(?:would|must|should|will|could|can|has to){_ADVERB}?[ \t]be"


def _is(verbs: str) -> str:
    """Return the pattern of what links an announcement to its value: a verb, a colon, or a display on the next line."""
    verb = rf"(?<![a-zA-Zà-ž])(?:{verbs})(?![a-zà-ž])(?:{_ADVERB}|{_ADVERB_ELSEWHERE}){{0,2}}"
    colon, display = rf"{_GAP}{_STARS}{_GAP}[:：]{_GAP}", r"[ \t]{0,8}\n?(?=\s{0,8}(?:\$\$|\\\[))"
    return rf"(?:(?:{verb})?{colon}|,?{_GAP}(?:which )?{verb}|{display})"


_IS = _is(rf"is|are|=|equals|becomes|was|{_MODAL}")
_IS_ELSEWHERE = _is(
    "=|lautet|beträgt|ist|is|son|es|est|sont|è|sono|é|er|är|on|jest|je|este|adalah|ialah|là|bằng|είναι|הוא|היא|هو"
    "|هي|है"
    "|คือ|ist also"
)
_NO_VALUE = (  # "if an exact answer is preferred, ..." announces nothing
    "preferred|needed|required|desired|wanted|asked|based|obtained|determined|solving|calculated by|found by|reached"
)
_AFTER = rf"{_GAP}{_STARS}\s{{0,40}}(?:[\"'“«「]{{0,2}})(?!(?:{_NO_VALUE})\b)(?=[^\s])"
_MATHS = r"\\\([^\n]{1,30}?\\\)|\$[^\n$]{1,30}\$"
_OF_WHAT = rf"(?:{_GAP}(?:to|for|of|in|here|then|thus|therefore|that|we)(?![a-z])(?:[^\n.:$\\]|{_MATHS}){{0,80}}?)?"

_FINAL = r"(?:final|correct)[ \t]{1,3}(?:answer|result|solution)"
FINAL = re.compile(rf"{_FINAL}{_OF_WHAT}{_GAP}{_STARS}{_GAP}{_IS}{_AFTER}", re.IGNORECASE)
_ENGLISH = r"answers?|ans|correct (?:option|choice)|right (?:option|choice)|answer choice"
_OTHER_TONGUES = (
    r"respuesta(?: final| correcta)?|r[ée]ponse(?: finale| correcte)?|antwort|lösung|endergebnis|risposta(?: finale"
    r"| corretta)?|resposta(?: final| correta)?"
    r"|odpowied[zź]|odpov[eě][dď]|cevap|yanıt|antwoord|svaret|svar|vastaus|válasz|răspuns(?:ul)?|jawaban(?:nya)?"
    r"|jawapan(?:nya)?"
    r"|sagot|đáp án|đáp số|câu trả lời|odgovor|отговор|ответ|відповідь|απάντηση|תשובה|उत्तर"
)
_UNSPACED = r"(?:ال|و)?(?:إجابة|جواب)(?: النهائية| الصحيحة)?|คำตอบ|উত্তর|پاسخ"
_HAN = (
    r"(?:最终|最後の?|最后|正确|正しい)?(?:的)?(?:答案|答え|正解|解答|选项)(?:应该|应|就)?(?:是|为|為|は|：|:)[：:]?"
    r"|【(?:最终|参考|正确)?(?:答案|解答|答え)】[：:]?|(?:^|\n)[ \t]{0,8}答[：:]"
    r"|(?:故|所以|因此|应|應|则|本题|综上|答案)[，,]?(?:本题|此题|正确的?|答案)?(?:应|應)?选(?:择"
    r"|项)?[：:]?(?=\s{0,4}[(（]?[A-J])"
    r"|(?:최종\s?)?(?:정답|답)(?:은|는|[ \t]{0,2}[:：])"
)
# the patterns below are tried only where one of their words stands: most texts hold none, and that saves time
FINAL_WORDS = ("final ", "final\t", "correct ", "correct\t")
PHRASE = re.compile(
    rf"\b(?<!can )(?<!could )(?<!to )(?<!must )(?<!will )(?:{_ENGLISH}"
    rf"|{_FINAL})\b{_OF_WHAT}{_GAP}{_STARS}{_GAP}\.?{_IS}"
    rf"(?:[ \t]{{0,4}}(?:option|choice))?{_AFTER}|\bans\.[ \t]{{1,3}}(?=[\d$\\(-])",
    re.IGNORECASE,
)
PHRASE_WORDS = ("answer", "ans", "correct ", "right ", "final ")
LINE_PHRASE = re.compile(rf"(?:^|\n)[ \t]{{0,8}}A[:.](?=[ \t]){_AFTER}")
ELSEWHERE = re.compile(
    rf"(?:(?:\b(?:{_OTHER_TONGUES})|{_UNSPACED}){_OF_WHAT}{_GAP}{_STARS}{_GAP}(?:{_IS_ELSEWHERE}|[-–—](?=[ \t])"
    rf"|(?=[ \t][\d$\\-]))|{_HAN})(?:[ \t]{{0,4}}选项)?{_AFTER}",
    re.IGNORECASE,
)
ELSEWHERE_WORDS = (
    "respuesta", "lösung", "réponse", "reponse", "antwort", "endergebnis", "risposta", "resposta", "odpowied", "odpov",
    "cevap",
    "yanıt", "antwoord", "svar", "vastaus", "válasz", "răspuns", "jawab", "jawap", "sagot", "đáp", "câu trả", "odgovor",
    "отговор", "ответ", "відповідь", "απάντηση", "תשובה", "उत्तर", "جابة", "جواب", "คำตอบ", "উত্তর", "پاسخ", "答",
    "正解", "选", "답",
)  # fmt: skip
# a line of its own, "**Answer: D**", which says more than a box before it
LINE = re.compile(
    r"(?:^|\n)[ \t#>*_-]{0,8}(?:(?:so|thus|therefore|hence),?[ \t])?(?:the[ \t]|my[ \t]|our[ \t])?"
    rf"(?:final[ \t]|correct[ \t])?answer(?:[ \t]is)?{_GAP}{_STARS}{_GAP}[:：]{_AFTER}",
    re.IGNORECASE,
)
HEADING = re.compile(
    r"(?:^|\n)[ \t]{0,8}(?:#{1,6}[ \t]{0,8}\**(?:the[ \t])?(?:final[ \t]{1,8})?(?:answer|result)\**[ \t]{0,8}:?\**[ "
    r"\t]{0,8}\n\s{0,80}"
    r"|\*\*(?:the[ \t])?(?:final[ \t]{1,8})?answer:?\*\*[ \t]{0,8}:?[ \t]{0,8}\n\s{0,80}"
    r"|####[ \t]{0,80}(?!\**(?:step|solution|part|case|method|approach|explanation|final|answer)))(?=[^\s])",
    re.IGNORECASE,
)
RUN_ON_WORDS = (
    "problem", "question", "exercise", "instruction", "input", "user", "human", "student", "assistant", "model", "\nq",
    "*q", " q", "#q", "\tq",
    "问题", "题目",
)  # fmt: skip
RUN_ON = re.compile(  # not "Question 2:", which may be a part of the same one
    r"\n[ \t]{0,8}(?:#{1,6}[ \t]{0,4})?\**(?:(?:new |next |another )?(?:problem|question|exercise)|instruction"
    r"|input|user|human"
    r"|student|assistant|q|问题|题目)\**[ \t]{0,4}[:.：]"
    r"|\n[ \t]{0,8}(?:user|human|assistant|model)[ \t]{0,8}\n|(?<=[.!?})$])(?:assistant|user)\s{0,4}\n",
    re.IGNORECASE,
)
# a sentence ends at a period that is not inside a number; "3.5" and ".5" go on, and so do "p.m." and "a.m."
_SENTENCE_END = re.compile(
    r"(?<![ap]\.m)(?<!\b[ap])\.(?=\s|\$|\\\)|\\\]|\*|[\"'”<]|$)|[。．](?!\d)|।|!(?=[!*\"'”]*(?:\s+[A-Z]|\s*$))|\n"
)
_CLAUSE = re.compile(
    r"(?:,|;|\s-|\s–|\s—)?\s{1,3}(?:since|because|and not|not|as|which|so|where|when|after|therefore|thus|i\.e\."
    r"|that is|given"
    r"|for "
    r"a total|by|per the|I hope)\b|[，,]\s?(?:因为|所以|因此|即|故|其中)|[。．]"
    r"|\s*\((?:approx|about|or about|or approx|≈|rounded|since|because|which|i\.e)|\s*(?:≈|\\approx)",
    re.IGNORECASE,
)
_WHICH_IS = re.compile(
    r",?\s{1,3}(?:which|that) (?:is|equals|comes to|gives|makes)(?: equal to)?\s{1,3}(?=[^\n]{0,40}\d)"
)
LONGEST = 2_500
_OPENERS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}


def sentence(body: str, start: int) -> tuple[int, int]:
    """Return the span of the announced value: its mathematics, or its words up to the end of the clause."""
    while start < len(body) and body[start] in " \t\n*\"'“:":
        start += 1
    # a longer text is not an answer, and the work below grows with the square of this length
    body = body[: start + LONGEST]
    if body.startswith("```", start) and (fence := body.find("```", start + 3)) >= 0:
        return start, fence + 3
    opener = next((each for each in ("$$", "\\[") if body.startswith(each, start)), None)
    if opener:  # a display: all of it, and nothing else
        end = body.find(_OPENERS[opener], start + 2)
        if end >= 0:
            return start + 2, end
    end = start
    while end < len(body):
        stop = _SENTENCE_END.search(body, end)
        clause = _CLAUSE.search(body, end, stop.start() if stop else len(body))
        limit = min(
            stop.start() if stop else len(body), clause.start() if clause and clause.start() > start else len(body)
        )
        opening = _opening(body, end, limit)
        if opening is None:
            described = _WHICH_IS.match(body, limit)
            if described and not re.search(r"[\d$\\]", body[start:limit]):  # "the sum of both, which is 10"
                return sentence(body, described.end())
            return start, _unquoted(body, start, limit)
        end = opening
    return start, _unquoted(body, start, len(body))


def _opening(body: str, start: int, limit: int) -> int | None:
    """Return the end of the first inline mathematics that opens before the limit; None if none opens there."""
    found = re.compile(r"\\\(|(?<!\\)\$").search(body, start, limit)
    if found is None:
        return None
    closer = _OPENERS[found.group()]
    end = body.find(closer, found.end())
    line = body.find("\n", found.end())
    if end < 0 or (0 <= line < end):
        return None
    return end + len(closer)


def _unquoted(body: str, start: int, end: int) -> int:
    """Return the end of a value without the marks behind it; a sentence's exclamation mark is not a factorial."""
    while end > start and body[end - 1] in "\"'”»* \t.":
        end -= 1
    bare = end
    while bare > start and body[bare - 1] == "!":
        bare -= 1
    emphatic = body[bare:end] and "!" not in body[start:bare] and re.match(r"\s|$|\*|[\"”]", body[end : end + 1])
    if emphatic and (end - bare > 1 or re.fullmatch(r"\\?\$?-?[\d.,]+|[^\W\d]{2,}(?: \w+)*", body[start:bare])):
        return bare
    return end
