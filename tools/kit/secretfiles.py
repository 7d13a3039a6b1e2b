"""The platform's secrets: made once into .trunnion/secrets, one word a file, and never shown.

The folder is its owner's alone. Its files may be read by anybody who gets that far: a container
sees only those that its fragment names, and there another user reads them.
"""

import base64
import hashlib
import json
import secrets
from pathlib import Path

from .paths import STATE

SECRETS = STATE / "secrets"

# Drawn at random. Letters and digits only, so that they stand in URLs as they are.
WORDS = (
    "postgres-password", "postgres-exporter-password",
    "items-db-password", "activity-db-password", "authentik-db-password",
    "rabbitmq-admin-password", "rabbitmq-items-password", "rabbitmq-activity-password",
    "authentik-secret-key", "authentik-admin-password", "authentik-client-password",
    "grafana-admin-password", "grafana-secret-key", "grafana-oauth-secret",
)
_ALPHABET = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 50  # authentik wants as much of its secret key; 290 bits.

_TOPOLOGY = r"events|events\.dead|activity\.events|activity\.events\.dead"
# User: what may be declared, written to and read from. Binding writes to the queue and reads from
# the exchange; a queue with a dead-letter exchange may only be declared by who may read the queue.
PERMISSIONS = {
    "items": (f"^({_TOPOLOGY})$", f"^({_TOPOLOGY})$", r"^(events|events\.dead|activity\.events)$"),
    "activity": (f"^({_TOPOLOGY})$",
                 r"^(events\.dead|activity\.events|activity\.events\.dead|amq\.default)$",
                 f"^({_TOPOLOGY})$"),
    "admin": (".*", ".*", ".*"),
}


def make(folder: Path = SECRETS) -> list[str]:
    """Makes what is missing, and what follows from it; says what is new."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    new = [name for name in WORDS if not (folder / name).exists()]
    for name in new:
        _write(folder / name, "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH)))
    words = {name: (folder / name).read_text() for name in WORDS}
    for name, text in _derived(words).items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            _write(path, text)
            new.append(name)
    return new


def _derived(words: dict[str, str]) -> dict[str, str]:
    made = {"rabbitmq-definitions": _definitions(words)}
    for name in ("items", "activity"):
        database, broker = words[f"{name}-db-password"], words[f"rabbitmq-{name}-password"]
        made[f"{name}-database-url"] = f"postgresql://{name}:{database}@postgres:5432/{name}"
        made[f"{name}-amqp-url"] = f"amqp://{name}:{broker}@rabbitmq:5672/%2F"
    return made


def _definitions(words: dict[str, str]) -> str:
    """RabbitMQ's users as it wants them told, with hashes instead of the passwords."""
    users, permissions = [], []
    for user, (configure, write, read) in PERMISSIONS.items():
        users.append({"name": user, "hashing_algorithm": "rabbit_password_hashing_sha256",
                      "password_hash": _rabbit_hash(words[f"rabbitmq-{user}-password"]),
                      "tags": ["administrator"] if user == "admin" else []})
        permissions.append({"user": user, "vhost": "/", "configure": configure, "write": write,
                            "read": read})
    return json.dumps({"vhosts": [{"name": "/"}], "users": users, "permissions": permissions},
                      indent=1) + "\n"


def _rabbit_hash(password: str) -> str:
    """The salt follows from the password, so that the same password makes the same file; nobody
    else has this password, so no other hash has this salt."""
    salt = hashlib.sha256(b"salt " + password.encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text)
    beside.chmod(0o444)
    beside.replace(path)
