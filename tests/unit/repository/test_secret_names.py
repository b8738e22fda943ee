"""Names of files that are likely to hold secrets, and of files that only look so."""

from __future__ import annotations

import pytest

from code_index.repository.skip_rules import file_name_reason, folder_reason

SKIPPED = {
    "settings of programs": """.env .env.local .env.production .env.test .envrc prod.env .ENV .env.bak .env.old .env~ .env.php
        .docker/config.json .dockercfg .dockerconfigjson .kube/config .kube/config.bak kubeconfig prod.kubeconfig kubeconfig.yaml
        terraform.tfvars terraform.tfvars.json prod.auto.tfvars prod.auto.tfvars.json terraform.tfstate
        terraform.tfstate.backup .terraformrc terraform.rc credentials.tfrc.json .netrc _netrc .netrc.gpg .authinfo .pgpass
        pgpass.conf .my.cnf .mylogin.cnf .pypirc .npmrc .npmrc.bak .git-credentials .gitcookies .vault-token .databrickscfg
        .s3cfg .boto .passwd-s3fs rclone.conf .rclone.conf ngrok.yml local.settings.json connectionStrings.config .htpasswd
        htpasswd .htdigest .fetchmailrc .msmtprc .esmtprc .muttrc .ftpconfig sftp-config.json .remote-sync.json WinSCP.ini
        filezilla.xml recentservers.xml sitemanager.xml robomongo.json .mongorc.js settings-security.xml wp-config.php
        wp-config.php.bak LocalSettings.php credentials-config.json kaggle.json .clasprc.json
        wg0.conf wg-office.conf keystore.properties key.properties env.production env.local env.staging .dev.vars
        .dev.vars.production .sentryclirc .pam_environment""",
    "secrets by name": """credentials credentials.json credentials.json.bak aws_credentials aws_credentials.ini
        .credentials.yml credentials.yml.enc secrets.yaml secrets.yml.enc app-secrets.json secrets.toml secrets.env secrets.hcl
        secrets.json5 .secrets .token .password api_key.txt github_token client_secret_42.json service-account.json
        my-service_account.json application_default_credentials.json app-firebase-adminsdk-x1.json config/secrets.yml
        secrets/db_password.txt secrets/db_password deploy_key private_key privatekey.txt my-private-key.txt
        token.json token.txt access_token.json rootkey.csv accessKeys.csv me_accessKeys.csv new_user_credentials.csv
        credentials.csv recovery-codes.txt github-recovery-codes.txt backup_codes.txt""",
    "keys and stores of keys": """id_rsa id_rsa.bak id_rsa.old id_ed25519 id_ecdsa_sk deploy_id_rsa id_rsa_backup server.pem
        server.pem.bak tls.key config/master.key store.p12 cert.pfx AuthKey.p8 upload.jks store.jceks debug.keystore
        putty.ppk vault.kdbx vault.kdb pw.psafe3 1p.agilekeychain login.keychain disk.bek office.ovpn keys.agekey krb.keytab
        server.rdp secring.gpg private.asc my-private-key.gpg shadow .vault_pass vault-password.txt passwords.csv
        site.publishsettings example.pem sample.key deploy_rsa github_rsa my-ed25519 ssh_host_rsa_key ssh_host_ed25519_key
        ssh_host_rsa_key.bak password.txt passwords.txt passwd etc/passwd""",
    "histories": """.bash_history .zsh_history .sh_history .python_history .psql_history .mysql_history .sqlite_history
        .node_repl_history .irb_history .rediscli_history .Rhistory fish_history ConsoleHost_history.txt .dbshell .lesshst
        .viminfo .histfile .history""",
    "by their folder": """auth.json configuration.php .aws/credentials .aws/config .azure/accessTokens.json
        .azure/msal_token_cache.json .azure/azureProfile.json .config/gcloud/credentials.db .config/gcloud/access_tokens.db
        .config/gcloud/application_default_credentials.json .config/hub .config/gh/hosts.yml .config/doctl/config.yaml
        .gem/credentials .cargo/credentials .cargo/credentials.toml .m2/settings.xml .m2/settings-security.xml
        .composer/auth.json .config/composer/auth.json .config/sops/age/keys.txt .vnc/passwd .jenkins/credentials.xml
        .oci/config .dbt/profiles.yml .bundle/config app/config/parameters.yml sites/default/settings.php app/etc/env.php
        .config/heroku/auth.json .vercel/auth.json .local/share/com.vercel.cli/auth.json .doctl/config.yaml
        etc/wireguard/office.conf""",
}

INDEXED = {
    "examples": """.env.example .env.sample .env.template .env.dist .env.defaults .env.local.example .env.schema example.env
        sample.env env.example .env-example .env_sample terraform.tfvars.example example.tfvars wp-config-sample.php
        secrets.example.yml secrets.yml.dist credentials.json.example credentials.sample.json .npmrc.template .netrc.sample
        kubeconfig.example.yaml service-account.example.json .env.example.local
        .dev.vars.example key.properties.example keystore.example.properties wg0.conf.example token.example.json
        private_key.example example_private_key.txt""",
    "source": """secrets.py credentials.go Secret.java secrets.rb Credentials.tsx keys.ts env.py environment.ts config.py
        private_key.py passwords.py token.go history.ts auth.ts secret_masks.py shadow.c .eslintrc.js
        kubeconfig.go kubeconfig_test.go vault_pass.rb api_key.rb Credentials.java secrets.md test_rsa.py deploy_key.go token.ts passwd.c
        env.d.ts access_keys.sql""",
    "ordinary settings and texts": """id_rsa.pub id_ed25519.pub deploy_rsa.pub ssh_host_rsa_key.pub config.json src/auth.json locales/en/auth.json
        src/configuration.php settings.xml docs/settings.xml config/database.yml appsettings.json appsettings.Development.json
        NuGet.Config gradle.properties .yarnrc.yml .gitconfig .editorconfig .flaskenv HISTORY.md HISTORY .aws/task.json
        .docker/nginx.conf .kube/deployment.yaml .azure/pipeline.yml gcloud/client.json docs/hosts.yml config.yaml
        secrets/README.md secrets/Makefile known_hosts authorized_keys .config/nvim.lua docker-compose.yml
        keys.txt etc/passwd.md template.yaml ca.crt .travis.yml .circleci/config.yml .cargo/config.toml
        google-services.json GoogleService-Info.plist web.config config.inc.php vault.yml group_vars/vault.yml tokens.json
        tokens.txt .vercel/project.json env.yaml wgpu.conf messages.properties .secrets.baseline keys.properties""",
}


def _reason(path: str) -> str | None:
    folder, _, name = path.rpartition("/")
    return file_name_reason(name, folder.rpartition("/")[2])


@pytest.mark.parametrize("kind", SKIPPED)
def test_files_that_are_likely_to_hold_secrets_are_skipped_by_name(kind: str) -> None:
    names = SKIPPED[kind].split()
    # The binaries among them have that as their reason.
    kept = [name for name in names if (_reason(name) or "").partition(":")[0] not in {"likely secret", "binary"}]
    assert kept == []


@pytest.mark.parametrize("kind", INDEXED)
def test_what_only_looks_like_a_secret_is_indexed(kind: str) -> None:
    skipped = {name: reason for name in INDEXED[kind].split() if (reason := _reason(name)) is not None}
    assert skipped == {}


@pytest.mark.parametrize("name", [".ssh", ".gnupg", ".password-store", ".secrets"])
def test_folders_of_keys_are_skipped_whatever_is_in_them(name: str) -> None:
    assert folder_reason(name, {"config"}, lambda: True) == f"likely secret: {name}"
