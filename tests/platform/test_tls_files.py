"""make up with TLS and a certificate of one's own that Traefik couldn't read."""

import os
import re
import subprocess

import pytest
from kit import tlsfiles
from kit.paths import ROOT


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "tls"
    made.mkdir(mode=0o755)
    for name in tlsfiles.FILES:
        (made / name).write_text("PEM")
        (made / name).chmod(0o644)
    return made


def test_a_folder_that_traefik_can_read_is_fine(folder):
    assert tlsfiles.fault(folder) == ""


def test_a_key_as_openssl_writes_it_is_told(folder):
    (folder / "privkey.pem").chmod(0o600)
    assert "can't read" in tlsfiles.fault(folder)


def test_a_closed_folder_is_told(folder):
    folder.chmod(0o700)
    assert "can't read" in tlsfiles.fault(folder)


def test_a_missing_file_is_told(folder):
    (folder / "fullchain.pem").unlink()
    assert "fullchain.pem is not there" in tlsfiles.fault(folder)


def test_a_link_out_of_the_folder_is_told(folder, tmp_path):
    """As certbot's `live` holds them: in the container the link leads nowhere."""
    (folder / "privkey.pem").rename(tmp_path / "privkey1.pem")
    (folder / "privkey.pem").symlink_to(tmp_path / "privkey1.pem")
    assert "leads out of its folder" in tlsfiles.fault(folder)


def test_make_up_says_so_before_it_starts_anything(folder):
    (folder / "privkey.pem").chmod(0o600)
    done = subprocess.run([ROOT / "tools" / "platform", "up"], capture_output=True, text=True,
                          env={**os.environ, "TLS": "on", "TLS_CERTIFICATE": "own",
                               "TLS_FOLDER": str(folder)}, timeout=60)
    assert (done.returncode, done.stdout) == (1, ""), done.stdout
    assert f"can't read {folder}/privkey.pem" in done.stderr


def test_the_user_is_the_one_that_traefik_runs_as():
    text = (ROOT / "platform" / "traefik" / "compose.yaml").read_text()
    assert re.search(r'user: "(\d+):\1"', text)[1] == str(tlsfiles._USER)
