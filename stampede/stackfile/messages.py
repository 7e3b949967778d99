"""What the reference says about a broken file, as complaints with a key path where it names one.

The forms are those of docker-compose 5.6. Unknown ones are passed on as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import NamedTuple

from stampede.stackfile.complaint import Complaint, Path, Trace
from stampede.stackfile.verdicts import suggestion

Reader = Callable[[re.Match[str]], Complaint]
_WHOLE = "a whole number"
_CASTS = {"Atoi": _WHOLE, "ParseInt": _WHOLE, "ParseFloat": "a number", "ParseBool": "true or false"}
_PARSING = r"(?:failed to parse (?P<file>.*?): )?"
_PORT_WORDS = {"hostPort": "port", "containerPort": "port", "proto": "protocol", "IP address": "IP address"}
_SECTIONS = {"volume": "volumes", "network": "networks", "secret": "secrets", "config": "configs"}


class Form(NamedTuple):
    pattern: re.Pattern[str]
    read: Reader


FORMS: list[Form] = []


def form(pattern: str) -> Callable[[Reader], Reader]:
    """Register what a message of this form means. The first form that matches wins."""

    def register(read: Reader) -> Reader:
        FORMS.append(Form(re.compile(pattern, re.DOTALL), read))
        return read

    return register


def complaint_of(message: str) -> Complaint:
    """What the reference means by what it said at its end."""
    text = last_words(message).removesuffix(": invalid compose project")
    for pattern, read in FORMS:
        if found := pattern.fullmatch(text):
            return read(found)
    return Complaint((), text or "the reference could not read it")


def keys(spelt: str) -> Path:
    """`services.web.ports.0` or `services[web].ports[0]` as a path."""
    return tuple(part for part in re.split(r"[.\[\]]+", spelt) if part)


@form(r"validating (?P<file>.*?): (?P<path>\S+) false schema")
def _no_such_key(found: re.Match[str]) -> Complaint:
    return _unknown(keys(found["path"]), found["file"])


@form(r"validating (?P<file>.*?): (?P<path>\S*) ?additional properties '(?P<key>.*?)'(?P<more>.*) not allowed")
def _no_such_keys(found: re.Match[str]) -> Complaint:
    above = keys(found["path"])
    if above in (("services",), ("networks",), ("volumes",), ("secrets",), ("configs",)):
        hint = "names have letters, digits, '.', '_' and '-'"
        return Complaint((*above, found["key"]), "no name that Compose allows", hint, trace=Trace(found["file"]))
    return _unknown((*above, found["key"]), found["file"])


def _unknown(path: Path, file: str) -> Complaint:
    near = suggestion(path)
    hint = f"did you mean {near}?" if near else "see docs/compose.md for the keys; your own begin with x-"
    return Complaint(path, "no such key", hint, trace=Trace(file))


@form(r"validating (?P<file>.*?): (?P<path>\S+) '.*' does not match pattern '(?P<pattern>.*)'")
def _pattern(found: re.Match[str]) -> Complaint:
    hint = f"it must match {found['pattern']}"
    return Complaint(keys(found["path"]), "not a value that Compose allows", hint, trace=Trace(found["file"]))


@form(r"validating (?P<file>.*?): json: unsupported value: (?P<value>\S+)")
def _not_finite(found: re.Match[str]) -> Complaint:
    return Complaint((), f"{found['value']} is no number that Compose allows", trace=Trace(found["file"]))


@form(r"validating (?P<file>.*?): (?P<path>\S+) (?P<text>.+)")
def _invalid(found: re.Match[str]) -> Complaint:
    return Complaint(keys(found["path"]), found["text"], "see docs/compose.md", trace=Trace(found["file"]))


@form(r'service "(?P<service>.+?)" refers to undefined (?P<kind>\w+) (?P<name>.*)')
def _undefined(found: re.Match[str]) -> Complaint:
    section = _SECTIONS.get(found["kind"], found["kind"])
    message = f"there is no {found['kind']} called {found['name']}"
    return Complaint(("services", found["service"], section, found["name"]), message, f"add it under {section}: …")


@form(r'service "(?P<service>.+?)" depends on undefined service "?(?P<name>.*?)"?')
def _undefined_service(found: re.Match[str]) -> Complaint:
    path = ("services", found["service"], "depends_on", found["name"])
    return Complaint(path, f"there is no service called {found['name']}", "add it, or correct the name")


@form(r"dependency cycle detected: (?P<cycle>.*)")
def _cycle(found: re.Match[str]) -> Complaint:
    first, _, rest = str(found["cycle"]).partition(" -> ")
    hint = "one of them must start without waiting for the other"
    return Complaint(
        ("services", first, "depends_on", rest.partition(" ")[0]), f"services wait in a circle: {found['cycle']}", hint
    )


@form(r'service "(?P<service>.+?)" has neither an image nor a build context specified')
def _no_image(found: re.Match[str]) -> Complaint:
    return Complaint(("services", found["service"]), "neither image nor build is given", "say image: NAME")


@form(r"services\.(?P<service>.+?): can't set distinct values on '(?P<one>.*)' and '(?P<other>.*)'")
def _distinct(found: re.Match[str]) -> Complaint:
    message = f"contradicts {found['other']}"
    return Complaint(("services", found["service"], *keys(found["one"])), message, "leave one of them out")


@form(r"service (?P<service>.+?) declares mutually exclusive `(?P<one>.*)` and `(?P<other>.*)`")
def _exclusive(found: re.Match[str]) -> Complaint:
    message = f"excludes {found['other']}"
    return Complaint(("services", found["service"], found["one"]), message, "leave one of them out")


@form(r"error while interpolating (?P<path>\S+): required variable (?P<name>\w+) is missing a value:? ?(?P<text>.*)")
def _variable(found: re.Match[str]) -> Complaint:
    message = f"the variable {found['name']} is not set" + (f": {found['text']}" if found["text"] else "")
    return Complaint(keys(found["path"]), message, f"set {found['name']} in the environment or in .env")


@form(r"error while interpolating (?P<path>\S+): failed to cast to expected type: strconv\.(?P<cast>\w+): .*")
def _cast(found: re.Match[str]) -> Complaint:
    return Complaint(keys(found["path"]), f"expected {_CASTS.get(found['cast'], 'another type')}")


@form(r"(?:error while interpolating (?P<prefix>\S+): )?invalid interpolation format for (?P<path>\S+?)\.?\n.*")
def _interpolation(found: re.Match[str]) -> Complaint:
    hint = "write ${NAME} or ${NAME:-default}, and $$ for a dollar sign"
    return Complaint(keys(found["path"]), "not a variable that Compose can fill in", hint)


@form(r"decoding failed due to the following error\(s\):\s+'(?P<path>.*?)' (?P<text>.*)")
def _decoding(found: re.Match[str]) -> Complaint:
    text = found["text"].strip().splitlines()[0]
    return Complaint(keys(found["path"]), re.sub(r"\"[^\"]*\"|'[^']*'", "…", text), "see docs/compose.md")


@form(r"non-string key (?:in (?P<path>\S+)|at top level): (?P<key>.*)")
def _key_type(found: re.Match[str]) -> Complaint:
    path = (*keys(found["path"] or ""), found["key"])
    return Complaint(path, "keys must be strings", f'write "{found["key"]}":')


@form(r"(?P<kind>env|label) file (?P<file>.*) not found: .*")
def _env_file(found: re.Match[str]) -> Complaint:
    trace = Trace(key=f"{found['kind']}_file", word=FilePath(found["file"]).name)
    message = f"the {found['kind']} file {found['file']} does not exist"
    return Complaint((), message, "create it, or correct the name", trace=trace)


@form(r"couldn't find env file: (?P<file>.*)")
def _named_env_file(found: re.Match[str]) -> Complaint:
    return Complaint((), f"the env file {found['file']} does not exist", "create it, or correct the name")


@form(r"failed to read (?P<file>.*): line (?P<line>\d+): .*")
def _not_an_env_file(found: re.Match[str]) -> Complaint:
    message = "expected NAME=value"  # the reference quotes the line, which may hold a password
    return Complaint((), message, "quotes must be closed", trace=Trace(found["file"], int(found["line"])))


@form(r'invalid project name "(?P<name>.*)": must consist (?P<text>.*)')
def _project_name(found: re.Match[str]) -> Complaint:
    return Complaint(("name",), f"{found['name']} is no name of a stack", f"it must consist {found['text']}")


@form(r"project name must not be empty")
def _no_project_name(found: re.Match[str]) -> Complaint:
    return Complaint(("name",), "the stack has no name", "say name: NAME in the file, or -p NAME")


@form(r'cannot extend service "(?P<service>.+?)" in (?P<file>.*): service "?(?P<base>.*?)"? not found.*')
def _base(found: re.Match[str]) -> Complaint:
    return Complaint(("services", found["service"], "extends"), f"there is no service called {found['base']}")


@form(r'(?:compose file ".*" is invalid: )?open (?P<file>.*): (?P<text>[^:]*)')
def _cannot_open(found: re.Match[str]) -> Complaint:
    trace = Trace(word=FilePath(found["file"]).name)
    return Complaint((), f"{found['file']}: {found['text']}", "name a file that can be read", trace=trace)


@form(r'compose file ".*" is invalid: (?P<file>.*) is a directory')
def _directory(found: re.Match[str]) -> Complaint:
    return Complaint((), f"{found['file']} is a directory", f"say -f {found['file']}/compose.yaml")


@form(r"no configuration file provided: not found")
def _no_file(found: re.Match[str]) -> Complaint:
    return Complaint((), "there is no compose.yaml here or in a directory above", "say -f FILE")


@form(r"empty compose file")
def _empty(found: re.Match[str]) -> Complaint:
    return Complaint((), "the file is empty", "a stack needs at least services:")


@form(r"yaml: construct errors: line \d+: cannot construct (?P<tag>\S+) into .*")
def _not_a_mapping(found: re.Match[str]) -> Complaint:
    return Complaint((), "expected a mapping with services: at the top")


# The form next to the function is tried first. What went wrong in a block is at the end of the span, where the parser
# stumbled; else the beginning counts, where something was left open.
@form(_PARSING + r"go-yaml load error in .*? at L(?P<line>\d+)\.C(?P<column>\d+)\S*: (?P<text>.*)")
@form(_PARSING + r"go-yaml load error .*?while \w+ a block.*? at \S+-L(?P<line>\d+)\.C(?P<column>\d+): (?P<text>.*)")
def _not_yaml(found: re.Match[str]) -> Complaint:
    message = f"column {found['column']}: not YAML: {found['text']}"
    return Complaint((), message, "indent with spaces, and close what you open", trace=_line(found))


@form(_PARSING + r'yaml: .*line (?P<line>\d+): mapping key "(?P<key>.*)" already defined.* (?P<first>\d+)')
def _duplicate(found: re.Match[str]) -> Complaint:
    message = f"{found['key']} is there already, in line {found['first']}"
    return Complaint((), message, "keep one of them", trace=_line(found))


@form(_PARSING + r"yaml: .*line (?P<line>\d+): (?P<text>.*)")
def _odd_yaml(found: re.Match[str]) -> Complaint:
    return Complaint((), found["text"], trace=_line(found))


def _line(found: re.Match[str]) -> Trace:
    return Trace(found["file"] or "", int(found["line"]))


@form(r"(?:.*: )?invalid (?P<what>hostPort|containerPort|proto|IP address): (?P<word>\S*).*")
def _port(found: re.Match[str]) -> Complaint:
    message = f"{found['word']} is no {_PORT_WORDS[found['what']]}"
    hint = "ports are [address:][host port:]port[/protocol], from 1 to 65535"
    return Complaint((), message, hint, trace=Trace(key="ports", word=found["word"]))


@form(r"services\.(?:deploy\.replicas|scale): can't set container_name and (?P<service>\S+) as .+")
def _one_name(found: re.Match[str]) -> Complaint:
    message = "several replicas cannot all have this name"
    return Complaint(("services", found["service"], "container_name"), message, "leave it out, or say replicas: 1")


@form(r"Circular reference:\s+(?P<service>\S+) in .*")
def _extends_itself(found: re.Match[str]) -> Complaint:
    return Complaint(("services", found["service"], "extends"), "extends itself, by one way or another")


@form(r"invalid ranges specified for container and host Ports: (?P<target>\S+) and (?P<word>\S+)")
def _ranges(found: re.Match[str]) -> Complaint:
    message = f"the ranges {found['word']} and {found['target']} differ in length"
    return Complaint((), message, "make them equally long", trace=Trace(key="ports", word=found["word"]))


@form(r"confusing device mapping, please use long syntax: (?P<word>.*)")
def _device(found: re.Match[str]) -> Complaint:
    hint = "devices are source[:target[:permissions]]"
    return Complaint((), f"{found['word']} is no device", hint, trace=Trace(key="devices", word=found["word"]))


@form(r"(?P<path>(?:services|networks|volumes|configs|secrets)\.\S+): (?P<text>.+)")
def _at_a_key(found: re.Match[str]) -> Complaint:
    return Complaint(keys(found["path"]), found["text"], "see docs/compose.md")


_WARNING = re.compile(r'^time="[^"]*" level=warning msg="(?P<text>(?:[^"\\]|\\.)*)"$', re.MULTILINE)
_NOT_TRUE_OF_US = re.compile(
    r"only applies to|in Swarm mode|outside Swarm mode|Swarm routing mesh|Swarm's routing mesh|under Swarm"
)


def warnings_of(stderr: str) -> list[str]:
    """The reference's warnings, except those about what it leaves to Swarm and Stampede does."""
    texts = (found["text"].replace('\\"', '"').replace("\\n", "\n") for found in _WARNING.finditer(stderr))
    return [text for text in dict.fromkeys(texts) if not _NOT_TRUE_OF_US.search(text)]


def last_words(stderr: str) -> str:
    """What the reference said besides warnings."""
    return _WARNING.sub("", stderr).strip()
