//! The `gantryd` program.

fn main() {}
