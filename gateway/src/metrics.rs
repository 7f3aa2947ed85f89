//! Metrics: every number that Prometheus scrapes, defined in one place.
//!
//! Invariant: label values come from closed sets (route templates, provider names, kinds, states), never from a tenant or a
//! path, so the number of series is bounded.

use prometheus::{
    Encoder as _, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Seconds; from a warm guest call to a slow upstream.
const LATENCY: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
const GUEST: &[f64] = &[0.00002, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0];

/// All handles. Rooms get it behind an `Arc` and count by calling `with_label_values`, or keep a resolved handle.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// route, method, status, provider
    pub requests: IntCounterVec,
    /// route, provider
    pub request_seconds: HistogramVec,
    pub requests_in_flight: IntGauge,
    /// Of all requests, those that were answered before the stack.
    pub hot_path_answers: IntCounter,
    /// policy (`ip`, `token`, `organization`, `login`, `in_flight`, `in_flight_per_organization`, `in_flight_without_credential`,
    /// `unsent_bytes`, `unsent_bytes_per_organization`, `queue`)
    pub requests_refused: IntCounterVec,
    /// Of large answers that their clients haven't taken yet.
    pub unsent_bytes: IntGauge,
    pub connections_open: IntGauge,
    /// reason
    pub connections_closed: IntCounterVec,
    /// outcome (`ok`, `failed`, `timeout`, `evicted`)
    pub tls_handshakes: IntCounterVec,
    /// outcome (`ok`, `failed`)
    pub tls_reloads: IntCounterVec,
    /// Unix seconds, without a label; unset without TLS.
    pub tls_certificate_expiry: IntGaugeVec,
    /// provider, action, outcome (`ok`, or the error's code)
    pub guest_calls: IntCounterVec,
    /// provider, action
    pub guest_seconds: HistogramVec,
    /// provider, reason
    pub guest_traps: IntCounterVec,
    /// provider, state (`busy`, `idle`)
    pub instances: IntGaugeVec,
    /// provider
    pub instances_created: IntCounterVec,
    /// provider
    pub guest_waiting: IntGaugeVec,
    /// provider, level
    pub guest_log_lines: IntCounterVec,
    /// provider, outcome (`2xx`, …, or the error's code)
    pub upstream_calls: IntCounterVec,
    /// provider
    pub upstream_seconds: HistogramVec,
    /// provider
    pub upstream_retries: IntCounterVec,
    /// provider, outcome (`ok`, `refused`, `failed`)
    pub upstream_logins: IntCounterVec,
    /// provider
    pub upstream_queued: IntGaugeVec,
    /// provider
    pub upstream_wait_seconds: HistogramVec,
    /// provider, reason (`rate`, `quota`, `pause`, `concurrency`, `queue`, `breaker`)
    pub upstream_refused: IntCounterVec,
    /// provider, state (`open`, `half_open`)
    pub upstream_breakers: IntGaugeVec,
    /// provider, direction (`upload`, `download`)
    pub transfer_bytes: IntCounterVec,
    /// status
    pub operations: IntGaugeVec,
    /// action, status
    pub operations_finished: IntCounterVec,
    /// outcome (`new`, `replayed`, `refused`): keys of changes that make no operation
    pub keyed_requests: IntCounterVec,
    /// Writes that failed for the store's own reasons, as on a full disk.
    pub store_failures: IntCounter,
    /// Rows of the audit log that could not be written.
    pub audit_failures: IntCounter,
    /// result (`hit`, `miss`, `stale`)
    pub snapshots: IntCounterVec,
    /// Streams of events that are open.
    pub event_watchers: IntGauge,
    /// Master keys that open.
    pub master_keys: IntGauge,
    /// outcome (`succeeded`, `refused`, `throttled`, `overloaded`, `failed`)
    pub logins: IntCounterVec,
    pub log_lines_dropped: IntCounter,
}

impl Metrics {
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new_custom(Some("portico".to_owned()), None)?;
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let histogram = |name: &str, help: &str, labels: &[&str], buckets: &[f64]| {
            let histogram = HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets.to_vec()), labels)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let log_lines_dropped = IntCounter::new("log_lines_dropped_total", "Log lines dropped because the writer was behind")?;
        registry.register(Box::new(log_lines_dropped.clone()))?;
        let hot_path_answers = IntCounter::new("hot_path_answers_total", "HTTP requests that were answered before the stack")?;
        registry.register(Box::new(hot_path_answers.clone()))?;
        let store_failures = IntCounter::new("store_failures_total", "Writes that the store could not carry out")?;
        registry.register(Box::new(store_failures.clone()))?;
        let audit_failures = IntCounter::new("audit_failures_total", "Rows of the audit log that could not be written")?;
        registry.register(Box::new(audit_failures.clone()))?;
        Ok(Self {
            hot_path_answers,
            requests: counter("requests_total", "HTTP requests", &["route", "method", "status", "provider"])?,
            request_seconds: histogram("request_seconds", "Time to answer HTTP requests", &["route", "provider"], LATENCY)?,
            requests_in_flight: gauge("requests_in_flight", "HTTP requests being answered")?,
            requests_refused: counter("requests_refused_total", "HTTP requests refused by a limit", &["policy"])?,
            unsent_bytes: gauge("unsent_bytes", "Bytes of large answers that wait for their clients")?,
            connections_open: gauge("connections_open", "Client connections open")?,
            connections_closed: counter("connections_closed_total", "Client connections that were cut", &["reason"])?,
            tls_handshakes: counter("tls_handshakes_total", "TLS handshakes with clients", &["outcome"])?,
            tls_reloads: counter("tls_reloads_total", "Certificates that were read again", &["outcome"])?,
            tls_certificate_expiry: gauges(
                "tls_certificate_expiry_timestamp_seconds",
                "When the listener's certificate expires",
                &[],
            )?,
            guest_calls: counter("guest_calls_total", "Calls into components", &["provider", "action", "outcome"])?,
            guest_seconds: histogram("guest_seconds", "Time of calls into components", &["provider", "action"], GUEST)?,
            guest_traps: counter("guest_traps_total", "Component calls that ended the instance", &["provider", "reason"])?,
            instances: gauges("instances", "Component instances", &["provider", "state"])?,
            instances_created: counter("instances_created_total", "Component instances created", &["provider"])?,
            guest_waiting: gauges("guest_calls_waiting", "Calls that wait for others of their organization", &["provider"])?,
            guest_log_lines: counter("guest_log_lines_total", "Log lines from components", &["provider", "level"])?,
            upstream_calls: counter("upstream_calls_total", "Requests to upstreams", &["provider", "outcome"])?,
            upstream_seconds: histogram("upstream_seconds", "Time of requests to upstreams", &["provider"], LATENCY)?,
            upstream_retries: counter("upstream_retries_total", "Requests to upstreams that were sent again", &["provider"])?,
            upstream_logins: counter("upstream_logins_total", "Sessions asked of upstreams", &["provider", "outcome"])?,
            upstream_queued: gauges("upstream_queued", "Calls that wait for an upstream's limits", &["provider"])?,
            upstream_wait_seconds: histogram("upstream_wait_seconds", "Time of such waits", &["provider"], LATENCY)?,
            upstream_refused: counter("upstream_refused_total", "Calls not sent, by reason", &["provider", "reason"])?,
            upstream_breakers: gauges("upstream_breakers", "Circuits to upstreams that aren't closed", &["provider", "state"])?,
            transfer_bytes: counter("transfer_bytes_total", "Bulk bytes to and from upstreams", &["provider", "direction"])?,
            operations: gauges("operations", "Operations that are not finished", &["status"])?,
            operations_finished: counter("operations_finished_total", "Operations that ended", &["action", "status"])?,
            keyed_requests: counter("keyed_requests_total", "Idempotency keys of changes without an operation", &["outcome"])?,
            store_failures,
            audit_failures,
            snapshots: counter("snapshots_total", "Look-ups of per-connection snapshots", &["result"])?,
            event_watchers: gauge("event_watchers", "Open streams of events")?,
            master_keys: gauge("master_keys", "Master keys that open; more than one while a rotation isn't finished")?,
            logins: counter("logins_total", "Logins with a password", &["outcome"])?,
            log_lines_dropped,
            registry,
        })
    }

    /// Prometheus text format 0.0.4.
    pub fn render(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut out = Vec::with_capacity(16 * 1024);
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_can_be_registered_and_rendered() {
        let metrics = Metrics::new().unwrap();
        metrics.operations.with_label_values(&["queued"]).set(2);
        let text = String::from_utf8(metrics.render().unwrap()).unwrap();
        assert!(text.contains("portico_operations{status=\"queued\"} 2"), "{text}");
    }
}
