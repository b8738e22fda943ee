"""Keys are masked wherever they stand in a text, and nothing else is."""

from __future__ import annotations

import base64
import re
import time
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from code_index.chunking import chunk_file
from code_index.core.secret_forms import FORMS, KINDS, LONG_FORMS, MARKED_FORMS, MIN_WORD, WORD_CHARACTERS
from code_index.core.secret_masks import mask_keys, mask_string, named_counts

# Characters of keys; put together here, so that no scanner takes this file for one with keys.
_MIXED = "7Qa9ZbX2kLm4Np8RsT1uVw3Yx5Cd6EfGhJ0iKlMnOpqrStUvWxyzA1B2C3D4E5F6G7H8I9" * 3
_UPPER = "Q7Z2X9KLM4NP8RST1UVW3YX5CD6EFGHJ0" * 2
_HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 3
_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
_BEGIN, _END = "-----BEGIN PRIVATE" + " KEY-----", "-----END PRIVATE" + " KEY-----"

SAMPLES = [
    ("aws_access_key_id", "AK" + "IAIOSFODNN7EXAMPLE"),
    ("aws_access_key_id", "AS" + "IA" + _UPPER[:16]),
    ("aws_session_token", "IQoJb3JpZ2lu" + _MIXED[:80]),
    ("aws_bedrock_key", "ABSK" + _MIXED[:110]),
    ("google_api_key", "AI" + "za" + _MIXED[:35]),
    ("google_client_secret", "GOCSPX-" + _MIXED[:28]),
    ("google_refresh_token", "1//0" + _MIXED[:60]),
    ("google_access_token", "ya29." + _MIXED[:80]),
    ("azure_key", _MIXED[:76] + "+ASt" + _MIXED[:6] + "=="),
    ("azure_devops_token", _MIXED[:76] + "AZDO" + _MIXED[:4]),
    ("azure_client_secret", "a1b8Q~" + _MIXED[:10] + ".~" + _MIXED[10:32]),
    ("alibaba_access_key", "LTAI" + _MIXED[:20]),
    ("digitalocean_token", "dop_v1_" + _HEX[:64]),
    ("databricks_token", "dapi" + _HEX[:32]),
    ("heroku_key", "HRKU-AA" + _MIXED[:58]),
    ("fly_token", "fm2_" + _MIXED[:100]),
    ("netlify_token", "nfp_" + _MIXED[:36]),
    ("render_key", "rnd_" + _MIXED[:32]),
    ("supabase_key", "sbp_" + _HEX[:40]),
    ("planetscale_token", "pscale_tkn_" + _MIXED[:43]),
    ("cloudflare_origin_key", "v1.0-" + _HEX[:24] + "-" + _HEX[:146]),
    ("pulumi_token", "pul-" + _HEX[:40]),
    ("age_secret_key", "AGE-SECRET-KEY-1" + _UPPER[:58]),
    ("vercel_token", "vcp_" + _MIXED[:48]),
    ("yandex_key", "AQVN" + _MIXED[:36]),
    ("matrix_token", "syt_" + "YWxpY2U_" + "abcdefghijKLMNOPQRST" + "_1a2B3c"),
    ("fcm_token", "APA91b" + _MIXED[:134]),
    ("razorpay_key", "rzp_" + "live_" + _MIXED[:14]),
    ("plaid_token", "access-" + f"production-{uuid.UUID(_HEX[:32])}"),
    ("plaid_token", "access-" + f"sandbox-{uuid.UUID(_HEX[:32])}"),
    ("npm_token", f"//registry.example/:_authToken={uuid.UUID(_HEX[:32])}"),
    ("npm_token", "npmAuthToken: " + _MIXED[:36]),
    ("url_token", f"https://{_MIXED[:24]}@github.example"),
    ("url_token", f"https://{_HEX[:40]}:x-oauth-basic@github.com/a/b.git"),
    ("connection_password", "Server=db;Database=a;User Id=sa;Password=" + _MIXED[:12] + ";"),
    ("connection_password", "Driver={ODBC};SERVER=db;UID=sa;PWD=" + _MIXED[:12]),
    ("connection_password", "Password=" + _MIXED[:12] + ";Data Source=db"),
    ("connection_password", "AccountKey=abc;Pwd=" + _MIXED[:12] + ";"),
    ("aws_secret_access_key", "AWS_SECRET=" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"),
    ("aws_secret_access_key", "awsSecretToken: " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"),
    ("aws_secret_access_key", "secret.aws => '" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY'"),
    ("basic_credentials", '{"auths": {"a": {"auth": "' + base64.b64encode(b"Aladdin:open sesame").decode() + '"}}}'),
    ("private_key", f"<RSAKeyValue><Modulus>AAAA</Modulus><D>{_MIXED[:170]}==</D></RSAKeyValue>"),
    ("tailscale_key", "tskey-auth-" + _MIXED[:40]),
    ("terraform_token", _MIXED[:14] + ".atlasv1." + _MIXED[:67]),
    ("vault_token", "hvs." + _MIXED[:95]),
    ("doppler_token", "dp.pt." + _MIXED[:43]),
    ("github_token", "gh" + "p_" + _MIXED[:36]),
    ("github_token", "gh" + "s_" + _MIXED[:36]),
    ("github_token", "github_" + "pat_" + _MIXED[:22] + "_" + _MIXED[:59]),
    ("gitlab_token", "gl" + "pat-" + _MIXED[:20]),
    ("gitlab_token", "GR" + "1348941" + _MIXED[:20]),
    ("bitbucket_token", "ATBB" + _MIXED[:32]),
    ("atlassian_token", "ATATT3" + _MIXED[:180] + "=" + _UPPER[:8]),
    ("npm_token", "npm_" + _MIXED[:36]),
    ("pypi_token", "pypi-AgEIcHlwaS5vcmc" + _MIXED[:120]),
    ("rubygems_key", "rubygems_" + _HEX[:48]),
    ("nuget_key", "oy2" + _HEX[:43]),
    ("crates_token", "cio" + _MIXED[:32]),
    ("docker_token", "dckr_pat_" + _MIXED[:27]),
    ("artifactory_key", "AKCp" + _MIXED[:69]),
    ("clojars_token", "CLOJARS_" + _HEX[:60]),
    ("sourcegraph_token", "sgp_" + _HEX[:40]),
    ("slack_token", "xox" + "b-1234567890123-1234567890123-" + _MIXED[:24]),
    ("slack_token", "xapp-1-A0123456789-1234567890123-" + _HEX[:64]),
    ("slack_webhook", "https://hooks.slack.com/" + "services/T01234567/B01234567/" + _MIXED[:24]),
    ("discord_webhook", "https://discord.com/api/" + "webhooks/123456789012345678/" + _MIXED[:68]),
    ("discord_token", base64.b64encode(b"123456789012345678").decode() + ".GaBcDe." + _MIXED[:38]),
    ("telegram_token", "1234567890:AA" + _MIXED[:33]),
    (
        "teams_webhook",
        f"https://e.webhook.office.com/webhookb2/{uuid.UUID(int=7)}@{uuid.UUID(int=9)}/IncomingWebhook/{_HEX[:32]}/1",
    ),
    ("sendgrid_key", "SG." + _MIXED[:22] + "." + _MIXED[:43]),
    ("sendinblue_key", "xkeysib-" + _HEX[:64] + "-" + _MIXED[:16]),
    ("mailgun_key", "key-" + _HEX[:32]),
    ("mailchimp_key", _HEX[:32] + "-us12"),
    ("twilio_key", "SK" + _HEX[:32]),
    ("stripe_key", "sk_" + "live_" + _MIXED[:24]),
    ("stripe_key", "rk_" + "test_" + "abcdefghijklmnopqrstuvwx"),
    ("stripe_webhook_secret", "whsec_" + _MIXED[:32]),
    ("square_token", "sq0atp-" + _MIXED[:22]),
    ("facebook_token", "EAAC" + _MIXED[:120]),
    ("shopify_token", "shp" + "at_" + _HEX[:32]),
    ("flutterwave_key", "FLWSECK_TEST-" + _HEX[:32] + "-X"),
    ("shippo_token", "shippo_live_" + _HEX[:40]),
    ("easypost_key", "EZAK" + _MIXED[:54]),
    ("duffel_token", "duffel_live_" + _MIXED[:43]),
    ("braintree_token", "access_token$production$" + _HEX[:16] + "$" + _HEX[:32]),
    ("openai_key", "sk-" + "proj-" + _MIXED[:74]),
    ("openai_key", "sk-" + _MIXED[:20] + "T3BlbkFJ" + _MIXED[:20]),
    ("anthropic_key", "sk-ant-" + "api03-" + _MIXED[:93] + "AA"),
    ("openrouter_key", "sk-or-v1-" + _HEX[:64]),
    ("huggingface_token", "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"),
    ("groq_key", "gsk_" + _MIXED[:52]),
    ("xai_key", "xai-" + _MIXED[:80]),
    ("perplexity_key", "pplx-" + _MIXED[:48]),
    ("replicate_token", "r8_" + _MIXED[:37]),
    ("nvidia_key", "nvapi-" + _MIXED[:64]),
    ("langsmith_key", "lsv2_pt_" + _HEX[:32] + "_" + _HEX[:10]),
    ("grafana_token", "glsa_" + _MIXED[:32] + "_" + _HEX[:8]),
    ("new_relic_key", "NRAK-" + _UPPER[:27]),
    ("sentry_token", "sntryu_" + _HEX[:64]),
    ("postman_key", "PMAK-" + _HEX[:24] + "-" + _HEX[:34]),
    ("linear_key", "lin_api_" + _MIXED[:40]),
    ("notion_token", "secret_" + _MIXED[:43]),
    ("airtable_token", "pat" + _MIXED[:14] + "." + _HEX[:64]),
    ("figma_token", "figd_" + _MIXED[:40]),
    ("readme_key", "rdme_" + _HEX[:70]),
    ("prefect_key", "pnu_" + _MIXED[:36]),
    ("posthog_key", "phx_" + _MIXED[:43]),
    ("openshift_token", "sha256~" + _MIXED[:43]),
    ("onepassword_token", "ops_eyJ" + _MIXED[:200]),
    ("onepassword_key", f"A3-{_UPPER[:6]}-{_UPPER[6:12]}-{_UPPER[:5]}-{_UPPER[5:10]}-{_UPPER[10:15]}-{_UPPER[15:20]}"),
    ("jwt", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ" + _MIXED[:40] + "." + _MIXED[:43]),
    ("dynatrace_token", "dt0c01." + _UPPER[:24] + "." + _UPPER[:64]),
    ("azure_storage_key", "AccountName=a;AccountKey=" + _MIXED[:86] + "=="),
    ("azure_access_key", "SharedAccessKey=" + _MIXED[:43] + "="),
    ("azure_signature", "https://a.blob.core.windows.net/b?sv=2022&sig=" + _MIXED[:20] + "%2B" + _MIXED[20:42] + "%3D"),
    ("aws_secret_access_key", "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"),
    ("basic_credentials", "Authorization: Basic " + base64.b64encode(b"Aladdin:open sesame").decode()),
    ("wireguard_key", "PrivateKey = " + _MIXED[:43] + "="),
    ("url_password", "postgres://admin:" + "s3cr3t-w0rd" + "@db.example.com:5432/shop"),
    ("private_key", "LS0tLS1CRUdJTi" + "BQUklWQVRFIEtFWS0tLS0t" + _MIXED[:80]),
]
# Around a key: nothing that could be a part of it.
_CONTEXTS = (
    '"{}"', "'{}'", "`{}`", "x = {}", "{}", "key: {}\n", "({})", "<a>{}</a>", "# {}\n", "{},", "a\\n{}\\nb", '"\\u001b[31m{}\\u001b[0m"',
    "\t{}\r\n", "\n\n{}\n", "é{}é", "[{}]", "{};",
)  # fmt: skip


def _secret_part(sample: str) -> str:
    """The longest run of the sample, which must not stay in any text."""
    return max(re.findall(r"[A-Za-z0-9]+", sample), key=len)


@pytest.mark.parametrize(("kind", "sample"), SAMPLES, ids=[f"{kind}-{at}" for at, (kind, _) in enumerate(SAMPLES)])
def test_a_key_is_masked_in_every_context(kind: str, sample: str) -> None:
    for context in _CONTEXTS:
        text = context.replace("{}", sample)
        masked = mask_keys(text.encode())
        assert masked.masked == {kind: 1}, text
        assert f"masked_{kind}".encode() in masked.text
        part = sample.partition("admin:")[2].partition("@")[0] if kind == "url_password" else _secret_part(sample)
        assert part.encode() not in masked.text


def test_every_kind_has_a_sample() -> None:
    assert {kind for kind, _ in SAMPLES} == KINDS


def test_each_form_is_in_words_that_the_quick_look_takes_up() -> None:
    for kind, sample in SAMPLES:
        forms = [form for form in FORMS if form.kind == kind and re.search(form.pattern, sample.encode())]
        words = [word for word in re.findall(f"[{re.escape(WORD_CHARACTERS)}]+", sample) if len(word) >= MIN_WORD]
        for form in forms:
            assert any(re.search(form.hint, word.encode()) for word in words), (kind, form.hint)
    assert {form.kind for form in (*LONG_FORMS, *MARKED_FORMS)} <= KINDS


@pytest.mark.parametrize(
    "text",
    [
        f"KEY = '''{_BEGIN}\n{_BODY}\n{_BODY}\nabc=\n{_END}'''\n",
        f'key = "{_BEGIN}\\n{_BODY}\\n{_BODY[:20]}\\n{_END}\\n"\n',
        f'{{"type": "service_account", "private_key": "{_BEGIN}\\nMIIEv\\n{_END}\\n"}}\n',
        f"cat <<EOF > key.pem\n{_BEGIN}\n{_BODY}\n{_END}\nEOF\n",
        f'key = ("{_BEGIN}\\n"\n       "{_BODY}\\n"\n       b"{_BODY[:12]}==\\n"\n       "{_END}")\n',
        f'String k = "{_BEGIN}\\n" +\n  "{_BODY}\\n" +\n  "{_BODY[:9]}=\\n" +\n  "{_END}";\n',
        f"tls:\n  key: |\n    {_BEGIN}\n    {_BODY}\n    {_BODY}\n    {_END}\n  port: 1\n",
        f"# {_BEGIN}\n# {_BODY}\n# {_BODY[:30]}\n# {_END}\n",
        f"// {_BEGIN}\n//{_BODY}\n//{_BODY[:30]}\n// {_END}\n",
        f"+{_BEGIN}\n+{_BODY}\n+{_BODY[:30]}\n+{_END}\n",
        f'["{_BEGIN}\\n",\n "{_BODY}\\n",\n "{_BODY[:30]}\\n",\n "{_END}"]\n',
        f"KEY={_BEGIN} {_BODY} {_BODY} {_BODY[:10]}= {_END}\n",
        f"{_BEGIN}\r\n{_BODY}\r\n{_END}\r\n",
        f"x\n{_BEGIN}\n{_BODY}\n{_BODY}\n{_BODY}\n\nthe end is missing\n",
        _BEGIN.replace("PRIVATE", "RSA PRIVATE")
        + f"\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{_BODY}\n"
        + _END.replace("PRIVATE", "RSA PRIVATE"),
        _BEGIN.replace("PRIVATE KEY", "PGP PRIVATE KEY BLOCK")
        + f"\nVersion: GnuPG v2\n\n{_BODY}\n=aB3d\n"
        + _END.replace("PRIVATE KEY", "PGP PRIVATE KEY BLOCK"),
        f"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\n{_BODY}\nPrivate-MAC: 0a\n",
        "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\nMIIEvAbC\nPrivate-MAC: 0a\n",
        f"KEY={_BEGIN} MIIEvQIB ADANBgkq hkiG9w0B {_END}\n",
        f'<key value="{_BEGIN}&#10;MIIEvQIB&#10;ADANBgkq&#xA;hkiG9w0B&#10;{_END}&#10;"/>\n',
    ],
)
def test_a_private_key_is_masked_in_whatever_it_is_written_in_and_the_lines_stay(text: str) -> None:
    masked = mask_keys(text.encode())
    assert masked.masked == {"private_key": 1}
    found = masked.text.decode()
    assert "MII" not in found
    assert _BODY[20:30] not in found
    assert found.count("\n") == text.count("\n")
    assert mask_keys(masked.text).text == masked.text


def test_the_private_part_of_a_json_web_key_is_masked() -> None:
    text = f'{{"kty": "EC", "crv": "P-256", "x": "{_MIXED[:43]}", "d": "{_MIXED[10:53]}"}}'
    masked = mask_keys(text.encode())
    assert masked.text.decode() == f'{{"kty": "EC", "crv": "P-256", "x": "{_MIXED[:43]}", "d": "masked_private_key"}}'


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("https://user:hunter2@example.com/a", "hunter2"),
        ("redis://:p4ss@localhost:6379/0", "p4ss"),
        ("mongodb+srv://u:a%40b@cluster.example.net", "a%40b"),
        ("amqp://guest:guest@rabbit", "guest"),
        ("postgres://u:pa@ss@host/db", "pa@ss"),
        ("postgres://u:$5trong@host/db", "$5trong"),
        ("postgres://u:$ecret-w0rd!@host/db", "$ecret-w0rd!"),
        ("postgres://u:aB3/x?dE5@host/db", "aB3/x?dE5"),
        ("mysql:\\/\\/root:t00r@db\\/x", "t00r"),
        ("https://oauth2:abc123def@${HOST}/x.git", "abc123def"),
        ("jdbc:mysql://host/db?user=root&password=hunter2&ssl=true", "hunter2"),
        ("jdbc:sqlserver://host;user=sa;password=hunter2;", "hunter2"),
    ],
)
def test_a_password_in_a_url_is_masked_and_the_rest_stays(url: str, password: str) -> None:
    masked = mask_keys(f'DSN = "{url}"\n'.encode())
    assert masked.text.decode() == f'DSN = "{url.replace(password, "masked_url_password", 1)}"\n'.replace(
        "masked_url_password:guest", "guest:masked_url_password"
    )


@pytest.mark.parametrize(
    "text",
    [
        "postgres://user:$PASSWORD@host postgres://user:${DB_PASS}@host",
        "https://user:%s@host https://user:%(password)s@host https://%USER%:%PASS%@host",
        "https://{user}:{password}@host https://user:<password>@host",
        "https://user:password@host https://user:pass@host https://USER:PASSWORD@host https://u:your_password@host",
        "https://user:****@host https://user:xxxx@host https://user:@host https://user@host",
        "git@github.com:org/repository.git ssh://git@host:22/x http://localhost:8080/a@b http://[::1]:80/",
        "https://user:secret@host https://user:passwd@host postgres://$U:$P@$H/x amqp://u:$1@host amqp://u:$$PASS@host",
        "//registry.example/:_authToken=${NPM_TOKEN} //r/:_authToken=$TOKEN //r/:_authToken=YOUR_TOKEN npmAuthToken: token",
        "https://a-service-account-of-the-project-2@host https://a1b2c3@host",
        "https://" + _HEX[:32] + "@o1.ingest.sentry.io/1 git+https://github.com:org/repository1A@v1",
        "https://host:8080/aB1/c@d http://localhost:3000?aB1=c@d file://C:/Aa1/b@2x.png",
        "Server=db;Password=password; Server=db;Pwd={0}; Server=db;Password=$(pw);x Server=db;Pwd=%PW%;",
        "Server=db\nPassword=hunter2;\n f(host=host, password=hunter2); password=read();",
        "s.host=r.host;s.password=hunter2;x password=other.password;host=h; $a->password=hunter2;host=h;",
        "ssh://687fb701029421ae5549d998@ssh.example",
        "aws_secret = " + _HEX[:40] + " secret = " + _MIXED[:40],
        'auth: required "auth": "password" auth=authentication',
        f"<D>{_MIXED[:100]}</D>",
        "access-production-servers syt_short vcp_short AQVNshort rzp_live_x APA91b",
        f"{_BEGIN} put your own key Number1 here {_END}",
        "docker://alpine:3.12@sha256:9f86d081884c7d65",
        "https://host/?q=a:b@c f(password=value) login(user, password=secret, url='http://x')",
        "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b and sha256:" + _HEX[:64],
        f"{uuid.UUID(int=2**100)} data:image/png;base64,iVBORw0KGgo{_MIXED}",
        "integrity sha512-" + _MIXED[:86] + "==",
        "AKIA AKIASHORT ghp_short sk_live_ xoxb- glpat-token AIzaShort eyJhbGciOiJIUzI1NiJ9",
        "task-management-of-the-whole-organisation risk-assessment-for-new-customers",
        "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ" + _MIXED + " user@host",
        "-----BEGIN CERTIFICATE-----\n" + _BODY + "\n-----END CERTIFICATE-----",
        "-----BEGIN PUBLIC KEY-----\n" + _BODY + "\n-----END PUBLIC KEY-----",
        f'if "{_BEGIN}" in text and "{_END}" in text: pass',
        f'x = "{_BEGIN}" + body + "{_END}"',
        f'x = f"{_BEGIN}\\n{{body}}\\n{_END}"',
        f'PEM = re.compile(r"{_BEGIN}(.+?){_END}")',
        f"{_BEGIN}\n...\n{_END}",
        f"{_BEGIN}\n<your key>\n{_END}",
        f"{_BEGIN}\nput your own key here\n{_END}",
        f'BEGIN = "{_BEGIN}"\n\n\ndef long_function(): return "{_HEX[:64]}"\n\n\nEND = "{_END}"\n',
        "Basic authentication, Basic types, basic structures and Basic understanding",
        "PrivateKey = load(path)  AccountKey = account_key  SharedAccessKey=<key>",
        "secret_key = settings.SECRET_KEY  aws_secret_access_key=os.environ['AWS_SECRET_ACCESS_KEY']",
        "masked_github_token masked_private_key https://user:masked_url_password@host",
    ],
)
def test_what_only_looks_like_a_key_stays(text: str) -> None:
    assert mask_keys(text.encode()).text.decode() == text


def test_a_secret_key_of_aws_is_masked_beside_the_id_of_one() -> None:
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY"
    beside = mask_keys(f"{SAMPLES[0][1]},{secret}\n".encode())
    assert beside.masked == {"aws_access_key_id": 1, "aws_secret_access_key": 1}
    assert mask_keys(f"x,{secret}\n".encode()).masked == {}
    assert mask_keys(f"{SAMPLES[0][1]},{_HEX[:40]}\n".encode()).masked == {"aws_access_key_id": 1}


_GLUE = ("\n", "\r\n", '"', "'", " ", "=", "# ", "// ", "+", "{", "word", "é", "\\", "\\n", "/", "://", "@", ":", "?", "password=", "Basic ", "%", "[", "masked_jwt", "AKIA", "eyJ")  # fmt: skip
_PIECES = st.sampled_from(
    [_BEGIN, _END, _BODY, _MIXED[:40], _HEX[:32], *_GLUE, *(sample for _, sample in SAMPLES[::4])]
)


@given(st.lists(_PIECES, max_size=30).map("".join))
def test_masking_twice_is_masking_once_and_no_line_is_lost(text: str) -> None:
    once = mask_keys(text.encode())
    twice = mask_keys(once.text)
    assert twice.text == once.text
    assert re.findall(rb"\r|\n", once.text) == re.findall(rb"\r|\n", text.encode())
    assert bool(once.masked) == (once.text.decode() != text)


@given(st.text(max_size=60))
def test_any_string_can_be_masked(text: str) -> None:
    masked, counts = mask_string(text)
    assert (masked == text) == (not counts)


def test_counts_are_named_for_people() -> None:
    assert named_counts({"url_password": 1, "github_token": 2}) == "2 github token, 1 url password"


_HOSTILE = [
    _BEGIN + "\n", "-----BEGIN A A A A ", _END, "://", "://a:", "://a:b@", "https://u:p", "eyJ", "eyJ-", "eyJa.", "ghp_", "SG.", "SG.aaaaaaaaaaaaaaaaaaaa.",
    "sk-", "xoxb-", "AKIA", "A" * 19 + " ", SAMPLES[0][1] + ",", "=", "+/", "a-", "\\n", "%41", "password=", "?password=", ";sig=", "sig=%", "Basic ",
    "secret_key = ", "AccountKey=", "hvs.", ".atlasv1.", "Q~", "~8Q~", "[31m", "\\x41", "A3-AAAAAA-", "MTIz", '"d": "', "-us1", "v1.0-", "Pwd=abc;", "Server=a;", "Server=a;Pwd=abc;", "auth=", "auth:YTpi", "/:_authToken=", "npmAuthToken:",
    "aws_secret=", "secret", "://a:$a.", "://a:A1/b", "://aA1aaaaaaaaaaaaaaaaaa@", "<D>AAAA", "syt_a_", "&#10;", "$a.$a.", "0-" + _HEX[:24] + "-",
]  # fmt: skip


def _processor_s(text: bytes) -> float:
    started = time.process_time()
    mask_keys(text)
    return time.process_time() - started


@pytest.mark.parametrize("piece", _HOSTILE)
def test_the_work_grows_with_the_length_of_a_hostile_text_and_not_with_its_square(piece: str) -> None:
    lead = f'{SAMPLES[0][1]} {_MIXED} "kty" '.encode()  # what makes all forms be looked for
    small = lead + piece.encode() * (4_000 // len(piece))
    large = lead + piece.encode() * (32_000 // len(piece))
    # 8 times the length: 64 times the work if it grew with the square.
    assert min(_processor_s(large) for _ in range(2)) < 30 * max(min(_processor_s(small) for _ in range(3)), 0.0005)


def test_a_file_of_a_megabyte_of_keys_is_masked() -> None:
    sample = (SAMPLES[0][1] + "\n").encode()
    masked = mask_keys(sample * (1_048_576 // len(sample)))
    assert masked.masked == {"aws_access_key_id": 1_048_576 // len(sample)}


def test_names_lines_and_trees_are_those_of_the_text_without_keys() -> None:
    token = "gh" + "p_" + _MIXED[:36]
    source = (
        f'"""Uses {token}."""\n\nimport {token}\n\n\ndef {token}(a, b="{token}"):\n    """Calls {token}."""\n'
        f'    key = """{_BEGIN}\n{_BODY}\n{_END}"""\n    return key\n\n\nclass After:\n    x = 1\n'
    )
    chunks = chunk_file(source.encode(), file_path="a.py", file_hash="0", language="python")
    assert not any(token in repr(chunk) or _BODY in repr(chunk) for chunk in chunks)
    named = {chunk.qualified_name: chunk for chunk in chunks}
    function = named["masked_github_token"]
    assert (function.function_name, function.start_line, function.end_line) == ("masked_github_token", 6, 11)
    assert function.docstring == "Calls masked_github_token."
    assert (named["After"].start_line, named["After"].end_line) == (14, 15)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_keys_are_masked_in_files_of_every_encoding(encoding: str) -> None:
    content = f'name = "Müller"\ntoken = "{SAMPLES[0][1]}"\n'.encode(encoding)
    chunks = chunk_file(content, file_path="a", file_hash="0", language="toml")
    assert "masked_aws_access_key_id" in "".join(chunk.content for chunk in chunks)
    assert not any(SAMPLES[0][1] in repr(chunk) for chunk in chunks)


@pytest.mark.parametrize(
    "language", ["jupyter", "json", "yaml", "markdown", "html", "toml", "sql", "dockerfile", "csv", "bash", "text"]
)
def test_keys_are_masked_in_every_format(language: str) -> None:
    token = SAMPLES[0][1]
    content = {
        "jupyter": '{"cells": [{"cell_type": "code", "source": ["k = \\"%s\\"\\n"], "outputs": [{"text": ["%s\\n"]}]}]}',
        "json": '{"a": "%s", "b": {"%s": 1}}',
        "yaml": "a: %s\n%s: 1\n",
        "markdown": "# Use %s\n\n    %s\n",
        "html": "<h1 id='%s'>%s</h1>",
        "toml": '[a]\nk = "%s"\n[%s]\n',
        "sql": "create table t (k text default '%s');\n-- %s\n",
        "dockerfile": "FROM a\nENV K=%s\nRUN echo %s\n",
        "csv": "k,v\n%s,%s\n",
        "bash": "export K=%s\nf() { echo %s; }\n",
        "text": "%s %s\n",
    }[language] % (token, token)
    chunks = chunk_file(content.encode(), file_path="a", file_hash="0", language=language)
    assert chunks
    assert not any(token in repr(chunk) for chunk in chunks)
    assert any("masked_aws_access_key_id" in chunk.content for chunk in chunks)
