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

{{/* The archive of the bundle, base64: of the values, or else the chart's own. It is one value, so that it is replaced as a
whole: Helm merges maps, and a policy that was deleted would stay. */}}
{{- define "bayplan.archive" -}}
{{- default (.Files.Get "welcome.tar.gz" | b64enc) .Values.bundle.archive }}
{{- end }}

{{/* The sources of previous bundles, empty if there are none. */}}
{{- define "bayplan.previous" -}}
{{- range prepend (default list .Values.moreBundles) .Values.bundle }}{{ .previous }}{{ end }}
{{- end }}

{{/* Not empty if any source is objects of the cluster. */}}
{{- define "bayplan.objects" -}}
{{- range prepend (default list .Values.moreBundles) .Values.bundle }}
{{- range list .source .shadow .previous }}{{ if hasPrefix "objects://" (default "" .) }}{{ . }}{{ end }}{{ end }}
{{- end }}
{{- end }}

{{/* Values of a release before this one may lack it. */}}
{{- define "bayplan.rolloutPercent" -}}
{{- hasKey .Values "rolloutPercent" | ternary .Values.rolloutPercent 100 }}
{{- end }}

{{/* What the API server checks before it calls: never looser than what the webhook leaves alone itself. The user comes
first, so that no pod of anybody else can make a condition fail, which skips a webhook under `Ignore`. */}}
{{- define "bayplan.matchConditions" -}}
{{- $terms := "object.spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution" }}
{{- if ne (toString .Values.webhook.handsOnDaemonSets) "true" }}
- name: not-of-a-daemon-set
  expression: >-
    !(has(request.userInfo.username) && request.userInfo.username in [{{ range $i, $user := .Values.webhook.daemonSetControllers }}{{ if $i }}, {{ end }}{{ $user | toJson }}{{ end }}]
    && has(object.metadata.ownerReferences)
    && object.metadata.ownerReferences.exists(o, o.apiVersion == "apps/v1" && o.kind == "DaemonSet"
    && has(o.controller) && o.controller)
    && has(object.spec.affinity) && has(object.spec.affinity.nodeAffinity)
    && has({{ $terms }}) && has({{ $terms }}.nodeSelectorTerms)
    && {{ $terms }}.nodeSelectorTerms != null && size({{ $terms }}.nodeSelectorTerms) > 0
    && {{ $terms }}.nodeSelectorTerms.all(t, has(t.matchFields) && t.matchFields.exists(f,
    f.key == "metadata.name" && f.operator == "In" && has(f.values) && size(f.values) == 1)))
{{- end }}
- name: not-a-mirror-pod
  expression: >-
    !(has(request.userInfo.username) && request.userInfo.username.startsWith("system:node:")
    && has(request.userInfo.groups) && "system:nodes" in request.userInfo.groups
    && has(object.metadata.annotations) && "kubernetes.io/config.mirror" in object.metadata.annotations
    && has(object.spec.nodeName) && request.userInfo.username == "system:node:" + object.spec.nodeName)
{{- with .Values.webhook.matchConditions }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* How the API server calls: of `root`, the `name` of the Service, the authority `ca`, namespaces that are left `alone`. */}}
{{- define "bayplan.call" -}}
{{- with .root }}
admissionReviewVersions: [v1]
clientConfig:
  service:
    name: {{ $.name }}
    namespace: {{ .Release.Namespace }}
    path: /mutate
    port: {{ .Values.service.port }}
  {{- with $.ca }}
  caBundle: {{ . }}
  {{- end }}
# by the one label that nobody can change; its own namespace, for it must be able to start while it is away
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ $.alone | toJson }}
# Ignore: pods are created unpatched while the webhook is away. Fail: they are refused.
failurePolicy: {{ .Values.webhook.failurePolicy }}
timeoutSeconds: {{ .Values.webhook.timeoutSeconds }}
# another webhook may add affinity or tolerations after this one
reinvocationPolicy: IfNeeded
matchPolicy: Equivalent
sideEffects: {{ .Values.events | ternary "NoneOnDryRun" "None" }}
{{- end }}
{{- end }}
