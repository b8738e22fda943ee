r"""Forms of keys that give a key away by themselves: prefixes, lengths, alphabets.

Belongs here: the table of forms. Does not belong here: finding and masking them (`code_index.core.secret_masks`), and
anything that guesses by randomness: hashes, UUIDs and data in base64 are no keys.

The forms are those of gitleaks 8 (MIT licence, config/gitleaks.toml) that need no word beside the key, and those that the
issuers document; docs/decisions/0013-keys-are-masked-by-their-form.md has the figures. Lengths are lower bounds where
the prefix says enough: issuers change them.

Time is linear in the text. Each pattern matches or gives up within a bounded number of bytes after its start, or
begins only where a run of the characters that it repeats begins. No pattern matches a mask or a line end.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import cache
from typing import Final

_ESCAPES: Final = (
    rb"\\[nrtbf0]",
    rb"%[0-9A-Fa-f]{2}",
    rb"\\x[0-9A-Fa-f]{2}",
    rb"\\u00[0-9A-Fa-f]{2}",
    rb"\[[0-9]m",
    rb"\[[0-9]{2}m",
)
_ONE: Final = rb"[A-Za-z0-9_-]|\[[^\]]+\]"
_LEAD: Final = re.compile(b"(?:" + _ONE + rb")+(?![?*+{])")


@cache
def compiled(pattern: bytes) -> re.Pattern[bytes]:
    """The pattern, compiled when it is first needed: all of them take longer than a command that finds nothing to do."""
    return re.compile(pattern)


def _not_after(characters: str, pattern: str) -> bytes:
    """The pattern, where it is not after one of the characters (if any), or only after those of an escape sequence.

    The characters that it begins with are compared first: looking back from each byte of a text takes a hundred times as long.
    """
    encoded = pattern.encode()
    if not characters:
        return encoded
    lead = found[0] if (found := _LEAD.match(encoded)) is not None else b""
    back = b".{%d})" % len(re.findall(_ONE, lead))
    places = [b"(?<![%b]" % characters.encode() + back, *(b"(?<=" + escape + back for escape in _ESCAPES)]
    return b"(?s:%b(?:%b))%b" % (lead, b"|".join(places), encoded[len(lead) :])


_FIRST: Final = rb"(?<![A-Za-z0-9])"
_ALPHANUMERIC: Final = "A-Za-z0-9"
_URL_SAFE: Final = r"A-Za-z0-9_-"
_BASE64: Final = r"A-Za-z0-9+/"
_HEX: Final = "a-f0-9"
_HEX_CASED: Final = "a-fA-F0-9"
_UPPER: Final = "A-Z0-9"


@dataclass(frozen=True, slots=True)
class Form:
    """One form of keys.

    `kind` names the key in its mask and in counts. Whatever `pattern` matches, `hint` matches in it within a word of at
    least `MIN_WORD` characters, which are those of `WORD_CHARACTERS`: at the beginning of a run of letters and
    digits, or with `within` anywhere.
    """

    kind: str
    hint: bytes
    pattern: bytes


@dataclass(frozen=True, slots=True)
class LiteralForm:
    """One form of keys that only texts with `literal` hold; its character `rare` is looked for first.

    The group `key` of `pattern`, or all of it, is masked.
    """

    kind: str
    literal: bytes
    pattern: bytes
    rare: bytes = b""


MIN_WORD: Final = 20
"""Every key of a form with a hint has a word of so many characters; shorter words are not looked at."""

WORD_CHARACTERS: Final = string.ascii_letters + string.digits + "_+/-"

_IN_WORDS: Final = frozenset(
    (_ALPHANUMERIC, _URL_SAFE, _BASE64, _HEX, _UPPER, _HEX_CASED, _BASE64 + "_", _BASE64 + "_-")
)


def _runs(kind: str, prefix: str, characters: str, length: int, *, exact: bool = False) -> Form:
    """A prefix and a run of at least, or exactly, `length` characters."""
    end = f"{{{length}}}(?![A-Za-z0-9])" if exact else f"{{{length},}}={{0,2}}"
    run = f"{prefix}[{characters}]"
    return _shape(kind, f"{run}{{{length}}}" if characters in _IN_WORDS else prefix, run + end)


def _shape(kind: str, hint: str, pattern: str, *, not_after: str = _ALPHANUMERIC, within: bool = False) -> Form:
    before = b"" if within else _FIRST
    return Form(kind, before + b"(?:%b)" % hint.encode(), _not_after(not_after, pattern))


FORMS: Final[tuple[Form, ...]] = (
    # Clouds.
    _runs("aws_access_key_id", "A(?:KIA|SIA|BIA|CCA)", _UPPER, 16, exact=True),
    _runs("aws_session_token", "(?:IQoJb3JpZ2lu|F[wQ]o[GD](?:ZXIv)?YXdz)", _BASE64, 50),
    _runs("aws_bedrock_key", "ABSK", _BASE64, 60),
    _runs("google_api_key", "AIza", _URL_SAFE, 30),
    _runs("google_client_secret", "GOCSPX-", _URL_SAFE, 20),
    _shape("google_refresh_token", "1//0", r"1//0[A-Za-z0-9_-]{35,}"),
    _shape(
        "azure_key",
        r"\+A(?:St|Sb|Eh|Rm|CDb)|A(?:IoT|z(?:Se|Fu|Ca))",
        r"[A-Za-z0-9+/]{33,76}(?:\+(?:ASt|ASb|AEh|ARm|ACDb)|AIoT|AzSe|AzFu|AzCa)[A-Za-z0-9+/]{5,6}={1,2}",
        not_after=_BASE64,
        within=True,
    ),
    _shape("azure_devops_token", "AZDO", r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}", within=True),
    _runs("alibaba_access_key", "LTAI", _ALPHANUMERIC, 16),
    _runs("digitalocean_token", "do[opr]_v1_", _HEX, 32),
    _runs("databricks_token", "dapi", _HEX, 32),
    _runs("heroku_key", "HRKU-AA", _URL_SAFE, 20),
    _runs("fly_token", "f(?:o1|m[12][ar]?)_", _BASE64 + "_-", 40),
    _runs("netlify_token", "nfp_", _ALPHANUMERIC, 30),
    _runs("render_key", "rnd_", _ALPHANUMERIC, 28),
    _runs("supabase_key", "sb(?:p|_secret)_", _URL_SAFE, 24),
    _runs("planetscale_token", "pscale_(?:tkn|oauth|pw)_", _URL_SAFE, 32),
    _shape("cloudflare_origin_key", "0-[a-f0-9]{24}-", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{100,}"),
    _runs("pulumi_token", "pul-", _HEX, 40),
    _runs("age_secret_key", "AGE-SECRET-KEY-1", _UPPER, 40),
    _runs("vercel_token", "vc[aikpr]_", _ALPHANUMERIC, 24),
    _shape("yandex_key", "AQVN[A-Za-z0-9_-]{35}", r"AQVN[A-Za-z0-9_-]{35,38}(?![A-Za-z0-9_-])"),
    _runs("tailscale_key", "tskey-[a-z]{2,12}-", _URL_SAFE, 16),
    # Git hosts, registries of packages.
    _runs("github_token", "g(?:h[pousr]|ithub_pat)_", "A-Za-z0-9_", 20),
    _runs("gitlab_token", "gl(?:pat|dt|rt|rtr|cbt|ptt|ft|imt|agent|oas|soat|ffct|wt)-", _URL_SAFE, 18),
    _runs("gitlab_token", "GR1348941", _URL_SAFE, 20),
    _runs("bitbucket_token", "ATBB", _ALPHANUMERIC, 24),
    _runs("atlassian_token", "AT[AC]TT3", _URL_SAFE, 40),
    _runs("npm_token", "npm_", _ALPHANUMERIC, 30),
    _runs("pypi_token", "pypi-AgE[A-Za-z0-9]", _URL_SAFE, 30),
    _runs("rubygems_key", "rubygems_", _HEX, 32),
    _runs("nuget_key", "oy2", "a-z0-9", 43, exact=True),
    _runs("crates_token", "cio", _ALPHANUMERIC, 32, exact=True),
    _runs("docker_token", "dckr_[po]at_", _URL_SAFE, 20),
    _runs("artifactory_key", "AKCp", _ALPHANUMERIC, 60),
    _runs("artifactory_key", "cmVmd", _ALPHANUMERIC, 59, exact=True),
    _runs("clojars_token", "CLOJARS_", _ALPHANUMERIC, 50),
    _runs("sourcegraph_token", "sgp_(?:[a-fA-F0-9]{16}_|local_)?", _HEX_CASED, 40),
    # Chat and mail.
    _shape("matrix_token", "syt_", r"syt_[A-Za-z0-9+/]{1,200}_[A-Za-z]{20}_[A-Za-z0-9]{6}"),
    _runs("fcm_token", "APA91b", _URL_SAFE, 100),
    _runs("slack_token", "xox[abeoprs][.-]", "A-Za-z0-9.-", 16),
    _runs("slack_token", "xapp-", "A-Za-z0-9-", 16),
    _shape(
        "slack_webhook", "services/T", r"services/T(?<=hooks\.slack\.com/services/T)[A-Za-z0-9/_]{16,}", not_after=""
    ),
    _shape(
        "slack_webhook",
        "(?:workflows|triggers)/",
        r"(?<=hooks\.slack\.com/)(?:workflows|triggers)/[A-Za-z0-9/_]{16,}",
        not_after="",
    ),
    _shape(
        "discord_webhook", "webhooks/[0-9]", r"webhooks/(?<=/webhooks/)[0-9]{15,21}/[A-Za-z0-9_-]{30,}", not_after=""
    ),
    _shape(
        "discord_token",
        "[MNO][DTjz][AEIMQUYcgk][wxyz0-5][A-Za-z0-9_-]{16}",
        r"[MNO][DTjz][AEIMQUYcgk][wxyz0-5][A-Za-z0-9_-]{19,25}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{25,}",
        not_after=_URL_SAFE,
    ),
    _shape("telegram_token", "AA[A-Za-z0-9_-]{30}", r"AA(?<=[0-9]{8}:AA)[A-Za-z0-9_-]{30,}", not_after=""),
    _shape(
        "teams_webhook",
        "(?:IncomingWebhook|webhookb2)/",
        r"(?<=\.webhook\.office\.com/)webhookb2/[a-zA-Z0-9@/_-]{30,}",
        not_after="",
    ),
    _runs("sendinblue_key", "x(?:keysib|smtpsib)-", "a-zA-Z0-9-", 40),
    _runs("mailgun_key", "key-", _HEX, 32, exact=True),
    _shape("mailchimp_key", "-us[0-9]", r"[0-9a-f]{32}-us[0-9]{1,2}(?![A-Za-z0-9])", not_after=_URL_SAFE, within=True),
    _runs("twilio_key", "SK", _HEX, 32, exact=True),
    # Payment and shops.
    _runs("razorpay_key", "rzp_(?:live|test)_", _ALPHANUMERIC, 14),
    _shape(
        "plaid_token",
        "access-(?:production|sandbox|development)-[a-f0-9]{8}-",
        r"access-(?:production|sandbox|development)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
    ),
    _runs("stripe_key", "[sr]k_(?:live|test|prod)_", _ALPHANUMERIC, 14),
    _runs("stripe_webhook_secret", "whsec_", _BASE64, 24),
    _runs("square_token", "sq0[a-z]{3}-", _URL_SAFE, 20),
    _runs("square_token", "EAAA[A-Z]", _URL_SAFE, 55),
    _runs("facebook_token", "EAA[A-Z]", _ALPHANUMERIC, 90),
    _runs("shopify_token", "shp(?:at|ca|pa|ss|tka|ua)_", _HEX_CASED, 24),
    _runs("flutterwave_key", "FLWSECK(?:_TEST)?-", "A-Za-z0-9-", 12),
    _runs("shippo_token", "shippo_(?:live|test)_", _HEX_CASED, 32),
    _runs("easypost_key", "EZ[AT]K", _ALPHANUMERIC, 54, exact=True),
    _runs("duffel_token", "duffel_(?:test|live)_", _URL_SAFE, 32),
    # Models.
    _runs("openai_key", "sk-(?:proj|svcacct|admin|None)-", _URL_SAFE, 20),
    _runs("anthropic_key", "sk-ant-", _URL_SAFE, 24),
    _runs("openrouter_key", "sk-or-(?:v1-)?", _ALPHANUMERIC, 32),
    _runs("openai_key", "sk-", _ALPHANUMERIC, 32),
    _runs("huggingface_token", "(?:hf|api_org)_", _ALPHANUMERIC, 30),
    _runs("groq_key", "gsk_", _ALPHANUMERIC, 40),
    _runs("xai_key", "xai-", _ALPHANUMERIC, 50),
    _runs("perplexity_key", "pplx-", _ALPHANUMERIC, 40),
    _runs("replicate_token", "r8_", _ALPHANUMERIC, 35),
    _runs("nvidia_key", "nvapi-", _URL_SAFE, 40),
    _runs("langsmith_key", "lsv2_(?:pt|sk)_", "A-Za-z0-9_", 32),
    # Other services.
    _runs("grafana_token", "(?:gl(?:c|sa)_|eyJrIjoi)", _BASE64 + "_", 32),
    _runs("new_relic_key", "NRAK-", _UPPER, 24),
    _runs("sentry_token", "sntry[su]_", _BASE64 + "_=", 40),
    _runs("postman_key", "PMAK-", "a-fA-F0-9-", 40),
    _runs("linear_key", "lin_(?:api|oauth)_", _ALPHANUMERIC, 32),
    _runs("notion_token", "ntn_[0-9]{11}", _ALPHANUMERIC, 30),
    _runs("notion_token", "secret_", _ALPHANUMERIC, 43, exact=True),
    _shape("airtable_token", "[a-f0-9]{64}", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    _runs("figma_token", "figd_", _URL_SAFE, 36),
    _runs("readme_key", "rdme_", "a-z0-9", 60),
    _runs("prefect_key", "pn[ub]_", _ALPHANUMERIC, 36),
    _runs("posthog_key", "phx_", _ALPHANUMERIC, 36),
    _runs("onepassword_token", "ops_eyJ", _BASE64, 60),
    _shape("onepassword_key", "A3-[A-Z0-9]{6}-", r"A3-[A-Z0-9]{6}-[A-Z0-9]{5,11}-[A-Z0-9-]{11,23}"),
    _shape(
        "jwt",
        "eyJ[A-Za-z0-9_-]{16}",
        r"eyJ[A-Za-z0-9_-]{14,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{10,}",
        not_after=_URL_SAFE,
    ),
    # The beginning of a private key in base64, as Kubernetes stores it.
    _runs(
        "private_key",
        "LS0tLS1CRUdJTi(?:BQUklWQVRF|BSU0EgUFJJ|BFQyBQUklW|BPUEVOU1NIIFBS|BFTkNSWVBURUQgUFJJ|BEU0EgUFJJ|BQR1AgUFJJ)",
        _BASE64,
        20,
    ),
)
"""Forms in runs of characters; the first that fits wins."""


def _any_hint() -> bytes:
    """A pattern that matches where a hint does; the place before most of them is looked at once, which is faster."""
    before = _FIRST
    firsts = [hint.removeprefix(before) for form in FORMS if (hint := form.hint).startswith(before)]
    others = [hint for form in FORMS if not (hint := form.hint).startswith(before)]
    return b"|".join([before + b"(?:%b)" % b"|".join(firsts), *others])


ANY_HINT: Final = _any_hint()
"""Matches where a hint of `FORMS` does."""

MIN_LONG_WORD: Final = 40
"""Texts with one of `LONG_FORMS` have a word of so many characters."""

LONG_FORMS: Final = (
    LiteralForm(
        "sendgrid_key",
        b"SG.",
        _not_after(_URL_SAFE, r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{40,}"),
    ),
    LiteralForm("vault_token", b"hvs.", _not_after(_ALPHANUMERIC, r"hvs\.[A-Za-z0-9_-]{40,}")),
    LiteralForm("vault_token", b"hvb.", _not_after(_ALPHANUMERIC, r"hvb\.[A-Za-z0-9_-]{40,}")),
    LiteralForm("google_access_token", b"ya29.", _not_after(_ALPHANUMERIC, r"ya29\.[A-Za-z0-9_-]{40,}")),
    LiteralForm("dynatrace_token", b"dt0c01.", _not_after(_ALPHANUMERIC, r"dt0c01\.[A-Z0-9]{24}\.[A-Za-z0-9]{40,}")),
    LiteralForm(
        "terraform_token",
        b".atlasv1.",
        _not_after(_ALPHANUMERIC, r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{40,}"),
    ),
    LiteralForm(
        "doppler_token",
        b"dp.",
        _not_after(_ALPHANUMERIC, r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
    ),
    LiteralForm(
        "azure_storage_key",
        b"AccountKey",
        rb"""AccountKey["']?[ \t]{0,4}[=:][ \t]{0,4}["']?(?P<key>[A-Za-z0-9+/]{40,}={0,2})""",
    ),
    LiteralForm(
        "azure_access_key",
        b"SharedAccessKey",
        rb"""SharedAccessKey["']?[ \t]{0,4}[=:][ \t]{0,4}["']?(?P<key>[A-Za-z0-9+/]{40,}={0,2})""",
    ),
    LiteralForm("wireguard_key", b"PrivateKey", rb"PrivateKey[ \t]{0,8}=[ \t]{0,8}(?P<key>[A-Za-z0-9+/]{43}=)"),
    LiteralForm(
        "private_key",
        b'"kty"',
        rb'"(?:d|p|q|dp|dq|qi|k)"[ \t]{0,8}:[ \t]{0,8}"(?P<key>[A-Za-z0-9_-]{20,})"',
    ),
    LiteralForm(
        "private_key",
        b"RSAKeyValue",
        rb"(?:<|&lt;|\\u003[cC])(?:D|P|Q|DP|DQ|InverseQ)(?:>|&gt;|\\u003[eE])\s{0,32}(?P<key>[A-Za-z0-9+/]{20,}={0,2})",
    ),
)
"""Forms whose runs are parted by other characters, or that a name before them gives away."""

MARKED_FORMS: Final = (
    LiteralForm(
        "azure_client_secret",
        b"Q~",
        _not_after("A-Za-z0-9_~.-", r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}(?![A-Za-z0-9_~-])"),
        rare=b"~",
    ),
    LiteralForm("openshift_token", b"sha256~", _not_after(_ALPHANUMERIC, r"sha256~[A-Za-z0-9_-]{40,}"), rare=b"~"),
    LiteralForm(
        "braintree_token",
        b"access_token$",
        rb"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}",
        rare=b"$",
    ),
)
"""Forms that words of any length may belong to, because a rare character parts them."""

NPM_TOKEN: Final = rb"""(?:/:_a|npmA)uthToken\\?["']?[ \t]{0,4}[:=][ \t]{0,4}\\?["']?(?P<key>[A-Za-z0-9+/=_.~-]{8,512})(?![A-Za-z0-9+/=_.~(\[-])"""
"""A token of any form as npm and Yarn name it: `//registry.example/:_authToken=...`, `npmAuthToken: ...`."""

SIGNATURE: Final = rb"[?&;]sig=(?P<key>[A-Za-z0-9+/%_-]{40,80}=?)"
"""The signature of a shared access signature of Azure, which is in a URL's query, escaped."""

_SECRET_NAME: Final = (
    rb"""[sS](?i:ecret[_-]?(?:access[_-]?)?key)["'\]]{0,2}[ \t]{0,20}(?:=>|[:=,(])[ \t]{0,20}["'`]{0,3}"""
)
AWS_SECRET_NAMED: Final = _SECRET_NAME + rb"(?P<key>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
"""A secret key of AWS, after the name that every tool gives it."""

AWS_SECRET_OF: Final = (
    rb"""[sS](?i:ecret)[A-Za-z0-9_.-]{0,32}\\?["'`\]]{0,2}[ \t]{0,20}(?:=>|[:=,(>]{1,2})[ \t]{0,20}\\?["'`]{0,3}"""
    rb"(?P<key>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
)
"""40 characters after a name with `secret`, which are a secret key of AWS if `AWS_NAME` is in the name as well."""

AWS_NAME: Final = rb"(?i:aws[A-Za-z0-9_.-]{0,32}secret|secret[A-Za-z0-9_.-]{0,32}aws)"

AWS_SECRET: Final = _not_after("A-Za-z0-9/+=", "[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
"""40 characters, which are a secret key of AWS beside the id of one."""

BASIC: Final = rb"[Bb]asic (?P<key>[A-Za-z0-9+/]{8,}={0,2})"
"""User and password in a header."""

BASIC_NAMED: Final = rb"""auth\\{0,3}["']?[ \t]{0,8}[:=][ \t]{0,8}\\{0,3}["']?(?P<key>[A-Za-z0-9+/]{8,}={0,2})"""
"""User and password as settings of Docker and npm hold them."""

CONNECTION_PASSWORD: Final = (
    rb"[pP](?<!\.[pP])(?<!->[pP])(?:ass[wW]ord|ASSWORD|[wW][dD])=(?![A-Za-z_]{1,64}\.[a-z_]{1,64}(?![A-Za-z0-9]))"
    rb"""(?P<key>(?:[^\s;"'`<>&\\]|&(?!quot;|apos;|#)){3,128})"""
)
"""A password in settings of a connection, if `CONNECTION_SERVER` is beside it in them; no attribute of an object."""

CONNECTION_SERVER: Final = (
    rb"(?i:server|data source|addr(?:ess)?|host|provider|driver|dsn|initial catalog|database|user id|uid|accountkey)"
    rb" ?= ?[^\s;]"
)

URL: Final = rb""":(?://|\\/\\/)[^\s"'`<>]{1,2000}"""
"""A URL from the colon of its scheme on."""

URL_PASSWORD: Final = rb"""(?P<before>:(?://|\\/\\/)[^\s/\\:@"'`<>(){}\[\],]{0,256}:)(?P<key>[^\s/\\"'`<>?]{1,256})@(?=[A-Za-z0-9_\[{$<%-])"""
"""A password in a URL: `scheme://user:password@host`."""

URL_PASSWORD_ANY: Final = rb""":(?://|\\/\\/)[^\s/\\:@."'`<>(){}\[\],]{0,256}:(?!/|[0-9]{1,5}[/?#])(?P<key>[^\s\\"'`<>@]{8,128})@(?=[A-Za-z0-9])"""
"""The same with `/` or `?` in the password, which then has to be mixed: as a rule a path or a query begins there
(the user has no dot, as hosts have)."""

URL_USER: Final = (
    rb"""(?<!ssh):(?://|\\/\\/)(?P<key>[A-Za-z0-9_.~-]{20,256})(?=:?(?:x-oauth-basic)?@(?!sha256:)[A-Za-z0-9\[{$<%-])"""
    rb"""(?!:?@[A-Za-z0-9.-]{0,64}sentry)"""
)
"""A token in place of a URL's user, which has to be mixed. That of Sentry's addresses is public,
that of SSH a name."""

URL_PARAMETER: Final = rb"""[?&;](?i:password|passwd|pwd)=(?P<key>[^\s&;"'`<>(){}$%]{3,128})"""

ACCESS_KEY_ID: Final = "aws_access_key_id"
AWS_SECRET_KIND: Final = "aws_secret_access_key"  # noqa: S105 - the name of a kind
SIGNATURE_KIND: Final = "azure_signature"
NPM_KIND: Final = "npm_token"
CONNECTION_KIND: Final = "connection_password"
BASIC_KIND: Final = "basic_credentials"
PRIVATE_KEY_KIND: Final = "private_key"
URL_KIND: Final = "url_password"
URL_USER_KIND: Final = "url_token"

KINDS: Final = frozenset(
    {form.kind for form in FORMS}
    | {form.kind for form in (*LONG_FORMS, *MARKED_FORMS)}
    | {
        AWS_SECRET_KIND,
        SIGNATURE_KIND,
        BASIC_KIND,
        CONNECTION_KIND,
        NPM_KIND,
        PRIVATE_KEY_KIND,
        URL_KIND,
        URL_USER_KIND,
    }
)
"""Kinds of keys; a mask is named after one."""
