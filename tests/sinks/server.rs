//! A broker as a child process that is stopped and started again.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::wait_until;

/// A real broker; killed when dropped.
pub struct Server {
    program: String,
    args: Vec<String>,
    pub port: u16,
    pub folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Server {
    /// Not yet running; it will listen at `port` and keep its files in `folder`.
    pub fn new(program: &str, args: &[&str], port: u16, folder: tempfile::TempDir) -> Self {
        Self {
            program: program.to_owned(),
            args: args.iter().map(|it| (*it).to_owned()).collect(),
            port,
            folder,
            child: None,
        }
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it and waits until it listens.
    pub fn start(&mut self) {
        let path = std::env::var("PATH").unwrap_or_default();
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.file("log"))
            .unwrap();
        let child = Command::new(&self.program)
            .args(&self.args)
            .env("PATH", format!("{path}:/usr/sbin"))
            .stdin(Stdio::null())
            .stdout(Stdio::from(log.try_clone().unwrap()))
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_until(&format!("{} to listen", self.program), || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// It does nothing more, until [`Server::thaw`].
    pub fn freeze(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.child.as_ref().unwrap());
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}
