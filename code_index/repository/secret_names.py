"""Names of files that are likely to hold secrets.

Belongs here: tables of such names and the question whether one is in them. Does not belong here: keys in the contents of
files that are indexed (`code_index.core.secret_masks`).

Source code is no secret by its name (`secrets.py`, `credentials.go`); a file without an extension, or with one of data, is.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

SECRET_FOLDERS: Final = frozenset({".ssh", ".gnupg", ".password-store", ".secrets"})

_SOURCE: Final = frozenset(
    [
        "py",
        "pyi",
        "js",
        "mjs",
        "cjs",
        "ts",
        "tsx",
        "jsx",
        "vue",
        "svelte",
        "go",
        "java",
        "kt",
        "scala",
        "groovy",
        "c",
        "h",
        "cc",
        "cpp",
        "hpp",
        "cs",
        "fs",
        "rs",
        "rb",
        "swift",
        "m",
        "lua",
        "dart",
        "ex",
        "exs",
        "hs",
        "sql",
        "proto",
        "md",
        "rst",
        "adoc",
        "html",
        "css",
        "scss",
        "less",
        "po",
    ]
)
_DATA: Final = (
    r"(?:jsonc?|json5|ya?ml|ini|toml|xml|txt|csv|properties|cfg|conf|config|enc|env|db|hcl|hocon|edn|plist|dhall|jsonnet"
    r"|tfvars|gpg|pgp|age|sops|bak|old|orig)"
)
_COPY: Final = (
    r"(?:~|[._-](?:bak|backup|old|orig|save|copy|swp|[0-9]+))?"  # what editors and careful people add to a name
)
# Keys, and stores of keys: skipped whatever else the name says.
_KEY_FILE: Final = (
    r"(?:.+\.(?:pem|key|p12|pfx|pkcs12|p8|jks|jceks|bks|keystore|ppk|kdbx?|psafe3|agilekeychain|opvault|keychain(?:-db)?"
    r"|bek|ovpn|agekey|keytab|kwallet|rdp|publishsettings|mobileprovision|passwd|password|tfstate(?:\..*)?)"
    r"|\.(?:pem|key|keystore)|(?:.*[._-])?id_(?:rsa|dsa|ecdsa|ed25519|xmss)(?:_sk)?|[^.]+[_-](?:rsa|dsa|ecdsa|ed25519)"
    r"|ssh_host_[^.]+_key|(?:secring|trustdb)\.(?:gpg|asc)"
    r"|.*private.*\.(?:asc|gpg|pgp)|g?shadow-?|krb5cc_.*|\.?vault[-_]pass.*|passwords?\.(?:csv|txt)|passwd)"
    rf"{_COPY}"
)
# Settings of tools that hold keys, and files that people call secret; an example of one is indexed (`_EXAMPLE`).
_SECRET: Final = (
    r"(?:\.env.*|.+\.env|\.(?:token|password|passwd|pwd|secret|apikey|api_key)"
    rf"|[._]?credentials?(?:\.{_DATA})*|(?:.*[._-])?credentials?(?:\.{_DATA})+|[a-z]+[_-]credentials"
    rf"|[._]?secrets?(?:\.{_DATA})*|(?:.*[._-])?secrets?(?:\.{_DATA})+"
    r"|(?:.*[._-])?(?:api[_-]?key|(?:access|auth|api|github|gitlab)[_-]?token)s?(?:\.txt|\.json)?|token\.(?:txt|json)"
    r"|(?:.*[._-])?(?:deploy|private|ssh|signing)[_-]?key(?:\.txt)?|(?:.*[._-])?(?:recovery|backup)[ _-]?codes?(?:\.txt)?"
    r"|rootkey\.csv|.*access[ _-]?keys?.*\.csv|wg(?:[0-9]+|[._-].*)?\.conf|(?:keystore|key|signing)\.properties"
    r"|env\.(?:prod(?:uction)?|stag(?:e|ing)|dev(?:elopment)?|test|local)(?:\.local)?|\.dev\.vars(?:\..*)?"
    r"|\.sentryclirc|\.pam_environment"
    r"|client_secrets?.*\.json|(?:.*[._-])?service[-_]?account.*\.json|application_default_credentials.*\.json"
    r"|.*firebase-adminsdk.*\.json|(?:gcloud|gcp|firebase)[-_]key.*\.json|kaggle\.json|\.clasprc\.json"
    r"|(?:.*\.)?tfvars(?:\.json)?|\.terraformrc|terraform\.rc|credentials\.tfrc(?:\.json)?"
    r"|[._]netrc(?:\.gpg)?|\.?authinfo(?:\.gpg)?|\.pgpass|pgpass\.conf|\.my(?:login)?\.cnf|\.pypirc|\.npmrc|\.gitcookies"
    r"|\.git-credentials|\.docker-?(?:cfg|config(?:\.?json)?)|\.vault-token|kubeconfig.*|.*[._-]kubeconfig|\.databrickscfg"
    r"|\.s3cfg|\.boto|\.passwd-s3fs|\.?rclone\.conf|ngrok\.yml|\.?local\.settings\.json|connectionstrings?\.(?:config|json)"
    r"|\.?ht(?:passwd|digest)|\.(?:fetchmail|e?smtp|msmtp|mutt|offlineimap|getmail|mbsync|lftp|ldap)rc|\.ftppass"
    r"|\.ftpconfig|\.?sftp(?:-config)?\.json|\.remote-sync\.json|winscp\.ini|(?:filezilla|recentservers|sitemanager)\.xml"
    r"|robomongo\.json|\.(?:robo)?mongorc\.js|credentials-config\.json|settings-security\.xml|\.rhosts"
    r"|wp-config.*\.php|localsettings\.php"
    r"|\.[\w.-]*history|\.?fish_history|consolehost_history\.txt|\.dbshell|\.lesshst|[._]viminfo|\.histfile)"
    rf"{_COPY}"
)
_EXAMPLE: Final = r"(?:.*[._-])?(?:examples?|samples?|templates?|tmpl|tpl|dist|skel(?:eton)?|schema)(?:[._-].*)?|.*\.defaults?(?:\..*)?"
"""A word in the name of a file that shows which settings there are, such as `.env.example`. It is indexed, with its keys
masked (`code_index.core.secret_masks`)."""
# Names that say nothing by themselves, by the folder that the file lies in; "" is the repository's top.
_SECRET_IN: Final = {
    folder: f"(?:{names}){_COPY}"
    for folder, names in {
        "": r"auth\.json|configuration\.php",  # Composer, Joomla; below, such files are translations and code
        ".docker": r"config\.json",
        ".kube": r"config.*",
        ".aws": r"config|.*cache.*\.json",
        ".azure": r"azureprofile\.json|service_principal.*|.*token.*",
        ".oci": r"config",
        "gcloud": r"access_tokens\.db|adc\.json|config_default",
        ".config": r"hub|gist",
        "gh": r"hosts\.ya?ml",
        "glab-cli": r"config\.ya?ml",
        ".doctl": r"config\.ya?ml",
        "doctl": r"config\.ya?ml",
        ".fly": r"config\.ya?ml",
        ".travis": r"config\.ya?ml",
        ".circleci": r"cli\.ya?ml",
        ".dbt": r"profiles\.ya?ml",
        ".mc": r"config\.json",
        ".stripe": r"config\.toml",
        ".snowsql": r"config",
        ".huggingface": r"token",
        ".cloudflared": r".*\.json",
        ".composer": r"auth\.json",
        "composer": r"auth\.json",
        "heroku": r"auth\.json",
        ".vercel": r"auth\.json",
        "com.vercel.cli": r"auth\.json",
        "wireguard": r".*\.conf",
        "containers": r"auth\.json",
        ".codex": r"auth\.json",
        ".m2": r"settings.*\.xml",
        ".vnc": r"passwd",
        "age": r"keys?\.txt",
        ".age": r"keys?\.txt",
        "sops": r"keys?\.txt",
        ".sops": r"keys?\.txt",
        ".jenkins": r"credentials\.xml",
        ".pgcli": r"history",
        ".bundle": r"config",
        "config": r"parameters\.ya?ml",  # Symfony
        "default": r"settings\.php",  # Drupal
        "etc": r"env\.php|local\.xml",  # Magento
        "secrets": r"[^.]*(?:password|passwd|token|key|secret)[^.]*(?:\.txt)?",  # of Docker, one a file
    }.items()
}


def is_secret_name(name: str, folder: str) -> bool:
    """Tell whether a file is likely to hold secrets, by its name and that of its folder, both in small letters."""
    if name.rpartition(".")[2] in _SOURCE and not name.startswith("."):
        return False
    if _compiled(_KEY_FILE).fullmatch(name) is not None:
        return True
    in_folder = _SECRET_IN.get(folder)
    if _compiled(_SECRET).fullmatch(name) is None and (
        in_folder is None or _compiled(in_folder).fullmatch(name) is None
    ):
        return False
    return _compiled(_EXAMPLE).fullmatch(name) is None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, compiled when it is first needed: a command that lists no folder does not wait for it."""
    return re.compile(pattern)
