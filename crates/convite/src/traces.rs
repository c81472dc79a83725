//! Export of spans to an OpenTelemetry collector, for the long-running commands.
//!
//! Spans are sent over OTLP/gRPC to the address in `$OTEL_EXPORTER_OTLP_ENDPOINT`; the other variables
//! of the OpenTelemetry SDK and its exporter apply too. Without that variable nothing is exported.
//!
//! Spans wait in a bounded queue; if it is full, new spans are dropped. An unreachable collector causes
//! one warning, and delays only the end of the program, by at most [`SHUTDOWN_TIMEOUT`].

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

/// The variable with the address of the collector; if it is unset or empty, no spans are sent.
pub const ENDPOINT_VARIABLE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
/// The variable that overrides the service name in traces.
const SERVICE_NAME_VARIABLE: &str = "OTEL_SERVICE_NAME";
/// The maximum wait for the last spans at the end of the program.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
/// The timeout for sending one batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// A layer of the subscriber.
pub type BoxedLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// The exporter of spans; flushed by [`Self::shutdown`].
pub struct Traces(SdkTracerProvider);

/// Returns the exporter for a command and the layer that collects its spans; `None` if no collector is
/// configured or the command does not export. Must be called within a Tokio runtime, which the
/// exporter uses.
///
/// # Errors
/// Fails if the address is invalid.
pub fn start(command: &Command) -> Result<Option<(Traces, BoxedLayer)>, ExporterBuildError> {
    let name = match command {
        Command::Directory(_) => "convite-directory",
        Command::Peer(_) => "convite-peer",
        Command::Up(_) => "convite",
        _ => return Ok(None),
    };
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if !is_set(ENDPOINT_VARIABLE) {
        return Ok(None);
    }
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let mut resource = Resource::builder().with_attribute(version);
    if !is_set(SERVICE_NAME_VARIABLE) {
        resource = resource.with_service_name(name);
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(LoggingExporter {
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
    trace::enable();
    Ok(Some((Traces(provider), Box::new(layer))))
}

impl Traces {
    /// Sends the remaining spans. Blocks for at most [`SHUTDOWN_TIMEOUT`].
    pub fn shutdown(self) {
        if self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT).is_err() {
            tracing::debug!("the last traces were not sent");
        }
    }
}

/// An exporter that logs a failure once, until it works again.
#[derive(Debug)]
struct LoggingExporter {
    exporter: SpanExporter,
    failing: AtomicBool,
}

impl opentelemetry_sdk::trace::SpanExporter for LoggingExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        // Without the cause, which may repeat the address: the address may contain a password.
        match (
            self.failing.swap(result.is_err(), Ordering::Relaxed),
            &result,
        ) {
            (false, Err(_)) => tracing::warn!(
                "cannot send traces to the collector at ${ENDPOINT_VARIABLE}; they are dropped until it answers"
            ),
            (true, Ok(())) => tracing::info!("the collector accepts traces again"),
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
