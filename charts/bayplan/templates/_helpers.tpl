{{- define "bayplan.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "bayplan.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "bayplan.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "bayplan.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "bayplan.selectorLabels" -}}
app.kubernetes.io/name: {{ include "bayplan.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "bayplan.labels" -}}
{{ include "bayplan.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "bayplan.tlsSecret" -}}
{{- default (printf "%s-tls" (include "bayplan.fullname" .)) .Values.tls.secretName }}
{{- end }}

{{/* The bundle: path → content, of the values or else of the folder `welcome`. */}}
{{- define "bayplan.files" -}}
{{- $files := dict }}
{{- range $path, $content := .Values.bundle.files }}
{{- $_ := set $files $path $content }}
{{- end }}
{{- if not $files }}
{{- range $path, $content := .Files.Glob "welcome/**.yaml" }}
{{- $_ := set $files (trimPrefix "welcome/" $path) (toString $content) }}
{{- end }}
{{- end }}
{{- toJson $files }}
{{- end }}

{{/* A ConfigMap's key may not hold a slash, and a bundle's path no two dots in a row (values.schema.json sees to
that): so one stands for the other, and no two paths share a key. */}}
{{- define "bayplan.key" -}}
{{- replace "/" ".." . }}
{{- end }}
