{{- define "crossmargin.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "crossmargin.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "crossmargin.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "crossmargin.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "crossmargin.selector" -}}
app.kubernetes.io/name: {{ include "crossmargin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "crossmargin.labels" -}}
{{ include "crossmargin.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: crossmargin
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "crossmargin.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .default $image.tag }}
{{- end -}}
{{- end }}

{{- define "crossmargin.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "crossmargin.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- /* What the restricted Pod Security Standard asks of a pod. */}}
{{- define "crossmargin.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ .Values.podSecurity.userId }}
runAsGroup: {{ .Values.podSecurity.groupId }}
fsGroup: {{ .Values.podSecurity.groupId }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- /* What it asks of a container, and a root that nobody can write to. */}}
{{- define "crossmargin.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "crossmargin.databaseUrl" -}}
- name: CROSSMARGIN_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}

{{- define "crossmargin.spread" -}}
{{- range $key := list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
- maxSkew: 1
  topologyKey: {{ $key }}
  whenUnsatisfiable: {{ $.when }}
  labelSelector:
    matchLabels:
      {{- include "crossmargin.selector" $.root | nindent 6 }}
      app.kubernetes.io/component: {{ $.component }}
{{- end }}
{{- end }}

{{- /* The container that both Deployments run; they differ in `monitor`. */}}
{{- define "crossmargin.container" -}}
{{- $root := .root -}}
name: crossmargin
image: {{ include "crossmargin.image" (dict "image" $root.Values.image "default" $root.Chart.AppVersion) }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
{{- /* Nobody calls a monitor, and what stands before loopback is another container's: only a pod that faces the network shows certificates. */}}
{{- $secure := and (not .monitor) (eq $root.Values.exposure "tls") }}
args: [serve, {{ if not $secure }}--insecure, {{ end }}{{ ternary "--monitor" "--no-monitor" .monitor }}]
envFrom:
  - configMapRef: {name: {{ include "crossmargin.fullname" $root }}}
env:
  {{- include "crossmargin.databaseUrl" (dict "secret" $root.Values.database.existingSecret "key" $root.Values.database.secretKey) | nindent 2 }}
  {{- if $secure }}
  - {name: CROSSMARGIN_GRPC_ADDRESS, value: "0.0.0.0:{{ $root.Values.service.port }}"}
  - {name: CROSSMARGIN_TLS_CERT_FILE, value: /etc/crossmargin/tls/tls.crt}
  - {name: CROSSMARGIN_TLS_KEY_FILE, value: /etc/crossmargin/tls/tls.key}
  - {name: CROSSMARGIN_TLS_CLIENT_CA_FILE, value: /etc/crossmargin/tls/ca.crt}
  - {name: CROSSMARGIN_ALLOW_LIST_FILE, value: /etc/crossmargin/access/allow-list.toml}
  - {name: CROSSMARGIN_TOKEN_KEYS_FILE, value: /etc/crossmargin/access/token-keys.json}
  - {name: CROSSMARGIN_TOKEN_ISSUER, value: {{ $root.Values.access.tokenIssuer | quote }}}
  - {name: CROSSMARGIN_TOKEN_AUDIENCE, value: {{ $root.Values.access.tokenAudience | quote }}}
  {{- end }}
  {{- if and .monitor $root.Values.anchors.existingSecret }}
  - {name: CROSSMARGIN_ANCHOR_KEY_FILE, value: /etc/crossmargin/anchor/{{ $root.Values.anchors.secretKey }}}
  {{- end }}
  {{- if and .monitor $root.Values.anchors.existingClaim }}
  - {name: CROSSMARGIN_ANCHOR_FILE, value: /var/lib/crossmargin/anchors/anchors.jsonl}
  {{- end }}
ports:
  - {name: admin, containerPort: 9464}
  {{- if $secure }}
  - {name: grpc, containerPort: {{ $root.Values.service.port }}}
  {{- end }}
# Liveness does not ask for the database, so that its outage restarts nobody; readiness does.
startupProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: {path: /livez, port: admin}
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: {path: /readyz, port: admin}
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
lifecycle:
  preStop:
    exec: {command: [sleep, {{ $root.Values.shutdown.preStopSeconds | quote }}]}
securityContext:
  {{- include "crossmargin.securityContext" $root | nindent 2 }}
resources:
  {{- toYaml .resources | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if $secure }}
  - {name: tls, mountPath: /etc/crossmargin/tls, readOnly: true}
  - {name: access, mountPath: /etc/crossmargin/access, readOnly: true}
  {{- end }}
  {{- if and .monitor $root.Values.anchors.existingSecret }}
  - {name: anchor-key, mountPath: /etc/crossmargin/anchor, readOnly: true}
  {{- end }}
  {{- if and .monitor $root.Values.anchors.existingClaim }}
  - {name: anchors, mountPath: /var/lib/crossmargin/anchors}
  {{- end }}
{{- end }}

{{- /* The peers of a rule, or every pod of the namespace. */}}
{{- define "crossmargin.peers" -}}
{{- if . }}
{{- toYaml . }}
{{- else -}}
- podSelector: {}
{{- end }}
{{- end }}
