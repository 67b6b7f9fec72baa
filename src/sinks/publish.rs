//! Results as text: JSON lines and MOT rows.
