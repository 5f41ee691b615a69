{{/* What values.schema.json can't say: values that contradict each other. */}}
{{- define "jwks-server.validate" -}}
{{- $fullname := include "jwks-server.fullname" . }}
{{- /* A Service's name has up to 63 characters; -admin is added to this one. */}}
{{- if or (not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname)) (gt (len $fullname) 57) }}
{{- fail (printf "%s can't be the name of the objects: it needs up to 57 lower-case letters, digits and dashes, and begins with a letter; set fullnameOverride." $fullname) }}
{{- end }}
{{- $pods := int .Values.replicas }}
{{- if .Values.autoscaling.enabled }}
{{- $pods = int .Values.autoscaling.minReplicas }}
{{- if gt $pods (int .Values.autoscaling.maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %d, more than maxReplicas; lower it, or raise maxReplicas." $pods) }}
{{- end }}
{{- if not (dig "requests" "cpu" "" .Values.resources) }}
{{- fail "autoscaling compares with the requested CPU; set resources.requests.cpu." }}
{{- end }}
{{- end }}
{{- if .Values.podDisruptionBudget.enabled }}
{{- $may := .Values.podDisruptionBudget.maxUnavailable }}
{{- $must := .Values.podDisruptionBudget.minAvailable }}
{{- if $must }}
{{- if and $pods (ge (include "jwks-server.share" (dict "share" $must "pods" $pods) | int) $pods) }}
{{- fail (printf "podDisruptionBudget.minAvailable is %v of %d pods, so no node with one of them could ever be drained; lower it, or use maxUnavailable." $must $pods) }}
{{- end }}
{{- else if and (gt $pods 1) (ge (include "jwks-server.share" (dict "share" $may "pods" $pods) | int) $pods) }}
{{- fail (printf "podDisruptionBudget.maxUnavailable is %v of %d pods, so all of them could be evicted at once; lower it." $may $pods) }}
{{- end }}
{{- end }}
{{- if and .Values.certManager.enabled .Values.tls.secretName }}
{{- fail "With certManager, cert-manager writes the certificate's Secret; leave tls.secretName empty." }}
{{- end }}
{{- if and (include "jwks-server.tlsSecret" .) (or .Values.ingress.enabled .Values.gateway.enabled) }}
{{- fail "With certManager or tls the pods end TLS, with ingress or gateway TLS ends in front of them; enable only one of the two." }}
{{- end }}
{{- if and .Values.serviceAccount.annotations (not .Values.serviceAccount.create) }}
{{- fail "serviceAccount.annotations are those of the created ServiceAccount; set serviceAccount.create." }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if hasPrefix "JWKS_SERVER_" .name }}
{{- fail (printf "extraEnv has %s, a setting of the server; write it into config as %s." .name (trimPrefix "JWKS_SERVER_" .name)) }}
{{- end }}
{{- end }}
{{- $volumes := list }}
{{- range .Values.extraVolumes }}
{{- if has .name (concat $volumes (list "keys" "state" "tls")) }}
{{- fail (printf "extraVolumes has %s, which is the name of another volume; choose another." .name) }}
{{- end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- $paths := list "/etc/jwks-server/keys" "/var/lib/jwks-server" "/etc/jwks-server/tls" }}
{{- range .Values.extraVolumeMounts }}
{{- if not (has .name $volumes) }}
{{- fail (printf "extraVolumeMounts names the volume %s, which extraVolumes doesn't have; add it." .name) }}
{{- end }}
{{- $path := clean .mountPath }}
{{- if has $path $paths }}
{{- fail (printf "extraVolumeMounts has %s, where another volume is mounted; choose another path." $path) }}
{{- end }}
{{- if and .subPath (hasPrefix "/etc/jwks-server/keys/" $path) }}
{{- fail (printf "extraVolumeMounts has a subPath at %s, which Kubernetes never updates; mount the whole volume, or project it in keys.volume." $path) }}
{{- end }}
{{- $paths = append $paths $path }}
{{- end }}
{{- range list "app.kubernetes.io/name" "app.kubernetes.io/instance" }}
{{- if hasKey $.Values.podLabels . }}
{{- fail (printf "podLabels has %s, by which the Service finds its pods; leave it out." .) }}
{{- end }}
{{- end }}
{{- end }}
