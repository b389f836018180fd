"""SARIF 2.1.0: Problems as the document that code hosts show beside the lines of a change."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from towpath import __version__
from towpath.model.codes import Code, Severity
from towpath.model.names import ObjectRef
from towpath_api.v1 import inspector_pb2 as pb

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
ROOT = "SRCROOT"
"""The name of the folder that places are relative to: the one that the command runs in."""
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(problems: Sequence[pb.Problem], folder: Path | None) -> dict[str, Any]:
    """The document; *folder* is where the places of problems begin, None for a server's."""
    codes = sorted({one.code for one in problems})
    driver = {"name": "towpath", "version": __version__, "rules": [_rule(code) for code in codes]}
    run = {
        "tool": {"driver": driver},
        "invocations": [{"executionSuccessful": True}],
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.code), folder) for one in problems],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(name: str) -> dict[str, Any]:
    code = next((one for one in Code if one.value == name), None)
    if code is None:  # of a server of another version
        return {"id": name, "shortDescription": {"text": name}}
    return {
        "id": name,
        "shortDescription": {"text": name.replace("-", " ").capitalize()},
        "fullDescription": {"text": code.meaning},
        "help": {"text": f"{code.meaning} What to do: {code.remedy}"},
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
        "properties": {"tags": ["towpath", code.reason.value]},
    }


def _result(problem: pb.Problem, index: int, folder: Path | None) -> dict[str, Any]:
    ref = str(ObjectRef(problem.kind, problem.namespace, problem.name))
    what = f"{ref} {problem.field}" if problem.field else ref
    logical = {"fullyQualifiedName": what, "kind": "object"}
    location: dict[str, Any] = {"logicalLocations": [logical]}
    if folder is not None:
        location["physicalLocation"] = _place(folder, problem.source)
    return {
        "ruleId": problem.code,
        "ruleIndex": index,
        "level": _LEVELS[Severity(problem.severity)],
        "message": {"text": f"{what}: {problem.message}"},
        "locations": [location],
        "partialFingerprints": {"towpathProblem/v1": _fingerprint(problem)},
    }


def _place(folder: Path, source: str) -> dict[str, Any]:
    """Where a file and line of the folder are; the folder itself, where no file is to blame."""
    name, _, line = source.rpartition(":")
    file = folder / name if line.isdecimal() else folder / source
    file = file.absolute()
    here = Path.cwd()
    inside = file.is_relative_to(here)
    place: dict[str, Any] = {
        "artifactLocation": {
            "uri": quote(file.relative_to(here).as_posix()) if inside else file.as_uri()
        }
    }
    if inside:
        place["artifactLocation"]["uriBaseId"] = ROOT
    if line.isdecimal():
        place["region"] = {"startLine": int(line)}
    return place


def _fingerprint(problem: pb.Problem) -> str:
    """The same for the same fault, whatever line it has moved to."""
    parts = (
        *(problem.code, problem.kind, problem.namespace, problem.name),
        *(problem.field, problem.message),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
