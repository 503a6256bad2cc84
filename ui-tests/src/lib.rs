//! Compile-time misuse tests.
