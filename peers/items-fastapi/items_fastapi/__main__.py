"""The command line: without an argument it runs until SIGTERM or SIGINT."""

import asyncio
import http.client
import os
import platform
import sys

import asyncpg

from . import SERVICE, VERSION, logs, migrations
from .settings import Misconfigured, Settings, allowed_values, masked, read_settings

EX_OK, EX_FAILURE, EX_USAGE, EX_SOFTWARE, EX_CONFIG = 0, 1, 64, 70, 78
USAGE = f"""{SERVICE} {VERSION}: A catalogue of items that announces its changes.

Usage: {SERVICE} [--help | --version | --openapi | --asyncapi | --check-config | --migrate |
 --health]

Without an argument it runs until SIGTERM or SIGINT.
  --help          this text
  --version       the version of the API
  --openapi       print the OpenAPI document
  --asyncapi      print the AsyncAPI document
  --check-config  print the configuration, without secrets, or what is wrong with it
  --migrate       apply the migrations and end
  --health        ask the service that runs with this configuration whether it is ready

It is configured by environment variables. Instead of any X, X_FILE may name a file that
holds the value. One that is set to nothing counts as not set; what holds then stands in
parentheses.
"""


def show_help() -> None:
    print(USAGE)
    for name, field in Settings.model_fields.items():
        default = "must be set" if field.is_required() else masked(name, field.default) or "none"
        print(f"  {name.upper()} ({default})\n      {field.description}\n"
              f"      Allowed: {allowed_values(field)}.")
    print("\nExit status: 0 after a clean stop, 64 for a wrong argument, 70 when it cannot start,"
          " 78 when\nthe configuration is wrong.")


def show_document(name: str) -> None:
    from .pages import CONTRACT

    sys.stdout.write((CONTRACT / name).read_text())


def apply_migrations(settings: Settings) -> int:
    try:
        asyncio.run(migrations.migrate(settings.database_url, True, 60_000))
    except (OSError, TimeoutError, asyncpg.PostgresError, migrations.Refused) as error:
        logs.log.error("migrations refused", reason=str(error))
        return EX_SOFTWARE
    return EX_OK


def serve(settings: Settings) -> int:
    from .supervisor import Supervisor

    logs.log.info("starting", pid=os.getpid(), python=platform.python_version())
    try:
        supervisor = Supervisor(settings)
    except OSError as error:
        logs.log.error("can't listen", host=settings.host, port=settings.port,
                       reason=error.strerror)
        return EX_SOFTWARE
    return supervisor.run()


def is_ready(settings: Settings) -> int:
    """Asks the service that runs with this configuration, for containers without a client."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        ready, said = answer.status == 200, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        ready, said = False, f"{SERVICE}: http://{host}:{settings.port}/readyz: {error}"
    print(said, file=sys.stdout if ready else sys.stderr)
    return EX_OK if ready else EX_FAILURE


def with_settings(argument: str) -> int:
    try:
        settings = read_settings()
    except Misconfigured as faults:
        print("\n".join(f"{SERVICE}: {line}" for line in faults.lines), file=sys.stderr)
        return EX_CONFIG
    logs.set_up(settings.log_level)
    if argument == "--check-config":
        for name in Settings.model_fields:
            print(f"{name.upper()}={masked(name, getattr(settings, name))}")
        return EX_OK
    actions = {"--migrate": apply_migrations, "--health": is_ready}
    return actions.get(argument, serve)(settings)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--help"]:
            show_help()
        case ["--version"]:
            print(f"{SERVICE} {VERSION}")
        case ["--openapi" | "--asyncapi" as wanted]:
            show_document(f"{wanted.removeprefix('--')}.json")
        case [] | ["--check-config" | "--migrate" | "--health"]:
            return with_settings(arguments[0] if arguments else "")
        case _:
            print(USAGE, file=sys.stderr)
            return EX_USAGE
    return EX_OK


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
