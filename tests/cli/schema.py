"""As much of JSON Schema as docs/schema/ uses. A rule that is not known here is an error: it would be looked at by nobody."""

import json
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent.parent.parent / "docs" / "schema"
KINDS = {"string": (str,), "integer": (int,), "number": (int, float), "array": (list,), "object": (dict,), "boolean": (bool,),
         "null": (type(None),)}
WORDS = {"$schema", "$defs", "title", "description"}  # which ask for nothing
RULES = {"$ref", "oneOf", "enum", "type", "items", "required", "properties", "additionalProperties", "pattern", "minimum", "maximum"}

_files: dict[str, dict] = {}


def load(name: str) -> dict:
    """docs/schema/NAME.schema.json"""
    if name not in _files:
        _files[name] = json.loads((FOLDER / f"{name}.schema.json").read_text())
    return _files[name]


def names() -> list[str]:
    return sorted(path.name.removesuffix(".schema.json") for path in FOLDER.glob("*.schema.json"))


def faults(value: object, name: str) -> list[str]:
    """What is wrong with `value`, each with its place; empty: it fits the schema."""
    return _faults(value, load(name), name, "$")


def _resolve(reference: str, name: str) -> tuple[dict, str]:
    file, _, place = reference.partition("#")
    if file:
        name = file.removesuffix(".schema.json")
    rule = load(name)
    for word in place.split("/")[1:]:
        rule = rule[word]
    return rule, name


def _faults(value: object, rule: dict, name: str, where: str) -> list[str]:
    unknown = rule.keys() - WORDS - RULES
    if unknown:
        raise ValueError(f"{name}: rules that nobody looks at: {unknown}")
    out = []
    if "$ref" in rule:
        out += _faults(value, *_resolve(rule["$ref"], name), where)
    if "oneOf" in rule:
        found = [_faults(value, one, name, where) for one in rule["oneOf"]]
        if sum(not one for one in found) != 1:
            nearest = min(found, key=len)
            out.append(f"{where}: fits {sum(not one for one in found)} of {len(found)}; nearest: {nearest[:3]}")
    if "enum" in rule and not any(value == one and type(value) is type(one) for one in rule["enum"]):
        out.append(f"{where}: {value!r} is not one of {rule['enum']}")
    if "type" in rule:
        wanted = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
        kinds = tuple(kind for one in wanted for kind in KINDS[one])
        if not isinstance(value, kinds) or (isinstance(value, bool) and "boolean" not in wanted):
            return out + [f"{where}: {value!r} is not {' or '.join(wanted)}"]
    return out + _faults_inside(value, rule, name, where)


def _faults_inside(value: object, rule: dict, name: str, where: str) -> list[str]:
    out = []
    if isinstance(value, str) and "pattern" in rule and not re.search(rule["pattern"], value):
        out.append(f"{where}: {value!r} is not {rule['pattern']}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not rule.get("minimum", value) <= value <= rule.get("maximum", value):
            out.append(f"{where}: {value} is out of bounds")
    if isinstance(value, list) and "items" in rule:
        for at, item in enumerate(value):
            out += _faults(item, rule["items"], name, f"{where}[{at}]")
    if isinstance(value, dict):
        out += [f"{where}: {key} is missing" for key in rule.get("required", ()) if key not in value]
        for key, item in value.items():
            if key in rule.get("properties", {}):
                out += _faults(item, rule["properties"][key], name, f"{where}.{key}")
            elif rule.get("additionalProperties", True) is False:
                out.append(f"{where}: {key} is not in the schema")
    return out
