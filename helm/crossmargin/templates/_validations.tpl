{{- /* What the schema cannot say: values that are each allowed and cannot work together. Each sentence names the value and what to do. */}}
{{- define "crossmargin.validate" -}}
{{- $values := .Values }}
{{- if not $values.database.existingSecret }}
{{- fail "database.existingSecret is empty. Name a Secret that holds the URL of your PostgreSQL under the key database.secretKey: kubectl create secret generic crossmargin-db --from-literal=url=postgresql://..." }}
{{- end }}
{{- if eq $values.exposure "tls" }}
{{- if not $values.tls.existingSecret }}
{{- fail "exposure is tls and tls.existingSecret is empty. Name a Secret with tls.crt, tls.key and ca.crt for mutual TLS, or choose exposure: sidecar or exposure: loopback. Plaintext to the network is not offered." }}
{{- end }}
{{- if not $values.access.existingSecret }}
{{- fail "exposure is tls and access.existingSecret is empty. Name a Secret with allow-list.toml (who may call) and token-keys.json (the public keys of whoever issues tokens)." }}
{{- end }}
{{- if not $values.access.tokenIssuer }}
{{- fail "exposure is tls and access.tokenIssuer is empty. Say what tokens name as their issuer (iss)." }}
{{- end }}
{{- if and $values.migrate.enabled (not $values.migrate.existingSecret) }}
{{- fail "exposure is tls and migrate.existingSecret is empty. Name a Secret with the URL of the user that owns the tables: the service refuses to work as their owner, for whom the database could not keep clients apart. Or set migrate.enabled: false and migrate by hand." }}
{{- end }}
{{- else if $values.tls.existingSecret }}
{{- fail (printf "tls.existingSecret is %s, but the service reads it with exposure: tls only and exposure is %s. Set exposure: tls, or leave tls.existingSecret empty." $values.tls.existingSecret $values.exposure) }}
{{- end }}
{{- if eq $values.exposure "sidecar" }}
{{- $hasGrpcPort := false }}
{{- range $values.serve.extraContainers }}
{{- range .ports }}
{{- if eq (default "" .name) "grpc" }}{{ $hasGrpcPort = true }}{{ end }}
{{- end }}
{{- end }}
{{- if not $hasGrpcPort }}
{{- fail "exposure is sidecar, but no container in serve.extraContainers has a port named grpc. Add one that authenticates callers and hands their calls to 127.0.0.1:50051." }}
{{- end }}
{{- end }}
{{- if and $values.tracing.enabled (not $values.tracing.endpoint) }}
{{- fail "tracing.enabled is true and tracing.endpoint is empty. Name the collector that takes OTLP over gRPC, such as http://otel-collector.monitoring:4317." }}
{{- end }}
{{- $needed := add $values.shutdown.preStopSeconds $values.config.drainSeconds 5 }}
{{- if lt (int $values.shutdown.gracePeriodSeconds) (int $needed) }}
{{- fail (printf "shutdown.gracePeriodSeconds is %d, but a pod needs %d: shutdown.preStopSeconds + config.drainSeconds + 5. With less it is killed while calls run." (int $values.shutdown.gracePeriodSeconds) (int $needed)) }}
{{- end }}
{{- $config := $values.config }}
{{- if or (gt (int64 $config.historyEveryRunSeconds) (int64 $config.historyPerMinuteSeconds)) (gt (int64 $config.historyPerMinuteSeconds) (int64 $config.historyPerHourSeconds)) }}
{{- fail (printf "config.historyEveryRunSeconds, historyPerMinuteSeconds and historyPerHourSeconds are %d, %d and %d; each tier has to end no earlier than the one before." (int64 $config.historyEveryRunSeconds) (int64 $config.historyPerMinuteSeconds) (int64 $config.historyPerHourSeconds)) }}
{{- end }}
{{- if and $values.autoscaling.enabled (gt (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas is %d, above autoscaling.maxReplicas, which is %d." (int $values.autoscaling.minReplicas) (int $values.autoscaling.maxReplicas)) }}
{{- end }}
{{- end }}
