//! What is used around tracking and never inside of it: scoring and drawing up scenes. Pure values.

pub mod evaluate;
