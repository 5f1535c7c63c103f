//! The functions that the fuzz targets of `fuzz/` call: they panic if an invariant is broken.
//! `cargo test` calls them too, with every file of `testdata/fuzz/`. Not part of other builds.

mod bytes;
#[cfg(test)]
mod corpora;
mod key;
mod validator;
mod zone;

pub use key::key;
pub use validator::validator;
pub use zone::zone;

/// A datagram or a TCP message, to both paths: see [`crate::server::fast::testing::packet`].
#[cfg(target_os = "linux")]
pub fn packet(data: &[u8]) {
    crate::server::fast::testing::packet(data);
}

/// A reply of a server: see [`crate::upstream::testing::upstream`].
pub fn upstream(data: &[u8]) {
    crate::upstream::testing::upstream(data);
}
