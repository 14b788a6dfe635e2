// Package telemetry is the module that shows a cache to monitoring systems, so
// that the library itself depends on none: larderprom for Prometheus,
// larderotel for OpenTelemetry (metrics and spans), and as files a Grafana dashboard
// (grafana/larder.json) and alert rules (alerts/larder.yaml) on their metrics.
package telemetry
