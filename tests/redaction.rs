//! What the capture stage logs holds no credentials, also where nothing redacts the lines: the
//! journal takes each field as it comes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and tells what it skips"
)]

#[path = "support/camera_process.rs"]
mod camera_process;
#[path = "support/camera_run.rs"]
mod camera_run;

use std::io::Write;
use std::sync::{Arc, Mutex};

use camera_process::CameraProcess;
use camera_run::{CameraRun, PATIENCE, options};
use gantryd::capture::Source;

#[derive(Clone, Default)]
struct Raw(Arc<Mutex<Vec<u8>>>);

impl Write for Raw {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn fields_are_free_of_credentials_before_any_redaction() {
    let raw = Raw::default();
    let writer = raw.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let camera = CameraProcess::start(&["--user", "viewer", "--password", "r1ghtw0rd"]);
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let refusing = format!(
        "viewer:wr0ngw0rd@127.0.0.1:{}/cam?token=s3cr3t",
        camera.port
    );
    let absent = format!("viewer:wr0ngw0rd@127.0.0.1:{closed}/cam?token=s3cr3t");
    for uri in [
        format!("rtsp://{refusing}"),
        format!("rtsp://{absent}"),
        format!("http://{absent}"),
    ] {
        let mut options = options(Source::parse(&uri).unwrap());
        options.backoff = None;
        options.connect_secs = 5.0;
        let run = CameraRun::start(options).unwrap();
        let end = run.ended.recv_timeout(PATIENCE).unwrap();
        tracing::warn!(error = ?end.error, status = ?run.status.snapshot(), "ended");
        run.finish();
    }

    let log = String::from_utf8(raw.0.lock().unwrap().clone()).unwrap();
    assert!(
        log.contains("unauthorized") || log.contains("Unauthorized"),
        "{log}"
    );
    for secret in ["wr0ngw0rd", "s3cr3t", "r1ghtw0rd"] {
        assert!(!log.contains(secret), "{secret} in\n{log}");
    }
}
