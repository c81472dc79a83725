//! Sending spans to an OpenTelemetry collector, for programs that run on: over OTLP/gRPC to the
//! address in `$OTEL_EXPORTER_OTLP_ENDPOINT` (the other variables of the OpenTelemetry SDK and of its
//! exporter hold too). Without that variable nothing of this is made.
//!
//! Spans wait in a bounded queue, and those that find no room are dropped: a collector that is away
//! costs a warning, and nothing waits for it but the end of the program, for [`END`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use convite_net::trace;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{KeyValue, global};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::{Layer, Registry};

use crate::cli::Command;

/// Where the collector is; not set or empty for nowhere.
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// Set by whoever wants another name for the program in traces.
const NAME: &str = "OTEL_SERVICE_NAME";
/// How long the end of the program waits for the last spans to be taken.
const END: Duration = Duration::from_secs(2);
/// How long a collector may take for one batch.
const BATCH: Duration = Duration::from_secs(5);

/// A layer of the subscriber.
pub type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Spans on their way; flushed by [`Self::end`].
pub struct Traces(SdkTracerProvider);

/// What sends the spans of a command, and the layer that gathers them; none if nobody collects
/// them. Wants to be called within a runtime, which the sending uses.
///
/// # Errors
/// If the address is none.
pub fn start(command: &Command) -> Result<Option<(Traces, Boxed)>, ExporterBuildError> {
    let name = match command {
        Command::Directory(_) => "convite-directory",
        Command::Peer(_) => "convite-peer",
        Command::Up(_) => "convite",
        _ => return Ok(None),
    };
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !is_set(ENDPOINT) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_timeout(BATCH)
        .build()?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut resource = Resource::builder().with_attribute(version);
    if !is_set(NAME) {
        resource = resource.with_service_name(name);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(Told {
            exporter,
            failing: AtomicBool::new(false),
        })
        .with_resource(resource.build())
        .build();
    global::set_text_map_propagator(TraceContextPropagator::new());
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("convite"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_level(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|about| about.target() == trace::TARGET));
    trace::switch_on();
    Ok(Some((Traces(provider), Box::new(layer))))
}

impl Traces {
    /// Sends what is left. Blocks, for [`END`] at most.
    pub fn end(self) {
        if self.0.shutdown_with_timeout(END).is_err() {
            tracing::debug!("the last traces were not taken");
        }
    }
}

/// An exporter whose failures are told of: once, until it works again.
#[derive(Debug)]
struct Told {
    exporter: SpanExporter,
    failing: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        // Not the cause: it may repeat the address, and that may have a password in it.
        match (
            self.failing.swap(result.is_err(), Ordering::Relaxed),
            &result,
        ) {
            (false, Err(_)) => tracing::warn!(
                "traces cannot be sent to the collector at ${ENDPOINT}: they are dropped until it answers"
            ),
            (true, Ok(())) => tracing::info!("the collector takes traces again"),
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
