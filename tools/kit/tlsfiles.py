"""The certificate of one's own that Traefik serves with TLS=on: whether it can read it.

If it can't, it starts all the same and serves a certificate of its own making, which no client
trusts; so this is asked before anything is started.
"""

import os
from pathlib import Path

FILES = ("fullchain.pem", "privkey.pem")
_USER = 65532  # As platform/traefik/compose.yaml has it, for user and group.


def fault(folder: Path) -> str:
    """What is to be done about the folder; nothing when it is as it should be, or closed to us."""
    try:
        return _fault(folder)
    except PermissionError:
        return ""


def _fault(folder: Path) -> str:
    for path in (folder / name for name in FILES):
        if not path.exists():
            return f"{path} is not there"
        if path.resolve().parent != folder.resolve():
            return f"{path} leads out of its folder, which is all that Traefik sees: copy the file"
        if not _lets_in(folder, 1) or not _lets_in(path, 4):
            return (f"Traefik's user {_USER} can't read {path}: "
                    f"chown {_USER} {folder} {folder}/*.pem")
    return ""


def _lets_in(path: Path, bit: int) -> bool:
    found = os.stat(path)
    if found.st_uid == _USER:
        return bool(found.st_mode & bit << 6)
    return bool(found.st_mode & (bit << 3 if found.st_gid == _USER else bit))
