//! The resolver's configuration: flags over environment over file, validated once.

mod answers;
mod changes;
mod cli;
mod encrypted;
mod environment;
mod error;
mod file;
mod load;
mod one_or_many;
mod settings;
mod sign;
#[cfg(test)]
mod tests;
mod upstreams;
mod validate;
mod value;

pub use changes::Changes;
pub use cli::{Cli, Command, DoctorArgs, Switch};
pub use error::ConfigError;
pub use load::load;
pub use settings::{
    AdminPath, ChainConfig, Config, DEFAULT_API, DEFAULT_CONTROL_API, DEFAULT_LISTEN, NodeOptions,
    SignConfig,
};
pub use upstreams::check_zones;
