//! Logs of the process: where they go, what they look like, and that panics and credentials are
//! treated as they should.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use super::config::{LogFormat, LogLevel};
use crate::base::redact_text;

/// Logs cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is no filter.
    #[error(
        "RUST_LOG={value:?} is not a log filter, allowed is for instance \"info,gantryd=debug\""
    )]
    Filter {
        /// What it holds.
        value: String,
        /// Why not.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// There is no journal.
    #[error(
        "log.format is journald, but the systemd journal cannot be reached here; take pretty or json"
    )]
    Journal(#[source] io::Error),
    /// Logs were set up before.
    #[error("logs are set up twice in one process")]
    Twice(#[source] tracing::subscriber::SetGlobalDefaultError),
}

/// Sets up logs for the process and a panic hook that logs.
///
/// `RUST_LOG`, if set, overrides `level`. Text and JSON go to stderr, with every URI in them
/// redacted once more as a last line of defence; the journal gets the fields as they are logged.
///
/// # Errors
/// [`TelemetryError`]; nothing is set up then.
pub fn init(level: LogLevel, format: LogFormat) -> Result<(), TelemetryError> {
    let filter = filter(level, std::env::var("RUST_LOG").ok())?;
    let is_terminal = io::stderr().is_terminal();
    let has_journal = std::env::var_os("JOURNAL_STREAM").is_some() && !is_terminal;
    let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
        LogFormat::Json => json(filter, Redacting(io::stderr)),
        LogFormat::Pretty => text(filter, is_terminal, Redacting(io::stderr)),
        LogFormat::Journald => journal(filter)?,
        LogFormat::Auto if has_journal => journal(filter)?,
        LogFormat::Auto => text(filter, is_terminal, Redacting(io::stderr)),
    };
    tracing::subscriber::set_global_default(subscriber).map_err(TelemetryError::Twice)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

fn filter(level: LogLevel, rust_log: Option<String>) -> Result<EnvFilter, TelemetryError> {
    let Some(value) = rust_log.filter(|value| !value.trim().is_empty()) else {
        // ONNX Runtime tells its life's story at info.
        let quiet = match level {
            LogLevel::Info => ",ort=warn",
            _ => "",
        };
        return Ok(EnvFilter::new(format!("{level}{quiet}")));
    };
    EnvFilter::try_new(&value).map_err(|source| TelemetryError::Filter { value, source })
}

fn text<W>(filter: EnvFilter, colours: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter);
    Box::new(
        builder
            .with_ansi(colours)
            .with_target(false)
            .with_writer(writer)
            .finish(),
    )
}

fn json<W>(filter: EnvFilter, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().json().flatten_event(true);
    Box::new(builder.with_env_filter(filter).with_writer(writer).finish())
}

fn journal(filter: EnvFilter) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError> {
    let layer = tracing_journald::layer().map_err(TelemetryError::Journal)?;
    let layer = layer.with_syslog_identifier("gantryd".to_owned());
    Ok(Box::new(
        tracing_subscriber::registry().with(filter).with(layer),
    ))
}

/// Logs a panic like any other error, so that it reaches the journal with its thread and place.
fn log_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = Some(Backtrace::capture())
        .filter(|trace| trace.status() == BacktraceStatus::Captured)
        .map(tracing::field::display);
    let thread = std::thread::current();
    tracing::error!(
        thread = thread.name().unwrap_or("unnamed"),
        place,
        message = redact_text(message),
        backtrace,
        "panic: this is a bug of gantryd, please report it"
    );
}

/// Makes writers that redact each log line.
struct Redacting<M>(M);

impl<'w, M: MakeWriter<'w>> MakeWriter<'w> for Redacting<M> {
    type Writer = RedactingWriter<M::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        RedactingWriter(self.0.make_writer())
    }
}

/// The formatter hands over one whole line per call, so that no URI is cut in two.
struct RedactingWriter<W>(W);

impl<W: Write> Write for RedactingWriter<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0
            .write_all(redact_text(&String::from_utf8_lossy(line)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(line)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
        fn writer(&self) -> Redacting<impl Fn() -> Lines + use<>> {
            let lines = self.clone();
            Redacting(move || lines.clone())
        }
    }

    fn log_a_camera() {
        let span = tracing::info_span!("camera", id = "gate", uri = "rtsp://u:hunter2@h/span");
        let _entered = span.enter();
        tracing::warn!(uri = "rtsp://u:hunter2@h/live?token=hunter2", "run ended");
        tracing::debug!("too quiet to see");
    }

    #[test]
    fn no_format_lets_a_password_through() {
        let info = || filter(LogLevel::Info, None).unwrap();
        for colours in [false, true] {
            let lines = Lines::default();
            tracing::subscriber::with_default(text(info(), colours, lines.writer()), log_a_camera);
            let text = lines.text();
            assert!(
                text.contains("***@h/live") && text.contains("run ended"),
                "{text}"
            );
            assert!(
                !text.contains("hunter2") && !text.contains("too quiet"),
                "{text}"
            );
        }
        let lines = Lines::default();
        tracing::subscriber::with_default(json(info(), lines.writer()), log_a_camera);
        let value: serde_json::Value = serde_json::from_str(&lines.text()).unwrap();
        assert_eq!(value["uri"], "rtsp://***@h/live?***");
        assert!(!lines.text().contains("hunter2"));
    }

    #[test]
    fn rust_log_overrides_the_level_and_is_checked() {
        let filter_of = |text: &str| filter(LogLevel::Error, Some(text.to_owned()));
        assert_eq!(filter_of("debug").unwrap().to_string(), "debug");
        assert_eq!(filter_of(" ").unwrap().to_string(), "error");
        let error = filter_of("gantryd=loud").unwrap_err().to_string();
        assert!(
            error.starts_with("RUST_LOG=\"gantryd=loud\" is not a log filter"),
            "{error}"
        );
    }

    #[test]
    fn a_panic_is_logged_with_its_thread() {
        let lines = Lines::default();
        let info = filter(LogLevel::Info, None).unwrap();
        let subscriber = text(info, false, lines.writer());
        // The hook is global: other tests' panics may pass through it, to their own subscriber.
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let caught = tracing::subscriber::with_default(subscriber, || {
            std::panic::catch_unwind(|| panic!("lost rtsp://u:hunter2@h/x"))
        });
        std::panic::set_hook(previous);
        assert!(caught.is_err());
        let text = lines.text();
        assert!(
            text.contains("lost rtsp://***@h/x") && text.contains("telemetry.rs"),
            "{text}"
        );
    }
}
