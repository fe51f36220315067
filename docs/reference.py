"""The generated pages of the site: MkDocs calls this file as a hook and builds what it returns.

Names, types, bounds and defaults are read from the code; what the code can't say (what a column means)
is in meanings.toml. A thing without a description, or a description of nothing, stops the build.
"""

import ast
import inspect
import json
import re
import shutil
import tomllib
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from pydantic.fields import FieldInfo

from pipeline import errors
from pipeline.cli import console
from pipeline.cli.main import cli
from pipeline.engine.rows import Record, Rejection, Row
from pipeline.engine.settings import Settings
from pipeline.engine.stage import LazyFunction, Stage
from pipeline.engine.tables import TABLES
from pipeline.flow import SECTIONS, STAGES
from pipeline.questions.rows import AskedFact
from pipeline.releases.layout import Evidence, QuestionRow
from pipeline.routes.rows import Step
from pipeline.training.rows import Happening, TrainingRow
from pipeline.tuning.presets import GrpoSettings, ModelSettings, SftSettings, StageSettings

ROOT = Path(__file__).parent.parent
MEANINGS: dict[str, Any] = tomllib.loads(
    (ROOT / "docs" / "meanings.toml").read_text(encoding="utf-8")
)
_REMOTE = r"https?://(?!www\.w3\.org/)"  # all but the names of XML namespaces
_HIDDEN = {"__main__"}  # modules without an interface


# ---- MkDocs calls these ----------------------------------------------------------------------------


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the API pages to the navigation."""
    names = sorted(path.removeprefix("api/").removesuffix(".md") for path in api())
    assert config.nav is not None
    listed = [f"api/{name}.md" for name in names if name != "index"]
    config.nav.append({"API": ["api/index.md", *listed]})
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages."""
    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill the generated tables into a written page, and check the paths that it names."""
    for path in re.findall(
        r"`((?:pipeline|prompts|tests|annotations|benchmarks|docs)/[\w./*-]*)`", markdown
    ):
        if not any(ROOT.glob(path.rstrip("/"))):
            raise PluginError(f"{path} is named on a page, but there is no such file or folder")
    return re.sub(r"<!-- generated: (\w+) -->", lambda found: _FILLED[found[1]](), markdown)


def on_post_build(config: MkDocsConfig, **_: Any) -> None:
    """Take out what the theme's scripts would load from other hosts, for features that are not used here.

    Diagrams, figures of a repository, and the stemmers of other languages than English.
    """
    assets = Path(config.site_dir) / "assets"
    shutil.rmtree(assets / "javascripts" / "lunr")
    for path in assets.rglob("*"):
        if path.suffix == ".map":
            path.unlink()
        if path.suffix in (".js", ".css"):
            text = re.sub(r"\n?/[/*]# sourceMappingURL=.*", "", path.read_text(encoding="utf-8"))
            parts = re.split(r"(/\*.*?\*/)", text, flags=re.DOTALL)  # comments name licences
            if path.suffix == ".js":
                parts[::2] = (re.sub(_REMOTE, "/not-loaded/", part) for part in parts[::2])
            path.write_text("".join(parts), encoding="utf-8")


def pages() -> dict[str, str]:
    """Return every generated page by its path; raise PluginError for what has no description."""
    return {
        "reference/commands.md": commands(),
        "reference/settings.md": settings(SECTIONS),
        "reference/stages.md": stages(),
        "reference/tables.md": tables(),
        "reference/release.md": release(),
        "reference/exit-codes.md": exit_codes(),
        **api(),
    }


# ---- commands --------------------------------------------------------------------------------------


def commands() -> str:
    """Return the page of all commands with all their options."""
    found = dict(_commands(cli))
    _same(
        {
            f"{path} {parameter.name}"
            for path, command in found.items()
            for parameter in command.params
            if isinstance(parameter, click.Argument)
        },
        MEANINGS["arguments"],
        "an argument",
    )
    common = {parameter.name for parameter in cli.params} - {"version"}
    lines = [
        "# Commands",
        "",
        "`egost` without a command, and every command with `--help`, prints this as well.",
        "",
        "## Common options { #common }",
        "",
        "`--version` is for `egost` alone; the others may be given before or after the command's name. A command",
        "for which one would have no effect refuses it.",
        "",
        *_options("egost", cli.params),
        "",
    ]
    for path, command in found.items():
        lines += [f"## {path} {{ #{_anchor(path)} }}", "", *_command(path, command, common), ""]
    return "\n".join(lines)


def _commands(group: click.Group, path: str = "egost") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.commands[name]
        if isinstance(command, click.Group):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(path: str, command: click.Command, common: Collection[str | None]) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    yield f"    {' '.join([path, *command.collect_usage_pieces(context)])}"
    yield ""
    yield _described(inspect.cleandoc(command.help or ""), path)
    yield ""
    run = [stage.name for stage in STAGES if f"egost {stage.command}" == path]
    if run:
        names = ", ".join(f"[{name}](stages.md#{name})" for name in run)
        yield f"Runs the stage{'s' * (len(run) > 1)} {names}."
        yield ""
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    if arguments:
        yield from _table(
            ("argument", "required", "meaning"),
            (
                (
                    f"`{one.make_metavar(context)}`",
                    "yes" if one.required else "no",
                    MEANINGS["arguments"][f"{path} {one.name}"],
                )
                for one in arguments
            ),
        )
        yield ""
    shown = [one for one in command.params if not getattr(one, "hidden", False)]
    yield from _options(path, (one for one in shown if one.name not in common))
    taken = [f"`{one.opts[0]}`" for one in shown if one.name in common]
    if taken:
        yield ""
        yield f"Also takes {' and '.join(taken)} of the [common options](#common)."


def _options(path: str, parameters: Iterable[click.Parameter]) -> list[str]:
    options = [one for one in parameters if isinstance(one, click.Option)]
    return _table(
        ("option", "value", "default", "meaning"),
        (
            (
                " ".join(f"`{name}`" for name in one.opts),
                _value(one),
                _default(one),
                _described(one.help or "", f"{path} {one.opts[0]}"),
            )
            for one in options
        ),
    )


def _value(option: click.Option) -> str:
    if option.is_flag:
        return "flag"
    text = option.metavar or option.type.name
    return f"`{text}`, repeatable" if option.multiple else f"`{text}`"


def _default(option: click.Option) -> str:
    if isinstance(option.show_default, str):
        return option.show_default
    if option.is_flag or option.multiple or not isinstance(option.default, str | int | float):
        return ""
    return f"`{option.default}`"


# ---- settings --------------------------------------------------------------------------------------


def settings(sections: Mapping[str, type[Settings]]) -> str:
    """Return the page of all settings; raise PluginError for one without a description."""
    lines = [
        "# Settings",
        "",
        "The settings of a workspace are in its `egost.toml`, one section each; `egost init` writes the file with",
        "every setting, commented out at its default. `--set section.name=value` overrides one for a single run.",
        "",
        "*Redoes* names the stages whose finished units are computed again when the setting changes. A setting that",
        "redoes nothing controls how work is done, not its result (workers, prices, limits), or is used at export.",
        "",
    ]
    for section, kind in sections.items():
        users = [stage.name for stage in STAGES if stage.settings is kind]
        lines += [f"## [{section}] {{ #{section} }}", "", _described(_doc(kind), section), ""]
        if users:
            names = ", ".join(f"[{name}](stages.md#{name})" for name in users)
            lines += [f"Used by the stage{'s' * (len(users) > 1)} {names}.", ""]
        lines += _table(
            ("setting", "type", "default", "meaning", "redoes"),
            (_setting(section, name, info, users) for name, info in kind.model_fields.items()),
        )
        lines.append("")
    return "\n".join(lines)


def _setting(section: str, name: str, info: FieldInfo, users: Iterable[str]) -> tuple[str, ...]:
    default = "required"
    if not info.is_required():
        value = info.get_default(call_default_factory=True)
        default = "not set" if value is None else f"`{json.dumps(value, ensure_ascii=False)}`"
    redone = "nothing" if info.exclude else ", ".join(users)
    return (
        f'`{name}`<a id="{section}.{name}"></a>',
        ", ".join(filter(None, (_kind(info.annotation), *_bounds(info)))),
        default,
        _sentence(_described(info.description or "", f"{section}.{name}")),
        redone or "nothing",
    )


_PLAIN = {str: "text", int: "integer", float: "number", bool: "true or false"}


def _kind(annotation: Any) -> str:
    """Return a setting's type in words."""
    options = typing.get_args(annotation)
    if typing.get_origin(annotation) is Literal:
        return _one_of(annotation)
    if typing.get_origin(annotation) in (list, tuple):
        inner = _kind(options[0])
        return f"list, each {inner}" if inner.startswith("one of") else f"list of {inner}"
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        return " or ".join(_kind(option) for option in options if option is not types.NoneType)
    return _PLAIN[annotation]


def _one_of(annotation: Any) -> str:
    return "one of " + ", ".join(f"`{json.dumps(value)}`" for value in typing.get_args(annotation))


def _bounds(info: FieldInfo) -> Iterator[str]:
    found = {
        name: getattr(one, name)
        for one in info.metadata
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern")
        if getattr(one, name, None) is not None
    }
    if {"ge", "le"} <= found.keys():
        yield f"{found.pop('ge'):g} to {found.pop('le'):g}"
    words = {
        "ge": "at least {:g}",
        "gt": "more than {:g}",
        "le": "at most {:g}",
        "lt": "less than {:g}",
        "min_length": "at least {} characters",
        "max_length": "at most {} characters",
        "pattern": "matches `{}`",
    }
    yield from (words[name].format(value) for name, value in found.items())


# ---- stages and tables -----------------------------------------------------------------------------


def stages() -> str:
    """Return the page of all stages."""
    lines = [
        "# Stages",
        "",
        "In the order in which they run. A stage is a function from rows to rows; the",
        "[architecture page](../architecture.md) explains units, keys and what people have judged.",
        "",
        *_stages_in_order(),
        "",
    ]
    for stage in STAGES:
        lines += [f"## {stage.name} {{ #{stage.name} }}", ""]
        lines += [_sentence(_described(stage.does, f"stage {stage.name}")), ""]
        lines += [*_table(("property", "value"), _stage(stage)), ""]
    return "\n".join(lines)


def _stages_in_order(folder: str = "") -> list[str]:
    rows = (
        (
            f"[{stage.name}]({folder}stages.md#{stage.name})",
            f"`egost {stage.command}`",
            _unit(stage),
            _linked(stage.reads, folder),
            _linked(stage.writes, folder),
        )
        for stage in STAGES
    )
    return _table(("stage", "command", "a unit is", "reads", "writes"), rows)


def _stage(stage: Stage) -> Iterator[tuple[str, str]]:
    section = stage.section or stage.name
    assert isinstance(stage.run, LazyFunction)
    yield "command", f"[`egost {stage.command}`](commands.md#egost-{stage.command})"
    yield "a unit is", _unit(stage)
    yield "reads", _linked(stage.reads)
    yield "writes", _linked(stage.writes)
    kept = [kind for kind in stage.remembers if kind.table in TABLES]
    if kept:
        yield "sees again what it wrote or people judged before", _linked(kept)
    yield "settings", f"[`[{section}]`](settings.md#{section})"
    yield "function", f"`{stage.run.module}.{stage.run.name}`"
    yield "version (in the key)", str(stage.version)
    if stage.depends:
        yield "also in the key", "templates and words in use, or other files that it reads"
    for kind, names in stage.key_fields.items():
        shown = ", ".join(f"`{name}`" for name in sorted(names))
        yield f"columns of `{kind.table}` in the key", shown
    if stage.redo:
        yield "replaces what people have judged only with", f"`{stage.redo}`"


def _unit(stage: Stage) -> str:
    return f"one row of `{stage.per.table}`" if stage.per else "all rows together"


def _linked(kinds: Iterable[type[Row]], folder: str = "") -> str:
    return ", ".join(f"[{kind.table}]({folder}tables.md#{kind.table})" for kind in kinds)


def tables() -> str:
    """Return the page of all tables of a workspace."""
    lines = [
        "# Tables",
        "",
        "A workspace holds these as Parquet files, `tables/NAME.parquet`, rebuilt from `done.sqlite` after every command.",
        "Times that end in `_us` are integer microseconds: of video time, unless the meaning says otherwise. Angles are degrees, positive to the left.",
        "",
    ]
    written = {kind.table for stage in STAGES for kind in stage.writes} | {Rejection.table}
    _same(TABLES.keys() - written, MEANINGS["outside"], "a table that no stage writes,")
    for name, kind in TABLES.items():
        lines += [f"## {name} {{ #{name} }}", "", _described(_doc(kind), name), ""]
        lines += [*_facts(name, kind), "", *_columns(kind), ""]
    lines += ["## Steps { #steps }", "", "The elements of the column `steps`.", "", *_columns(Step)]
    return "\n".join(lines)


def _facts(name: str, kind: type[Row]) -> Iterator[str]:
    def links(found: Iterable[Stage]) -> str:
        return ", ".join(f"[{stage.name}](stages.md#{stage.name})" for stage in found)

    writers = links(stage for stage in STAGES if kind in stage.writes)
    readers = links(stage for stage in STAGES if kind in stage.reads)
    every = "any stage" if kind is Rejection else ""
    yield f"- Written by: {writers or every or MEANINGS['outside'][name]}"
    if readers:
        yield f"- Read by the stages: {readers}"
    yield f"- Key: {', '.join(f'`{column}`' for column in kind.key)}"


def _columns(kind: type[Record]) -> list[str]:
    from pipeline.engine.arrow import arrow_schema  # imports Arrow

    meanings = meanings_of(kind)
    fields = kind.model_fields
    return _table(
        ("column", "type", "nullable", "meaning"),
        (
            (
                f"`{field.name}`",
                _column_type(str(field.type), fields[field.name].annotation),
                "yes" if field.nullable else "",
                _with_values(meanings[field.name], fields[field.name].annotation),
            )
            for field in arrow_schema(kind)
        ),
    )


def meanings_of(kind: type[Record]) -> dict[str, str]:
    """Return what each column of a row type means; raise PluginError if one has no meaning."""
    found: dict[str, str] = {}
    for one in reversed(kind.__mro__):
        declared = {name for name in inspect.get_annotations(one) if name in kind.model_fields}
        if declared:
            known = MEANINGS["columns"].get(one.__name__, {})
            _same(declared, known, f"a column of {one.__name__}")
            found |= known
    return found


_ELEMENTS = {
    Step: "[steps](tables.md#steps)",
    AskedFact: "[facts](release.md#facts)",
    Happening: "[happenings](#happenings)",
}


def _column_type(arrow: str, annotation: Any) -> str:
    if "struct" in arrow:
        (kind,) = typing.get_args(annotation)
        return f"list of {_ELEMENTS[kind]}"
    inner = re.fullmatch(r"list<\w+: (\w+)(?: not null)?>", arrow)
    return f"list of {inner[1]}" if inner else arrow


def _with_values(meaning: str, annotation: Any) -> str:
    """Return a column's meaning, with the values that it may have unless the meaning names them all."""
    options = [annotation, *typing.get_args(annotation)]
    kind = next((one for one in options if typing.get_origin(one) is Literal), None)
    named = [f"`{value}`" for value in typing.get_args(kind)]
    if all(value in meaning for value in named):
        return meaning
    return f"{meaning} Values: {', '.join(named)}."


# ---- releases --------------------------------------------------------------------------------------


def release() -> str:
    """Return the data dictionary of a release."""

    def dictionary(name: str, header: str) -> list[str]:
        return _table(
            (header, "meaning"), ((f"`{one}`", text) for one, text in MEANINGS[name].items())
        )

    return "\n".join(
        [
            "# Release",
            "",
            "`egost export VERSION` writes the folder `releases/vVERSION`, which never changes again.",
            "",
            "## Files { #files }",
            "",
            *dictionary("release_files", "file"),
            "",
            "Each split is a file `SPLIT-00000-of-00001.parquet`, or several of 100,000 rows each.",
            "",
            "## Questions: `data/`, `mcq/`, `with_frames/` { #questions }",
            "",
            _doc(QuestionRow),
            "",
            *_columns(QuestionRow),
            "",
            "`with_frames/` has one column more:",
            "",
            *dictionary("with_frames", "column"),
            "",
            "## Evidence: `evidence/` { #evidence }",
            "",
            _doc(Evidence),
            "",
            *_columns(Evidence),
            "",
            "### Facts { #facts }",
            "",
            "The elements of the column `facts`.",
            "",
            *_columns(AskedFact),
            "",
            "## manifest.json { #manifest }",
            "",
            *dictionary("manifest", "key"),
            "",
            "## adapters/ego_st/\\*.json { #ego_st }",
            "",
            *dictionary("ego_st", "key"),
            "",
            "## adapters/vlmevalkit/\\*.tsv { #vlmevalkit }",
            "",
            *dictionary("vlmevalkit", "column"),
            "",
        ]
    )


# ---- exit codes ------------------------------------------------------------------------------------


def exit_codes() -> str:
    """Return the page of all exit codes."""
    meanings = {int(code): text for code, text in MEANINGS["exit_codes"].items()}
    _same(codes(), meanings, "an exit code")
    rows = ((f"`{code}`", text) for code, text in sorted(meanings.items()))
    return "\n".join(
        [
            "# Exit codes",
            "",
            *_table(("code", "meaning"), rows),
            "",
            "Messages of codes 2 and 3 have the form",
            "",
            "    error: WHERE: WHAT",
            "      fix: WHAT TO DO",
            "",
        ]
    )


def codes() -> set[int]:
    """Return every exit code that the code names, and 1, which is Python's own for a traceback."""
    found = {
        one.exit_code
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, errors.UserError)
    }
    for node in ast.walk(ast.parse(inspect.getsource(console.exit_code))):
        if isinstance(node, ast.Return) and isinstance(node.value, ast.Constant):
            found.add(node.value.value)
    return found | {1}


# ---- API -------------------------------------------------------------------------------------------


def api() -> dict[str, str]:
    """Return a page for each package, with all its modules, for mkdocstrings to fill."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if path.stem not in _HIDDEN | {"__init__"}:
            package = name.split(".")[1]
            found.setdefault(package, []).append(name)
    made = {}
    for package, modules in found.items():
        heading = f"pipeline.{package}" if len(modules) > 1 else modules[0]
        text = [f"# {heading}", ""]
        if len(modules) > 1:
            text += [_package_doc(package), ""]
        text += [_module(module) for module in modules]
        made[f"api/{package}.md"] = "\n".join(text)
    rows = ((f"[pipeline.{package}]({package}.md)", _package_doc(package)) for package in found)
    made["api/index.md"] = "\n".join(
        [
            "# API",
            "",
            "Every module, by package. [Architecture](../architecture.md) shows which package may import which.",
            "",
            *_table(("package", "owns"), rows),
        ]
    )
    return made


def _module(name: str) -> str:
    """Return what has mkdocstrings show a module; of rows and settings the fields are the interface."""
    fields = name.endswith((".rows", ".settings"))
    options = "    options:\n      show_if_no_docstring: true\n" if fields else ""
    return f"::: {name}\n{options}"


def _package_doc(package: str) -> str:
    folder = ROOT / "pipeline" / package
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return _described(text.split("\n\n")[0].replace("\n", " "), f"pipeline.{package}")


# ---- filled into written pages ---------------------------------------------------------------------


def _flow() -> str:
    return "\n".join(_stages_in_order("reference/"))


def _levels() -> str:
    """Return the package levels as tests/test_architecture.py has them, the lowest first."""
    text = (ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LEVELS":
            levels: tuple[str, ...] = ast.literal_eval(node.value)
            break
    else:
        raise PluginError("tests/test_architecture.py has no LEVELS")
    rows = []
    for number, names in enumerate(levels):
        for name in names.split():
            owns = "the rows and settings of every package" if "*" in name else _package_doc(name)
            rows.append((str(number), f"`{name}`", owns))
    return "\n".join(_table(("level", "package", "owns"), rows))


def _training() -> str:
    """Return the columns of training rows."""
    titled = ((TrainingRow, "### Columns of rows.parquet"), (Happening, "### Happenings"))
    parts = ([title, "", _doc(kind), "", *_columns(kind), ""] for kind, title in titled)
    text = "\n".join(line for part in parts for line in part)
    return text.replace("](release.md", "](reference/release.md")


_PRESETS: Mapping[str, tuple[str, type[Settings]]] = {
    "model": ("[model]", ModelSettings),
    "stages": ("[sft] and [grpo]", StageSettings),
    "sft": ("[sft] alone", SftSettings),
    "grpo": ("[grpo] alone", GrpoSettings),
}


def _presets() -> str:
    """Return the settings of training presets, a table for each section and one for what both stages have."""
    found: list[str] = []
    for anchor, (title, kind) in _PRESETS.items():
        own = inspect.get_annotations(kind)
        rows = (
            _setting(anchor, name, info, ())[:-1]
            for name, info in kind.model_fields.items()
            if name in own
        )
        found += [f"### {title} {{ #settings-{anchor} }}", "", _described(_doc(kind), anchor), ""]
        found += [*_table(("setting", "type", "default", "meaning"), rows), ""]
    return "\n".join(found)


_FILLED: dict[str, Callable[[], str]] = {
    "stages": _flow,
    "levels": _levels,
    "training": _training,
    "presets": _presets,
}


# ---- text ------------------------------------------------------------------------------------------


def _doc(kind: type) -> str:
    """Return a class's own docstring (a subclass must not show that of its parent)."""
    return inspect.cleandoc(kind.__doc__ or "") if "__doc__" in vars(kind) else ""


def _described(text: str, what: str) -> str:
    if not text.strip():
        raise PluginError(f"{what} has no description")
    return text


def _same(there: Collection[Any], described: Collection[Any], what: str) -> None:
    """Raise PluginError unless exactly the things that are there are described."""
    missing, stale = set(there) - set(described), set(described) - set(there)
    if missing:
        raise PluginError(f"{what} has no description in docs/meanings.toml: {sorted(missing)}")
    if stale:
        raise PluginError(
            f"docs/meanings.toml describes {what} that does not exist: {sorted(stale)}"
        )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:].rstrip('.')}."


def _anchor(path: str) -> str:
    return path.replace(" ", "-")


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    lines = [[*header], *([*row] for row in rows)]
    if len(lines) == 1:
        return []
    lines.insert(1, ["---"] * len(lines[0]))
    return [f"| {' | '.join(_cell(text) for text in line)} |" for line in lines]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "&#124;")
