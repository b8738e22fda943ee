"""Keys in a text exchanged for masks, such as `masked_github_token`.

Belongs here: finding keys whose form gives them away (`code_index.core.secret_forms`) and masking them. Does not belong
here: which files are indexed at all (`code_index.repository.skip_rules`).

A mask is an identifier, so that what parses with the key parses with the mask: a string stays a string, a name a name.
Lines stay as they are; only the text within one changes. Masking a masked text changes nothing. The rest of a private key,
whose first line has the mask, is removed.

Most texts hold no key, and finding that out is nearly all that this costs: long words are found without a look at each
byte, and the forms are only compared with those. The other forms need a literal that is looked for in the whole text.
"""

from __future__ import annotations

import base64
import binascii
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from code_index.core.model import MaskedText
from code_index.core.secret_forms import (
    ACCESS_KEY_ID,
    ANY_HINT,
    AWS_NAME,
    AWS_SECRET,
    AWS_SECRET_KIND,
    AWS_SECRET_NAMED,
    AWS_SECRET_OF,
    BASIC,
    BASIC_KIND,
    BASIC_NAMED,
    CONNECTION_KIND,
    CONNECTION_PASSWORD,
    CONNECTION_SERVER,
    FORMS,
    LONG_FORMS,
    MARKED_FORMS,
    MIN_LONG_WORD,
    MIN_WORD,
    NPM_KIND,
    NPM_TOKEN,
    PRIVATE_KEY_KIND,
    SIGNATURE,
    SIGNATURE_KIND,
    URL,
    URL_KIND,
    URL_PARAMETER,
    URL_PASSWORD,
    URL_PASSWORD_ANY,
    URL_USER,
    URL_USER_KIND,
    WORD_CHARACTERS,
    compiled,
)

_PREFIX: Final = b"masked_"
_PASSES: Final = 4  # a key that another one was joined to is found when that one is gone
# Each byte as `w` in a word and as a blank outside of one: words of some length are then found without looking at all bytes.
_OUTLINE: Final = bytes(ord("w" if chr(byte) in WORD_CHARACTERS else " ") for byte in range(256))
_LONG_ENOUGH: Final = b"w" * MIN_WORD
_ESCAPING: Final = (b"\\", b"%", b"[")
_MAX_ESCAPED: Final = 5
_DIGIT: Final = re.compile(rb"[0-9]")

_NAME_BYTES: Final = 40  # of a name before the word in it that is looked for
_BESIDE_BYTES: Final = 300  # between the id of an access key and the secret: some lines of a settings file

_PASSWORD_ENDS: Final = (b"ord=", b"wd=", b"ORD=", b"WD=")
_CONNECTION_BYTES: Final = 400  # between the server and the password of a connection, in one line

_MIXED: Final = tuple(map(re.compile, (rb"[A-Z]", rb"[a-z]", rb"[0-9]")))

_PLACEHOLDER: Final = (
    rb"(?s)[$]+(?:[A-Za-z_]|[0-9](?![A-Za-z0-9_]))[A-Za-z0-9_.:$@/-]*|%(?![0-9A-Fa-f]{2}).*|.*[{(\[].*|\W*|(.)\1*|[A-Z][A-Z_]+|masked_.*|x-oauth-basic"
    rb"|(?:(?:my|your|the|user|db|database|some|super|mysql|postgres|root|admin|test|example)?[_-]?"
    rb"(?:password|passwd|passphrase|pass|passw|pwd|pw|secret|token|key|apikey|xx+|p))"
)
"""A password that stands for one: `$VARIABLE`, `%s`, `{name}`, `****`, `PASSWORD`, `your_password`."""

_MARKER: Final = (
    rb"-{4,5} ?(?P<edge>BEGIN|END) (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
    rb"|(?P<putty>Private-Lines: ?[0-9]+)|Private-MAC:"
)
_LINE_END: Final = rb"\r?\n|&#(?:1[03]|[xX]0?[aAdD]);|\\+r(?:\\+n)?|\\+n|\\+u000[aAdD]|<br ?/?>"
# Without the characters of base64 that comments (//) and added lines (+) begin with.
_KEY_RUN: Final = rb"(?<![+/=])[+/=]*(?P<key>[A-Za-z0-9][A-Za-z0-9+/=]*)"
_KEY_HEADER: Final = rb"[\W_]*[A-Z][A-Za-z0-9-]{1,30}: "
_LETTER: Final = rb"[A-Za-z0-9]"
_STRANGE: Final = rb"[^\s#*|>,;\\%\"'`A-Za-z0-9+/=:-]"  # in no line of a private key
_LONG_RUN: Final = 40  # lines of a private key have 64 or 76 characters
_REST_RUN: Final = 16
_MIXED_RUN: Final = 8  # no word of a sentence has so many characters, small and capital letters and digits
_OUTSIDE_LETTERS: Final = 12  # between the strings that a key is put together of: `+ vbCrLf + _`


@dataclass(frozen=True, slots=True, order=True)
class _Found:
    """Bytes `start` to `end` (half-open) are (a part of) a key; an empty `kind` is the rest of one, and is removed."""

    start: int
    end: int
    kind: str


def mask_keys(text: bytes) -> MaskedText:
    """Exchange the keys in a text (UTF-8) for masks; linear in its length, never fails."""
    masked: Counter[str] = Counter()
    for _ in range(_PASSES):
        found = sorted(_keys(text), key=lambda key: (key.start, -key.end))
        if not found:
            break
        text = _with_masks(text, found, masked)
    return MaskedText(text, dict(sorted(masked.items())))


def _with_masks(text: bytes, found: Sequence[_Found], masked: Counter[str]) -> bytes:
    """The text with masks in place of what was found, of which the first wins where two overlap; counts them."""
    pieces = []
    done = 0
    for key in found:
        if key.start < done:
            continue
        pieces.append(text[done : key.start])
        if key.kind:
            pieces.append(_PREFIX + key.kind.encode())
            masked[key.kind] += 1
        done = key.end
    pieces.append(text[done:])
    return b"".join(pieces)


def mask_string(text: str) -> tuple[str, Mapping[str, int]]:
    """Exchange the keys in a string for masks, as `mask_keys` does; unpaired surrogates stay."""
    masked = mask_keys(text.encode("utf-8", "surrogatepass"))
    return masked.text.decode("utf-8", "surrogatepass"), masked.masked


def named_counts(masked: Mapping[str, int]) -> str:
    """Kinds of keys with their counts, for people: `2 github token, 1 private key`."""
    return ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in sorted(masked.items()))


def _keys(text: bytes) -> Iterator[_Found]:
    if words := _words(text):
        yield from _in_words(text, words)
    for marked in MARKED_FORMS:
        if marked.rare in text and marked.literal in text:
            yield from (_found(match, marked.kind) for match in compiled(marked.pattern).finditer(text))
    if b"PRIVATE KEY" in text or b"Private-Lines" in text:
        yield from _private_keys(text)
    if b"://" in text or (b"\\" in text and b":\\/\\/" in text):
        yield from _in_urls(text)
    yield from _after_names(text)


def _after_names(text: bytes) -> Iterator[_Found]:
    """Keys of any form that the word before them gives away."""
    if b"asic " in text:
        yield from (_found(match, BASIC_KIND) for match in compiled(BASIC).finditer(text) if _is_basic(match["key"]))
    named = compiled(BASIC_NAMED).finditer(text)
    yield from (_found(match, BASIC_KIND) for match in named if _is_basic(match["key"]))
    if b"uthToken" in text:
        tokens = compiled(NPM_TOKEN).finditer(text)
        yield from (_found(match, NPM_KIND) for match in tokens if not _is_placeholder(match["key"]))
    if b";" in text and any(end in text for end in _PASSWORD_ENDS):
        yield from _in_connections(text)


def _words(text: bytes) -> set[bytes]:
    """The words that are long enough to hold a key."""
    outline = text.translate(_OUTLINE) + b" "
    words = set()
    start = outline.find(_LONG_ENOUGH)
    while start >= 0:
        end = outline.find(b" ", start)
        words.add(text[start:end])
        if text[start - 1 : start] in _ESCAPING:  # `\\nghp_...`: the first characters belong to what is escaped
            words.update(text[start + count : end] for count in range(1, _MAX_ESCAPED + 1))
        start = outline.find(_LONG_ENOUGH, end)
    return words


def _in_words(text: bytes, words: set[bytes]) -> Iterator[_Found]:
    ids: list[int] = []
    if compiled(ANY_HINT).search(b" ".join(words)):
        hinted = b" ".join(filter(compiled(ANY_HINT).search, words))
        for form in FORMS:
            if compiled(form.hint).search(hinted):
                found = [
                    _Found(match.start(), match.end(), form.kind) for match in compiled(form.pattern).finditer(text)
                ]
                yield from found
                if form.kind == ACCESS_KEY_ID:
                    ids = [key.start for key in found]
    # Names have no digits as a rule; of keys of so many characters one in a thousand has none.
    if not any(len(word) >= MIN_LONG_WORD and _DIGIT.search(word) for word in words):
        return
    for long in LONG_FORMS:
        if long.literal in text:
            yield from (_found(match, long.kind) for match in compiled(long.pattern).finditer(text))
    yield from _aws_secrets(text, ids)


def _aws_secrets(text: bytes, ids: list[int]) -> Iterator[_Found]:
    """Secret keys of AWS: 40 characters after their usual name, or beside the id of an access key (ids: where)."""
    if b"ecret" in text or b"ECRET" in text:
        yield from (_found(match, AWS_SECRET_KIND) for match in compiled(AWS_SECRET_NAMED).finditer(text))
        for match in compiled(AWS_SECRET_OF).finditer(text):
            name = text[max(0, match.start() - _NAME_BYTES) : match.start("key")]
            if _is_mixed(match["key"]) and compiled(AWS_NAME).search(name):
                yield _found(match, AWS_SECRET_KIND)
    for match in compiled(AWS_SECRET).finditer(text) if ids else ():
        after = bisect_left(ids, match.start())
        distance = min(abs(at - match.start()) for at in ids[max(0, after - 1) : after + 1])
        if distance <= _BESIDE_BYTES and _is_mixed(match[0]):
            yield _Found(match.start(), match.end(), AWS_SECRET_KIND)


def _in_urls(text: bytes) -> Iterator[_Found]:
    for url in compiled(URL).finditer(text):
        if b"@" in url[0]:
            yield from _before_host(text, *url.span())
        if b"=" in url[0]:
            for match in compiled(URL_PARAMETER).finditer(text, *url.span()):
                if not _is_placeholder(match["key"]):
                    yield _found(match, URL_KIND)
            yield from (_found(match, SIGNATURE_KIND) for match in compiled(SIGNATURE).finditer(text, *url.span()))


def _is_placeholder(password: bytes) -> bool:
    placeholder = compiled(_PLACEHOLDER)
    return placeholder.fullmatch(password) is not None or placeholder.fullmatch(password.lower()) is not None


def _before_host(text: bytes, start: int, end: int) -> Iterator[_Found]:
    """The password, or the token in place of a user, of the URL that begins at `start`, and those of URLs in it."""
    if (user := compiled(URL_USER).match(text, start, end)) and _is_token(user["key"]):
        yield _found(user, URL_USER_KIND)
    passwords = list(compiled(URL_PASSWORD).finditer(text, start, end))
    for match in passwords:
        if not _is_placeholder(match["key"]) and not text.startswith(b"sha256:", match.end()):
            yield _found(match, URL_KIND)
    wide = None if passwords else compiled(URL_PASSWORD_ANY).match(text, start, end)
    if wide and _is_mixed(wide["key"]) and not _is_placeholder(wide["key"]):
        yield _found(wide, URL_KIND)


def _in_connections(text: bytes) -> Iterator[_Found]:
    """Passwords beside a server in the same line, parted by semicolons, as ADO and ODBC write them."""
    passwords = list(compiled(CONNECTION_PASSWORD).finditer(text))
    servers = [match.start() for match in compiled(CONNECTION_SERVER).finditer(text)] if passwords else []
    for match in passwords:
        after = bisect_left(servers, match.start())
        for at in servers[max(0, after - 1) : after + 1]:
            start, end = min(at, match.start()), max(at, match.end())
            between = text[start:end] if end - start <= _CONNECTION_BYTES else b"\n"
            if b";" in between and b"\n" not in between and not _is_placeholder(match["key"]):
                yield _found(match, CONNECTION_KIND)
                break


def _is_mixed(key: bytes) -> bool:
    return all(kind.search(key) for kind in _MIXED)


def _is_token(user: bytes) -> bool:
    """Tell whether a URL's user is no name: mixed, or a long run of letters and digits."""
    return _is_mixed(user) or (user.isalnum() and not user.isalpha() and not user.isdigit())


def _is_basic(encoded: bytes) -> bool:
    """Tell whether base64 says `user:password`."""
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return False
    return b":" in decoded[1:] and decoded.isascii() and decoded.decode("ascii").isprintable()


def _found(match: re.Match[bytes], kind: str) -> _Found:
    group = "key" if "key" in match.re.groupindex else 0
    return _Found(match.start(group), match.end(group), kind)


def _private_keys(text: bytes) -> Iterator[_Found]:
    """The runs of private keys between their first and last line, as PEM, OpenSSH, OpenPGP and PuTTY write them.

    The lines may be the file's, escaped ones of a string, strings that are joined, items of a list, or in a comment.
    """
    markers = list(compiled(_MARKER).finditer(text))
    for at, marker in enumerate(markers):
        if marker["edge"] != b"BEGIN" and marker["putty"] is None:
            continue
        ended = at + 1 < len(markers) and markers[at + 1]["edge"] != b"BEGIN" and markers[at + 1]["putty"] is None
        end = markers[at + 1].start() if at + 1 < len(markers) else len(text)
        runs = _key_runs(text, marker.start(), marker.end(), end, ended=ended)
        yield from (_Found(*run, PRIVATE_KEY_KIND if number == 0 else "") for number, run in enumerate(runs))


def _key_runs(text: bytes, marker: int, start: int, end: int, *, ended: bool) -> list[tuple[int, int]]:
    """Bounds of the runs of a private key between `start` and `end`; none if what stands there is no key.

    One run a line, as long as lines are so. A key whose runs are short (as in an example) needs its last line; one whose
    runs are as long as real ones does not.
    """
    quote = text[marker - 1 : marker]
    quote = quote if quote in (b'"', b"'", b"`") and text[marker - 2 : marker] != quote * 2 else b""
    runs: list[tuple[int, int]] = []
    inside = True
    for line_start, line_end in _lines(text, start, end):
        found, inside, outside = _line_runs(text, line_start, line_end, quote, inside=inside)
        lengths = [stop - begin for begin, stop in found]
        if found and compiled(_KEY_HEADER).match(text, line_start, line_end):
            continue
        fits = outside <= _OUTSIDE_LETTERS and (
            len(found) <= 1
            or min(lengths[:-1]) >= _LONG_RUN
            or (ended and any(stop - begin >= _MIXED_RUN and _is_mixed(text[begin:stop]) for begin, stop in found))
        )
        if not fits or (not ended and runs and (not found or lengths[0] < _REST_RUN)):
            ended = False
            break
        runs += found
    if any(stop - begin >= _LONG_RUN for begin, stop in runs):
        return runs
    strange = compiled(_STRANGE)
    return runs if ended and not any(strange.search(text, *line) for line in _lines(text, start, end)) else []


def _lines(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Bounds of the lines between two positions, those of escaped line ends as well."""
    for match in compiled(_LINE_END).finditer(text, start, end):
        yield start, match.start()
        start = match.end()
    yield start, end


def _line_runs(
    text: bytes, start: int, end: int, quote: bytes, *, inside: bool
) -> tuple[list[tuple[int, int]], bool, int]:
    """The runs of one line that are in the string, whether the string goes on, and how many letters are outside of it."""
    runs: list[tuple[int, int]] = []
    outside = 0
    position = start
    for part in text[start:end].split(quote) if quote else [text[start:end]]:
        if position > start:
            inside = not inside
        if inside:
            runs += [(position + run.start("key"), position + run.end()) for run in compiled(_KEY_RUN).finditer(part)]
        else:
            outside += len(compiled(_LETTER).findall(part))
        position += len(part) + len(quote)
    return runs, inside, outside
