{{- /* What the roles and the webhook of this installation are called. */ -}}
{{- define "towpath.clusterWideName" -}}
{{- if eq .Release.Namespace "osm-system" }}towpath
{{- else }}towpath-{{ .Release.Namespace }}{{ end }}
{{- end }}

{{- define "towpath.image" -}}
{{- with .Values.osm.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
towpath:{{ .Values.osm.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "towpath.namespace" -}}
{{- with .Values.osm.osmNamespace }}
{{- if ne . $.Release.Namespace }}
{{- $text := "osm.osmNamespace is %q, and the release is in %q: give helm --namespace" }}
{{- fail (printf $text . $.Release.Namespace) }}
{{- end }}
{{- end }}
{{- .Release.Namespace }}
{{- end }}
