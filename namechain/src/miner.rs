//! Searching for work: stamps for operations, nonces for headers.
