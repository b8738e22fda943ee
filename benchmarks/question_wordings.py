"""Ways to ask for code, made of what is written about it by fixed templates.

Belongs here: how the sentence of a docstring, a name or a heading becomes a question, a problem or a few words. Does not
belong here: where the sentences come from (`benchmarks.training_pairs`).
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from typing import Final

_STOP_WORDS: Final = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "can", "do", "does", "for", "from", "how", "in", "into", "is",
    "it", "its", "of", "on", "or", "that", "the", "their", "this", "to", "via", "what", "when", "where", "which",
    "who", "why", "with", "will", "should", "if", "not", "has", "have", "been",
})  # fmt: skip
_VERB: Final = re.compile(
    r"^(get|set|return|compute|creat|check|add|remov|pars|convert|build|load|writ|read|send|open|clos|updat|appl|generat"
    r"|find|calculat|initializ|determin|handl|run|execut|make|call|mak|tak|give|format|valid|regist|start|stop|print|draw"
    r"|render|encod|decod|serializ|resolv|look|perform|provid|implement|defin|test|delet|insert|merg|split|join|sort|filter"
    r"|map|iterat|wrap|represent|store|fetch|construct|configur|process|select|lock|copy|move|allocat|free|extract|evaluat"
    r"|estimat|transform|normaliz|verif|compar|connect|listen|emit|dispatch|schedul|cancel|wait)",
    re.IGNORECASE,
)
_OF_WHAT: Final = frozenset(("function", "method", "class", "function's", "module", "struct", "type"))


def asked(kind: str, sentences: Sequence[str], name: str, rng: random.Random) -> str:
    """A way to ask for what the sentences are about; `kind` is that of `benchmarks.training_pairs.Pair`.

    Args:
        kind: of the pair.
        sentences: about the code, best first; for names the names.
        name: words of the code's own name, which a question leaves out.
        rng: chooses.
    """
    if kind == "name":
        full = sentences[0]
        last = re.split(r"[.:>#]+", full)[-1].strip() or full
        return rng.choice(
            [full, last, last, f"{last} definition", f"where is {last} defined", f"{last} implementation"]
        )
    if kind == "names":
        one, two = (_in_words(name) if rng.random() < 0.5 else name for name in sentences)
        return rng.choice(
            [
                f"how {one} uses {two}",
                f"{one} and {two}",
                f"how {one} works together with {two}",
                f"relation between {one} and {two}",
            ]
        )
    said = sentences[0] if len(sentences) == 1 or rng.random() < 0.75 else rng.choice(sentences[1:])
    low = said.lower()
    if kind == "error":
        return rng.choice([said, said, low, f"error: {said}", f'why do I get "{said}"'])
    if kind == "section":
        plain = " ".join(word for word in low.split() if word not in _STOP_WORDS) or said
        how = f"how to {low}" if _VERB.match(said) else f"what is {low}"
        return rng.choice([said, low, how, f"documentation of {low}", plain])
    return _of_sentence(_without_subject(said.split(), name.replace(" ", "")), kind == "comment", rng)


def _without_subject(words: list[str], name: str) -> list[str]:
    """The words after `greet`, `is` or `This function`."""
    first = re.sub(r"[_.]", "", words[0].strip("`'()\"")).lower()
    if name and first.endswith(name) and len(words) > 3:
        words = words[1:]
    if words[0].lower() in {"is", "are"} and len(words) > 3:
        words = words[1:]
    if words[0].lower() in {"this", "the"} and len(words) > 4 and words[1].lower() in _OF_WHAT:
        words = words[2:]
    return words


def _of_sentence(words: list[str], is_comment: bool, rng: random.Random) -> str:
    if rng.random() < 0.35 and len(words) > 14:
        words = words[: rng.randint(8, 14)]
    first, *others = words
    if not first.isupper() or len(first) == 1:
        first = first[0].lower() + first[1:]
    words = [first, *others]
    text = " ".join(words).strip(" .,;:")
    is_verb = _VERB.match(first) is not None
    chance = rng.random()
    if chance < (0.5 if is_comment else 0.22):
        return text
    about = words[1:] if is_verb and len(words) > 3 else words
    keys = [word.strip(",.()\"'") for word in about if word.lower().strip(",.()") not in _STOP_WORDS]
    keys = [word for word in keys if word]
    if (chance < 0.45 or is_comment) and len(keys) >= 2:
        few = " ".join(keys[: rng.randint(3, 8)])
        return few.lower() if rng.random() < 0.7 else " ".join(keys[:8])
    if is_verb:
        return rng.choice(_of_verb(first, " ".join(others)))
    noun = re.sub(r"^(the|a|an)\s+", "", text)
    return rng.choice(
        [
            f"how {noun} works",
            f"what is {text}",
            f"where is {text} implemented",
            noun,
            noun,
            f"{noun} implementation",
            f"which code handles {noun}",
            f"problem with {noun}",
        ]
    )


def _of_verb(verb: str, rest: str) -> list[str]:
    base, gerund = _base(verb), _gerund(verb)
    noun = re.sub(r"^(the|a|an|all|any)\s+", "", rest)
    return [
        f"how to {base} {rest}",
        f"how does it {base} {rest}",
        f"how {noun} is handled",
        f"{gerund} {noun}",
        f"{gerund} {rest}",
        f"where {rest} is handled",
        f"code that {verb} {rest}",
        f"function to {base} {rest}",
        noun,
        f"{noun} {gerund}",
        f"{gerund} {rest} fails",
        f"cannot {base} {rest}",
        f"bug when {gerund} {rest}",
        f"support {gerund} {rest}",
    ]


def _in_words(name: str) -> str:
    return " ".join(re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)).lower()


def _base(verb: str) -> str:
    """`parse` of `Parses`."""
    low = verb.lower()
    if low.endswith("ies"):
        return f"{low[:-3]}y"
    if low.endswith(("sses", "shes", "ches", "xes")):
        return low[:-2]
    return low[:-1] if low.endswith("s") and not low.endswith("ss") and len(low) > 3 else low


def _gerund(verb: str) -> str:
    """`parsing` of `Parses`."""
    base = _base(verb)
    return f"{base[:-1] if base.endswith('e') and not base.endswith('ee') else base}ing"
