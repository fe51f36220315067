"""The settings of a workspace: `egost.toml`, a section per stage, each parsed by that stage's class."""

import json
import logging
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeline.engine.settings import AnySettings, Settings
from pipeline.errors import UserError

log = logging.getLogger(__name__)

CONFIG_NAME = "egost.toml"


class Config:
    """The parsed `egost.toml` of one workspace with the `--set` overrides applied."""

    def __init__(
        self,
        path: Path,
        sections: dict[str, dict[str, Any]],
        overridden: Mapping[str, Mapping[str, Any]],
    ) -> None:
        self.path = path
        self._sections = sections
        self._overridden = overridden

    @classmethod
    def load(
        cls, path: Path, known: Mapping[str, type[Settings]], overrides: Iterable[str] = ()
    ) -> "Config":
        """Read `path` (absent means all defaults) and apply overrides such as `frames.budget=8`.

        Settings that have been retired are dropped with a warning. Raises UserError for a file that
        isn't TOML, a malformed override or an unknown section.
        """
        sections: dict[str, dict[str, Any]] = {}
        if path.exists():
            try:
                sections = tomllib.loads(path.read_text(encoding="utf-8"))
            except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
                raise UserError(str(path), f"not valid TOML: {error}", "fix that line") from error
        changed: dict[str, dict[str, Any]] = {}
        for override in overrides:
            section, name, value = _split_override(override)
            changed.setdefault(section, {})[name] = value
        _check_sections(sections, known, str(path))
        _check_sections(changed, known, "--set")
        _drop_retired(sections, known, path.name, "delete the line")
        _drop_retired(changed, known, "--set", "leave it out")
        merged = {
            section: {**sections.get(section, {}), **changed.get(section, {})}
            for section in sections.keys() | changed.keys()
        }
        return cls(path, merged, changed)

    def settings(self, section: str, kind: type[AnySettings]) -> AnySettings:
        """Return the validated settings of one section; raise UserError that names a wrong one."""
        try:
            return kind.model_validate(self._sections.get(section, {}))
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in (section, *first["loc"]))
            given = first["loc"] and first["loc"][0] in self._overridden.get(section, {})
            where, leave = (
                ("--set", "leave it out") if given else (str(self.path), "delete the line")
            )
            if first["type"] == "extra_forbidden":
                fix = f"use one of: {', '.join(kind.model_fields)}"
                raise UserError(where, f"unknown setting {name}", fix) from error
            raise UserError(
                where, f"{name}: {first['msg']}", f"change {name}, or {leave}"
            ) from error


def _check_sections(
    sections: Mapping[str, object], known: Mapping[str, type[Settings]], where: str
) -> None:
    """Raise UserError for a section that no stage has, or a value in a section's place."""
    for section, values in sections.items():
        if section not in known:
            fix = f"use one of: {', '.join(sorted(known))}"
            raise UserError(where, f"unknown section [{section}]", fix)
        if not isinstance(values, dict):
            fix = f"write [{section}], and its settings below it"
            raise UserError(where, f"{section} is a value, not a section", fix)


def _drop_retired(
    sections: Mapping[str, dict[str, Any]],
    known: Mapping[str, type[Settings]],
    where: str,
    fix: str,
) -> None:
    """Remove settings that no longer exist, with a warning for each."""
    for section, values in sections.items():
        for name in known[section].retired.keys() & values.keys():
            del values[name]
            log.warning(f"{where}: {section}.{name} is no longer a setting and is ignored; {fix}")


def _split_override(override: str) -> tuple[str, str, Any]:
    head, equals, value = override.partition("=")
    section, dot, name = head.strip().partition(".")
    if not (equals and dot and section and name):
        raise UserError(
            f"--set {override}",
            "not of the form stage.name=value",
            "write, for example, --set frames.budget=8",
        )
    try:
        parsed = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError:
        return section, name, value
    return section, name, parsed["value"] if len(parsed) == 1 else value


def commented(
    sections: Mapping[str, type[Settings]], values: Mapping[str, Mapping[str, Any]]
) -> str:
    """Return an `egost.toml` that lists every setting with its description, defaults commented out."""
    lines = ["# Every setting with its default. To change one, remove the `#` from its line.", ""]
    for section, kind in sections.items():
        lines.append(f"[{section}]")
        for name, info in kind.model_fields.items():
            given = values.get(section, {}).get(name)
            default = info.get_default(call_default_factory=True)
            description = info.description or name
            lines.append(f"# {description[0].upper()}{description[1:].rstrip('.')}.")
            if given is not None:
                lines.append(f"{name} = {_toml(given)}")
            else:
                lines.append(f"# {name} =" + (f" {_toml(default)}" if default is not None else ""))
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # A JSON string is a valid TOML string, except that TOML requires DEL to be escaped too.
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
