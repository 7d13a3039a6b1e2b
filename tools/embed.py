#!/usr/bin/python3
"""Turns files into C, so that a program carries what it needs.

  embed.py migrations NAME OUT.h FILE.sql...   a header with `static const tn_migration NAME[]`:
                                               each file's name and text, in the order of the names
  embed.py assets NAME OUT.h FILE...           a header with `static const struct NAME { ... }
                                               NAME[]`: each file's name, media type, whether it
                                               is gzipped (then the name is without .gz), bytes
                                               and length; and `NAME_count`, which may be 0

A build runs it with the files it depends on; the same files give the same bytes.
"""

import sys
from pathlib import Path

BYTES_A_LINE = 24
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}


def main() -> None:
    if len(sys.argv) < 4 or sys.argv[1] not in ("migrations", "assets"):
        sys.exit(__doc__)
    kind, name, out = sys.argv[1:4]
    files = sorted((Path(word) for word in sys.argv[4:]), key=lambda file: file.name)
    text = migrations(name, files) if kind == "migrations" else assets(name, files)
    Path(out).write_text("/* Made by tools/embed.py; not to be edited. */\n#pragma once\n\n" + text)


def migrations(name: str, files: list[Path]) -> str:
    if not files:
        sys.exit(f"embed.py: no migrations for {name}")
    rows = [f"    {{ {literal(file.name)},\n{sql(file)} }},\n" for file in files]
    return ("#include <trunnion/service.h>\n\n"
            f"static const tn_migration {name}[] = {{\n{''.join(rows)}}};\n")


def sql(file: Path) -> str:
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    return "\n".join("      " + literal(line) for line in lines) or '      ""'


def assets(name: str, files: list[Path]) -> str:
    arrays, rows = [], []
    for number, file in enumerate(files):
        data = file.read_bytes()
        gzipped = file.suffix == ".gz"
        shown = file.stem if gzipped else file.name
        media_type = MEDIA_TYPES.get(Path(shown).suffix, "application/octet-stream")
        # The terminating zero is not counted; it spares an empty file an empty array.
        arrays.append(f"static const unsigned char {name}_{number}[] = {{\n"
                      f"{numbers(data)} 0\n}};\n")
        rows.append(f"    {{ {literal(shown)}, {literal(media_type)}, {str(gzipped).lower()}, "
                    f"{name}_{number}, {len(data)} }},\n")
    # C has no empty array: the last row is a mark that is not counted.
    rows.append("    { NULL, NULL, false, NULL, 0 },\n")
    return ("#include <stdbool.h>\n#include <stddef.h>\n\n" + "".join(arrays) +
            f"\nstatic const struct {name} {{\n    const char *name, *media_type;\n"
            f"    bool gzipped;\n    const unsigned char *data;\n    size_t len;\n"
            f"}} {name}[] = {{\n{''.join(rows)}}};\n"
            f"\nstatic const size_t {name}_count = {len(files)};\n")


def numbers(data: bytes) -> str:
    lines = (data[at:at + BYTES_A_LINE] for at in range(0, len(data), BYTES_A_LINE))
    return "\n".join("".join(f"{byte}," for byte in line) for line in lines)


def literal(text: str) -> str:
    """A C string. Bytes that are not plain go as three-digit octal, which no digit can extend."""
    plain = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\", "?": "\\?"}
    out = []
    for char in text:
        if char in plain:
            out.append(plain[char])
        elif " " <= char <= "~":
            out.append(char)
        else:
            out.extend(f"\\{byte:03o}" for byte in char.encode("utf-8"))
    return '"' + "".join(out) + '"'


main()
