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

{{/* Not empty if a bundle's values say whom to trust. */}}
{{- define "bayplan.trusted" -}}
{{- if ne (empty .identities) (empty .trustedRoot) }}
{{- fail "identities and trustedRoot go together: who may sign, and whose certificates say who somebody is" }}
{{- end }}
{{- if or .keys .allowedSigners .identities }}yes{{ end }}
{{- end }}

{{/* The arguments that say which bundles, and what is asked of each; with `serves`, also how they are followed. */}}
{{- define "bayplan.bundleArguments" -}}
{{- range $i, $bundle := prepend (default list .root.Values.moreBundles) .root.Values.bundle }}
{{- $at := ternary "" (printf "-%d" $i) (eq $i 0) }}
{{- with $bundle }}
{{- if .source }}
- {{ printf "--bundle=%s" .source | quote }}
{{- if $.serves }}
- --poll={{ default 60 .pollSeconds }}
{{- end }}
- --timeout={{ default 60 .timeoutSeconds }}
{{- if .credentialsSecret }}
- --credentials=/etc/bayplan/credentials{{ $at }}
{{- end }}
{{- else }}
- --bundle=/etc/bayplan/bundle/bundle.tar.gz
{{- end }}
{{- with .name }}
- {{ printf "--bundle-name=%s" . | quote }}
{{- end }}
{{- if .keys }}
- --key=/etc/bayplan/trust{{ $at }}/keys
{{- end }}
{{- if .allowedSigners }}
- --allowed-signers=/etc/bayplan/trust{{ $at }}/allowed_signers
{{- end }}
{{- if .identities }}
- --identities=/etc/bayplan/trust{{ $at }}/identities
- --trusted-root=/etc/bayplan/trust{{ $at }}/trusted_root.json
{{- end }}
{{- with .signature }}
- --signature={{ . }}
{{- end }}
{{- if .allowOlder }}
- --allow-older
{{- end }}
{{- if .params }}
- --params=/etc/bayplan/params{{ $at }}/params.yaml
{{- end }}
{{- range .owns }}
- {{ printf "--owns=%s" . | quote }}
{{- end }}
{{- if $.serves }}
{{- if .refuseConflicts }}
- --refuse-conflicts
{{- end }}
{{- with .shadow }}
- {{ printf "--shadow=%s" . | quote }}
{{- end }}
{{- with .previous }}
- {{ printf "--previous=%s" . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where the bundles, what is asked of them, and the inventory are mounted. */}}
{{- define "bayplan.bundleMounts" -}}
{{- if not .Values.bundle.source }}
- name: bundle
  mountPath: /etc/bayplan/bundle
  readOnly: true
{{- end }}
{{- range $i, $bundle := prepend (default list .Values.moreBundles) .Values.bundle }}
{{- $at := ternary "" (printf "-%d" $i) (eq $i 0) }}
{{- if and .source .credentialsSecret }}
- name: credentials{{ $at }}
  mountPath: /etc/bayplan/credentials{{ $at }}
  readOnly: true
{{- end }}
{{- if include "bayplan.trusted" . }}
- name: trust{{ $at }}
  mountPath: /etc/bayplan/trust{{ $at }}
  readOnly: true
{{- end }}
{{- if .params }}
- name: params{{ $at }}
  mountPath: /etc/bayplan/params{{ $at }}
  readOnly: true
{{- end }}
{{- end }}
{{- if .Values.inventory }}
- name: inventory
  mountPath: /etc/bayplan/inventory
  readOnly: true
{{- end }}
{{- end }}

{{- define "bayplan.bundleVolumes" -}}
{{- if not .Values.bundle.source }}
- name: bundle
  configMap:
    name: {{ default (printf "%s-bundle" (include "bayplan.fullname" .)) .Values.bundle.configMap }}
{{- end }}
{{- range $i, $bundle := prepend (default list .Values.moreBundles) .Values.bundle }}
{{- $at := ternary "" (printf "-%d" $i) (eq $i 0) }}
{{- if and .source .credentialsSecret }}
- name: credentials{{ $at }}
  secret:
    secretName: {{ .credentialsSecret }}
{{- end }}
{{- if include "bayplan.trusted" . }}
- name: trust{{ $at }}
  configMap:
    name: {{ include "bayplan.fullname" $ }}-trust{{ $at }}
    items:
      {{- if .allowedSigners }}
      - {key: allowed_signers, path: allowed_signers}
      {{- end }}
      {{- if .identities }}
      - {key: identities, path: identities}
      - {key: trusted_root.json, path: trusted_root.json}
      {{- end }}
      {{- range $name, $_ := .keys }}
      - {key: {{ printf "key.%s" $name }}, path: {{ printf "keys/%s" $name }}}
      {{- end }}
{{- end }}
{{- if .params }}
- name: params{{ $at }}
  configMap:
    name: {{ include "bayplan.fullname" $ }}-params{{ $at }}
{{- end }}
{{- end }}
{{- if .Values.inventory }}
- name: inventory
  configMap:
    name: {{ include "bayplan.fullname" . }}-inventory
{{- end }}
{{- end }}

{{/* Arguments that say what the cluster is called and how its pools are told apart, as those of all commands. */}}
{{- define "bayplan.clusterArguments" -}}
{{- if .Values.inventory }}
- --pools=/etc/bayplan/inventory/pools.yaml
{{- end }}
{{- with .Values.cluster.name }}
- {{ printf "--cluster-name=%s" . | quote }}
{{- end }}
{{- range $key, $value := .Values.cluster.labels }}
- {{ printf "--cluster-label=%s=%s" $key $value | quote }}
{{- end }}
{{- range .Values.cluster.poolLabels }}
- {{ printf "--pool-label=%s" . | quote }}
{{- end }}
{{- end }}

{{/* Values of a release before this one may lack `audit`. A CronJob's name has at most 52 characters. */}}
{{- define "bayplan.auditName" -}}
{{- include "bayplan.fullname" . | trunc 46 | trimSuffix "-" }}-audit
{{- end }}

{{/* Its pods are no replicas of the webhook: neither the Service nor a budget may select them. */}}
{{- define "bayplan.auditPodLabels" -}}
app.kubernetes.io/name: {{ include "bayplan.name" . | trunc 57 | trimSuffix "-" }}-audit
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: audit
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* The spec of a Job that audits: of `root`, printed as `output`. */}}
{{- define "bayplan.auditJob" -}}
{{- $output := .output }}
{{- with .root }}
activeDeadlineSeconds: {{ int .Values.audit.deadlineSeconds }}
backoffLimit: 2
# what it says by its status is no reason to run it again
podFailurePolicy:
  rules:
    - action: FailJob
      onExitCodes:
        containerName: audit
        operator: In
        values: [1, 2]
template:
  metadata:
    labels:
      {{- include "bayplan.auditPodLabels" . | nindent 6 }}
      {{- with .Values.podLabels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- with .Values.podAnnotations }}
    annotations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  spec:
    restartPolicy: Never
    serviceAccountName: {{ include "bayplan.auditName" . }}
    {{- with .Values.imagePullSecrets }}
    imagePullSecrets:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.priorityClassName }}
    priorityClassName: {{ . }}
    {{- end }}
    securityContext:
      {{- include "bayplan.podSecurity" . | nindent 6 }}
    containers:
      - name: audit
        image: {{ include "bayplan.image" . }}
        imagePullPolicy: {{ .Values.image.pullPolicy }}
        args:
          - audit
          - --in-cluster=yes
          {{- include "bayplan.bundleArguments" (dict "root" . "serves" false) | trim | nindent 10 }}
          {{- with include "bayplan.clusterArguments" . | trim }}
          {{- . | nindent 10 }}
          {{- end }}
          {{- range .Values.audit.namespaces }}
          - {{ printf "--in=%s" . | quote }}
          {{- end }}
          {{- with .Values.audit.selector }}
          - {{ printf "--selector=%s" . | quote }}
          {{- end }}
          - --jobs={{ int .Values.audit.jobs }}
          - {{ printf "--fail-on=%s" .Values.audit.failOn | quote }}
          {{- if .Values.audit.reports }}
          - --reports
          {{- end }}
          {{- if .Values.audit.all }}
          - --all
          {{- end }}
          - --output={{ $output }}
        resources:
          {{- toYaml .Values.audit.resources | nindent 10 }}
        securityContext:
          {{- include "bayplan.containerSecurity" . | nindent 10 }}
        {{- with include "bayplan.bundleMounts" . | trim }}
        volumeMounts:
          {{- . | nindent 10 }}
        {{- end }}
    {{- with include "bayplan.bundleVolumes" . | trim }}
    volumes:
      {{- . | nindent 6 }}
    {{- end }}
    {{- with .Values.nodeSelector }}
    nodeSelector:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.affinity }}
    affinity:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .Values.tolerations }}
    tolerations:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- end }}

{{- define "bayplan.image" -}}
{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) | quote }}
{{- end }}

{{- define "bayplan.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "bayplan.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
