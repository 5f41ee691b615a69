{{/* An alias of the chart is its name here, so two aliases in one release have names and labels of their own. */}}
{{- define "jwks-server.name" -}}
{{- .Values.nameOverride | default .Chart.Name -}}
{{- end }}

{{- define "jwks-server.fullname" -}}
{{- $name := include "jwks-server.name" . }}
{{- $both := eq $name .Release.Name | ternary $name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $both -}}
{{- end }}

{{- define "jwks-server.selector" -}}
app.kubernetes.io/name: {{ include "jwks-server.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "jwks-server.release" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | quote }}
{{- end }}

{{- define "jwks-server.labels" -}}
{{ include "jwks-server.selector" . }}
{{ include "jwks-server.release" . }}
{{- end }}

{{- define "jwks-server.image" -}}
{{- $version := printf ":%s" (.Values.image.tag | default .Chart.AppVersion) }}
{{- .Values.image.repository }}{{ .Values.image.digest | empty | ternary $version (printf "@%s" .Values.image.digest) -}}
{{- end }}

{{/* The Secret with the pods' certificate; empty if TLS ends elsewhere. */}}
{{- define "jwks-server.tlsSecret" -}}
{{- .Values.certManager.enabled | ternary (printf "%s-tls" (include "jwks-server.fullname" .)) .Values.tls.secretName -}}
{{- end }}

{{/* How many of a number of pods "1" or "50%" are; Kubernetes rounds up. */}}
{{- define "jwks-server.share" -}}
{{- $text := toString .share }}
{{- $percent := mul .pods (trimSuffix "%" $text | int) }}
{{- hasSuffix "%" $text | ternary (div (add $percent 99) 100) (int .share) -}}
{{- end }}

{{- define "jwks-server.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# The group that may read the files of Secrets.
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "jwks-server.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "jwks-server.monitoringLabels" -}}
{{- merge (dict) .Values.monitoring.labels (include "jwks-server.labels" . | fromYaml) | toYaml -}}
{{- end }}
