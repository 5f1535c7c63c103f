#![no_main]
#[path = "../../zonetool/src/zone/mod.rs"]
mod zone;
libfuzzer_sys::fuzz_target!(|data: &[u8]| zone::testing::zonefile(data));
