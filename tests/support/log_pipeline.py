"""Applies the stages of Promtail's configuration to lines, as far as they say what a line becomes.

Promtail itself is not to be had where the tests run. This follows its stages' documented meaning:
expressions are JMESPath (Debian's library), regular expressions are of the common syntax, and of
templates only those are understood that this configuration uses. What is not understood raises.
That Promtail takes the file, and does the same, is in docs/verification.md.
"""

import datetime
import json
import re
from dataclasses import dataclass, field

import jmespath
import yaml

_LEVEL = re.compile(r'regexMatch "(.+?)" \$level -}} (\w+)')


class Unknown(Exception):
    """A stage, a template or a format that this doesn't follow."""


@dataclass
class Entry:
    line: str
    extracted: dict = field(default_factory=dict)
    labels: dict = field(default_factory=dict)
    metadata: dict = field(default_factory=dict)
    time: datetime.datetime | None = None
    dropped: bool = False


def stages_of(path) -> list[dict]:
    [job] = yaml.safe_load(path.read_text())["scrape_configs"]
    return job["pipeline_stages"]


def docker_line(text: str, service: str | None, time: str, number: int = 1) -> str:
    """What the json-file driver writes for a container whose fragment names the labels."""
    attrs = {"com.docker.compose.service": service,
             "com.docker.compose.container-number": str(number)}
    return json.dumps({"log": text + "\n", "stream": "stdout", "time": time}
                      | ({"attrs": attrs} if service else {}))


def run(stages: list[dict], line: str) -> Entry:
    entry = Entry(line)
    _apply(stages, entry)
    return entry


def _apply(stages: list[dict], entry: Entry) -> None:
    for stage in stages:
        [(kind, given)] = stage.items()
        if kind not in _STAGES:
            raise Unknown(kind)
        if not entry.dropped:
            _STAGES[kind](given, entry)


def _json(given: dict, entry: Entry) -> None:
    try:
        data = json.loads(entry.line)
    except ValueError:
        return
    for name, expression in given["expressions"].items():
        entry.extracted[name] = jmespath.search(expression, data)


def _regex(given: dict, entry: Entry) -> None:
    found = re.search(given["expression"], entry.line)
    entry.extracted |= found.groupdict() if found else {}


def _template(given: dict, entry: Entry) -> None:
    source, text = given["source"], given["template"]
    if text == r'{{ TrimRight .line "\r\n" }}':
        made = entry.extracted["line"].rstrip("\r\n")
    elif text == "{{ .service }}-{{ .number }}":
        made = f"{entry.extracted['service']}-{entry.extracted['number']}"
    elif "$level :=" in text:
        made = level_of(text, entry.extracted.get("level"))
    else:
        raise Unknown(text)
    entry.extracted[source] = made


def level_of(template: str, said) -> str:
    """The first pattern of the template that fits decides."""
    said = str(said if said is not None else "").lower()
    fitting = [level for pattern, level in _LEVEL.findall(template) if re.search(pattern, said)]
    return fitting[0] if fitting else re.search(r"else -}} (\w+)", template).group(1)


def _timestamp(given: dict, entry: Entry) -> None:
    if given["action_on_failure"] != "skip":
        raise Unknown(given["action_on_failure"])
    said = entry.extracted.get(given["source"])
    parsed = _TIMES[given["format"]](str(said)) if said is not None else None
    entry.time = parsed or entry.time


def _rfc3339(said: str) -> datetime.datetime | None:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", said):
        return None
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", said))


def _spaced(said: str) -> datetime.datetime | None:
    return _rfc3339(said.replace(" UTC", "Z").replace(" ", "T"))


_TIMES = {"RFC3339Nano": _rfc3339, "2006-01-02 15:04:05.999 MST": _spaced,
          "2006-01-02 15:04:05.999999-07:00": _spaced}


def _match(given: dict, entry: Entry) -> None:
    selector = re.fullmatch(r'\{service(=|!=)"(\w*)"\}(?: \|~ "(.*)")?', given["selector"])
    if not selector:
        raise Unknown(given["selector"])
    sign, name, pattern = selector.groups()
    fits = (entry.labels.get("service", "") == name) == (sign == "=")
    if pattern is not None:
        fits = fits and re.search(json.loads(f'"{pattern}"'), entry.line) is not None
    if fits and given.get("action") == "drop":
        entry.dropped = True
    elif fits:
        _apply(given["stages"], entry)


def _named(given: dict, entry: Entry) -> dict:
    named = {name: entry.extracted.get(source or name) for name, source in given.items()}
    return {name: str(value) for name, value in named.items() if value is not None}


def _labels(given: dict, entry: Entry) -> None:
    entry.labels |= _named(given, entry)


def _metadata(given: dict, entry: Entry) -> None:
    entry.metadata |= _named(given, entry)


def _output(given: dict, entry: Entry) -> None:
    entry.line = entry.extracted[given["source"]]


def _label_drop(given: list, entry: Entry) -> None:
    for name in given:
        entry.labels.pop(name, None)


_STAGES = {"json": _json, "regex": _regex, "template": _template, "timestamp": _timestamp,
           "match": _match, "labels": _labels, "structured_metadata": _metadata,
           "output": _output, "labeldrop": _label_drop}
