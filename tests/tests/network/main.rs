//! Networks of real processes: on loopback, and in network namespaces whose cables are pulled.

mod meet;
mod restarts;
mod scripts;
mod settling;
mod split;
