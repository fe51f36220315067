"""The machine-readable description of a release: Croissant (JSON-LD) with responsible-AI fields."""

import json
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.engine.rows import Record
from pipeline.errors import GateError
from pipeline.releases.layout import QuestionRow, file_digest

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {str: "sc:Text", int: "sc:Integer", float: "sc:Float", bool: "sc:Boolean"}


def write_croissant(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write `croissant.json` into a release that already has `data/`."""
    text = json.dumps(describe(folder, manifest), indent=1, ensure_ascii=False)
    (folder / "croissant.json").write_text(text + "\n", encoding="utf-8")


def check_croissant(folder: Path, fix: str) -> None:
    """Raise GateError unless mlcroissant accepts the release's `croissant.json`."""
    # Takes 3 to 4 s, so only `egost verify` imports it.
    import mlcroissant

    path = folder / "croissant.json"
    # mlcroissant has no error class for a file that is not a dataset; `[]` raises AttributeError.
    unreadable = (OSError, ValueError, TypeError, KeyError, AttributeError, AssertionError)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of rdflib
            mlcroissant.Dataset(str(path))
    except mlcroissant.ValidationError as error:
        _, *issues = str(error).splitlines()  # a heading, then one line per issue
        what = f"is not valid Croissant: {len(issues)} errors, such as: {issues[-1].strip(' -')}"
        raise GateError(str(path), what, fix) from error
    except unreadable as error:
        raise GateError(str(path), f"can't be read as Croissant: {error!r}", fix) from error


def describe(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description of a release as JSON-LD."""
    licences = sorted({video["licence"] or "not stated" for video in manifest["videos"]})
    gates = {
        called: [gate["name"] for gate in manifest["gates"] if gate["state"] == state]
        for called, state in (("Gates not met", "failed"), ("Unproven", "unproven"))
    }
    doubts = " ".join(f"{called}: {', '.join(named)}." for called, named in gates.items() if named)
    published = datetime.fromtimestamp(manifest["newest_verdict_us"] / 1e6, UTC).date().isoformat()
    people = manifest["clips_judged_by_people"]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest["dataset"],
        "version": manifest["version"],
        "description": "Questions about routes, directions, landmarks and actions in first-person video, "
        "asked forward and in reverse; built so that the text alone does not give the answers away.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": licences,
        "url": ".",
        # The day of the newest verdict, not of the export: the same workspace gives the same bytes.
        "datePublished": published,
        "inLanguage": sorted(manifest["languages"]),
        "keywords": ["egocentric video", "question answering", "spatio-temporal reasoning"],
        "citeAs": f"{manifest['dataset']} {manifest['version']}",
        "isLiveDataset": False,
        "rai:dataCollection": f"{len(manifest['videos'])} first-person videos, {manifest['clips']} clips, "
        f"{manifest['spans']} spans; "
        "routes drafted from measured camera motion or by a model, then reviewed by people.",
        "rai:dataAnnotationProtocol": "Annotators see the clip, its keyframes and the drafted steps, and accept, "
        "correct or reject the steps; questions and answers are derived from the accepted steps.",
        "rai:annotationsPerItem": f"people judged {people} of {manifest['clips']} clips",
        "rai:dataAnnotationAnalysis": _agreement(manifest),
        "rai:dataManipulationProtocol": "A multiple-choice item asks about two facts of a span of video; its "
        "options are the four combinations. Spans, pairs of facts and letters are drawn with a seed that is "
        "not published" + _mirrored(manifest) + ".",
        "rai:dataLimitations": doubts or "All gates were met; manifest.json has the results.",
        "rai:dataBiases": "Scenes and wearers are those of the source videos; left and right turns "
        "are as frequent as in those videos.",
        "rai:personalSensitiveInformation": "First-person video may show people; only videos with the owner's consent "
        "to release are included.",
        "rai:dataUseCases": "Measuring and training spatio-temporal reasoning on first-person video.",
        "distribution": [*_files(folder), _file_set("frames", "image/jpeg", "frames/*/*.jpg")],
        "recordSet": [_record_set("questions", "data-files", QuestionRow)],
    }


def _mirrored(manifest: Mapping[str, Any]) -> str:
    if not manifest["mirrored_spans"]:
        return ""
    return (
        f", and so are the {manifest['mirrored_spans']} spans whose frames are flipped left to right, "
        "with every side that is asked about"
    )


def _agreement(manifest: Mapping[str, Any]) -> str:
    found = [
        f"{category}: {one['percent']:.0%} on {one['clips']} clips"
        for category, one in manifest["agreement"].items()
    ]
    return "; ".join(found) or "no clip was judged by two people"


def _files(folder: Path) -> list[dict[str, Any]]:
    """Return an entry for each Parquet file, and one for the set of them."""
    files = [
        {
            "@type": "cr:FileObject",
            "@id": path.name,
            "name": path.name,
            "contentUrl": f"data/{path.name}",
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": "application/x-parquet",
            "sha256": file_digest(path),
        }
        for path in sorted((folder / "data").glob("*.parquet"))
    ]
    return [*files, _file_set("data-files", "application/x-parquet", "data/*.parquet")]


def _file_set(name: str, kind: str, pattern: str) -> dict[str, Any]:
    """Return a set of files next to croissant.json; it has no container."""
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "encodingFormat": kind,
        "includes": pattern,
    }


def _record_set(name: str, source: str, kind: type[Record]) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/id"},
        "field": [
            _field(name, source, column, info.annotation)
            for column, info in kind.model_fields.items()
        ],
    }


def _field(name: str, source: str, column: str, annotation: Any) -> dict[str, Any]:
    text = str(annotation)
    repeated = text.startswith("list[")
    plain = annotation if annotation in _TYPES else float if "float" in text else str
    return {
        "@type": "cr:Field",
        "@id": f"{name}/{column}",
        "name": column,
        "dataType": _TYPES[plain],
        **({"repeated": True} if repeated else {}),
        "source": {"fileSet": {"@id": source}, "extract": {"column": column}},
    }
