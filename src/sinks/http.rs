//! The HTTP endpoint: metrics and health. The one place with an async runtime.
