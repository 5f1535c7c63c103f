//! What the end-to-end tests and the tests of the repository share: starting the real programs,
//! asking them with tools that nobody here wrote, and reading the source tree. Everything stays on
//! loopback, on ports that the system picks, or in network namespaces that a test makes for itself.

pub mod compare;
pub mod dig;
pub mod http;
pub mod imports;
pub mod machine;
pub mod netns;
pub mod node;
pub mod nsd;
mod parse;
pub mod peers;
pub mod pipe;
pub mod program;
pub mod signed;
pub mod source;
pub mod tokens;
pub mod tools;
pub mod unbound;
pub mod upstream;
pub mod users;
pub mod validator;
pub mod wait;
pub mod zones;
