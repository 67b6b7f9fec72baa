//! Logs of the process.
