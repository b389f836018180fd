"""Writes deploy/chart, the Helm chart, from deploy/base and deploy/crds: `make chart`.

The templates are what `towpath install` would apply if its values were placeholders, each of them
replaced by an expression of Helm's: so the chart and `--set` agree on every key.
"""

from __future__ import annotations

import itertools
import json
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from towpath import __version__
from towpath.install.installed import values_of
from towpath.install.keys import KEYS, Key
from towpath.install.manifests import NAMESPACE, as_yaml, manifests
from towpath.install.ownership import NAME
from towpath.install.packaged import Document, documents
from towpath.install.values import Values
from towpath.kubeapi.names import cluster_wide_name
from towpath.kubeapi.preset import KEY, PRESET

DEPLOY = Path(__file__).parent
CHART = DEPLOY / "chart"
NAMESPACE_KEY = "osm.osmNamespace"
BY_DEFAULT_THE_VERSION = "osm.image.tag"
GENERATED = "Made of deploy/base by `make chart`."

CHART_YAML = f"""\
# {GENERATED}
apiVersion: v2
name: {NAME}
description: A control plane for service-mesh sidecars, compatible with Open Service Mesh
type: application
version: {__version__}
appVersion: {__version__}
kubeVersion: ">=1.30.0-0"
keywords: [control plane, egress, envoy, openservicemesh, service mesh, xds]
"""

HELPERS = """\
{{- /* What the roles and the webhook of this installation are called. */ -}}
{{- define "towpath.clusterWideName" -}}
{{- if eq .Release.Namespace "%(namespace)s" }}%(name)s
{{- else }}%(name)s-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "towpath.image" -}}
{{- with .Values.osm.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
%(name)s:{{ .Values.osm.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "towpath.namespace" -}}
{{- with .Values.%(key)s }}
{{- if ne . $.Release.Namespace }}
{{- $text := "%(key)s is %%q, and the release is in %%q: give helm --namespace" }}
{{- fail (printf $text . $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- .Release.Namespace }}
{{- end }}
""" % {"namespace": NAMESPACE, "name": NAME, "key": NAMESPACE_KEY}  # noqa: UP031 - it is full of braces

NOTES = """\
Towpath {{ .Chart.AppVersion }}: mesh {{ .Values.osm.meshName }} in {{ .Release.Namespace }}. Next:

  kubectl rollout status deployment/towpath -n {{ .Release.Namespace }}
  towpath namespace add NAMESPACE    # its pods join the mesh
  towpath check                      # is the installation healthy?

The MeshConfig osm-mesh-config is made of these values if there is none. One that exists is never
changed by Helm: use kubectl patch.
"""


def chart() -> dict[str, str]:
    """The text of each file of the chart, by its path in it."""
    files = {
        "Chart.yaml": CHART_YAML,
        "values.yaml": _values(),
        "values.schema.json": json.dumps(_schema(), indent=2) + "\n",
        "templates/_helpers.tpl": HELPERS,
        "templates/NOTES.txt": NOTES,
    }
    for path in sorted((DEPLOY / "crds").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            # `helm show crds` puts nothing between them.
            files[f"crds/{path.name}"] = f"---\n{path.read_text()}"
    for name, objects in _by_file():
        files[f"templates/{name}"] = f"# {GENERATED}\n{_template(objects)}"
    return files


def _by_file() -> Iterator[tuple[str, list[Document]]]:
    """The objects with placeholders, by the file of deploy/base that each is in."""
    made = iter(manifests(_placeholders()))
    kustomization = yaml.safe_load((DEPLOY / "base" / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        if name == "../crds":
            plain = documents("crds")
        else:
            plain = list(yaml.safe_load_all((DEPLOY / "base" / name).read_text()))
        objects = list(itertools.islice(made, len(plain)))
        # Helm has a folder for definitions, and makes the release's namespace before any template.
        if name not in ("../crds", "namespace.yaml"):
            yield name, objects


def _identity(document: Document) -> tuple[str, str]:
    return document["kind"], document["metadata"]["name"]


def _placeholder(name: str) -> str:
    return f"placeholder-of-{name}"


REPLICAS = 1_000_000_007
"""The placeholder of a number is one that nobody would write."""


def _placeholders() -> Values:
    fields: dict[str, Any] = {}
    preset = {}
    for name, key in KEYS.items():
        if key.in_preset:
            preset[key.sets] = _placeholder(name)
        elif key.sets == "replicas":
            fields[key.sets] = REPLICAS
        elif key.structure is None:
            fields[key.sets] = _placeholder(name)
        elif msgspec.json.schema(key.structure).get("type") == "array":
            fields[key.sets] = [_placeholder(name)]
        else:
            fields[key.sets] = {_placeholder(name): _placeholder(name)}
    return Values(**fields, preset=preset)


def _template(objects: list[Document]) -> str:
    """The objects as YAML with Helm's expressions; a placeholder is a whole scalar, or in JSON."""
    text = as_yaml(objects)
    assert "{{" not in text, "Helm would take it for an expression"
    for name, key in KEYS.items():
        if key.structure is not None and not key.in_preset:
            text = _structure(text, name)
    namespace = _placeholder(NAMESPACE_KEY)
    image = f"{_placeholder('osm.image.registry')}/{NAME}:{_placeholder(BY_DEFAULT_THE_VERSION)}"
    expressions = {
        cluster_wide_name(namespace): 'include "towpath.clusterWideName" . | quote',
        image: 'include "towpath.image" . | quote',
        namespace: 'include "towpath.namespace" . | quote',
        str(REPLICAS): ".Values.osm.osmController.replicaCount",
    }
    for placeholder, expression in expressions.items():
        text = text.replace(placeholder, f"{{{{ {expression} }}}}")
    for name in KEYS:
        text = text.replace(json.dumps(_placeholder(name)), f"{{{{ .Values.{name} | toJson }}}}")
        text = text.replace(_placeholder(name), f"{{{{ .Values.{name} | quote }}}}")
    left = re.findall(r"placeholder-of-\S*", text)
    assert not left, f"no expression for {left}"
    return text


def _structure(text: str, name: str) -> str:
    """The text with the value that has a structure; where it is empty, its field is left out. In a
    map that has other fields it stands among them.
    """
    value, mark = f".Values.{name}", re.escape(_placeholder(name))
    field = re.compile(rf"^( *)(\w+):\n +(?:- )?{mark}(?:: {mark})?\n", re.MULTILINE)
    beside = re.compile(rf"^( *){mark}: {mark}\n", re.MULTILINE)
    whole = r"\1{{- with %s }}\n\1\2: {{ toJson . }}\n\1{{- end }}\n" % value  # noqa: UP031
    among = r"\1{{- with %s }}\n\1{{- toYaml . | nindent %d }}\n\1{{- end }}\n"
    text = field.sub(whole, text)
    return beside.sub(lambda line: line.expand(among % (value, len(line[1]))), text)


def _defaults() -> Mapping[str, Any]:
    """What each key has in deploy/base, as far as it is said there."""
    base = {_identity(one): one for one in documents("base")}
    preset = json.loads(base["ConfigMap", PRESET]["data"][KEY])
    fixed = values_of(base["Deployment", NAME])
    return {name: _default(name, key, preset, fixed) for name, key in KEYS.items()}


def _default(name: str, key: Key, preset: Any, fixed: Values) -> Any:
    if name in (NAMESPACE_KEY, BY_DEFAULT_THE_VERSION):
        return ""
    if not key.in_preset:
        value = getattr(fixed, key.sets)
        return list(value) if isinstance(value, tuple) else value
    value = preset
    for part in key.sets.split("."):
        value = value[part]
    return value


def _values() -> str:
    """values.yaml: each key with its default, and above it what it does and what is allowed."""
    lines = [f"# {GENERATED} The keys are those of `towpath install --set`."]
    sections: list[str] = []
    defaults = _defaults()
    for name in sorted(KEYS, key=lambda name: (name.count("."), name)):
        *parents, last = name.split(".")
        for depth, parent in enumerate(parents):
            if sections[depth : depth + 1] != [parent]:
                sections = [*sections[:depth], parent]
                lines.append(f"{'  ' * depth}{parent}:")
        sections = sections[: len(parents)]
        indent = "  " * len(parents)
        key = KEYS[name]
        text, allowed = key.text, key.allowed
        if name == NAMESPACE_KEY:
            text, allowed = "For Open Service Mesh's commands.", "the release's namespace"
        lines.append(f"{indent}# {text} ({allowed})")
        lines.append(f"{indent}{last}: {json.dumps(defaults[name])}")
    return "\n".join(lines) + "\n"


def _schema() -> dict[str, Any]:
    """What Helm holds values against: a key that does not exist is refused, as `--set` does, with
    those that do, and so is a section that is taken away.
    """
    schema = _section()
    # Helm hands these to each chart that is part of another.
    schema["properties"]["global"] = {"type": "object"}
    structures = [key.structure for key in KEYS.values() if key.structure is not None]
    schemas, definitions = msgspec.json.schema_components(structures, ref_template="#/$defs/{name}")
    of_structures = dict(zip(map(id, structures), schemas, strict=True))
    defaults = _defaults()
    sections: dict[tuple[str, ...], dict[str, Any]] = {(): schema}
    for name, key in KEYS.items():
        *parents, last = name.split(".")
        section = schema
        for depth, parent in enumerate(parents, 1):
            section = section["properties"].setdefault(parent, _section())
            sections[tuple(parents[:depth])] = section
        own = dict(key.schema if key.structure is None else of_structures[id(key.structure)])
        if defaults[name] == "":  # which leaves a manifest as it is
            own |= {"pattern": f"^$|{own['pattern']}"} if "pattern" in own else {"minLength": 0}
        not_these = {"properties": dict.fromkeys(key.reserved, False)} if key.reserved else {}
        section["properties"][last] = {**own, **not_these, "description": key.text}
    for section in sections.values():
        names = sorted(section["properties"])
        section["propertyNames"] = {"enum": names}
        section["required"] = [name for name in names if name != "global"]
    draft = "http://json-schema.org/draft-07/schema#"
    return {"$schema": draft, **schema, "$defs": dict(sorted(definitions.items()))}


def _section() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


def write(folder: Path) -> None:
    """Replace the folder by the chart; a file that is no part of it any more goes."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in chart().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else CHART)
