#![no_main]
#[path = "../../zonetool/src/zone/mod.rs"]
#[allow(unused, reason = "the command line uses the rest")]
mod zone;
libfuzzer_sys::fuzz_target!(|data: &[u8]| zone::testing::zonefile(data));
