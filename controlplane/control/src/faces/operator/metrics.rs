//! `/health` and `/metrics` in the text format of Prometheus (version 0.0.4).

use crate::http::App;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use plenum_contract::event::ShardMetrics;
use serde_json::json;
use std::fmt::Write as _;
use std::sync::atomic::Ordering::Relaxed;

/// 200 when media is connected and the store can be written, else 503; the body says which is missing.
pub(super) async fn health(State(app): State<App>) -> Response {
    let media = app.gauges.media_up.load(Relaxed);
    let store = app.gauges.store_ok.load(Relaxed);
    let status = if media && store { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = |good: bool| if good { "up" } else { "down" };
    let body = json!({"status": word(media && store), "media": word(media), "store": word(store)});
    (status, Json(body)).into_response()
}

pub(super) async fn metrics(State(app): State<App>) -> Response {
    let mut text = Text::default();
    control(&app, &mut text);
    let media = app.gauges.media();
    shards(&media.shards, &mut text);
    text.head("plenum_leg_bandwidth_bits", "gauge", "Estimate of what a leg can be sent, bits a second.");
    for (leg, bits) in &media.bandwidth {
        text.line("plenum_leg_bandwidth_bits", &format!("leg=\"{leg}\""), *bits);
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.0).into_response()
}

#[derive(Default)]
struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: u64) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }
}

fn control(app: &App, text: &mut Text) {
    let gauges = &app.gauges;
    let get = |value: &std::sync::atomic::AtomicU64| value.load(Relaxed);
    text.one("plenum_up_seconds", "gauge", "Seconds since the control plane started.", app.started.elapsed().as_secs());
    text.one("plenum_media_up", "gauge", "Whether a media plane is connected.", gauges.media_up.load(Relaxed).into());
    text.one(
        "plenum_media_restarts_total",
        "counter",
        "Media planes that replaced another.",
        get(&gauges.media_restarts),
    );
    let shards = gauges.media().shards;
    let up = shards.iter().any(|shard| shard.mixer_up);
    text.one("plenum_mixer_up", "gauge", "Whether a mixer is connected to media.", up.into());
    let starts = shards.iter().map(|shard| shard.mixer_starts).max().unwrap_or(0);
    text.one("plenum_mixer_starts_total", "counter", "Mixers that came since media started.", starts);
    text.one("plenum_store_ok", "gauge", "Whether the store can be written.", gauges.store_ok.load(Relaxed).into());
    text.one("plenum_store_failures_total", "counter", "Batches that could not be kept.", get(&gauges.store_failures));
    text.one("plenum_conferences", "gauge", "Conferences that exist.", get(&gauges.conferences));
    text.one(
        "plenum_active_conferences",
        "gauge",
        "Conferences with somebody in them.",
        get(&gauges.active_conferences),
    );
    text.one("plenum_participants", "gauge", "Participants.", get(&gauges.participants));
    text.one("plenum_calls", "gauge", "Media connections.", get(&gauges.calls));
    text.one("plenum_joins_total", "counter", "Participants who entered.", get(&gauges.joins));
    text.one("plenum_events_total", "counter", "Events of all conferences.", get(&gauges.events));
    text.one("plenum_event_streams", "gauge", "Open event streams.", get(&gauges.event_streams));
    text.one(
        "plenum_event_streams_lagged_total",
        "counter",
        "Event streams cut off as too slow.",
        get(&gauges.events_lagged),
    );
    text.one("plenum_requests_limited_total", "counter", "Requests refused by rate.", get(&gauges.limited));
    text.one(
        "plenum_audit_dropped_total",
        "counter",
        "Logins, most of them refused, that the audit log leaves out.",
        get(&gauges.audit_dropped),
    );
    webhooks(app, text);
    text.head("plenum_http_answers_total", "counter", "HTTP answers by class.");
    for (i, count) in gauges.answers.iter().enumerate() {
        text.line("plenum_http_answers_total", &format!("class=\"{}xx\"", i + 1), get(count));
    }
}

fn webhooks(app: &App, text: &mut Text) {
    type Column = (&'static str, &'static str, &'static str, fn(&crate::hooks::State) -> u64);
    const COLUMNS: [Column; 4] = [
        ("plenum_webhook_pending", "gauge", "Events that wait for a webhook.", |s| s.pending),
        ("plenum_webhook_deliveries_total", "counter", "Deliveries that a webhook took.", |s| s.delivered),
        ("plenum_webhook_failures_total", "counter", "Deliveries that failed; they are tried again.", |s| s.failed),
        ("plenum_webhook_lost_total", "counter", "Events that gave way at the bound of a spool.", |s| s.lost),
    ];
    let states = app.gauges.hooks.now();
    for (name, kind, help, value) in COLUMNS {
        text.head(name, kind, help);
        for (hook, state) in &states {
            text.line(name, &format!("hook=\"{hook}\""), value(state));
        }
    }
}

type Column = (&'static str, &'static str, &'static str, fn(&ShardMetrics) -> u64);

const COLUMNS: &[Column] = &[
    ("plenum_shard_received_packets_total", "counter", "Packets received.", |s| s.rx_packets),
    ("plenum_shard_received_bytes_total", "counter", "Bytes received.", |s| s.rx_bytes),
    ("plenum_shard_sent_packets_total", "counter", "Packets sent.", |s| s.tx_packets),
    ("plenum_shard_sent_bytes_total", "counter", "Bytes sent.", |s| s.tx_bytes),
    ("plenum_shard_sessions", "gauge", "Sessions.", |s| s.sessions),
    ("plenum_shard_pool_in_use", "gauge", "Pool slots in use.", |s| s.pool_in_use),
    ("plenum_shard_pool_capacity", "gauge", "Pool slots.", |s| s.pool_capacity),
    ("plenum_shard_turns_total", "counter", "Turns of the event loop.", |s| s.turns),
    ("plenum_mixer_shed", "gauge", "What the mixer leaves out: 0 nothing, 1 frames, 2 rungs, 3 pixels.", |s| {
        s.mixer_shed.into()
    }),
    ("plenum_mixer_jobs_total", "counter", "Frames decoded and encoded, scenes composed.", |s| s.mixer_spent.jobs),
    ("plenum_mixer_outputs", "gauge", "Encodings and mixes of sound that the mixer makes.", |s| s.mixer_outputs),
    ("plenum_mixer_lost_packets_total", "counter", "Packets that did not fit into the mixer's ring.", |s| s.mixer_lost),
    ("plenum_shard_system_calls_total", "counter", "System calls.", |s| s.syscalls),
];

type Time = (&'static str, &'static str, fn(&ShardMetrics) -> u64);

/// Counters of nanoseconds, shown as seconds.
const TIMES: &[Time] = &[
    ("plenum_shard_busy_seconds_total", "Time the event loop worked.", |s| s.busy_ns),
    ("plenum_mixer_worker_seconds_total", "Time the mixer's worker took for packets and sound.", |s| {
        s.mixer_spent.worker_ns
    }),
    ("plenum_mixer_job_seconds_total", "Time the mixer's pool took for pictures.", |s| s.mixer_spent.job_ns),
    ("plenum_mixer_wait_seconds_total", "Time jobs waited for a thread of the pool.", |s| s.mixer_spent.wait_ns),
];

fn shards(shards: &[ShardMetrics], text: &mut Text) {
    for (name, kind, help, value) in COLUMNS {
        text.head(name, kind, help);
        for (i, shard) in shards.iter().enumerate() {
            text.line(name, &format!("shard=\"{i}\""), value(shard));
        }
    }
    for (name, help, nanos) in TIMES {
        text.head(name, "counter", help);
        for (i, shard) in shards.iter().enumerate() {
            text.line(name, &format!("shard=\"{i}\""), seconds(nanos(shard)));
        }
    }
    text.head("plenum_shard_drops_total", "counter", "Packets dropped, by reason.");
    for (i, shard) in shards.iter().enumerate() {
        for (reason, count) in &shard.drops {
            let reason: String = reason.chars().filter(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
            text.line("plenum_shard_drops_total", &format!("shard=\"{i}\",reason=\"{reason}\""), count);
        }
    }
    histogram(shards, text, "plenum_residence_seconds", "From receiving to sending, without the pacer.", |s| {
        &s.residence
    });
    histogram(shards, text, "plenum_pacer_wait_seconds", "Time in the pacer.", |s| &s.pacer_wait);
}

/// Buckets come as (bound in ns, count), the last one for everything above; Prometheus wants them summed up.
fn histogram(
    shards: &[ShardMetrics],
    text: &mut Text,
    name: &str,
    help: &str,
    of: fn(&ShardMetrics) -> &Vec<(u64, u64)>,
) {
    text.head(name, "histogram", help);
    for (i, shard) in shards.iter().enumerate() {
        let buckets = of(shard);
        let Some((_, bounded)) = buckets.split_last() else { continue };
        let (mut count, mut sum, mut below) = (0u64, 0f64, 0f64);
        for (bound, n) in bounded {
            count += n;
            let upper = seconds(*bound);
            // The sum is not measured: the middle of each bucket stands for its values.
            sum += (below + upper) / 2.0 * *n as f64;
            below = upper;
            text.line(&format!("{name}_bucket"), &format!("shard=\"{i}\",le=\"{upper}\""), count);
        }
        let above = buckets.last().map_or(0, |(_, n)| *n);
        count += above;
        sum += below * above as f64;
        text.line(&format!("{name}_bucket"), &format!("shard=\"{i}\",le=\"+Inf\""), count);
        text.line(&format!("{name}_sum"), &format!("shard=\"{i}\""), sum);
        text.line(&format!("{name}_count"), &format!("shard=\"{i}\""), count);
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_is_summed_up_as_prometheus_wants_it() {
        let shard = ShardMetrics { residence: vec![(1_000, 5), (2_000, 3), (u64::MAX, 1)], ..ShardMetrics::default() };
        let mut text = Text::default();
        histogram(&[shard], &mut text, "r", "help", |s| &s.residence);
        assert!(text.0.contains("r_bucket{shard=\"0\",le=\"0.000001\"} 5\n"));
        assert!(text.0.contains("r_bucket{shard=\"0\",le=\"0.000002\"} 8\n"));
        assert!(text.0.contains("r_bucket{shard=\"0\",le=\"+Inf\"} 9\n"));
        assert!(text.0.contains("r_count{shard=\"0\"} 9\n"));
    }
}
